use shared::link::{Departure, Fault, OutputChange, OutputState, Protocol, Publisher};

use super::*;

fn input(number: u8) -> InputUid {
    InputUid::from_random([number; 16])
}

fn ended() -> What {
    let reason = Departure::Goodbye;
    What::Ended { reason }
}

fn connected() -> What {
    What::Connected(Publisher {
        protocol: Protocol::Rtmps,
        encoder: String::new(),
        returned: false,
    })
}

fn output(number: usize, state: OutputState) -> What {
    let mut uid = [0; 16];
    uid[8..].copy_from_slice(&number.to_be_bytes());
    What::Output(OutputChange {
        output: OutputUid::from_random(uid),
        state,
        reason: None,
        message: None,
        attempts: 0,
        connects: 0,
        next_retry: None,
        warnings: Vec::new(),
    })
}

fn fault() -> What {
    What::Faulted(Fault {
        code: "silent".into(),
        message: String::new(),
        video_codec: String::new(),
        audio_codec: String::new(),
    })
}

fn push(events: &mut Events, epoch: u64, what: What) {
    events.push(input(1), epoch, Timestamp::default(), what);
}

/// Ends of so many broadcasts.
fn filled(count: usize) -> Events {
    let mut events = Events::default();
    for epoch in 1..=count {
        push(&mut events, epoch as u64, ended());
    }
    events
}

fn sequences(events: &[Event]) -> Vec<u64> {
    events.iter().map(|event| event.sequence).collect()
}

#[test]
fn waits_until_acknowledged() {
    let mut events = filled(3);
    assert_eq!(sequences(&events.oldest()), [1, 2, 3]);
    events.acknowledge(2);
    assert_eq!(sequences(&events.oldest()), [3]);
    events.acknowledge(1);
    assert_eq!(sequences(&events.oldest()), [3]);
    events.acknowledge(u64::MAX);
    assert!(events.is_empty());
    push(&mut events, 9, ended());
    assert_eq!(sequences(&events.oldest()), [4]);
}

#[test]
fn a_report_carries_the_oldest_and_frames_what_follows() {
    let mut events = filled(2 * MAX_EVENTS_PER_REPORT + 1);
    let bound = MAX_EVENTS_PER_REPORT as u64;
    let sent = sequences(&events.oldest());
    assert_eq!(
        (sent.first(), sent.len()),
        (Some(&1), MAX_EVENTS_PER_REPORT)
    );
    assert_eq!(events.last_of_report(), bound);
    let next = sequences(&events.after(bound));
    assert_eq!(
        (next.first(), next.last()),
        (Some(&(bound + 1)), Some(&(2 * bound)))
    );
    assert_eq!(sequences(&events.after(2 * bound)), [2 * bound + 1]);
    assert_eq!(events.after(2 * bound + 1), []);
    events.acknowledge(bound + 1);
    assert_eq!(events.after(0).first(), events.after(bound + 1).first());
}

#[test]
fn nothing_gives_way_up_to_the_bound() {
    let mut events = Events::default();
    for _ in 0..MAX_WAITING_EVENTS {
        push(&mut events, 1, output(1, OutputState::Live));
    }
    assert_eq!(events.waiting.len(), MAX_WAITING_EVENTS);
    push(&mut events, 1, output(2, OutputState::Live));
    // The last word on each.
    assert_eq!(
        sequences(&events.oldest()),
        [MAX_WAITING_EVENTS as u64, MAX_WAITING_EVENTS as u64 + 1]
    );
}

#[test]
fn what_was_overtaken_gives_way_first() {
    let mut events = Events::default();
    push(&mut events, 1, connected()); // 1: over since 4
    push(&mut events, 1, output(1, OutputState::Live)); // 2: over since 4
    push(&mut events, 2, connected()); // 3: overtaken by 6
    push(&mut events, 1, ended()); // 4
    push(&mut events, 2, output(1, OutputState::Connecting)); // 5: overtaken by 8
    let reason = Departure::Lost;
    push(&mut events, 2, What::Away { reason }); // 6
    push(&mut events, 2, fault()); // 7
    push(&mut events, 2, output(1, OutputState::Live)); // 8
    events.make_room();
    assert_eq!(sequences(&events.oldest()), [4, 6, 7, 8]);
}

#[test]
fn ends_and_faults_give_way_before_the_state_of_what_is_on_air() {
    let mut events = Events::default();
    push(&mut events, 1, connected());
    push(&mut events, 1, output(1, OutputState::Live));
    for _ in 0..10 * MAX_WAITING_EVENTS {
        push(&mut events, 1, fault());
        assert!(events.waiting.len() <= MAX_WAITING_EVENTS);
    }
    let oldest = events.oldest();
    assert_eq!(sequences(&oldest)[..2], [1, 2]);
    // Of those that may go, the oldest went.
    assert_eq!(events.last(), Some(10 * MAX_WAITING_EVENTS as u64 + 2));
}

#[test]
fn the_state_of_what_is_on_air_never_gives_way() {
    let mut events = Events::default();
    let count = 2 * MAX_WAITING_EVENTS;
    for state in [
        OutputState::Connecting,
        OutputState::Live,
        OutputState::Backoff,
    ] {
        for number in 0..count {
            push(&mut events, 1, output(number, state));
        }
    }
    events.make_room();
    assert_eq!(events.waiting.len(), count);
    let all_latest = events.waiting.iter().all(
        |event| matches!(&event.what, What::Output(change) if change.state == OutputState::Backoff),
    );
    assert!(all_latest);
    // Bounded by what is on air, however much happens.
    for number in 0..3 * count {
        push(&mut events, 1, output(number % count, OutputState::Live));
    }
    assert!(events.waiting.len() <= count + MAX_WAITING_EVENTS);
    push(&mut events, 1, ended());
    events.make_room();
    assert_eq!(events.waiting.len(), 1);
}
