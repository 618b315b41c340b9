//! What happened here and is not yet acknowledged.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

use shared::id::{InputUid, OutputUid};
use shared::limits::MAX_EVENTS_PER_REPORT;
use shared::link::{Event, What};
use shared::time::Timestamp;
use tracing::warn;

/// The events that the control plane has not acknowledged, oldest first.
///
/// What they tell last of an input on air and of each of its outputs is never lost: nobody would
/// tell it again.
#[derive(Debug)]
pub(crate) struct Events {
    waiting: VecDeque<Event>,
    bound: usize,
    last_sequence: u64,
    /// With so many waiting, room is made.
    sweep_at: usize,
}

impl Default for Events {
    fn default() -> Self {
        Self::bounded(MAX_WAITING_EVENTS)
    }
}

impl Events {
    /// None yet, and about so many at once.
    pub(crate) fn bounded(bound: usize) -> Self {
        Self {
            waiting: VecDeque::new(),
            bound,
            last_sequence: 0,
            sweep_at: bound,
        }
    }

    /// All of them, oldest first.
    pub(crate) fn into_all(self) -> impl Iterator<Item = Event> {
        self.waiting.into_iter()
    }

    /// Notes an event. With as many waiting as the bound says, those give way that later ones have
    /// overtaken, and then faults and ends.
    pub(crate) fn push(&mut self, input: InputUid, epoch: u64, at: Timestamp, what: What) {
        if self.waiting.len() >= self.sweep_at {
            self.make_room();
        }
        self.last_sequence += 1;
        self.waiting.push_back(Event {
            sequence: self.last_sequence,
            input,
            epoch,
            at,
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
        if self.waiting.is_empty() {
            self.sweep_at = self.bound;
        }
    }

    /// The oldest events, as many as a report carries.
    pub(super) fn oldest(&self) -> Vec<Event> {
        self.after(0)
    }

    /// The oldest events after that sequence number, as many as a frame carries.
    pub(super) fn after(&self, sequence: u64) -> Vec<Event> {
        let from = self
            .waiting
            .partition_point(|event| event.sequence <= sequence);
        self.waiting
            .range(from..)
            .take(MAX_EVENTS_PER_REPORT)
            .cloned()
            .collect()
    }

    /// The sequence number of the oldest event.
    pub(super) fn first(&self) -> Option<u64> {
        self.waiting.front().map(|event| event.sequence)
    }

    /// The sequence number of the newest event.
    pub(super) fn last(&self) -> Option<u64> {
        self.waiting.back().map(|event| event.sequence)
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

    fn make_room(&mut self) {
        let before = self.waiting.len();
        let mut told = Told::default();
        let mut kept: VecDeque<Event> = VecDeque::with_capacity(before);
        // Back to front: what comes later overtakes what came before.
        for event in std::mem::take(&mut self.waiting).into_iter().rev() {
            if !told.overtakes(&event) {
                kept.push_front(event);
            }
        }
        let room = self.bound - self.bound / 4;
        let mut spare = kept.len().saturating_sub(room);
        kept.retain(|event| {
            let goes = spare > 0 && is_expendable(&event.what);
            spare -= usize::from(goes);
            !goes
        });
        self.waiting = kept;
        // What is left is bounded by what is on air. So many more must come until looking is worth
        // while again.
        self.sweep_at = self.bound.max(self.waiting.len() + self.bound / 4);
        let lost = before - self.waiting.len();
        warn!(
            lost,
            "events are lost: too many wait for the control plane, which learns how things stand, \
             and not all that led there"
        );
    }
}

/// What events tell the state of, and the highest epoch of those that do.
#[derive(Default)]
struct Told {
    encoders: HashMap<InputUid, u64>,
    over: HashMap<InputUid, u64>,
    outputs: HashMap<OutputUid, u64>,
}

impl Told {
    /// Whether the events seen, which came later, tell what this one told; notes it if not.
    fn overtakes(&mut self, event: &Event) -> bool {
        let (input, epoch) = (event.input, event.epoch);
        let is_over = self.over.get(&input).is_some_and(|over| *over >= epoch);
        match &event.what {
            What::Connected(_) | What::Away { .. } => {
                is_over || later(&mut self.encoders, input, epoch)
            }
            What::Ended { .. } => later(&mut self.over, input, epoch),
            What::Output(change) => is_over || later(&mut self.outputs, change.output, epoch),
            What::Faulted(_) | What::Unknown => false,
        }
    }
}

fn later<K: Eq + Hash>(told: &mut HashMap<K, u64>, subject: K, epoch: u64) -> bool {
    let highest = told.entry(subject).or_default();
    let is_told = *highest >= epoch;
    *highest = epoch.max(*highest);
    is_told
}

/// Whether nothing goes wrong without it: a fault is no state, and that a broadcast is over the
/// report's list of inputs on air tells too.
fn is_expendable(what: &What) -> bool {
    matches!(what, What::Faulted(_) | What::Ended { .. } | What::Unknown)
}

/// Events kept for the control plane: an outage of an hour in which something happens each second.
const MAX_WAITING_EVENTS: usize = 4096;

#[cfg(test)]
mod tests;
