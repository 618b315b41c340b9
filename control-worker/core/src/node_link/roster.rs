//! The processes of a node: which there are, what they said, and whether they are heard.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use shared::id::Instance;
use shared::time::{Timestamp, micros};

/// The node's processes, and what they said.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Roster {
    pub(super) instances: BTreeMap<Instance, Heard>,
    /// The number of the last piece of news.
    pub(super) news: u64,
}

/// A process of the node.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Heard {
    /// Counts processes in the order in which they were first seen.
    order: u64,
    /// When it was last heard of, to within [`NOTE_EVERY`].
    #[serde(with = "micros")]
    noted: Timestamp,
    /// The same, exactly, as far as the object remembers.
    #[serde(skip)]
    lately: Timestamp,
    pub(super) events_through: u64,
    /// Since when it has no socket, if one was closed and nothing came since.
    #[serde(default)]
    gone: Option<Timestamp>,
    /// Whether the inputs that it holds were told that it is silent.
    #[serde(default)]
    pub(super) silent: bool,
}

impl Roster {
    /// What is known of a process, and the one that made room for it: of those that hold no inputs, if
    /// there are any, the one first seen longest ago.
    pub(super) fn heard(
        &mut self,
        instance: Instance,
        holds: impl Fn(Instance) -> bool,
    ) -> (&mut Heard, Option<Instance>) {
        let order = 1 + self.newest().map_or(0, |(_, heard)| heard.order);
        let mut lost = None;
        if self.instances.len() == MAX_INSTANCES && !self.instances.contains_key(&instance) {
            let known = self.instances.iter();
            let oldest = known.min_by_key(|&(&instance, heard)| (holds(instance), heard.order));
            if let Some(oldest) = oldest.map(|(&instance, _)| instance) {
                self.instances.remove(&oldest);
                lost = Some(oldest);
            }
        }
        let heard = self.instances.entry(instance).or_insert_with(|| Heard {
            order,
            noted: Timestamp::default(),
            lately: Timestamp::default(),
            events_through: 0,
            gone: None,
            silent: false,
        });
        (heard, lost)
    }

    /// The process that was first seen last.
    pub(super) fn newest(&self) -> Option<(Instance, &Heard)> {
        let newest = self.instances.iter().max_by_key(|(_, heard)| heard.order);
        newest.map(|(&instance, heard)| (instance, heard))
    }

    /// A number that no piece of news has had, not even if this memory was lost in between.
    pub(super) fn number(&mut self, now: Timestamp) -> u64 {
        let by_clock = u64::try_from(now.as_micros()).unwrap_or(0);
        self.news = by_clock.max(self.news + 1);
        self.news
    }
}

impl Heard {
    /// Something came from the process. Returns whether that must be stored.
    pub(super) fn note(&mut self, now: Timestamp) -> bool {
        if now.after(STEP) < self.last() {
            // The clock was set back: what it said before would hide a silence for as long.
            (self.noted, self.lately, self.gone) = (now, now, None);
            return true;
        }
        self.lately = now.max(self.lately);
        // Once in a while is enough, and spares a write per frame.
        let is_news = self.gone.take().is_some()
            || self.noted == Timestamp::default()
            || self.noted.after(NOTE_EVERY) <= now;
        if is_news {
            self.noted = now;
        }
        is_news
    }

    /// Its last socket was closed.
    pub(super) fn closed(&mut self, now: Timestamp) {
        self.gone = Some(now);
    }

    /// When it was last heard.
    pub(super) fn last(&self) -> Timestamp {
        self.noted.max(self.lately)
    }

    /// When it counts as silent if nothing comes until then. `socket` tells whether it has one.
    pub(super) fn silent_at(&self, socket: bool) -> Timestamp {
        let silent = self.last().after(SILENT_AFTER);
        match self.gone {
            Some(gone) if !socket => silent.min(gone.after(GONE_AFTER)),
            _ => silent,
        }
    }

    /// Whether it has been silent for so long that it is lost.
    pub(super) fn is_lost(&self, now: Timestamp) -> bool {
        self.last().after(LOST_AFTER) <= now
    }
}

/// A node whose socket was closed comes back, or polls, within a second or two; one that was killed
/// does not. Within ten seconds its inputs say that nobody knows.
pub const GONE_AFTER: Duration = Duration::from_secs(8);

/// Nodes send something every ten seconds, over the socket or as polls: two that were lost are a
/// bad line, three are silence.
pub const SILENT_AFTER: Duration = Duration::from_secs(30);

/// Processes of a node that are remembered. More than two at a time are a node that keeps crashing, or
/// that was upgraded several times while one broadcast ran: its process holds an input, and stays.
const MAX_INSTANCES: usize = 8;

/// Reports come once a minute: after one and a half without any, a process that was replaced is
/// taken for gone.
const LOST_AFTER: Duration = Duration::from_secs(90);

/// A clock that goes back by more was set: messages are never so late.
const STEP: Duration = Duration::from_secs(60);

/// How exact that is after the object has lost its memory.
const NOTE_EVERY: Duration = Duration::from_secs(15);
