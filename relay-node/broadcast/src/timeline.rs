//! From the wire's 32-bit clock to one that neither wraps nor stops.

/// Where the first media of a timeline lies, in milliseconds: one turn of the wire's clock above
/// zero, so that timestamps that step back stay positive.
pub const TIMELINE_START: u64 = 1 << 32;

/// How far from the media a timestamp of something else is believed, in milliseconds. Encoders send
/// headers and metadata with a timestamp of 0 in the middle of a broadcast; carried on as it is,
/// that would be hours before the media beside it. Ten seconds are more than any interleaving.
pub const STRAY_MAX: u64 = 10_000;

/// The 64-bit millisecond timeline of a broadcast: wire timestamps, which start anywhere and wrap
/// at 2^32 (49.7 days), become times that differ from them by one constant for all kinds of
/// messages, so that every difference between two decode times is kept exactly.
///
/// A jump inside the session passes through as it came; a step of more than half a turn (24.8 days)
/// is read as one in the other direction, which is what makes wrapping work.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    last: Option<Anchor>,
}

#[derive(Clone, Copy, Debug)]
struct Anchor {
    wire: u32,
    time: u64,
}

impl Timeline {
    /// The time of an audio or video frame; it moves the clock that others are measured by.
    pub fn media(&mut self, wire: u32) -> u64 {
        let time = match self.last {
            Some(anchor) => anchor.time_of(wire),
            None => TIMELINE_START,
        };
        self.last = Some(Anchor { wire, time });
        time
    }

    /// The time of anything else (metadata, sequence headers, cue points): what its timestamp says
    /// if that is within [`STRAY_MAX`] of the last media, else that of the last media.
    pub fn beside(&self, wire: u32) -> u64 {
        let Some(anchor) = self.last else {
            return TIMELINE_START;
        };
        let time = anchor.time_of(wire);
        if time.abs_diff(anchor.time) <= STRAY_MAX {
            time
        } else {
            anchor.time
        }
    }
}

impl Anchor {
    fn time_of(self, wire: u32) -> u64 {
        // The cast reads the upper half of the differences as steps back.
        let step = wire.wrapping_sub(self.wire) as i32;
        self.time.saturating_add_signed(step.into())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn times(wire: &[u32]) -> Vec<i64> {
        let mut timeline = Timeline::default();
        let start = TIMELINE_START as i64;
        wire.iter()
            .map(|&wire| timeline.media(wire) as i64 - start)
            .collect()
    }

    #[test]
    fn any_first_timestamp_is_the_start() {
        for first in [0, 1, 0x00ff_ffff, 0x7fff_ffff, 0x8000_0000, u32::MAX] {
            assert_eq!(times(&[first, first.wrapping_add(40)]), [0, 40]);
        }
    }

    #[test]
    fn the_extended_timestamps_edge_is_nothing_special() {
        assert_eq!(times(&[0x00ff_fff0, 0x00ff_ffff, 0x0100_0000]), [0, 15, 16]);
    }

    #[test]
    fn the_wire_clock_wraps_and_the_timeline_does_not() {
        assert_eq!(times(&[u32::MAX - 10, u32::MAX, 0, 30]), [0, 10, 11, 41]);
        // Audio a little behind video, across the wrap and back.
        assert_eq!(times(&[u32::MAX, 5, u32::MAX - 3, 20]), [0, 6, -3, 21]);
    }

    #[test]
    fn three_turns_of_the_clock_are_counted() {
        let quarter = 1_u32 << 30;
        let mut timeline = Timeline::default();
        let mut wire = 0_u32;
        for turn in 0..12_u64 {
            assert_eq!(
                timeline.media(wire),
                TIMELINE_START + turn * u64::from(quarter)
            );
            wire = wire.wrapping_add(quarter);
        }
    }

    #[test]
    fn a_step_back_stays_a_step_back() {
        assert_eq!(times(&[20_000, 10_000, 10_040]), [0, -10_000, -9_960]);
    }

    #[test]
    fn stepping_back_for_ever_stops_at_zero() {
        let mut timeline = Timeline::default();
        let mut wire = 0_u32;
        for _ in 0..10 {
            timeline.media(wire);
            wire = wire.wrapping_sub(1 << 30);
        }
        assert_eq!(timeline.media(wire), 0);
    }

    #[test]
    fn what_is_not_media_never_moves_the_clock() {
        let mut timeline = Timeline::default();
        assert_eq!(timeline.beside(0), TIMELINE_START);
        assert_eq!(timeline.media(3_000_000_000), TIMELINE_START);
        assert_eq!(timeline.beside(0), TIMELINE_START);
        assert_eq!(timeline.media(3_000_000_040), TIMELINE_START + 40);
    }

    #[test]
    fn a_stray_timestamp_is_placed_beside_the_media() {
        let mut timeline = Timeline::default();
        timeline.media(1_000_000);
        let edge = STRAY_MAX as u32;
        assert_eq!(timeline.beside(1_000_020), TIMELINE_START + 20);
        assert_eq!(
            timeline.beside(1_000_000 + edge),
            TIMELINE_START + STRAY_MAX
        );
        assert_eq!(timeline.beside(1_000_000 + edge + 1), TIMELINE_START);
        assert_eq!(
            timeline.beside(1_000_000 - edge),
            TIMELINE_START - STRAY_MAX
        );
        assert_eq!(timeline.beside(1_000_000 - edge - 1), TIMELINE_START);
        assert_eq!(timeline.beside(0), TIMELINE_START);
    }

    proptest! {
        #[test]
        fn differences_are_kept_exactly(
            first in any::<u32>(),
            steps in prop::collection::vec(-5_000_i32..60_000, 1..200),
        ) {
            let mut timeline = Timeline::default();
            let (mut wire, mut time) = (first, timeline.media(first));
            for step in steps {
                wire = wire.wrapping_add_signed(step);
                time = time.wrapping_add_signed(step.into());
                prop_assert_eq!(timeline.media(wire), time);
            }
        }
    }
}
