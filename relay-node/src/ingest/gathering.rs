//! For how long what an encoder sends waits for more.

use std::time::{Duration, Instant};

/// What waits no longer, in bytes: a picture of this size fills a write by itself, and the kernel
/// has room for it in any case.
pub(super) const HELD_MAX: u32 = 128 << 10;

/// By so much a window is longer than it was asked for. A frame of AAC lasts 21.3 ms at 48 kHz: a
/// window of 20 ms that begins with one just misses the next, and there would be half as many writes
/// again.
const GRACE: Duration = Duration::from_micros(1600);

/// For how long after its first message an encoder without a keyframe is passed on as it comes: so
/// long the broadcast waits for video, too, before it begins with audio alone.
const BEGINS_WITHIN: Duration = Duration::from_secs(1);

/// When the outputs are told of what has come. Until then the rest of it is left in the kernel: one
/// wake-up for a window, and not one for each packet
/// ([0050](../../../docs/decisions/0050-gather-by-broadcast.md)).
#[derive(Debug)]
pub(super) struct Gathering {
    window: Duration,
    /// When the first message came.
    began: Option<Instant>,
    /// Whether the outputs have had what they begin with.
    is_settled: bool,
    until: Option<Instant>,
    /// In this window.
    bytes: usize,
}

impl Gathering {
    /// Windows of that length; with none everything is told at once.
    pub(super) fn new(window: Duration) -> Self {
        Self {
            window,
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
            self.end();
            return true;
        }
        self.until.get_or_insert(now + self.window + GRACE);
        false
    }

    /// When the window ends, if there is one.
    pub(super) fn until(&self) -> Option<Instant> {
        self.until
    }

    /// It has ended.
    pub(super) fn end(&mut self) {
        (self.until, self.bytes) = (None, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_millis(20);

    /// An encoder whose first keyframe has been told.
    fn settled(now: Instant) -> Gathering {
        let mut gathering = Gathering::new(WINDOW);
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
        gathering.end();
        assert_eq!(gathering.until(), None);
        let later = now + 2 * WINDOW;
        assert!(!gathering.takes(later, 1000, false));
        assert_eq!(gathering.until(), Some(later + WINDOW + GRACE));
    }

    #[test]
    fn nothing_waits_before_the_first_keyframe_nor_behind_one() {
        let now = Instant::now();
        let mut gathering = Gathering::new(WINDOW);
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
        let mut gathering = Gathering::new(WINDOW);
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
        let mut gathering = Gathering::new(Duration::ZERO);
        for keyframe in [true, false, false] {
            assert!(gathering.takes(Instant::now(), 1000, keyframe));
        }
    }
}
