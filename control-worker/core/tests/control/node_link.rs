//! The relay node's object: what it keeps, sends, repeats and asks.

use std::time::Duration;

use control_core::keys::Keyring;
use control_core::live_input::Ask;
use control_core::node_link::{GONE_AFTER, Handed, NodeState, Pulse, SILENT_AFTER, Via};
use control_core::status::News;
use shared::id::{InputUid, Instance};
use shared::link::{
    Applied, Departure, Event, LINK_VERSION, Owner, Report, Snapshot, Target, WantedOutput, What,
    Wish,
};
use shared::secret::Secret;
use shared::time::Timestamp;

use crate::database::{input, keyring, output};

const NOTHING: [u64; 0] = [];

struct Node {
    state: NodeState,
    keyring: Keyring,
    nonce: u8,
}

impl Node {
    fn new() -> Self {
        Self {
            state: NodeState::load("a".parse().unwrap(), []),
            keyring: keyring(),
            nonce: 0,
        }
    }

    /// Hands a snapshot over, and says which one must be pushed to whom.
    fn hand(&mut self, snapshot: Snapshot, via: Via, now: Timestamp) -> Option<Option<Instance>> {
        self.nonce += 1;
        let handed = Handed {
            snapshot: snapshot.clone(),
            via,
        };
        let push = self
            .state
            .hand(handed, &self.keyring, [self.nonce; 12], now)
            .unwrap();
        push.map(|push| {
            assert_eq!(push.snapshot, snapshot);
            push.except
        })
    }

    fn reconciled(&mut self, report: &Report, now: Timestamp) -> Vec<u64> {
        let answer = self.state.reconciliation(report, &self.keyring, now);
        answer.snapshots.iter().map(|s| s.rev).collect()
    }

    fn due(&mut self, now: Timestamp) -> Vec<u64> {
        let due = self.state.due(&self.keyring, now);
        due.iter().map(|snapshot| snapshot.rev).collect()
    }

    /// The broadcasts whose ends the objects of inputs are to be told of.
    fn endings(&self) -> Vec<(InputUid, u64)> {
        let news = self.state.news(None).into_iter();
        news.flat_map(|(input, told)| told.news.into_iter().map(move |news| (input, news.news)))
            .filter_map(|(input, news)| match news {
                News::Event(event) => Some((input, event.epoch)),
                News::Over { epoch } => Some((input, epoch)),
                _ => None,
            })
            .collect()
    }

    /// All objects of inputs have kept their news.
    fn keep(&mut self) {
        for (input, told) in self.state.news(None) {
            self.state.kept(input, &told);
        }
    }

    /// When the alarm rings, with a socket of instance 1 or without.
    fn alarm(&self, now: Timestamp, connected: bool) -> Option<Timestamp> {
        let pulse = Pulse {
            instance: instance(1),
            at: Some(now),
        };
        let pulses = if connected { vec![pulse] } else { Vec::new() };
        self.state.alarm(&pulses, now)
    }

    /// The same object after an eviction, and what it had stored.
    fn evicted(mut self) -> (Self, Vec<(String, String)>) {
        let stored = self.state.take_changes().put;
        self.state = NodeState::load("a".parse().unwrap(), stored.clone());
        (self, stored)
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(1_764_551_330_000_000 + seconds * 1_000_000)
}

fn instance(n: u8) -> Instance {
    Instance::from_random([n; 16])
}

fn owner(node: &str, n: u8) -> Option<Owner> {
    Some(Owner {
        node: node.parse().unwrap(),
        instance: instance(n),
    })
}

fn snapshot(n: u8, rev: u64, epoch: u64, owner: Option<Owner>) -> Snapshot {
    Snapshot {
        input: input(n),
        rev,
        epoch,
        owner,
        oldest_key: 0,
        account: None,
        wish: Wish::relay(vec![WantedOutput {
            uid: output(n),
            enabled: true,
            retry: 0,
            target: Target::Rtmp {
                url: Secret::new("rtmp://example.com/live"),
                stream_key: Secret::new("hunter2"),
            },
        }]),
    }
}

fn report(n: u8, revs: &[(u8, u64)], ended: &[(u64, u8, u64)]) -> Report {
    Report {
        version: LINK_VERSION,
        instance: instance(n),
        revs: revs.iter().map(|&(n, rev)| (input(n), rev)).collect(),
        events: ended
            .iter()
            .map(|&(sequence, n, epoch)| Event {
                sequence,
                input: input(n),
                epoch,
                at: Timestamp::default(),
                what: What::Ended {
                    reason: Departure::Goodbye,
                },
            })
            .collect(),
        figures: Vec::new(),
    }
}

fn applied(n: u8, rev: u64) -> Applied {
    Applied {
        input: input(n),
        rev,
        unsupported: Vec::new(),
        unknown_wish: false,
    }
}

#[test]
fn a_push_is_repeated_until_it_is_acknowledged() {
    let mut node = Node::new();
    node.hand(snapshot(1, 1, 1, owner("a", 1)), Via::PublishAnswer, at(0));
    assert_eq!(
        node.hand(snapshot(1, 2, 1, owner("a", 1)), Via::Push, at(0)),
        Some(None)
    );
    assert_eq!(node.due(at(0)), NOTHING, "not at once");
    let mut times = Vec::new();
    for second in 0..120 {
        if node.due(at(second)) == [2] {
            times.push(second);
        }
    }
    assert_eq!(times, [1, 3, 7, 15, 31, 63, 95], "backs off to 32 s");
    node.state.applied(instance(1), &applied(1, 1), at(120));
    assert_eq!(node.due(at(200)), [2], "an older one does not count");
    node.state.applied(instance(2), &applied(1, 2), at(200));
    assert_eq!(node.due(at(300)), [2], "nor another's");
    node.state.heard(instance(1), at(310));
    let silent = Some(at(310).after(SILENT_AFTER));
    assert_eq!(node.alarm(at(310), true), Some(at(332)));
    assert_eq!(node.alarm(at(310), false), silent, "no socket, no sending");
    node.state.applied(instance(1), &applied(1, 2), at(310));
    node.keep();
    assert_eq!(node.alarm(at(310), true), silent);
    assert_eq!(node.due(at(1000)), NOTHING);
}

#[test]
fn only_a_higher_rev_is_taken() {
    let mut node = Node::new();
    node.hand(snapshot(1, 5, 1, owner("a", 1)), Via::PublishAnswer, at(0));
    for rev in [4, 5] {
        let stale = snapshot(1, rev, 1, owner("a", 1));
        assert_eq!(node.hand(stale, Via::Push, at(0)), None, "{rev}");
    }
    let asked = report(1, &[(1, 3)], &[]);
    assert_eq!(node.state.report(&asked, at(1)), []);
    assert_eq!(node.reconciled(&asked, at(1)), [5]);
}

#[test]
fn a_report_finds_what_is_missing_and_acknowledges_what_is_not() {
    let mut node = Node::new();
    for n in 1..=3 {
        node.hand(snapshot(n, 10, 1, owner("a", 1)), Via::PublishAnswer, at(0));
    }
    let told = report(1, &[(1, 9), (2, 10)], &[]);
    assert_eq!(node.state.report(&told, at(1)), []);
    // 1 is behind, 2 is not, and 3 may be on its way.
    let answer = node.state.reconciliation(&told, &node.keyring, at(1));
    let mut inputs: Vec<_> = answer.snapshots.iter().map(|s| s.input).collect();
    inputs.sort();
    assert_eq!(inputs, [input(1), input(3)]);
    assert_eq!(node.alarm(at(1), true), Some(at(1)));
    let told = report(1, &[(1, 10), (2, 10), (3, 10)], &[]);
    assert_eq!(node.state.report(&told, at(2)), []);
    assert_eq!(node.reconciled(&told, at(2)), NOTHING);
    node.keep();
    assert_eq!(node.alarm(at(2), true), Some(at(2).after(SILENT_AFTER)));
}

#[test]
fn the_objects_of_inputs_are_asked_for_what_is_not_known_here() {
    let mut node = Node::new();
    node.hand(snapshot(1, 10, 1, owner("a", 1)), Via::PublishAnswer, at(0));
    let told = report(1, &[(1, 12), (2, 4)], &[]);
    let ask = |n, rev| Ask {
        input: input(n),
        holder: owner("a", 1).unwrap(),
        rev,
    };
    let asks = node.state.report(&told, at(1));
    assert!(asks.len() == 2 && asks.contains(&ask(1, 12)) && asks.contains(&ask(2, 4)));
    // What they answer is in the answer to the report, whoever owns the input.
    let via = Via::Report(instance(1));
    assert_eq!(
        node.hand(snapshot(1, 13, 1, owner("a", 1)), via, at(1)),
        None
    );
    let gone = Snapshot {
        wish: Wish::Deleted,
        ..snapshot(2, 5, 1, None)
    };
    assert_eq!(node.hand(gone, via, at(1)), None);
    let mut revs = node.reconciled(&told, at(1));
    revs.sort_unstable();
    assert_eq!(revs, [5, 13]);
    // Once the node has dropped it, nothing is kept of it.
    node.state.applied(instance(1), &applied(2, 5), at(0));
    let told = report(1, &[(1, 13)], &[]);
    assert_eq!(node.state.report(&told, at(2)), []);
    assert_eq!(node.reconciled(&told, at(2)), NOTHING);
}

#[test]
fn a_node_that_holds_nothing_is_told_nothing() {
    let mut node = Node::new();
    let elsewhere = snapshot(1, 2, 2, owner("b", 2));
    assert_eq!(node.hand(elsewhere, Via::Push, at(0)), None);
    assert_eq!(node.state.take_changes().put, []);
}

#[test]
fn an_owner_that_lost_is_told_until_it_has_let_go() {
    let mut node = Node::new();
    node.hand(snapshot(1, 1, 1, owner("a", 1)), Via::PublishAnswer, at(0));
    let lost = snapshot(1, 2, 2, owner("b", 2));
    assert_eq!(node.hand(lost, Via::Push, at(5)), Some(None));
    assert_eq!(node.due(at(6)), [2]);
    node.state.applied(instance(1), &applied(1, 2), at(0));
    assert_eq!(node.due(at(100)), NOTHING);
    let (_, stored) = node.evicted();
    assert!(!stored.iter().any(|(key, _)| key.starts_with("input:")));
}

#[test]
fn a_wish_that_the_node_does_not_know_is_acknowledged_and_noted_once() {
    let mut node = Node::new();
    node.hand(snapshot(1, 1, 1, owner("a", 1)), Via::PublishAnswer, at(0));
    let newer = Snapshot {
        wish: Wish::Unknown,
        ..snapshot(1, 2, 1, owner("a", 1))
    };
    node.hand(newer, Via::Push, at(0));
    let unknown = Applied {
        unknown_wish: true,
        ..applied(1, 2)
    };
    let stale = Applied {
        rev: 1,
        ..unknown.clone()
    };
    assert!(
        !node.state.applied(instance(1), &stale, at(0)),
        "an older one"
    );
    assert!(
        !node.state.applied(instance(2), &unknown, at(0)),
        "another's"
    );
    // A report may be faster than the acknowledgement.
    node.state.report(&report(1, &[(1, 2)], &[]), at(1));
    assert!(node.state.applied(instance(1), &unknown, at(0)));
    let (mut node, _) = node.evicted();
    assert!(
        !node.state.applied(instance(1), &unknown, at(0)),
        "noted before"
    );
    assert_eq!(node.due(at(1000)), NOTHING);
    // The node still carries the input, and is told what follows.
    assert_eq!(
        node.hand(snapshot(1, 3, 1, owner("a", 1)), Via::Push, at(1001)),
        Some(None)
    );
    assert!(!node.state.applied(instance(1), &applied(1, 3), at(0)));
    let told = report(1, &[(1, 3)], &[]);
    assert_eq!(node.state.report(&told, at(1002)), []);
    assert_eq!(node.reconciled(&told, at(1002)), NOTHING);
}

#[test]
fn events_count_once_whatever_their_order() {
    let mut node = Node::new();
    node.hand(snapshot(1, 1, 3, owner("a", 1)), Via::PublishAnswer, at(0));
    node.hand(snapshot(2, 1, 5, owner("a", 1)), Via::PublishAnswer, at(0));
    // Epoch 4 of input 2 is an old one.
    let first = report(1, &[(2, 1)], &[(2, 2, 4), (1, 1, 3)]);
    node.state.report(&first, at(1));
    let mut expected = [(input(1), 3), (input(2), 4)];
    expected.sort();
    assert_eq!(node.endings(), expected);
    let answer = node.state.reconciliation(&first, &node.keyring, at(1));
    assert_eq!(answer.events_through, 2);
    assert!(
        node.alarm(at(1), false).is_some(),
        "until their objects know"
    );
    node.keep();
    // The same again, with an older report after it, changes nothing.
    for again in [&first, &report(1, &[(2, 1)], &[(1, 1, 3)])] {
        node.state.report(again, at(2));
        assert_eq!(node.endings(), []);
        let answer = node.state.reconciliation(again, &node.keyring, at(2));
        assert_eq!(answer.events_through, 2);
    }
    // Another instance counts for itself.
    node.state.report(&report(2, &[], &[(1, 2, 5)]), at(3));
    assert_eq!(node.endings(), [(input(2), 5)]);
}

#[test]
fn an_end_makes_room_for_the_next_broadcast() {
    let mut node = Node::new();
    node.hand(snapshot(1, 1, 1, owner("a", 1)), Via::PublishAnswer, at(0));
    node.hand(snapshot(1, 2, 2, owner("a", 1)), Via::PublishAnswer, at(1));
    // The end of the first broadcast comes after the second has begun.
    node.state
        .report(&report(1, &[(1, 2)], &[(1, 1, 1)]), at(2));
    assert_eq!(
        node.hand(snapshot(1, 3, 2, owner("a", 1)), Via::Push, at(3)),
        Some(None)
    );
    node.state.report(&report(1, &[], &[(2, 1, 2)]), at(4));
    let none = report(1, &[], &[]);
    assert_eq!(node.reconciled(&none, at(5)), NOTHING);
}

#[test]
fn a_new_process_takes_over_and_the_old_one_is_told() {
    let mut node = Node::new();
    node.hand(snapshot(1, 1, 1, owner("a", 1)), Via::PublishAnswer, at(0));
    node.hand(snapshot(2, 1, 1, owner("a", 1)), Via::PublishAnswer, at(0));
    let pushed = node.hand(snapshot(1, 2, 2, owner("a", 2)), Via::PublishAnswer, at(10));
    assert_eq!(
        pushed,
        Some(Some(instance(2))),
        "to all but the one that is answered"
    );
    let old = report(1, &[(1, 1), (2, 1)], &[]);
    node.state.report(&old, at(20));
    assert_eq!(node.reconciled(&old, at(20)), [2]);

    // As long as the old one is heard, what it holds is its own.
    let new = report(2, &[(1, 2)], &[]);
    node.state.report(&new, at(109));
    assert_eq!(node.endings(), []);
    node.state.report(&new, at(110));
    assert_eq!(node.endings(), [(input(2), 1)]);
    // An old one that comes back does not end what the new one holds.
    node.keep();
    node.state.report(&old, at(300));
    assert_eq!(node.endings(), []);
}

#[test]
fn the_last_eight_processes_are_remembered() {
    let mut node = Node::new();
    let first = report(1, &[], &[(1, 1, 1)]);
    for (newer, remembered) in [(8, true), (9, false)] {
        node.state = NodeState::load("a".parse().unwrap(), []);
        node.state.report(&first, at(0));
        node.keep();
        for n in 2..=newer {
            node.state.report(&report(n, &[], &[]), at(0));
        }
        node.state.report(&first, at(1));
        assert_eq!(node.endings().is_empty(), remembered);
    }
}

#[test]
fn an_eviction_loses_nothing_and_shows_nothing() {
    let mut node = Node::new();
    node.hand(snapshot(1, 3, 1, owner("a", 1)), Via::PublishAnswer, at(0));
    node.state.report(&report(1, &[], &[(4, 2, 1)]), at(1));
    let (mut node, stored) = node.evicted();
    assert!(!format!("{stored:?}").contains("hunter2"));
    assert!(!format!("{stored:?}").contains("example.com"));
    assert_eq!(node.due(at(2)), [3]);
    assert_eq!(node.endings().len(), 1);
    let told = report(1, &[(1, 2)], &[(4, 2, 1)]);
    assert_eq!(
        node.state
            .reconciliation(&told, &node.keyring, at(2))
            .events_through,
        4
    );
}

#[test]
fn what_does_not_open_is_asked_for_again() {
    let mut node = Node::new();
    node.hand(snapshot(1, 3, 1, owner("a", 1)), Via::PublishAnswer, at(0));
    node.keyring = Keyring::parse(&format!("2:{}", "0b".repeat(32))).unwrap();
    let told = report(1, &[(1, 2)], &[]);
    assert_eq!(node.state.report(&told, at(1)), []);
    assert_eq!(node.reconciled(&told, at(1)), NOTHING);
    assert_eq!(node.state.report(&told, at(2)).len(), 1);
}

#[test]
fn an_answer_fits_one_frame() {
    let mut node = Node::new();
    let large = |n| Snapshot {
        wish: Wish::relay(
            (0..50)
                .map(|uid| WantedOutput {
                    uid: output(uid),
                    enabled: true,
                    retry: 0,
                    target: Target::Rtmp {
                        url: Secret::new(format!("rtmp://h/{}", "\"".repeat(2000))),
                        stream_key: Secret::new("\"".repeat(1000)),
                    },
                })
                .collect(),
        ),
        ..snapshot(n, 1, 1, owner("a", 1))
    };
    for n in 1..=4 {
        node.hand(large(n), Via::PublishAnswer, at(0));
    }
    let none = report(1, &[], &[]);
    node.state.report(&none, at(0));
    let answer = node.state.reconciliation(&none, &node.keyring, at(0));
    let size = serde_json::to_string(&answer).unwrap().len();
    assert!(size < shared::limits::MAX_LINK_FRAME_BYTES, "{size}");
    assert_eq!(answer.snapshots.len(), 1);
    assert_eq!(node.due(at(0)).len(), 3, "the rest is due at once");
}

/// What the objects of inputs are told, in the order of the numbers.
fn told(node: &Node) -> Vec<(InputUid, News)> {
    let mut news: Vec<_> = node
        .state
        .news(None)
        .into_iter()
        .flat_map(|(input, told)| told.news.into_iter().map(move |news| (input, news)))
        .collect();
    news.sort_by_key(|(_, news)| news.number);
    news.into_iter()
        .map(|(input, news)| (input, news.news))
        .collect()
}

/// A node with input 1 on air at instance 1, which has acknowledged it.
fn carrying() -> Node {
    let mut node = Node::new();
    node.hand(snapshot(1, 1, 1, owner("a", 1)), Via::PublishAnswer, at(0));
    node.state.applied(instance(1), &applied(1, 1), at(0));
    node.keep();
    node
}

fn pulse(n: u8, seconds: i64) -> Pulse {
    Pulse {
        instance: instance(n),
        at: Some(at(seconds)),
    }
}

#[test]
fn an_acknowledgement_is_told_of_the_newest_snapshot_only() {
    let mut node = carrying();
    node.hand(snapshot(1, 2, 1, owner("a", 1)), Via::Push, at(1));
    node.state.applied(instance(1), &applied(1, 1), at(1));
    node.state.applied(instance(2), &applied(1, 2), at(1));
    assert_eq!(told(&node), []);
    let unsupported = Applied {
        unsupported: vec![output(1)],
        ..applied(1, 2)
    };
    node.state.applied(instance(1), &unsupported, at(1));
    let news = |unsupported| News::Applied {
        rev: 2,
        unsupported,
        unknown_wish: false,
    };
    assert_eq!(told(&node), [(input(1), news(Some(vec![output(1)])))]);
    // A report acknowledges too, and says nothing of outputs.
    let mut node = carrying();
    node.hand(snapshot(1, 2, 1, owner("a", 1)), Via::Push, at(1));
    for _ in 0..2 {
        node.state.report(&report(1, &[(1, 2)], &[]), at(2));
        assert_eq!(told(&node), [(input(1), news(None))]);
    }
}

#[test]
fn events_are_taken_care_of_once_they_are_stored() {
    let mut node = carrying();
    let events = report(1, &[], &[(1, 1, 1), (2, 2, 1)]).events;
    assert_eq!(node.state.events(instance(1), &events[..1], at(1)), 1);
    let (mut node, _) = node.evicted();
    assert_eq!(told(&node).len(), 1, "until the input's object has it");
    assert_eq!(node.state.events(instance(1), &events, at(2)), 2);
    assert_eq!(told(&node).len(), 2);
    let first = node.state.news(None);
    // Told meanwhile, and not to be lost with what was kept.
    let third = report(1, &[], &[(3, 1, 1)]).events;
    node.state.events(instance(1), &third, at(2));
    for (input, told) in &first {
        node.state.kept(*input, told);
    }
    assert_eq!(told(&node).len(), 1);
    node.keep();
    assert_eq!(node.state.events(instance(1), &events, at(3)), 3);
    assert_eq!(told(&node), []);
}

#[test]
fn numbers_rise_even_if_the_memory_is_lost() {
    let numbers = |node: &Node| -> Vec<u64> {
        let news = node.state.news(None).into_iter();
        news.flat_map(|(_, told)| told.news.into_iter().map(|news| news.number))
            .collect()
    };
    let mut node = Node::new();
    let events = report(1, &[], &[(1, 1, 1), (2, 1, 1)]).events;
    node.state.events(instance(1), &events, at(1));
    let before = numbers(&node);
    assert!(before[0] < before[1]);
    let mut node = Node::new();
    node.state.events(instance(1), &events[..1], at(2));
    assert!(numbers(&node)[0] > before[1]);
}

#[test]
fn a_node_whose_socket_is_closed_is_silent_after_eight_seconds() {
    let silent = |since| {
        let since = at(since);
        [(input(1), News::Silent { since })]
    };
    let mut node = carrying();
    node.state.closed(instance(1), at(5));
    assert_eq!(node.state.alarm(&[], at(5)), Some(at(5).after(GONE_AFTER)));
    let (mut node, _) = node.evicted();
    node.state.look(&[], at(12));
    assert_eq!(told(&node), []);
    node.state.look(&[], at(13));
    assert_eq!(told(&node), silent(0));
    node.state.look(&[], at(20));
    assert_eq!(told(&node).len(), 1, "once");
    assert_eq!(
        node.state.alarm(&[], at(20)).map(|_| ()),
        Some(()),
        "to tell it"
    );
    node.keep();
    assert_eq!(
        node.state.alarm(&[], at(20)),
        None,
        "then nothing is left to do"
    );
}

#[test]
fn one_that_polls_or_comes_back_is_not() {
    let mut node = carrying();
    node.state.closed(instance(1), at(5));
    node.state.report(&report(1, &[(1, 1)], &[]), at(6));
    node.state
        .look(&[], at(6).after(SILENT_AFTER - Duration::from_micros(1)));
    assert_eq!(told(&node), []);
    node.state.look(&[], at(6).after(SILENT_AFTER));
    assert_eq!(told(&node).len(), 1);

    let mut node = carrying();
    node.state.closed(instance(1), at(5));
    node.state.look(&[pulse(1, 7)], at(13));
    assert_eq!(told(&node), []);
}

#[test]
fn pings_count_and_their_absence_too() {
    let mut node = carrying();
    for now in [25, 50, 75] {
        node.state.look(&[pulse(1, now - 5)], at(now));
        assert_eq!(told(&node), []);
    }
    let due = at(70).after(SILENT_AFTER);
    assert_eq!(node.state.alarm(&[pulse(1, 70)], at(75)), Some(due));
    node.state.look(&[pulse(1, 70)], due);
    assert_eq!(told(&node), [(input(1), News::Silent { since: at(70) })]);
    node.keep();
    // The socket is open: its next ping wakes nobody, so somebody must look.
    let again = node.state.alarm(&[pulse(1, 70)], due);
    assert_eq!(again, Some(due.after(SILENT_AFTER)));
    node.state.look(&[pulse(1, 129)], at(130));
    assert_eq!(told(&node), [(input(1), News::Heard)]);
}

/// The clock of the machine that the object runs on.
#[test]
fn a_clock_that_steps_by_an_hour_ends_nothing() {
    for step in [3600, -3600] {
        let mut node = carrying();
        node.state.look(&[pulse(1, 10)], at(12));
        let now = 20 + step;
        // Before anything came by the new time, nobody knows; then all is as before.
        node.state.look(&[pulse(1, 19)], at(now));
        let back = report(1, &[(1, 1)], &[]);
        assert!(node.state.report(&back, at(now + 1)).is_empty());
        assert_eq!(node.reconciled(&back, at(now + 1)), NOTHING);
        assert!(node.endings().is_empty());
        let news = told(&node);
        match step {
            3600 => assert!(matches!(
                news[..],
                [(_, News::Silent { .. }), (_, News::Heard)]
            )),
            _ => assert_eq!(news, []),
        }
        node.keep();
        // A silence is found as soon as before.
        let silent = at(now + 1).after(SILENT_AFTER);
        node.state.look(&[], silent);
        assert!(
            matches!(told(&node)[..], [(_, News::Silent { .. })]),
            "{step}"
        );
    }
}

#[test]
fn what_happened_in_a_silence_is_told_before_its_end() {
    let mut node = carrying();
    node.hand(snapshot(2, 1, 1, owner("a", 1)), Via::PublishAnswer, at(0));
    node.state.closed(instance(1), at(1));
    node.state.look(&[], at(9));
    assert_eq!(told(&node).len(), 2);
    node.keep();
    let back = report(1, &[(1, 1)], &[(1, 2, 1)]);
    node.state.report(&back, at(20));
    let news = told(&node);
    assert!(matches!(&news[0], (_, News::Event(_))));
    assert_eq!(news[1..], [(input(1), News::Heard)], "2 is over");
}

#[test]
fn what_a_node_has_no_more_in_two_reports_is_over() {
    let mut node = carrying();
    let over = [(input(1), News::Over { epoch: 1 })];
    let (with, without) = (report(1, &[(1, 1)], &[]), report(1, &[], &[]));
    node.state.report(&without, at(10));
    node.state.report(&with, at(20));
    node.state.report(&without, at(30));
    // One from another process says nothing of it.
    node.state.report(&report(2, &[], &[]), at(31));
    assert_eq!(told(&node), []);
    let (mut node, _) = node.evicted();
    node.state.report(&without, at(40));
    assert_eq!(told(&node), over);
    // One that it has not acknowledged may be on its way.
    let mut node = Node::new();
    node.hand(snapshot(1, 1, 1, owner("a", 1)), Via::PublishAnswer, at(0));
    for seconds in 1..5 {
        node.state.report(&without, at(seconds));
    }
    assert_eq!(told(&node), []);
}

#[test]
fn a_process_that_is_forgotten_holds_nothing() {
    let mut node = carrying();
    // As long as there is one that holds nothing, that one makes room.
    for n in 2..=8 {
        node.hand(snapshot(n, 1, 1, owner("a", n)), Via::PublishAnswer, at(0));
    }
    assert_eq!(told(&node), []);
    node.state.report(&report(9, &[], &[]), at(0));
    assert_eq!(told(&node), [(input(1), News::Over { epoch: 1 })]);
}

#[test]
fn what_an_object_did_not_take_is_told_again_in_five_seconds() {
    let mut node = Node::new();
    node.hand(snapshot(1, 1, 1, owner("a", 1)), Via::PublishAnswer, at(0));
    node.keep();
    node.state.report(&report(1, &[], &[(1, 1, 1)]), at(1));
    assert_eq!(node.alarm(at(1), false), Some(at(6)));
    assert_eq!(node.alarm(at(2), false), Some(at(7)), "from each attempt");
}

#[test]
fn that_a_node_lives_is_written_down_every_fifteen_seconds() {
    let mut node = Node::new();
    node.state.report(&report(1, &[], &[]), at(0));
    assert_ne!(node.state.take_changes().put, []);
    for (second, written) in [(1, false), (14, false), (15, true), (29, false), (30, true)] {
        node.state.report(&report(1, &[], &[]), at(second));
        let changes = node.state.take_changes();
        assert_eq!(!changes.put.is_empty(), written, "{second}");
    }
}

#[test]
fn a_process_that_holds_an_input_outlives_any_number_of_upgrades() {
    let mut node = Node::new();
    node.hand(snapshot(1, 3, 1, owner("a", 1)), Via::PublishAnswer, at(0));
    node.state.report(&report(1, &[(1, 3)], &[]), at(0));
    for newer in 2..=30 {
        node.state
            .report(&report(newer, &[], &[]), at(i64::from(newer)));
    }
    assert_eq!(node.endings(), []);
    // It is still the one that is told what changes.
    let pushed = node.hand(snapshot(1, 4, 1, owner("a", 1)), Via::Push, at(31));
    assert_eq!(pushed, Some(None));
    assert_eq!(node.reconciled(&report(1, &[(1, 3)], &[]), at(31)), [4]);
    assert_eq!(node.reconciled(&report(30, &[], &[]), at(31)), NOTHING);
}
