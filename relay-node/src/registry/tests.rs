use shared::address::AddressPolicy;
use shared::link::Protocol;

use super::*;
use crate::egress::tls;
use crate::static_control;

const KEY: &str = "hunter2";

fn registry() -> Arc<Registry> {
    let inputs = format!("[[input]]\nstream_key = \"{KEY}\"");
    let control = Control::Static(static_control::Handle::parse(&inputs).unwrap());
    let tls = tls::client_config(None).unwrap();
    Arc::new(Registry::new(
        "test".parse().unwrap(),
        Instance::from_random([1; 16]),
        control,
        Arc::default(),
        Dialler::new(AddressPolicy::default(), tls),
    ))
}

async fn publish(registry: &Arc<Registry>) -> Result<Publisher, Refusal> {
    let encoder = Encoder::new(Protocol::Rtmp);
    registry.publish(Secret::new(KEY), encoder).await
}

/// The file's input at epoch 1, as the control plane would describe it.
async fn snapshot(registry: &Registry, rev: u64, wish: Wish) -> Snapshot {
    let answer = registry.control.authorise(&Secret::new(KEY)).await.unwrap();
    Snapshot {
        rev,
        epoch: 1,
        owner: None,
        oldest_key: 0,
        wish,
        ..answer.snapshot
    }
}

/// What was said last of the one broadcast on air.
fn acknowledgement(registry: &Registry) -> Applied {
    let broadcasts = registry.lock();
    let on_air = broadcasts.on_air.values().next().unwrap();
    on_air.acknowledgement()
}

fn nothing() -> Wish {
    Wish::relay(Vec::new())
}

#[tokio::test]
async fn a_change_that_overtakes_the_answer_counts() {
    let registry = registry();
    let mut deleted = snapshot(&registry, 2, Wish::Deleted).await;
    // The next answer's.
    deleted.epoch = 2;
    let another = Asking::begin(&registry);
    registry.apply(deleted);
    assert_eq!(publish(&registry).await.err(), Some(Refusal::Deleted));
    drop(another);
    assert_eq!(registry.lock().early.len(), 0);
    assert!(publish(&registry).await.is_ok());
}

#[tokio::test]
async fn an_owner_that_overtakes_the_answer_wins() {
    let registry = registry();
    let mut later = snapshot(&registry, 9, nothing()).await;
    later.epoch = 9;
    let _another = Asking::begin(&registry);
    registry.apply(later);
    assert_eq!(publish(&registry).await.err(), Some(Refusal::Replaced));
}

#[tokio::test]
async fn only_a_higher_rev_applies() {
    let registry = registry();
    let publisher = publish(&registry).await.unwrap();
    let input = snapshot(&registry, 0, nothing()).await.input;
    registry.apply(snapshot(&registry, 5, nothing()).await);
    assert_eq!(registry.revs.all()[&input], 5);
    registry.apply(snapshot(&registry, 4, Wish::Deleted).await);
    registry.apply(snapshot(&registry, 5, Wish::Deleted).await);
    assert_eq!(registry.revs.all()[&input], 5);
    assert_eq!(registry.status().len(), 1);
    drop(publisher);
    assert_eq!(registry.status().len(), 0);
    assert!(registry.revs.all().is_empty());
}

/// A key made before any was replaced.
#[tokio::test]
async fn a_publisher_goes_when_its_key_is_replaced_and_no_sooner() {
    let registry = registry();
    let mut publisher = publish(&registry).await.unwrap();
    registry.apply(snapshot(&registry, 2, nothing()).await);
    assert_eq!(registry.status().len(), 1);
    let mut replaced = snapshot(&registry, 3, nothing()).await;
    replaced.oldest_key = 1;
    registry.apply(replaced);
    assert_eq!(publisher.cut().await, Refusal::KeyReplaced);
    assert_eq!(registry.status().len(), 0);
}

#[tokio::test]
async fn whose_key_is_good_can_be_read_whatever_is_wanted() {
    let registry = registry();
    let mut publisher = publish(&registry).await.unwrap();
    let mut unknown = snapshot(&registry, 2, Wish::Unknown).await;
    unknown.oldest_key = 1;
    registry.apply(unknown);
    assert_eq!(publisher.cut().await, Refusal::KeyReplaced);
}

#[tokio::test]
async fn a_key_replaced_while_it_is_checked_is_refused() {
    let registry = registry();
    let mut replaced = snapshot(&registry, 2, nothing()).await;
    // The next answer's.
    (replaced.epoch, replaced.oldest_key) = (2, 1);
    let _another = Asking::begin(&registry);
    registry.apply(replaced);
    assert_eq!(publish(&registry).await.err(), Some(Refusal::KeyReplaced));
}

#[tokio::test]
async fn a_broadcast_that_another_owns_is_ended() {
    let theirs = |snapshot: &mut Snapshot| {
        snapshot.owner = Some(Owner {
            node: "other".parse().unwrap(),
            instance: Instance::from_random([2; 16]),
        });
    };
    let fenced = |snapshot: &mut Snapshot| snapshot.epoch = 2;
    for change in [&theirs as &dyn Fn(&mut Snapshot), &fenced] {
        let registry = registry();
        let mut publisher = publish(&registry).await.unwrap();
        let mut snapshot = snapshot(&registry, 2, nothing()).await;
        change(&mut snapshot);
        registry.apply(snapshot);
        assert_eq!(publisher.cut().await, Refusal::Replaced);
        assert_eq!(registry.status().len(), 0);
    }
}

#[tokio::test]
async fn targets_of_a_newer_control_plane_are_shown_and_reported() {
    let registry = registry();
    let _publisher = publish(&registry).await.unwrap();
    let unknown = WantedOutput {
        uid: OutputUid::from_random([7; 16]),
        enabled: true,
        retry: 0,
        target: shared::link::Target::Unknown,
    };
    let outputs = vec![unknown.clone()];
    registry.apply(snapshot(&registry, 2, Wish::relay(outputs)).await);
    let status = registry.status();
    assert_eq!(status[0].outputs[0].reason, Some("unsupported"));
    assert_eq!(acknowledgement(&registry).unsupported, [unknown.uid]);
}

#[tokio::test]
async fn a_wish_of_a_newer_control_plane_is_reported_and_changes_nothing() {
    let registry = registry();
    let mut publisher = publish(&registry).await.unwrap();
    let output = WantedOutput {
        uid: OutputUid::from_random([7; 16]),
        enabled: false,
        retry: 0,
        target: shared::link::Target::Unknown,
    };
    let outputs = vec![output.clone()];
    registry.apply(snapshot(&registry, 2, Wish::relay(outputs)).await);
    let mut unknown = snapshot(&registry, 3, Wish::Unknown).await;
    // A repeated one was resent: it is reported again.
    for _ in 0..2 {
        registry.apply(unknown.clone());
        let reported = acknowledgement(&registry);
        assert_eq!((reported.rev, reported.unknown_wish), (3, true));
        assert_eq!(registry.revs.all().into_values().collect::<Vec<_>>(), [3]);
        assert_eq!(registry.status()[0].outputs.len(), 1);
    }
    // One that was overtaken by it stays so, the next one counts.
    registry.apply(snapshot(&registry, 2, nothing()).await);
    assert_eq!(registry.status()[0].outputs.len(), 1);
    registry.apply(snapshot(&registry, 4, nothing()).await);
    let applied = acknowledgement(&registry);
    assert_eq!((applied.rev, applied.unknown_wish), (4, false));
    assert_eq!(registry.status()[0].outputs.len(), 0);
    // Whose it is can be read whatever is wanted.
    unknown.epoch = 2;
    registry.apply(unknown);
    assert_eq!(publisher.cut().await, Refusal::Replaced);
}

#[test]
fn a_wish_for_what_is_not_on_air_is_reported_too() {
    for (wish, unknown_wish) in [(Wish::Unknown, true), (Wish::Deleted, false)] {
        let snapshot = Snapshot {
            input: InputUid::from_random([1; 16]),
            rev: 3,
            epoch: 1,
            owner: None,
            oldest_key: 0,
            wish,
        };
        let reported = nothing_on_air(&snapshot);
        assert_eq!((reported.rev, reported.unknown_wish), (3, unknown_wish));
    }
}
