//! For how long what an encoder sends waits for more.

use std::time::{Duration, Instant};

use crate::clock::Beat;

/// What waits no longer, in bytes: a picture of this size fills a write by itself, and the kernel
/// has room for it in any case.
pub(super) const HELD_MAX: u32 = 128 << 10;

/// By so much a window is longer than it was asked for. A frame of AAC lasts 21.3 ms at 48 kHz: a
/// window of 20 ms that begins with one just misses the next, and there would be half as many writes
/// again.
const GRACE: Duration = Duration::from_micros(1600);

/// A broadcast with no more outputs than this has its windows one after the other, and together with
/// those of all others like it. A window that begins with a message holds more of them (at 20 ms three in
/// place of two), and so saves writes; but to be woken for it costs as much as some five of them.
const FEW_OUTPUTS: usize = 8;

/// For how long after its first message an encoder without a keyframe is passed on as it comes: so
/// long the broadcast waits for video, too, before it begins with audio alone.
const BEGINS_WITHIN: Duration = Duration::from_secs(1);

/// When the outputs are told of what has come. Until then the rest of it is left in the kernel: one
/// wake-up for a window, and not one for each packet
/// ([0050](../../../docs/decisions/0050-gather-by-broadcast.md)).
#[derive(Debug)]
pub(super) struct Gathering {
    window: Duration,
    /// Windows that are common to all broadcasts are counted from here.
    origin: Instant,
    /// When the first message came.
    began: Option<Instant>,
    /// Whether the outputs have had what they begin with.
    is_settled: bool,
    until: Option<Instant>,
    /// In this window.
    bytes: usize,
}

impl Gathering {
    /// Windows of that length; with none everything is told at once. Those that are common to all
    /// broadcasts are counted from `origin`.
    pub(super) fn new(window: Duration, origin: Instant) -> Self {
        Self {
            window,
            origin,
            began: None,
            is_settled: false,
            until: None,
            bytes: 0,
        }
    }

    /// Messages have come. Returns whether the outputs are to be told now; otherwise
    /// [`until`](Self::until) says when.
    #[must_use]
    pub(super) fn takes(&mut self, now: Instant, bytes: usize, keyframe: bool) -> bool {
        let began = *self.began.get_or_insert(now);
        let was_settled = self.is_settled;
        self.is_settled |= keyframe || now.saturating_duration_since(began) >= BEGINS_WITHIN;
        self.bytes += bytes;
        let is_much = self.bytes >= HELD_MAX as usize;
        if self.window.is_zero() || !was_settled || keyframe || is_much {
            self.close();
            return true;
        }
        self.until.get_or_insert(now + self.window + GRACE);
        false
    }

    /// Messages have come that the end of the window brings.
    pub(super) fn takes_at_end(&mut self, bytes: usize) {
        self.bytes += bytes;
    }

    /// When the window ends, if there is one.
    pub(super) fn until(&self) -> Option<Instant> {
        self.until
    }

    /// It has ended. Returns whether the next one has begun, which a broadcast without many outputs
    /// need not wait for; one in which nothing came is the last.
    #[must_use]
    pub(super) fn ends(&mut self, now: Instant, outputs: usize) -> bool {
        let goes_on = self.bytes > 0 && outputs <= FEW_OUTPUTS;
        self.close();
        let common = Beat {
            origin: self.origin,
            length: self.window + GRACE,
        };
        self.until = goes_on.then(|| common.after(now));
        goes_on
    }

    fn close(&mut self) {
        (self.until, self.bytes) = (None, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_millis(20);

    fn gathering(window: Duration) -> Gathering {
        Gathering::new(window, Instant::now())
    }

    /// An encoder whose first keyframe has been told.
    fn settled(now: Instant) -> Gathering {
        let mut gathering = gathering(WINDOW);
        assert!(gathering.takes(now, 1000, true));
        gathering
    }

    #[test]
    fn the_first_message_opens_a_window_and_the_others_do_not_move_its_end() {
        let now = Instant::now();
        let mut gathering = settled(now);
        assert!(!gathering.takes(now, 1000, false));
        assert!(!gathering.takes(now + WINDOW / 2, 1000, false));
        assert_eq!(gathering.until(), Some(now + WINDOW + GRACE));
        assert!(!gathering.ends(now + WINDOW + GRACE, FEW_OUTPUTS + 1));
        assert_eq!(gathering.until(), None);
        let later = now + 2 * WINDOW;
        assert!(!gathering.takes(later, 1000, false));
        assert_eq!(gathering.until(), Some(later + WINDOW + GRACE));
    }

    #[test]
    fn nothing_waits_before_the_first_keyframe_nor_behind_one() {
        let now = Instant::now();
        let mut gathering = gathering(WINDOW);
        for _ in 0..3 {
            assert!(gathering.takes(now, 50, false), "headers");
        }
        assert!(gathering.takes(now, 50_000, true));
        assert!(!gathering.takes(now, 50, false));
        assert!(gathering.takes(now, 50_000, true));
        assert_eq!(gathering.until(), None, "what waited goes with it");
    }

    #[test]
    fn an_encoder_without_video_is_gathered_after_a_second() {
        let now = Instant::now();
        let mut gathering = gathering(WINDOW);
        let last = now + BEGINS_WITHIN;
        for at in [now, last - Duration::from_millis(1), last] {
            assert!(gathering.takes(at, 300, false));
        }
        assert!(!gathering.takes(last, 300, false));
    }

    #[test]
    fn so_much_waits_and_no_more() {
        let now = Instant::now();
        let mut gathering = settled(now);
        let most = HELD_MAX as usize;
        assert!(!gathering.takes(now, most - 1, false));
        assert!(gathering.takes(now, 1, false));
        assert_eq!(gathering.until(), None);
        assert!(!gathering.takes(now, most - 1, false), "counted anew");
    }

    #[test]
    fn without_a_window_everything_is_told_at_once() {
        let mut gathering = gathering(Duration::ZERO);
        for keyframe in [true, false, false] {
            assert!(gathering.takes(Instant::now(), 1000, keyframe));
        }
    }

    #[test]
    fn of_few_outputs_one_window_follows_the_other_until_nothing_comes() {
        let origin = Instant::now();
        let length = WINDOW + GRACE;
        for ahead in [Duration::ZERO, Duration::from_micros(1), WINDOW, length] {
            let began = origin + 10 * length + ahead;
            let mut gathering = Gathering::new(WINDOW, origin);
            assert!(gathering.takes(began, 1000, true));
            assert!(!gathering.takes(began, 1000, false));
            // The first is its own, from then on they are those of everybody.
            let end = began + length;
            assert_eq!(gathering.until(), Some(end));
            assert!(gathering.ends(end, FEW_OUTPUTS));
            let until = gathering.until().unwrap();
            assert!(until > end && until <= end + length, "{:?}", until - end);
            let passed = (until - origin).as_nanos();
            assert_eq!(passed % length.as_nanos(), 0, "{ahead:?}");
            gathering.takes_at_end(1);
            assert!(gathering.ends(until, FEW_OUTPUTS));
            assert_eq!(gathering.until(), Some(until + length));
            assert!(!gathering.ends(until + length, FEW_OUTPUTS));
            assert_eq!(gathering.until(), None);
        }
    }
}
