//! Cursors that stand at the same place: what the first of them is given, the others are given too.

use std::sync::Arc;
use std::time::Instant;

use super::running::Running;
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
        let from = self.running.clone().filter(Running::skips_nothing);
        let skipped = self.skipped;
        let mut items = Vec::new();
        let read = self.read(log, now, backlog, room, &mut items);
        let items = Arc::new(items);
        // One that begins to skip in this read may be alone with it.
        if let (Some(from), Some(to), Read::CaughtUp) = (from, &self.running, read)
            && self.skipped == skipped
        {
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
        let is_same = *running == taken.from && log.end() == taken.end && room == taken.room;
        let Need::From(undelivered) = need else {
            return None;
        };
        if !is_same || running.next < log.front() {
            return None;
        }
        let lag = log.lag_from(undelivered, running.next, backlog.total());
        if lag.is_over(log.lag_max()) {
            return None;
        }
        running.clone_from(&taken.to);
        Some(Arc::clone(&taken.items))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StartPolicy;
    use crate::lag::LAG_MAX;
    use crate::testing::Rig;

    #[test]
    fn one_that_begins_to_skip_is_followed_by_nobody() {
        let mut rig = Rig::with_headers(0);
        let mut stride = Stride::default();
        let mut read = |rig: &Rig, cursor: &mut Cursor, unacknowledged| {
            let backlog = Backlog {
                unacknowledged,
                ..Backlog::default()
            };
            let room = Room::default();
            let (_, read, items) =
                cursor.read_in_step(&rig.log, rig.now, backlog, room, &mut stride);
            assert_eq!(read, Read::CaughtUp);
            items.len()
        };
        let [mut slow, mut quick] = [(); 2].map(|()| Cursor::new(StartPolicy::CachedGop));
        rig.key();
        assert_eq!(read(&rig, &mut slow, 0), read(&rig, &mut quick, 0));
        for _ in 0..LAG_MAX.as_secs() {
            rig.pass(1000);
            rig.inter();
            assert_eq!(read(&rig, &mut slow, 0), 1);
            assert_eq!(read(&rig, &mut quick, 0), 1);
        }
        rig.pass(1000);
        rig.inter();
        assert_eq!(read(&rig, &mut slow, 1 << 20), 0, "it lags");
        assert_eq!(read(&rig, &mut quick, 0), 1);
    }
}
