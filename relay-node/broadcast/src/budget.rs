//! How much all broadcasts of a node may hold together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::lag::LAG_MAX;
use crate::log::LOG_MAX_AGE;

/// What all logs of a node may cost together, in bytes, unless it is configured otherwise: seventy
/// broadcasts at the recommended 12 Mbit/s with all that a slow output may lag, or a thousand at
/// 4 Mbit/s with two seconds.
pub const DEFAULT_BUDGET: usize = 1024 * 1024 * 1024;

/// From which part of the budget on the bound shrinks: below it nobody notices.
const EASY: (usize, usize) = (3, 4);

/// The bytes that the logs of a node may hold together.
///
/// While they hold less than three quarters of it, an output may lag as far as
/// [`LAG_MAX`] says. From there on the bound shrinks for all alike, in media time, to nothing where
/// the budget is used up: so whoever lags most skips first, whichever broadcast it belongs to, and
/// the logs forget what nobody may lag to any more. Nothing waits, and no log looks at another.
#[derive(Clone, Debug)]
pub struct Budget(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limit: usize,
    used: AtomicUsize,
}

impl Budget {
    /// A budget of so many bytes.
    pub fn new(limit: usize) -> Self {
        Self(Arc::new(Shared {
            limit,
            used: AtomicUsize::new(0),
        }))
    }

    /// What the logs cost at this moment, in bytes.
    pub fn used(&self) -> usize {
        self.0.used.load(Ordering::Relaxed)
    }

    /// How far an output may lag at this moment, in media time.
    pub fn lag_max(&self) -> Duration {
        self.share_of(LAG_MAX)
    }

    /// How much media a log keeps at this moment.
    pub(crate) fn age_max(&self) -> Duration {
        self.share_of(LOG_MAX_AGE)
    }

    fn share_of(&self, whole: Duration) -> Duration {
        let limit = self.0.limit;
        let easy = limit / EASY.1 * EASY.0;
        let tight = (limit - easy).max(1);
        let left = limit.saturating_sub(self.used()).min(tight);
        whole.mul_f64(left as f64 / tight as f64)
    }
}

/// What one log holds of a budget; given back with it.
#[derive(Debug, Default)]
pub(crate) struct Share {
    budget: Budget,
    held: usize,
}

impl Share {
    pub(crate) fn of(budget: Budget) -> Self {
        Self { budget, held: 0 }
    }

    pub(crate) fn budget(&self) -> &Budget {
        &self.budget
    }

    /// How much it is, in bytes.
    pub(crate) fn held(&self) -> usize {
        self.held
    }

    pub(crate) fn take(&mut self, bytes: usize) {
        self.held += bytes;
        self.budget.0.used.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn give_back(&mut self, bytes: usize) {
        self.held -= bytes;
        self.budget.0.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.give_back(self.held);
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self::new(DEFAULT_BUDGET)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;
    use rtmp::{Message, MessageType};

    use super::*;
    use crate::log::{ENTRY_COST, Log};
    use crate::testing::Rig;
    use crate::{Cursor, Read, StartPolicy};

    #[test]
    fn the_bound_shrinks_from_three_quarters_on_and_is_nothing_at_the_end() {
        let budget = Budget::new(4_000);
        for (used, bound) in [
            (0, 8_000),
            (3_000, 8_000),
            (3_001, 7_992),
            (3_500, 4_000),
            (3_999, 8),
            (4_000, 0),
            (5_000, 0),
        ] {
            let mut share = Share::of(budget.clone());
            share.take(used);
            assert_eq!(budget.lag_max(), Duration::from_millis(bound), "{used}");
        }
    }

    #[test]
    fn what_a_log_holds_is_counted_and_given_back() {
        let budget = Budget::new(1 << 30);
        let mut rig = Rig::under(&budget);
        rig.gop(250, 10_000);
        assert_eq!(budget.used(), rig.log.cost());
        rig.gop(250, 10_000);
        assert_eq!(budget.used(), rig.log.cost());
        let mut another = Rig::under(&budget);
        another.key();
        assert_eq!(budget.used(), rig.log.cost() + another.log.cost());
        drop(rig);
        assert_eq!(budget.used(), another.log.cost());
    }

    /// Two broadcasts; one output of each is slow, one slower.
    #[test]
    fn who_lags_most_skips_first_whichever_broadcast_it_belongs_to() {
        let budget = Budget::new(4_000_000);
        let mut rigs = [Rig::under(&budget), Rig::under(&budget)];
        let mut outputs = Vec::new();
        for (number, rig) in rigs.iter_mut().enumerate() {
            rig.key();
            let mut cursor = Cursor::new(StartPolicy::FirstKeyframe);
            assert_eq!(rig.read(&mut cursor).1, Read::CaughtUp);
            outputs.push((number, cursor));
        }
        // The second lags by 5 s, the first by 2 s; half of the tight quarter is used.
        for (rig, seconds) in rigs.iter_mut().zip([2, 5]) {
            for _ in 0..seconds * 10 {
                rig.inter();
                rig.pass(100);
            }
            rig.inter();
        }
        let mut others = Share::of(budget.clone());
        others.take(3_500_000 - budget.used());
        let skipped = outputs.iter_mut().map(|(number, cursor)| {
            let _ = rigs[*number].read(cursor);
            cursor.skipped().times
        });
        assert_eq!(skipped.collect::<Vec<_>>(), [0, 1]);
    }

    #[test]
    fn one_that_keeps_up_notices_nothing() {
        // A fifth of what the log would hold.
        let budget = Budget::new(500_000);
        let mut rig = Rig::under(&budget);
        let mut cursor = Cursor::new(StartPolicy::FirstKeyframe);
        rig.key();
        let mut sent = 1;
        let mut got = rig.read(&mut cursor).0.len();
        for _ in 0..600 {
            rig.pass(20);
            rig.tag(MessageType::VIDEO, &[0x27, 1, 0, 0, 0], 5_000);
            sent += 1;
            got += rig.read(&mut cursor).0.len();
            assert!(budget.used() <= 500_000);
        }
        assert_eq!((got, cursor.skipped().times), (sent, 0));
    }

    proptest! {
        #[test]
        fn all_logs_together_hold_no_more_than_one_message_each_beyond_it(
            messages in prop::collection::vec((0_usize..4, 0_usize..20_000, 0_u32..500), 1..600),
        ) {
            let budget = Budget::new(200_000);
            let mut logs: Vec<_> = (0..4).map(|_| Log::under(budget.clone())).collect();
            let now = std::time::Instant::now();
            let mut times = [0_u32; 4];
            for (which, length, step) in messages {
                times[which] += step;
                logs[which].append(now, Message {
                    kind: MessageType::VIDEO,
                    timestamp: times[which],
                    stream_id: 1,
                    payload: Bytes::from(vec![0x27; length]),
                });
                let held: usize = logs.iter().map(Log::cost).sum();
                prop_assert_eq!(budget.used(), held);
                prop_assert!(held <= 200_000 + 4 * (20_000 + ENTRY_COST), "{}", held);
            }
        }
    }
}
