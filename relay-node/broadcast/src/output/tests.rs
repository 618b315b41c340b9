use super::*;

/// A machine, the clock it is held by, and the draws it gets.
struct Rig {
    machine: OutputMachine,
    now: Instant,
    random: u64,
}

impl Rig {
    fn new() -> Self {
        let now = Instant::now();
        let machine = OutputMachine::new(now, StartPolicy::FirstKeyframe);
        Self {
            machine,
            now,
            random: 0,
        }
    }

    fn connecting() -> Self {
        let mut rig = Self::new();
        assert_eq!(rig.event(Event::Start), Some(Action::Connect));
        rig
    }

    fn live() -> Self {
        let mut rig = Self::connecting();
        assert_eq!(rig.event(Event::Published), None);
        rig
    }

    fn event(&mut self, event: Event) -> Option<Action> {
        self.machine.handle(self.now, event, self.random)
    }

    fn fail(&mut self, reason: Reason) {
        assert_eq!(
            self.event(Event::Failed {
                reason,
                words: None
            }),
            None
        );
    }

    fn traffic(&mut self, acknowledged: u64, outstanding: u64) -> Option<Action> {
        self.event(Event::Traffic {
            acknowledged,
            outstanding,
        })
    }

    fn pass(&mut self, millis: u64) -> Option<Action> {
        self.now += Duration::from_millis(millis);
        self.machine.handle_timeout(self.now, self.random)
    }

    fn state(&self) -> State {
        self.machine.status().state
    }

    fn wait(&self) -> Option<u128> {
        let until = self.machine.status().next_retry?;
        Some(until.duration_since(self.now).as_millis())
    }
}

#[test]
fn the_straight_way_to_live() {
    let mut rig = Rig::new();
    assert_eq!(rig.state(), State::Idle);
    assert_eq!(rig.machine.next_timeout(), None);
    assert_eq!(rig.event(Event::Start), Some(Action::Connect));
    assert_eq!(rig.machine.status().step, Some(Step::Resolving));
    for step in [
        Step::Connecting,
        Step::Securing,
        Step::Handshaking,
        Step::Publishing,
    ] {
        assert_eq!(rig.event(Event::Reached(step)), None);
        assert_eq!(
            (rig.state(), rig.machine.status().step),
            (State::Connecting, Some(step))
        );
    }
    rig.now += Duration::from_secs(1);
    assert_eq!(rig.event(Event::Published), None);
    let status = rig.machine.status();
    assert_eq!(
        (status.state, status.since, status.connects),
        (State::Live, rig.now, 1)
    );
    assert_eq!((status.step, status.last_failure), (None, None));
}

#[test]
fn a_stop_is_clean_when_there_is_something_to_stop() {
    for (mut rig, expected) in [
        (Rig::new(), None),
        (Rig::connecting(), Some(Action::Stop)),
        (Rig::live(), Some(Action::Stop)),
    ] {
        assert_eq!(rig.event(Event::Stop), expected);
        assert_eq!(
            (rig.state(), rig.machine.next_timeout()),
            (State::Idle, None)
        );
    }
    let mut rig = Rig::connecting();
    rig.fail(Reason::DnsFailed);
    assert_eq!(rig.event(Event::Stop), None);
    assert_eq!((rig.state(), rig.wait()), (State::Idle, None));
}

#[test]
fn disabled_is_shown_and_can_be_started_again() {
    let mut rig = Rig::live();
    assert_eq!(rig.event(Event::Disable), Some(Action::Stop));
    assert_eq!(rig.state(), State::Disabled);
    assert_eq!(rig.pass(60_000), None);
    assert_eq!(rig.event(Event::Start), Some(Action::Connect));
    assert_eq!(rig.state(), State::Connecting);
}

#[test]
fn what_comes_late_changes_nothing() {
    let mut rig = Rig::live();
    rig.event(Event::Stop);
    for event in [
        Event::Published,
        Event::Reached(Step::Securing),
        Event::Failed {
            reason: Reason::ClosedByPeer,
            words: None,
        },
        Event::Traffic {
            acknowledged: 1,
            outstanding: 1,
        },
        Event::Stop,
    ] {
        assert_eq!(rig.event(event), None);
        assert_eq!(rig.state(), State::Idle);
    }
    assert_eq!(rig.machine.status().last_failure, None);

    let mut rig = Rig::live();
    assert_eq!(rig.event(Event::Start), None, "it runs already");
    assert_eq!(rig.state(), State::Live);
}

#[test]
fn a_failure_is_retried_when_its_wait_is_over_and_not_before() {
    let mut rig = Rig::connecting();
    rig.fail(Reason::ConnectRefused);
    assert_eq!((rig.state(), rig.wait()), (State::Backoff, Some(500)));
    assert_eq!(rig.machine.status().attempts, 1);
    assert_eq!(rig.pass(499), None);
    assert_eq!(rig.state(), State::Backoff);
    assert_eq!(rig.pass(1), Some(Action::Connect));
    assert_eq!(rig.state(), State::Connecting);
}

#[test]
fn failures_in_a_row_wait_longer() {
    let mut rig = Rig::connecting();
    rig.random = u64::MAX;
    let mut waits = Vec::new();
    for _ in 0..6 {
        rig.fail(Reason::ConnectTimeout);
        let wait = rig.wait().unwrap();
        waits.push(wait);
        assert_eq!(rig.pass(wait as u64 + 1), Some(Action::Connect));
    }
    assert_eq!(waits, [999, 1_999, 3_999, 7_999, 15_999, 29_999]);
}

#[test]
fn failures_are_forgotten_after_thirty_seconds_live_only() {
    for (millis, attempts, longest) in [(29_999, 3, 3_999), (30_000, 1, 999)] {
        let mut rig = Rig::connecting();
        rig.random = u64::MAX;
        for _ in 0..2 {
            rig.fail(Reason::ClosedByPeer);
            rig.pass(30_000);
        }
        rig.event(Event::Published);
        rig.now += Duration::from_millis(millis);
        rig.fail(Reason::ClosedByPeer);
        assert_eq!(rig.machine.status().attempts, attempts);
        assert_eq!(rig.wait(), Some(longest));
    }
}

#[test]
fn a_stable_output_shows_no_attempts() {
    let mut rig = Rig::connecting();
    rig.fail(Reason::ClosedByPeer);
    rig.pass(1_000);
    rig.event(Event::Published);
    assert_eq!(rig.machine.next_timeout(), Some(rig.now + STABLE_AFTER));
    rig.pass(30_000);
    assert_eq!(rig.machine.status().attempts, 0);
    assert_eq!(rig.machine.next_timeout(), None);
}

#[test]
fn refusals_are_reported_and_retried_slowly() {
    for (reason, wait) in [
        (Reason::Rejected, 10_000),
        (Reason::TlsCertificate, 10_000),
        (Reason::AddressForbidden, 10_000),
        (Reason::Loop, 10_000),
        (Reason::AccountLimit, 10_000),
        (Reason::Unsupported, 10_000),
        (Reason::BadName, 2_000),
    ] {
        let mut rig = Rig::connecting();
        rig.fail(reason);
        assert_eq!(
            (rig.state(), rig.wait()),
            (State::Failed, Some(wait)),
            "{reason}"
        );
        assert_eq!(rig.pass(wait as u64), Some(Action::Connect));
    }
}

#[test]
fn every_other_reason_is_a_backoff() {
    for reason in Reason::ALL {
        let mut rig = Rig::live();
        rig.fail(reason);
        let expected = if reason.needs_a_person() {
            State::Failed
        } else {
            State::Backoff
        };
        assert_eq!(rig.state(), expected, "{reason}");
    }
}

#[test]
fn the_destinations_words_are_kept_short_and_on_one_line() {
    let mut rig = Rig::connecting();
    let words = format!("no\r\nsuch\u{1b}[31m stream {}", "é".repeat(WORDS_MAX));
    rig.event(Event::Failed {
        reason: Reason::Rejected,
        words: Some(words),
    });
    let failure = rig.machine.status().last_failure.cloned().unwrap();
    assert_eq!((failure.reason, failure.at), (Reason::Rejected, rig.now));
    let words = failure.words.unwrap();
    assert!(words.starts_with("nosuch[31m stream é"));
    assert_eq!(words.chars().count(), WORDS_MAX);
}

#[test]
fn an_attempt_that_hangs_is_given_up_with_the_step_it_hangs_in() {
    for (step, reason) in [
        (Step::Resolving, Reason::DnsTimeout),
        (Step::Connecting, Reason::ConnectTimeout),
        (Step::Securing, Reason::TlsTimeout),
        (Step::Handshaking, Reason::HandshakeTimeout),
        (Step::Publishing, Reason::PublishTimeout),
    ] {
        let mut rig = Rig::connecting();
        rig.event(Event::Reached(step));
        assert_eq!(rig.machine.next_timeout(), Some(rig.now + ATTEMPT_MAX));
        assert_eq!(rig.pass(19_999), None);
        assert_eq!(rig.pass(1), Some(Action::Abort));
        assert_eq!(rig.state(), State::Backoff);
        assert_eq!(rig.machine.status().last_failure.unwrap().reason, reason);
    }
}

#[test]
fn no_acknowledgement_for_three_seconds_shows_and_for_ten_ends() {
    let mut rig = Rig::live();
    assert_eq!(rig.traffic(0, 5_000), None);
    assert_eq!(rig.machine.next_timeout(), Some(rig.now + STALL_SHOWN));
    assert_eq!(rig.pass(2_999), None);
    assert_eq!(rig.state(), State::Live);
    assert_eq!(rig.pass(1), None);
    assert_eq!(rig.state(), State::Stalled);
    assert_eq!(rig.machine.status().since, rig.now);
    assert_eq!(rig.traffic(0, 9_000), None, "more written is no progress");
    assert_eq!(rig.pass(6_999), None);
    assert_eq!(rig.pass(1), Some(Action::Abort));
    assert_eq!(rig.state(), State::Backoff);
    assert_eq!(
        rig.machine.status().last_failure.unwrap().reason,
        Reason::Stalled
    );
}

#[test]
fn an_acknowledgement_ends_the_stall() {
    let mut rig = Rig::live();
    rig.traffic(0, 5_000);
    rig.pass(9_999);
    assert_eq!(rig.state(), State::Stalled);
    assert_eq!(rig.traffic(1, 4_999), None);
    assert_eq!(rig.state(), State::Live);
    assert_eq!(rig.machine.next_timeout(), Some(rig.now + STALL_SHOWN));
}

#[test]
fn a_silent_publisher_is_no_stall() {
    let mut rig = Rig::live();
    rig.traffic(9_000, 0);
    assert_eq!(rig.machine.next_timeout(), None);
    for _ in 0..20 {
        assert_eq!(rig.pass(1_000), None);
        assert_eq!(rig.traffic(9_000, 0), None);
    }
    assert_eq!(rig.state(), State::Live);
    // The wait for an acknowledgement begins with the first byte after the silence.
    rig.now += Duration::from_secs(60);
    assert_eq!(rig.traffic(9_000, 500), None);
    assert_eq!(rig.state(), State::Live);
}

#[test]
fn only_the_first_connection_begins_at_the_first_keyframe() {
    let mut rig = Rig::connecting();
    assert_eq!(rig.machine.start_policy(), StartPolicy::FirstKeyframe);
    rig.fail(Reason::ConnectRefused);
    assert_eq!(rig.machine.start_policy(), StartPolicy::FirstKeyframe);
    rig.pass(1_000);
    rig.event(Event::Published);
    rig.fail(Reason::ClosedByPeer);
    assert_eq!(rig.machine.start_policy(), StartPolicy::CachedGop);
}

#[test]
fn one_that_waits_is_tried_again_when_somebody_asks() {
    for (reason, waiting) in [
        (Reason::ConnectRefused, State::Backoff),
        (Reason::Rejected, State::Failed),
    ] {
        let mut rig = Rig::connecting();
        rig.fail(reason);
        assert_eq!(rig.state(), waiting);
        assert_eq!(rig.event(Event::Retry), Some(Action::Connect));
        assert_eq!(rig.state(), State::Connecting);
        // The waits go on growing.
        assert_eq!(rig.machine.status().attempts, 1);
        rig.fail(reason);
        assert_eq!(rig.machine.status().attempts, 2);
    }
}

#[test]
fn asking_one_that_does_not_wait_is_harmless() {
    let mut rig = Rig::new();
    assert_eq!(rig.event(Event::Retry), None);
    assert_eq!(rig.state(), State::Idle);
    let mut rig = Rig::connecting();
    assert_eq!(rig.event(Event::Retry), None);
    let mut rig = Rig::live();
    let before = format!("{:?}", rig.machine);
    assert_eq!(rig.event(Event::Retry), None);
    assert_eq!(format!("{:?}", rig.machine), before);
}

#[test]
fn another_format_is_another_connection_at_once_and_no_failure() {
    let mut rig = Rig::live();
    assert_eq!(rig.machine.start_policy(), StartPolicy::CachedGop);
    assert_eq!(rig.event(Event::Renewed), Some(Action::Connect));
    assert_eq!(rig.state(), State::Connecting);
    assert_eq!(rig.machine.start_policy(), StartPolicy::FirstKeyframe);
    let status = rig.machine.status();
    assert_eq!((status.attempts, status.last_failure), (0, None));
    assert_eq!(rig.event(Event::Renewed), None, "nothing to renew");
    assert_eq!(rig.event(Event::Published), None);
    assert_eq!(rig.machine.status().connects, 2);
}
