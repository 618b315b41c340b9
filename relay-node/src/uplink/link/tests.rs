use std::ops::RangeInclusive;

use shared::id::Instance;
use shared::limits::MAX_EVENTS_PER_REPORT;
use shared::link::{Departure, Watch, Wish};

use super::open::{
    FIGURES_EVERY, MAX_UNANSWERED, MUTE_AFTER, SILENT_AFTER, UNANSWERED_MAX, WATCH_MAX,
    WATCHED_EVERY,
};
use super::*;

fn input(number: u8) -> InputUid {
    InputUid::from_random([number; 16])
}

fn snapshot(number: u8, rev: u64) -> Snapshot {
    Snapshot {
        input: input(number),
        rev,
        epoch: 1,
        owner: None,
        oldest_key: 0,
        account: None,
        wish: Wish::Disabled,
    }
}

fn reconciliation(snapshots: Vec<Snapshot>, events_through: u64) -> Reconciliation {
    Reconciliation {
        version: LINK_VERSION,
        snapshots,
        events_through,
    }
}

fn frame(frame: ToNode) -> String {
    serde_json::to_string(&frame).unwrap()
}

/// A link on a clock that the test holds. Chance picks the longest wait.
struct Bench {
    link: Link,
    on_air: Revs,
    now: Instant,
    /// When figures were asked for.
    figures: Vec<Instant>,
}

impl Bench {
    fn new() -> Self {
        let now = Instant::now();
        Self {
            link: Link::new(Instance::from_random([7; 16]), || u64::MAX, now),
            on_air: Revs::default(),
            now,
            figures: Vec::new(),
        }
    }

    fn on_air() -> Self {
        let bench = Self::new();
        bench.on_air.set(input(1), 5);
        bench
    }

    /// With a socket over which a report was answered.
    fn connected() -> Self {
        let mut bench = Self::on_air();
        assert_eq!(bench.actions().first(), Some(&Action::Connect));
        // The poll that covers the time until the socket is open is answered as well.
        bench.link.polled(Ok(reconciliation(vec![], 0)), bench.now);
        bench.open();
        bench
    }

    fn open(&mut self) {
        self.link.opened(self.now);
        assert_eq!(self.actions(), [Action::Send(self.report())]);
        self.receive(ToNode::Reconciliation(reconciliation(vec![], 0)));
        assert_eq!(self.link.state(), LinkState::Connected);
    }

    fn actions(&mut self) -> Vec<Action> {
        let mut actions = Vec::new();
        while let Some(action) = self.link.poll_action(&self.on_air, self.now) {
            match action {
                Action::Figures => self.figures.push(self.now),
                action => actions.push(action),
            }
        }
        actions
    }

    fn receive(&mut self, what: ToNode) {
        self.link.received(&frame(what), self.now);
    }

    fn report(&self) -> ToControl {
        ToControl::Report(self.link.report(&self.on_air))
    }

    /// Moves the clock in the steps that the link asks for, until `duration` has passed or there is
    /// something to do; answers pings if told to.
    fn advance(&mut self, duration: Duration, answer_pings: bool) -> Vec<Action> {
        let end = self.now + duration;
        loop {
            let next = self.link.poll_timeout().filter(|next| *next <= end);
            let Some(next) = next else {
                self.now = end;
                return self.actions();
            };
            self.now = next.max(self.now);
            let mut actions = self.actions();
            if answer_pings && actions.contains(&Action::Ping) {
                self.link.received(PONG, self.now);
                actions.retain(|action| *action != Action::Ping);
            }
            if !actions.is_empty() {
                return actions;
            }
        }
    }

    /// An input goes off air.
    fn happens(&mut self) {
        let reason = Departure::Lost;
        let (at, what) = (Timestamp::default(), What::Ended { reason });
        self.link.happened(input(2), 1, at, what);
    }

    /// The frame with these events.
    fn events(&self, sequences: RangeInclusive<u64>) -> Action {
        let after = self.link.events.after(sequences.start() - 1);
        let events: Vec<_> = after
            .into_iter()
            .filter(|event| sequences.contains(&event.sequence))
            .collect();
        assert_eq!(events.len() as u64, sequences.end() - sequences.start() + 1);
        Action::Send(ToControl::Events(link::Events {
            instance: self.link.instance,
            events,
        }))
    }

    fn elapsed(&self, since: Instant) -> Duration {
        self.now.duration_since(since)
    }
}

fn polls(actions: &[Action]) -> usize {
    actions
        .iter()
        .filter(|action| matches!(action, Action::Poll(_)))
        .count()
}

#[test]
fn opens_with_a_report() {
    let mut bench = Bench::new();
    assert_eq!(bench.actions(), [Action::Connect]);
    bench.on_air.set(input(1), 5);
    bench.link.opened(bench.now);
    let expected = Report {
        version: LINK_VERSION,
        instance: Instance::from_random([7; 16]),
        revs: [(input(1), 5)].into(),
        events: vec![],
        figures: vec![],
    };
    assert_eq!(bench.actions(), [Action::Send(ToControl::Report(expected))]);
    assert_eq!(bench.link.state(), LinkState::Down);
}

#[test]
fn hands_snapshots_on_as_they_come() {
    let mut bench = Bench::connected();
    let snapshots = [
        snapshot(1, 9),
        snapshot(1, 9),
        snapshot(1, 3),
        snapshot(2, 1),
    ];
    for snapshot in &snapshots {
        bench.receive(ToNode::Snapshot(snapshot.clone()));
    }
    assert_eq!(bench.actions(), snapshots.map(Action::Deliver));
    let reconciled = vec![snapshot(3, 2), snapshot(1, 1)];
    bench.receive(ToNode::Reconciliation(reconciliation(
        reconciled.clone(),
        0,
    )));
    assert_eq!(
        bench.actions(),
        reconciled
            .into_iter()
            .map(Action::Deliver)
            .collect::<Vec<_>>()
    );
}

#[test]
fn reports_within_each_minute() {
    let mut bench = Bench::connected();
    for _ in 0..3 {
        let start = bench.now;
        assert_eq!(
            bench.advance(Duration::from_secs(61), true),
            [Action::Send(bench.report())]
        );
        assert_eq!(bench.elapsed(start), REPORT_EVERY);
        bench.receive(ToNode::Reconciliation(reconciliation(vec![], 0)));
    }
}

#[test]
fn acknowledges_at_once_and_the_latest_after_an_outage() {
    let mut bench = Bench::connected();
    let applied = |rev| Applied {
        input: input(1),
        rev,
        unsupported: vec![],
        unknown_wish: false,
    };
    bench.link.applied(applied(6));
    assert_eq!(
        bench.actions(),
        [Action::Send(ToControl::Applied(applied(6)))]
    );
    bench.link.closed(&Failure::Closed, bench.now);
    bench.link.applied(applied(7));
    bench.link.applied(applied(8));
    bench.now += Duration::from_secs(20);
    assert!(bench.actions().contains(&Action::Connect));
    bench.link.opened(bench.now);
    assert_eq!(
        bench.actions(),
        [
            Action::Send(bench.report()),
            Action::Send(ToControl::Applied(applied(8)))
        ]
    );
}

#[test]
fn acknowledgements_are_bounded() {
    let mut bench = Bench::new();
    for number in 0..=MAX_WAITING_ACKNOWLEDGEMENTS {
        let mut bytes = [0; 16];
        bytes[8..].copy_from_slice(&number.to_be_bytes());
        bench.link.applied(Applied {
            input: InputUid::from_random(bytes),
            rev: 1,
            unsupported: vec![],
            unknown_wish: false,
        });
        assert_eq!(
            bench.link.applied.len(),
            (number + 1).min(MAX_WAITING_ACKNOWLEDGEMENTS)
        );
    }
}

#[test]
fn events_go_up_at_once_and_again_until_acknowledged() {
    let mut bench = Bench::connected();
    bench.happens();
    assert_eq!(bench.actions(), [bench.events(1..=1)]);
    // The next one waits for no answer.
    bench.happens();
    assert_eq!(bench.actions(), [bench.events(2..=2)]);
    bench.receive(ToNode::EventsTaken { through: 1 });
    assert_eq!(bench.actions(), []);
    // The socket breaks before the answer: repeated by the poll and over the next one.
    let ToControl::Report(second) = bench.report() else {
        panic!("not a report");
    };
    assert_eq!(second.events.len(), 1);
    bench.now += POLL_EVERY;
    bench.link.closed(&Failure::Closed, bench.now);
    assert_eq!(bench.actions(), [Action::Poll(second.clone())]);
    bench.now += Duration::from_secs(1);
    assert_eq!(bench.actions(), [Action::Connect]);
    bench.link.opened(bench.now);
    assert_eq!(bench.actions(), [Action::Send(ToControl::Report(second))]);
    bench.receive(ToNode::Reconciliation(reconciliation(vec![], 2)));
    assert!(bench.link.is_drained());
    assert_eq!(bench.actions(), []);
}

#[test]
fn events_that_happened_without_a_socket_follow_the_report() {
    let mut bench = Bench::on_air();
    let bound = MAX_EVENTS_PER_REPORT as u64;
    for _ in 0..=bound {
        bench.happens();
    }
    bench.actions();
    bench.link.opened(bench.now);
    let rest = bench.events(bound + 1..=bound + 1);
    assert_eq!(bench.actions(), [Action::Send(bench.report()), rest]);
    // An answer takes care of what it names, and of nothing else.
    bench.receive(ToNode::Reconciliation(reconciliation(vec![], bound)));
    assert!(!bench.link.is_drained());
    bench.receive(ToNode::EventsTaken { through: bound + 1 });
    assert!(bench.link.is_drained());
}

#[test]
fn events_gather_while_too_many_frames_are_unanswered() {
    let mut bench = Bench::connected();
    for _ in 0..MAX_UNANSWERED {
        bench.happens();
        assert_eq!(bench.actions().len(), 1);
    }
    let full = MAX_UNANSWERED as u64;
    for _ in 0..3 {
        bench.happens();
        assert_eq!(bench.actions(), []);
    }
    bench.receive(ToNode::EventsTaken { through: 1 });
    assert_eq!(bench.actions(), [bench.events(full + 1..=full + 3)]);
}

/// As by a control plane that does not know their frame.
#[test]
fn events_without_an_answer_are_reported_once() {
    let mut bench = Bench::connected();
    bench.happens();
    assert_eq!(bench.actions(), [bench.events(1..=1)]);
    let start = bench.now;
    let report = bench.report();
    let actions = bench.advance(Duration::from_secs(60), true);
    assert_eq!(actions, [Action::Send(report)]);
    assert_eq!(bench.elapsed(start), UNANSWERED_MAX);
    // Its answer does not take care of them either: no haste then.
    bench.receive(ToNode::Reconciliation(reconciliation(vec![], 0)));
    let start = bench.now;
    assert_eq!(bench.advance(REPORT_EVERY, true).len(), 1);
    assert_eq!(bench.elapsed(start), REPORT_EVERY);
}

#[test]
fn polls_at_once_when_the_socket_drops() {
    let mut bench = Bench::connected();
    bench.now += POLL_EVERY;
    bench.link.closed(&Failure::Closed, bench.now);
    assert_eq!(bench.link.state(), LinkState::Down);
    assert_eq!(polls(&bench.actions()), 1);
    let newer = snapshot(1, 6);
    let answer = reconciliation(vec![newer.clone()], 0);
    bench.link.polled(Ok(answer), bench.now);
    assert_eq!(bench.actions(), [Action::Deliver(newer)]);
    assert_eq!(bench.link.state(), LinkState::Polling);
}

#[test]
fn polls_at_most_once_in_ten_seconds_though_the_socket_flaps() {
    let mut bench = Bench::connected();
    bench.now += POLL_EVERY;
    bench.link.closed(&Failure::Closed, bench.now);
    let start = bench.now;
    let mut sent = Vec::new();
    while bench.elapsed(start) < Duration::from_secs(120) {
        for action in bench.advance(Duration::from_secs(1), true) {
            match action {
                Action::Connect => {
                    bench.link.opened(bench.now);
                    bench.receive(ToNode::Reconciliation(reconciliation(vec![], 0)));
                    bench.link.closed(&Failure::Closed, bench.now);
                }
                Action::Poll(_) => {
                    sent.push(bench.now);
                    bench.link.polled(Ok(reconciliation(vec![], 0)), bench.now);
                }
                _ => {}
            }
        }
    }
    assert!(sent.len() >= 10, "{}", sent.len());
    for pair in sent.windows(2) {
        assert!(pair[1].duration_since(pair[0]) >= POLL_EVERY);
    }
}

/// Upgrades are refused while plain HTTP works: the longest time between two polls, with one of
/// them lost, stays within what the product document promises.
#[test]
fn polling_keeps_the_promise_with_a_poll_lost() {
    let mut bench = Bench::connected();
    bench.now += POLL_EVERY;
    bench.link.closed(&Failure::Closed, bench.now);
    let mut answered = bench.now;
    for round in 0..20 {
        let mut polled = None;
        while polled.is_none() {
            for action in bench.advance(Duration::from_secs(60), true) {
                match action {
                    Action::Connect => bench.link.open_failed(&Failure::Status(503), bench.now),
                    Action::Poll(_) => polled = Some(bench.now),
                    _ => {}
                }
            }
        }
        if round % 2 == 1 {
            bench.now += Duration::from_secs(5);
            let failure = Failure::TimedOut(Duration::from_secs(5));
            bench.link.polled(Err(failure), bench.now);
        } else {
            assert!(bench.elapsed(answered) < Duration::from_secs(30));
            answered = bench.now;
            bench.link.polled(Ok(reconciliation(vec![], 0)), bench.now);
        }
    }
}

#[test]
fn does_not_poll_with_nothing_on_air() {
    let mut bench = Bench::connected();
    bench.on_air.remove(input(1));
    bench.link.closed(&Failure::Closed, bench.now);
    let start = bench.now;
    while bench.elapsed(start) < Duration::from_secs(60) {
        let actions = bench.advance(Duration::from_secs(60), true);
        assert_eq!(polls(&actions), 0);
        if actions.contains(&Action::Connect) {
            bench.link.open_failed(&Failure::Status(503), bench.now);
        }
    }
    assert_eq!(bench.link.state(), LinkState::Down);
}

#[test]
fn waits_for_a_slow_poll() {
    let mut bench = Bench::connected();
    bench.now += POLL_EVERY;
    bench.link.closed(&Failure::Closed, bench.now);
    assert_eq!(polls(&bench.actions()), 1);
    bench.now += Duration::from_secs(100);
    assert_eq!(polls(&bench.actions()), 0);
    bench.link.polled(Err(Failure::Closed), bench.now);
    assert_eq!(polls(&bench.actions()), 1);
}

#[test]
fn does_not_poll_over_a_socket_that_works() {
    let mut bench = Bench::connected();
    let start = bench.now;
    while bench.elapsed(start) < Duration::from_secs(300) {
        let actions = bench.advance(Duration::from_secs(60), true);
        assert_eq!(polls(&actions), 0);
        bench.receive(ToNode::Reconciliation(reconciliation(vec![], 0)));
    }
}

#[test]
fn a_socket_without_pongs_is_dropped() {
    let mut bench = Bench::connected();
    let start = bench.now;
    let mut pings = 0;
    loop {
        let actions = bench.advance(Duration::from_secs(60), false);
        pings += actions.iter().filter(|a| **a == Action::Ping).count();
        if actions.contains(&Action::Drop) {
            assert_eq!(polls(&actions), 1);
            break;
        }
    }
    assert_eq!(pings, 2);
    assert_eq!(bench.elapsed(start), SILENT_AFTER);
    assert_ne!(bench.link.state(), LinkState::Connected);
}

#[test]
fn a_socket_that_only_answers_pings_is_dropped() {
    let mut bench = Bench::on_air();
    bench.actions();
    bench.link.opened(bench.now);
    let start = bench.now;
    assert_eq!(bench.actions(), [Action::Send(bench.report())]);
    while !bench
        .advance(Duration::from_secs(60), true)
        .contains(&Action::Drop)
    {}
    assert_eq!(bench.elapsed(start), MUTE_AFTER);
    assert_eq!(bench.link.state(), LinkState::Down);
}

#[test]
fn unknown_and_unreadable_frames_change_nothing() {
    let mut bench = Bench::connected();
    for text in [r#"{"type":"weather","rain":true}"#, "{", "", "\u{0}", "[]"] {
        bench.link.received(text, bench.now);
    }
    assert_eq!(bench.actions(), []);
    assert_eq!(bench.link.state(), LinkState::Connected);
}

#[test]
fn attempts_grow_apart_and_start_over_after_a_good_socket() {
    let mut bench = Bench::new();
    let mut waits = Vec::new();
    for _ in 0..6 {
        assert_eq!(bench.actions(), [Action::Connect]);
        bench.link.open_failed(&Failure::Status(503), bench.now);
        let start = bench.now;
        while let Phase::Waiting { until } = bench.link.phase
            && bench.now < until
        {
            bench.now = until;
        }
        waits.push(bench.elapsed(start).as_secs());
    }
    assert_eq!(waits, [1, 2, 4, 8, 10, 10]);
    for (lived, wait) in [
        (STABLE_AFTER - Duration::from_millis(1), 10),
        (STABLE_AFTER, 1),
    ] {
        assert_eq!(bench.actions(), [Action::Connect]);
        bench.open();
        bench.now += lived;
        bench.link.closed(&Failure::Closed, bench.now);
        let Phase::Waiting { until } = bench.link.phase else {
            panic!("not waiting");
        };
        assert_eq!(until.duration_since(bench.now).as_secs(), wait);
        bench.now = until;
    }
}

#[test]
fn a_refused_token_is_tried_again_slowly() {
    let mut bench = Bench::on_air();
    assert_eq!(bench.actions().len(), 2);
    let refusal = Failure::Unauthorised(403);
    bench.link.open_failed(&refusal, bench.now);
    bench.link.polled(Err(refusal), bench.now);
    let start = bench.now;
    assert_eq!(bench.advance(Duration::from_secs(120), true).len(), 2);
    assert_eq!(bench.elapsed(start), REFUSED_RETRY);
}

impl Bench {
    /// The times between figures, from now on, while `duration` passes.
    fn figures_within(&mut self, duration: Duration) -> Vec<Duration> {
        self.actions();
        self.figures.clear();
        let mut last = self.now;
        let end = self.now + duration;
        while self.now < end {
            for action in self.advance(end - self.now, true) {
                if matches!(action, Action::Send(ToControl::Report(_))) {
                    self.receive(ToNode::Reconciliation(reconciliation(vec![], 0)));
                }
            }
        }
        let elapsed = |at: &Instant| at.duration_since(std::mem::replace(&mut last, *at));
        self.figures.iter().map(elapsed).collect()
    }

    fn watch(&mut self, seconds: u32) {
        self.receive(ToNode::Watch(Watch { seconds }));
    }
}

#[test]
fn figures_follow_the_first_answer_and_then_each_half_minute() {
    let mut bench = Bench::on_air();
    bench.actions();
    bench.link.opened(bench.now);
    bench.actions();
    assert!(bench.figures.is_empty());
    bench.receive(ToNode::Reconciliation(reconciliation(vec![], 0)));
    bench.actions();
    assert_eq!(bench.figures, [bench.now]);
    let every = bench.figures_within(Duration::from_secs(100));
    assert_eq!(every, [FIGURES_EVERY; 3]);
}

#[test]
fn figures_come_at_once_and_every_second_while_somebody_watches() {
    let mut bench = Bench::connected();
    bench.figures_within(Duration::from_secs(10));
    bench.watch(5);
    bench.actions();
    assert_eq!(bench.figures.last(), Some(&bench.now));
    // At 0, 1, … 5 s, then as before.
    let every = bench.figures_within(Duration::from_secs(40));
    let (last, watched) = every.split_last().unwrap();
    assert_eq!(watched, [WATCHED_EVERY; 5]);
    assert_eq!(*last, FIGURES_EVERY);
}

#[test]
fn who_watches_longer_asks_again_and_hurries_nothing() {
    let mut bench = Bench::connected();
    bench.watch(3);
    assert_eq!(bench.figures_within(Duration::from_millis(2500)).len(), 2);
    bench.figures.clear();
    // Neither a second watcher nor a shorter wish takes anything away, or adds to the pace.
    bench.watch(60);
    bench.watch(1);
    bench.actions();
    assert!(bench.figures.is_empty());
    let every = bench.figures_within(Duration::from_secs(59));
    assert_eq!(every.len(), 59);
}

#[test]
fn a_wish_to_watch_is_bounded_and_ends_with_its_socket() {
    let mut bench = Bench::connected();
    bench.watch(u32::MAX);
    bench.actions();
    let bound = WATCH_MAX.as_secs() as usize;
    let every = bench.figures_within(WATCH_MAX + FIGURES_EVERY);
    assert_eq!(every.len(), bound + 1);
    bench.watch(u32::MAX);
    bench.link.closed(&Failure::Closed, bench.now);
    bench.now += Duration::from_secs(20);
    bench.actions();
    bench.link.opened(bench.now);
    bench.actions();
    bench.receive(ToNode::Reconciliation(reconciliation(vec![], 0)));
    assert_eq!(bench.figures_within(FIGURES_EVERY), [FIGURES_EVERY]);
}
