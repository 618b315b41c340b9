use proptest::prelude::*;

use super::*;

fn audio(wire: u32) -> Frame {
    Frame {
        media: Media::Audio,
        track: 0,
        wire,
        composition: 0,
        key: true,
    }
}

fn picture(wire: u32, composition: i32) -> Frame {
    Frame {
        media: Media::Video,
        track: 0,
        wire,
        composition,
        key: false,
    }
}

fn key(wire: u32) -> Frame {
    Frame {
        key: true,
        ..picture(wire, 0)
    }
}

/// A timeline and the clock that frames come by.
struct Rig {
    timeline: Timeline,
    now: Instant,
}

impl Rig {
    fn new() -> Self {
        Self {
            timeline: Timeline::default(),
            now: Instant::now(),
        }
    }

    fn begun(first: Frame) -> Self {
        let mut rig = Self::new();
        assert_eq!(rig.anchor(first), 0);
        rig
    }

    /// From the timeline's start.
    fn anchor(&mut self, frame: Frame) -> i64 {
        self.timeline.anchor(self.now, frame) as i64 - TIMELINE_START as i64
    }

    fn place(&mut self, frame: Frame) -> Option<i64> {
        match self.timeline.place(self.now, frame) {
            Placed::At(time) => Some(time as i64 - TIMELINE_START as i64),
            Placed::Jumped => None,
            Placed::Stray => panic!("stray"),
        }
    }

    fn pass(&mut self, millis: u64) {
        self.now += Duration::from_millis(millis);
    }
}

fn times(wire: &[u32]) -> Vec<i64> {
    let mut rig = Rig::begun(picture(wire[0], 0));
    let rest = wire[1..].iter().map(|&wire| {
        // Tracks of their own, so that nothing slips.
        let frame = Frame {
            track: wire as u8,
            ..picture(wire, 0)
        };
        rig.place(frame).expect("no jump")
    });
    [0].into_iter().chain(rest).collect()
}

mod within_a_session {
    use super::*;

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
        // In steps that are no jump.
        let step = 1 << 13;
        let mut rig = Rig::begun(picture(0, 0));
        let mut wire = 0_u32;
        for turn in 1..=3 << 19_u64 {
            wire = wire.wrapping_add(step);
            assert_eq!(rig.place(picture(wire, 0)), Some(turn * i64::from(step)));
        }
        assert_eq!(wire, 0);
    }

    #[test]
    fn a_track_that_slips_back_stands_still_until_it_is_back() {
        let edge = SLIP_MAX as u32;
        let mut rig = Rig::begun(picture(9_000, 0));
        assert_eq!(rig.place(picture(10_000, 0)), Some(1_000));
        assert_eq!(rig.place(picture(10_000 - edge, 0)), Some(1_000));
        assert_eq!(rig.place(picture(10_040, 0)), Some(1_040));
        assert_eq!(
            rig.place(audio(9_000)),
            Some(0),
            "by itself, whatever video did"
        );
        assert_eq!(rig.place(picture(10_040 - edge - 1, 0)), None);
    }

    #[test]
    fn the_longest_step_ahead_that_is_no_jump() {
        let mut rig = Rig::begun(picture(0, 0));
        assert_eq!(rig.place(picture(10_000, 0)), Some(10_000));
        assert_eq!(rig.place(picture(20_001, 0)), None);
        // From the furthest frame of any kind: a picture may stand for long.
        assert_eq!(rig.place(audio(20_000)), Some(20_000));
        assert_eq!(rig.place(picture(30_000, 0)), Some(30_000));
    }

    #[test]
    fn what_is_not_media_never_moves_the_clock() {
        let mut rig = Rig::new();
        assert_eq!(rig.timeline.beside(None, 0), TIMELINE_START);
        assert_eq!(rig.anchor(audio(3_000_000_000)), 0);
        assert_eq!(rig.timeline.beside(None, 0), TIMELINE_START);
        assert_eq!(rig.place(audio(3_000_000_040)), Some(40));
    }

    #[test]
    fn a_stray_timestamp_is_placed_beside_the_media() {
        let rig = Rig::begun(audio(1_000_000));
        let edge = STRAY_MAX as u32;
        for (wire, time) in [
            (1_000_020, 20),
            (1_000_000 + edge, i64::from(edge)),
            (1_000_000 + edge + 1, 0),
            (1_000_000 - edge, -i64::from(edge)),
            (1_000_000 - edge - 1, 0),
            (0, 0),
        ] {
            let beside = rig.timeline.beside(None, wire) as i64;
            assert_eq!(beside - TIMELINE_START as i64, time, "{wire}");
        }
    }

    #[test]
    fn a_header_is_not_before_its_track() {
        let mut rig = Rig::begun(audio(1_000));
        rig.place(picture(1_500, 0)).unwrap();
        let beside = |track| rig.timeline.beside(track, 900) as i64 - TIMELINE_START as i64;
        assert_eq!(beside(None), -100);
        assert_eq!(beside(Some((Media::Audio, 0))), 0);
        assert_eq!(beside(Some((Media::Video, 0))), 500);
        assert_eq!(beside(Some((Media::Video, 1))), -100);
    }

    proptest! {
        #[test]
        fn differences_are_kept_exactly(
            first in any::<u32>(),
            steps in prop::collection::vec(0_u32..=10_000, 1..200),
        ) {
            let mut rig = Rig::begun(picture(first, 0));
            let (mut wire, mut time) = (first, 0);
            for step in steps {
                wire = wire.wrapping_add(step);
                time += i64::from(step);
                prop_assert_eq!(rig.place(picture(wire, 0)), Some(time));
            }
        }
    }
}

mod between_sessions {
    use super::*;

    /// A session with pictures at 0, 40 and 80, shown 80 ms later, and audio up to 90.
    fn a_session() -> Rig {
        let mut rig = Rig::begun(picture(7_000, 80));
        for (frame, time) in [
            (picture(7_040, 80), 40),
            (audio(7_067), 67),
            (picture(7_080, 0), 80),
            (audio(7_090), 90),
        ] {
            assert_eq!(rig.place(frame), Some(time));
        }
        rig.timeline.lift();
        rig
    }

    #[test]
    fn nothing_is_placed_by_a_clock_that_is_unknown() {
        let mut rig = a_session();
        assert!(!rig.timeline.is_anchored());
        assert_eq!(rig.place(audio(7_113)), None);
        let beside = rig.timeline.beside(None, 7_113);
        assert_eq!(beside, TIMELINE_START + 90);
    }

    #[test]
    fn the_next_one_begins_as_much_later_as_it_came() {
        let mut rig = a_session();
        rig.pass(5_000);
        assert_eq!(rig.anchor(key(123)), 90 + 5_000);
        assert_eq!(rig.place(picture(163, 0)), Some(5_130));
    }

    #[test]
    fn it_begins_the_largest_composition_time_and_a_frame_later_at_least() {
        for (passed, gap) in [(0, 120), (120, 120), (121, 121)] {
            let mut rig = a_session();
            rig.pass(passed);
            assert_eq!(rig.anchor(key(0)), 90 + gap);
        }
    }

    #[test]
    fn a_picture_shown_before_it_is_decoded_begins_later_by_that() {
        let mut rig = a_session();
        let early = Frame {
            composition: -33,
            ..key(0)
        };
        assert_eq!(rig.anchor(early), 90 + 120 + 33);
    }

    #[test]
    fn what_the_wire_says_of_composition_is_bounded() {
        for (composition, gap) in [(10_000, 10_040), (10_001, 10_040), (8_388_607, 10_040)] {
            let mut rig = Rig::begun(picture(0, composition));
            rig.timeline.lift();
            assert_eq!(rig.anchor(key(0)), gap);
        }
    }

    #[test]
    fn a_frame_is_as_long_as_the_last_step_up_to_a_second() {
        for (step, gap) in [(500, 500), (1_000, 1_000), (1_001, 40)] {
            let mut rig = Rig::begun(picture(0, 0));
            rig.place(picture(step, 0)).unwrap();
            rig.timeline.lift();
            assert_eq!(rig.anchor(key(0)), i64::from(step) + gap);
        }
    }

    #[test]
    fn audio_from_before_the_keyframe_or_from_another_clock_is_stray() {
        let mut rig = a_session();
        let seam = rig.anchor(key(1_000));
        for wire in [999, 0, 3_001, 3_000_000_000] {
            assert_eq!(rig.timeline.place(rig.now, audio(wire)), Placed::Stray);
        }
        assert_eq!(rig.place(audio(1_000)), Some(seam));
        // Once it runs, it may be a little behind.
        assert_eq!(rig.place(audio(999)), Some(seam));
        assert_eq!(rig.place(audio(1_023)), Some(seam + 23));
    }

    #[test]
    fn a_kind_may_begin_a_little_ahead() {
        let mut rig = a_session();
        let seam = rig.anchor(key(1_000));
        assert_eq!(rig.place(audio(3_000)), Some(seam + 2_000));
    }

    #[test]
    fn pictures_begin_with_a_keyframe_where_audio_began_alone() {
        let mut rig = a_session();
        rig.pass(2_000);
        assert_eq!(rig.anchor(audio(500)), 2_090);
        let stray = rig.timeline.place(rig.now, picture(520, 0));
        assert_eq!(stray, Placed::Stray);
        let early = rig.timeline.place(rig.now, key(499));
        assert_eq!(early, Placed::Stray);
        assert_eq!(rig.place(key(540)), Some(2_130));
        assert_eq!(rig.place(picture(580, 0)), Some(2_170));
    }

    #[test]
    fn one_constant_serves_all_kinds_across_the_wrap() {
        let mut rig = a_session();
        let seam = rig.anchor(key(u32::MAX - 9));
        assert_eq!(rig.place(audio(0)), Some(seam + 10));
        assert_eq!(rig.place(picture(30, 0)), Some(seam + 40));
    }
}
