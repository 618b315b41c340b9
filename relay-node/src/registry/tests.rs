use std::time::Duration;

use bytes::Bytes;
use rtmp::{Message, MessageType};
use shared::address::AddressPolicy;
use shared::link::{Departure, InputSettings, OnStop, Protocol};
use shared::secret::Secret;

use super::publishing::KeyClaim;
use super::*;
use crate::egress::tls;
use crate::feed::{Encoder, Feed};
use crate::shards::Shards;
use crate::static_control;

pub(crate) const KEY: &str = "hunter2";

/// A registry with one input and no broadcast.
pub(crate) fn registry() -> Arc<Registry> {
    registry_with("")
}

pub(crate) fn registry_with(settings: &str) -> Arc<Registry> {
    registry_within(None, Duration::ZERO, settings)
}

/// One whose outputs wait so long for more to write.
pub(crate) fn registry_that_gathers(gather: Duration) -> Arc<Registry> {
    registry_within(None, gather, "")
}

/// What the one encoder on air feeds.
pub(crate) fn feed(registry: &Registry) -> Arc<Feed> {
    let broadcasts = registry.lock();
    let on_air = broadcasts.on_air.values().next().unwrap();
    Arc::clone(&on_air.feed)
}

/// One that takes no encoder that sends more bits a second.
fn registry_within(max_bitrate: Option<u64>, gather: Duration, settings: &str) -> Arc<Registry> {
    let inputs = format!(
        "[[input]]
stream_key = \"{KEY}\"
{settings}"
    );
    let control = Control::Static(static_control::Handle::parse(&inputs).unwrap());
    let tls = tls::client_config(None).unwrap();
    Arc::new(Registry::new(
        "test".parse().unwrap(),
        Instance::from_random([1; 16]),
        control,
        Arc::default(),
        Dialler::new(AddressPolicy::default(), tls),
        MediaRules {
            max_bitrate,
            gather,
            budget: Budget::default(),
            shards: Shards::here(),
            quota: Quota {
                inputs: 1,
                ..Quota::default()
            },
        },
    ))
}

async fn publish(registry: &Arc<Registry>) -> Result<Publisher, Refusal> {
    publish_from(registry, 1).await
}

async fn publish_from(registry: &Arc<Registry>, place: u8) -> Result<Publisher, Refusal> {
    publish_as(registry, encoder_at(place)).await
}

/// An encoder that comes from this place.
pub(crate) fn encoder_at(place: u8) -> Encoder {
    Encoder::new(Protocol::Rtmp, Some([192, 0, 2, place].into()))
}

/// That encoder with the one input's key.
pub(crate) async fn publish_as(
    registry: &Arc<Registry>,
    encoder: Encoder,
) -> Result<Publisher, Refusal> {
    registry.publish(Secret::new(KEY), encoder).await
}

/// A piece of a picture.
pub(crate) fn frame() -> [Message; 1] {
    [Message {
        kind: MessageType::VIDEO,
        timestamp: 0,
        stream_id: 1,
        payload: Bytes::from_static(&[0x17, 1, 0, 0, 0]),
    }]
}

/// The file's input at epoch 1, as the control plane would describe it.
async fn snapshot(registry: &Registry, rev: u64, wish: Wish) -> Snapshot {
    let answer = registry.control.authorise(&Secret::new(KEY)).await.unwrap();
    Snapshot {
        rev,
        epoch: 1,
        owner: None,
        oldest_key: 0,
        account: None,
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
    publisher.leave(Departure::Goodbye);
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
async fn a_panic_in_an_encoders_task_ends_that_connection_alone() {
    let registry = registry();
    let publisher = publish(&registry).await.unwrap();
    let task = tokio::spawn(async move {
        let _publisher = publisher;
        panic!("as a bug would");
    });
    assert!(task.await.unwrap_err().is_panic());
    // It counts as lost: its broadcast waits for the next one.
    assert!(registry.status()[0].away_ms.is_some());
    let publisher = publish(&registry).await.unwrap();
    assert_eq!(registry.status()[0].away_ms, None);
    publisher.leave(Departure::Goodbye);
    assert!(registry.status().is_empty());
}

/// So many bits a second, for six seconds of the clock that is held.
async fn send(publisher: &Publisher, registry: &Registry, bitrate: u64) {
    for _ in 0..60 {
        let mut payload = vec![0xAA; (bitrate / 80) as usize];
        payload[..2].copy_from_slice(&[0x17, 1]);
        publisher.append([Message {
            kind: MessageType::VIDEO,
            timestamp: 0,
            stream_id: 1,
            payload: payload.into(),
        }]);
        tokio::time::advance(Duration::from_millis(100)).await;
        registry.inspect();
    }
}

#[tokio::test(start_paused = true)]
async fn who_sends_more_than_the_bound_is_cut() {
    for (bound, is_cut) in [
        (None, false),
        (Some(900_000), true),
        (Some(1_100_000), false),
    ] {
        let registry = registry_within(bound, Duration::ZERO, "");
        let mut publisher = publish(&registry).await.unwrap();
        send(&publisher, &registry, 1_000_000).await;
        assert_eq!(registry.status().is_empty(), is_cut, "{bound:?}");
        if is_cut {
            assert_eq!(publisher.cut().await, Refusal::TooFast);
        }
    }
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

#[tokio::test]
async fn an_account_has_no_more_on_air_than_it_may() {
    let registry = registry();
    let snapshot = |n: u8, rev, account: u8, wish| Snapshot {
        input: InputUid::from_random([n; 16]),
        rev,
        epoch: 1,
        owner: None,
        oldest_key: 0,
        account: Some(AccountId::from_random([account; 16])),
        wish,
    };
    let seat = |n, account| {
        let snapshot = snapshot(n, 1, account, nothing());
        let encoder = Encoder::new(Protocol::Rtmp, None);
        let claim = KeyClaim {
            snapshot,
            key: 0,
            unconfirmed: None,
        };
        registry.seat(&mut registry.lock(), claim, encoder)
    };
    let _first = seat(1, 1).unwrap();
    assert_eq!(seat(2, 1).err(), Some(Refusal::AccountLimit));
    let _another = seat(3, 2).unwrap();
    let mut usages = registry.accounts().into_iter();
    assert_eq!(
        usages
            .next()
            .map(|(_, usage)| (usage.inputs, usage.refused)),
        Some((1, 1))
    );
    // A second publisher of what is on air is none more.
    let _same = seat(1, 1).unwrap();
    registry.apply(snapshot(1, 2, 1, Wish::Deleted));
    let _second = seat(2, 1).unwrap();
    // Who has nothing on air any more is forgotten.
    registry.apply(snapshot(3, 2, 2, Wish::Deleted));
    registry.inspect();
    assert_eq!(registry.accounts().len(), 1);
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
            account: None,
            wish,
        };
        let reported = nothing_on_air(&snapshot);
        assert_eq!((reported.rev, reported.unknown_wish), (3, unknown_wish));
    }
}

mod waiting {
    use super::*;

    fn settings(change: impl FnOnce(&mut InputSettings)) -> Wish {
        let mut settings = InputSettings::default();
        change(&mut settings);
        Wish::Relay {
            outputs: Vec::new(),
            settings,
        }
    }

    async fn on_air(registry: &Arc<Registry>, wish: Wish) -> Publisher {
        let publisher = publish(registry).await.unwrap();
        let mut snapshot = snapshot(registry, 2, wish).await;
        snapshot.epoch = registry.status()[0].epoch;
        registry.apply(snapshot);
        publisher
    }

    async fn pass(millis: u64) {
        tokio::time::advance(Duration::from_millis(millis)).await;
        // The watch of the window runs when the time has come.
        tokio::task::yield_now().await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_publisher_that_vanishes_is_waited_for() {
        let registry = registry();
        let publisher = on_air(&registry, settings(|s| s.reconnect_window = 60)).await;
        drop(publisher);
        pass(59_999).await;
        assert_eq!(registry.status()[0].away_ms, Some(59_999));
        pass(1).await;
        assert_eq!(registry.status().len(), 0);
        assert!(registry.revs.all().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_returns_goes_on_under_its_new_epoch() {
        let registry = registry();
        let publisher = on_air(&registry, nothing()).await;
        publisher.append(frame());
        drop(publisher);
        pass(30_000).await;
        let publisher = publish(&registry).await.unwrap();
        publisher.append(frame());
        pass(60_000).await;
        let status = registry.status();
        assert_eq!((status[0].away_ms, status[0].bytes), (None, 10));
        assert!(status[0].epoch > 1);
        assert_eq!(registry.totals().broadcasts, 1);
        publisher.leave(Departure::Goodbye);
        assert_eq!(registry.status().len(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_goodbye_ends_it_unless_the_input_holds() {
        for (on_stop, left) in [(OnStop::End, 0), (OnStop::Hold, 1)] {
            let registry = registry();
            let publisher = on_air(&registry, settings(|s| s.on_stop = on_stop)).await;
            publisher.leave(Departure::Goodbye);
            assert_eq!(registry.status().len(), left);
            pass(60_000).await;
            assert_eq!(registry.status().len(), 0);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_window_it_ends_at_once() {
        let registry = registry();
        let publisher = on_air(&registry, settings(|s| s.reconnect_window = 0)).await;
        drop(publisher);
        assert_eq!(registry.status().len(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_window_that_is_changed_while_it_runs_counts_from_its_beginning() {
        for (seconds, ends) in [(5, 5), (20, 20), (100, 100), (9_999, 1_800)] {
            let registry = registry();
            let publisher = on_air(&registry, settings(|s| s.reconnect_window = 60)).await;
            drop(publisher);
            pass(10_000).await;
            let mut changed =
                snapshot(&registry, 3, settings(|s| s.reconnect_window = seconds)).await;
            changed.epoch = registry.status()[0].epoch;
            registry.apply(changed);
            pass(if ends < 10 { 0 } else { ends * 1_000 - 10_001 }).await;
            assert_eq!(
                registry.status().len(),
                usize::from(ends >= 10),
                "{seconds}"
            );
            pass(1).await;
            assert_eq!(registry.status().len(), 0, "{seconds}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_deleted_or_switched_off_is_not_waited_for() {
        for wish in [Wish::Deleted, Wish::Disabled] {
            let registry = registry();
            drop(on_air(&registry, nothing()).await);
            let mut snapshot = snapshot(&registry, 3, wish).await;
            snapshot.epoch = registry.status()[0].epoch;
            registry.apply(snapshot);
            assert_eq!(registry.status().len(), 0);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_stops_waits_for_nobody() {
        let registry = registry();
        drop(on_air(&registry, nothing()).await);
        registry.shut_down().await;
        assert_eq!(registry.status().len(), 0);
    }

    /// Each publish raises the epoch, and its snapshot may come before its answer.
    #[tokio::test(start_paused = true)]
    async fn our_own_higher_epoch_is_no_other_owner() {
        let registry = registry();
        let publisher = on_air(&registry, nothing()).await;
        drop(publisher);
        let mut next = snapshot(&registry, 3, nothing()).await;
        next.epoch = registry.status()[0].epoch + 1;
        next.owner = Some(registry.identity.clone());
        registry.apply(next);
        let status = registry.status();
        assert_eq!((status[0].rev, status[0].away_ms), (3, Some(0)));
    }

    #[tokio::test(start_paused = true)]
    async fn two_places_fight_once_in_thirty_seconds() {
        let registry = registry();
        let mut first = on_air(&registry, nothing()).await;
        first.append(frame());
        let mut second = publish_from(&registry, 2).await.unwrap();
        assert_eq!(first.cut().await, Refusal::Replaced);
        // What the loser still sends is nobody's.
        first.append(frame());
        drop(first);
        second.append(frame());
        let epoch = registry.status()[0].epoch;
        let again = publish_from(&registry, 1).await;
        assert_eq!(again.err(), Some(Refusal::Contested));
        let status = registry.status();
        assert_eq!((status[0].away_ms, status[0].bytes), (None, 10));
        // The control plane has raised it for the one that was refused.
        assert_eq!(status[0].epoch, epoch + 1);
        pass(30_000).await;
        second.append(frame());
        let _third = publish_from(&registry, 1).await.unwrap();
        assert_eq!(second.cut().await, Refusal::Replaced);
    }

    #[tokio::test(start_paused = true)]
    async fn an_input_may_take_no_second_publisher() {
        let registry = registry_with("[input.settings]\ntakeover = \"reject\"");
        let mut first = publish(&registry).await.unwrap();
        first.append(frame());
        let second = publish(&registry).await;
        assert_eq!(second.err(), Some(Refusal::Occupied));
        assert_eq!(registry.status()[0].away_ms, None);
        // One that is silent is gone, whatever TCP believes.
        pass(5_001).await;
        let second = publish(&registry).await.unwrap();
        assert_eq!(first.cut().await, Refusal::Replaced);
        drop(second);
        assert!(publish(&registry).await.is_ok());
    }
}
