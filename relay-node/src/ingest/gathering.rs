//! For how long what an encoder sends waits for more.

use std::time::{Duration, Instant};

use crate::clock::Beat;

/// What waits no longer, in bytes: a picture of this size fills a write by itself, and the kernel
/// has room for it in any case.
pub(super) const HELD_MAX: u32 = 128 << 10;

/// By so much a window is longer than it was asked for. A frame of AAC lasts 21.3 ms at 48 kHz: a
/// window of 20 ms that begins with one just misses the next, and there would be half as many writes
/// again. The rest is for encoders that are late with it.
const GRACE: Duration = Duration::from_micros(2500);

/// A broadcast with no more outputs than this has its windows one after the other, and together with
/// those of all others like it. A window that begins with a packet holds more messages (at 20 ms three in
/// place of two), and so saves writes; but to be woken for it costs as much as some five of them.
const FEW_OUTPUTS: usize = 8;

/// For how long after its first message an encoder without a keyframe is passed on as it comes: so
/// long the broadcast waits for video, too, before it begins with audio alone.
const BEGINS_WITHIN: Duration = Duration::from_secs(1);

/// Whether what an encoder sends is gathered in windows. Until the end of one, what comes is left in the
/// kernel: two wake-ups for a window, however many packets come
/// ([0115](../../../docs/decisions/0115-a-window-is-two-wake-ups.md)).
#[derive(Debug)]
pub(super) struct Gathering {
    windows: Windows,
    /// When the first message came.
    began: Option<Instant>,
    /// Whether the outputs have had what they begin with.
    is_settled: bool,
}

/// Windows, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Windows {
    /// How long each is.
    length: Duration,
    /// Those that are common to all broadcasts are counted from here.
    origin: Instant,
    /// Whether one follows the other as long as something comes, at the ends that are common to all.
    are_common: bool,
}

impl Gathering {
    /// Windows of that length; with none everything is told at once. Those that are common to all
    /// broadcasts are counted from `origin`.
    pub(super) fn new(window: Duration, origin: Instant) -> Self {
        let length = match window.is_zero() {
            true => window,
            false => window + GRACE,
        };
        Self {
            windows: Windows {
                length,
                origin,
                are_common: false,
            },
            began: None,
            is_settled: false,
        }
    }

    /// Messages have come.
    pub(super) fn takes(&mut self, now: Instant, keyframe: bool) {
        let began = *self.began.get_or_insert(now);
        self.is_settled |= keyframe || now.saturating_duration_since(began) >= BEGINS_WITHIN;
    }

    /// Whether what comes from now on is gathered.
    pub(super) fn is_on(&self) -> bool {
        self.is_settled && !self.windows.length.is_zero()
    }

    /// How what comes from now on is gathered for so many outputs, if it is.
    pub(super) fn windows(&self, outputs: usize) -> Option<Windows> {
        self.is_on().then_some(Windows {
            are_common: outputs <= FEW_OUTPUTS,
            ..self.windows
        })
    }
}

impl Windows {
    /// When the window ends in which the first packet came just now.
    pub(super) fn first(&self, now: Instant) -> Instant {
        now + self.length
    }

    /// When the window ends that begins at the end of the one before, in which something came. If there
    /// is none, the next packet begins one.
    pub(super) fn next(&self, now: Instant) -> Option<Instant> {
        let common = Beat {
            origin: self.origin,
            length: self.length,
        };
        self.are_common.then(|| common.after(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_millis(20);

    #[test]
    fn nothing_is_gathered_before_the_first_keyframe() {
        let now = Instant::now();
        let mut gathering = Gathering::new(WINDOW, now);
        for _ in 0..3 {
            gathering.takes(now, false);
            assert_eq!(gathering.windows(50), None, "headers");
        }
        gathering.takes(now, true);
        assert!(gathering.windows(50).is_some());
        gathering.takes(now, false);
        assert!(gathering.windows(50).is_some());
    }

    #[test]
    fn an_encoder_without_video_is_gathered_after_a_second() {
        let now = Instant::now();
        let mut gathering = Gathering::new(WINDOW, now);
        for at in [Duration::ZERO, BEGINS_WITHIN - Duration::from_nanos(1)] {
            gathering.takes(now + at, false);
            assert_eq!(gathering.windows(50), None);
        }
        gathering.takes(now + BEGINS_WITHIN, false);
        assert!(gathering.windows(50).is_some());
    }

    #[test]
    fn without_a_window_everything_is_told_at_once() {
        let mut gathering = Gathering::new(Duration::ZERO, Instant::now());
        gathering.takes(Instant::now(), true);
        assert_eq!(gathering.windows(50), None);
    }

    /// For so many outputs, from `origin` on.
    fn windows(origin: Instant, outputs: usize) -> Windows {
        let mut gathering = Gathering::new(WINDOW, origin);
        gathering.takes(origin, true);
        gathering.windows(outputs).unwrap()
    }

    #[test]
    fn a_window_of_many_outputs_begins_with_a_packet() {
        let now = Instant::now();
        let windows = windows(now, FEW_OUTPUTS + 1);
        assert_eq!(windows.first(now), now + WINDOW + GRACE);
        assert_eq!(windows.next(now + WINDOW + GRACE), None);
    }

    #[test]
    fn of_few_outputs_one_window_follows_the_other_and_all_end_together() {
        let origin = Instant::now();
        let windows = windows(origin, FEW_OUTPUTS);
        let length = WINDOW + GRACE;
        for ahead in [Duration::ZERO, Duration::from_micros(1), WINDOW, length] {
            let end = windows.first(origin + 10 * length + ahead);
            let next = windows.next(end).unwrap();
            assert!(next > end && next <= end + length, "{:?}", next - end);
            let passed = (next - origin).as_nanos();
            assert_eq!(passed % length.as_nanos(), 0, "{ahead:?}");
            assert_eq!(windows.next(next), Some(next + length));
        }
    }
}
