//! Where the outputs are on a feed, so that what they have all had need not be kept.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use broadcast::{Backlog, Cursor, Need, Read, Room, SendItem, Skipped, StartPolicy};

use super::{Feed, State};

/// An output's place on a feed. What it needs from there on is kept until this is dropped, within
/// the bounds of [`Log`](broadcast::Log).
pub struct Bookmark {
    feed: Arc<Feed>,
    number: u64,
    cursor: Cursor,
}

/// What all of them need.
#[derive(Debug, Default)]
pub(super) struct Needs {
    by_number: BTreeMap<u64, Need>,
    last: u64,
}

impl Bookmark {
    pub(super) fn new(feed: Arc<Feed>, policy: StartPolicy) -> Self {
        let cursor = Cursor::new(policy);
        let number = {
            let mut state = feed.lock();
            let need = cursor.need(&state.log, Backlog::default());
            state.needs.add(need)
        };
        Self {
            feed,
            number,
            cursor,
        }
    }

    /// Reads on; see [`Cursor::read_in_step`].
    pub fn read(
        &mut self,
        now: Instant,
        backlog: Backlog,
        room: Room,
    ) -> (Read, Arc<Vec<SendItem>>) {
        let State {
            log, stride, needs, ..
        } = &mut *self.feed.lock();
        let (need, read, items) = self.cursor.read_in_step(log, now, backlog, room, stride);
        needs.by_number.insert(self.number, need);
        (read, items)
    }

    /// What it is on.
    pub fn feed(&self) -> &Arc<Feed> {
        &self.feed
    }

    /// What was skipped so far.
    pub fn skipped(&self) -> Skipped {
        self.cursor.skipped()
    }
}

impl Drop for Bookmark {
    fn drop(&mut self) {
        self.feed.lock().needs.by_number.remove(&self.number);
    }
}

impl fmt::Debug for Bookmark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Bookmark").field(&self.cursor).finish()
    }
}

impl Needs {
    fn add(&mut self, need: Need) -> u64 {
        self.last += 1;
        self.by_number.insert(self.last, need);
        self.last
    }

    /// From which entry on anything is needed, and whether the first keyframe is.
    pub(super) fn all(&self) -> (u64, bool) {
        let needs = self.by_number.values();
        needs.fold((u64::MAX, false), |(from, first), need| match need {
            Need::Nothing => (from, first),
            Need::First => (from, true),
            Need::From(seq) => (from.min(*seq), first),
        })
    }
}
