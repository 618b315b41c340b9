use super::*;
use crate::egress::address::AddressPolicy;
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
    registry.publish(Secret::new(KEY), Encoder::default()).await
}

/// The file's input at epoch 1, as the control plane would describe it.
async fn snapshot(registry: &Registry, rev: u64, wish: Wish) -> Snapshot {
    let answer = registry.control.authorise(&Secret::new(KEY)).await.unwrap();
    Snapshot {
        rev,
        epoch: 1,
        owner: None,
        wish,
        ..answer
    }
}

fn nothing() -> Wish {
    Wish::Relay {
        outputs: Vec::new(),
    }
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
    registry.apply(snapshot(&registry, 6, Wish::Unknown).await);
    assert_eq!(registry.revs.all()[&input], 5);
    assert_eq!(registry.status().len(), 1);
    drop(publisher);
    assert_eq!(registry.status().len(), 0);
    assert!(registry.revs.all().is_empty());
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
        target: shared::link::Target::Unknown,
    };
    let outputs = vec![unknown.clone()];
    registry.apply(snapshot(&registry, 2, Wish::Relay { outputs }).await);
    let status = registry.status();
    assert_eq!(status[0].outputs[0].reason, Some("unsupported"));
    let broadcasts = registry.lock();
    let on_air = broadcasts.on_air.values().next().unwrap();
    assert_eq!(on_air.unsupported(), [unknown.uid]);
}
