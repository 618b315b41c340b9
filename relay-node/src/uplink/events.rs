//! What happened here and is not yet acknowledged.

use std::collections::VecDeque;

use shared::id::InputUid;
use shared::limits::MAX_EVENTS_PER_REPORT;
use shared::link::{Event, What};
use shared::time::Timestamp;
use tracing::warn;

/// The events that the control plane has not acknowledged, oldest first.
#[derive(Debug, Default)]
pub(super) struct Events {
    waiting: VecDeque<Event>,
    last_sequence: u64,
}

impl Events {
    /// Notes an event. With [`MAX_WAITING_EVENTS`] waiting the oldest gives way: what it told of an
    /// input, the report's list of inputs on air tells too.
    pub(super) fn push(&mut self, input: InputUid, epoch: u64, what: What) {
        if self.waiting.len() >= MAX_WAITING_EVENTS
            && let Some(lost) = self.waiting.pop_front()
        {
            warn!(input = %lost.input, sequence = lost.sequence, "an event is lost: too many wait for the control plane");
        }
        self.last_sequence += 1;
        self.waiting.push_back(Event {
            sequence: self.last_sequence,
            input,
            epoch,
            at: Timestamp::default(),
            what,
        });
    }

    /// Forgets the events up to and including `through`.
    pub(super) fn acknowledge(&mut self, through: u64) {
        while self
            .waiting
            .front()
            .is_some_and(|event| event.sequence <= through)
        {
            self.waiting.pop_front();
        }
    }

    /// The oldest events, as many as a report carries.
    pub(super) fn oldest(&self) -> Vec<Event> {
        self.waiting
            .iter()
            .take(MAX_EVENTS_PER_REPORT)
            .cloned()
            .collect()
    }

    /// The sequence number of the oldest event.
    pub(super) fn first(&self) -> Option<u64> {
        self.waiting.front().map(|event| event.sequence)
    }

    /// The sequence number of the newest event that [`Self::oldest`] holds, or of the last one ever.
    pub(super) fn last_of_report(&self) -> u64 {
        self.waiting
            .iter()
            .take(MAX_EVENTS_PER_REPORT)
            .next_back()
            .map_or(self.last_sequence, |event| event.sequence)
    }

    /// Whether none waits.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

/// Events kept for the control plane: an outage of an hour in which one broadcast ends each second.
const MAX_WAITING_EVENTS: usize = 4096;

#[cfg(test)]
mod tests {
    use shared::link::Departure;

    use super::*;

    fn filled(count: usize) -> Events {
        let mut events = Events::default();
        for _ in 0..count {
            events.push(
                InputUid::from_random([1; 16]),
                1,
                What::Ended {
                    reason: Departure::Goodbye,
                },
            );
        }
        events
    }

    fn sequences(events: &Events) -> Vec<u64> {
        events.oldest().iter().map(|event| event.sequence).collect()
    }

    #[test]
    fn waits_until_acknowledged() {
        let mut events = filled(3);
        assert_eq!(sequences(&events), [1, 2, 3]);
        events.acknowledge(2);
        assert_eq!(sequences(&events), [3]);
        events.acknowledge(1);
        assert_eq!(sequences(&events), [3]);
        events.acknowledge(u64::MAX);
        assert!(events.is_empty());
        events.push(
            InputUid::from_random([1; 16]),
            1,
            What::Ended {
                reason: Departure::Goodbye,
            },
        );
        assert_eq!(sequences(&events), [4]);
    }

    #[test]
    fn a_report_carries_the_oldest() {
        let events = filled(MAX_EVENTS_PER_REPORT + 1);
        let sent = sequences(&events);
        assert_eq!(sent.len(), MAX_EVENTS_PER_REPORT);
        assert_eq!(sent.first(), Some(&1));
    }

    #[test]
    fn the_oldest_gives_way_at_the_bound() {
        assert_eq!(sequences(&filled(MAX_WAITING_EVENTS)).first(), Some(&1));
        assert_eq!(sequences(&filled(MAX_WAITING_EVENTS + 1)).first(), Some(&2));
    }
}
