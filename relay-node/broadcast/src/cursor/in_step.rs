//! Cursors that stand at the same place: what the first of them is given, the others are given too.

use std::sync::Arc;
use std::time::Instant;

use super::running::{Running, Video};
use super::{Backlog, Cursor, Need, Read, Room, SendItem};
use crate::log::Log;

/// What a cursor that keeps up was given last, for those that are in step with it: most outputs of a
/// broadcast are.
#[derive(Debug, Default)]
pub struct Stride(Option<Taken>);

/// A read that took all there was.
#[derive(Debug)]
struct Taken {
    from: Running,
    to: Running,
    /// The end of the log at that time.
    end: u64,
    room: Room,
    items: Arc<Vec<SendItem>>,
}

impl Cursor {
    /// Reads as [`Cursor::read`] does, and tells what it needed before ([`Cursor::need`]). A cursor in
    /// step with the one that read before it is given the very same list.
    pub fn read_in_step(
        &mut self,
        log: &Log,
        now: Instant,
        backlog: Backlog,
        room: Room,
        stride: &mut Stride,
    ) -> (Need, Read, Arc<Vec<SendItem>>) {
        let need = self.need(log, backlog);
        if let Some(items) = self.follow(log, need, backlog, room, stride) {
            return (need, Read::CaughtUp, items);
        }
        let from = self.running.clone();
        let mut items = Vec::new();
        let read = self.read(log, now, backlog, room, &mut items);
        let items = Arc::new(items);
        if let (Some(from), Some(to), Read::CaughtUp) = (from, &self.running, read) {
            stride.0 = Some(Taken {
                from,
                to: to.clone(),
                end: log.end(),
                room,
                items: Arc::clone(&items),
            });
        }
        (need, read, items)
    }

    /// What was given from the same place, where the same is due here.
    fn follow(
        &mut self,
        log: &Log,
        need: Need,
        backlog: Backlog,
        room: Room,
        stride: &Stride,
    ) -> Option<Arc<Vec<SendItem>>> {
        let (taken, running) = (stride.0.as_ref()?, self.running.as_mut()?);
        let (Need::From(undelivered), false) = (need, matches!(running.video, Video::Skip { .. }))
        else {
            return None;
        };
        // What is given to one that skips depends on its own backlog.
        let lag = log.lag_from(undelivered, running.next, backlog.total());
        let is_same = *running == taken.from && log.end() == taken.end && room == taken.room;
        if !is_same || running.next < log.front() || lag.is_over(log.lag_max()) {
            return None;
        }
        running.clone_from(&taken.to);
        Some(Arc::clone(&taken.items))
    }
}
