//! What outputs receive where sessions, or an encoder's clocks, follow each other.

use super::*;
use crate::testing::{AUDIO_HEADER, METADATA, Rig, VIDEO_HEADER};
use crate::{Cursor, Read, SendItem, StartPolicy};

/// What comes of a message in short: its kind, its payload's first two bytes, its time.
type Short = (u8, [u8; 2], u32);

fn short(items: &[SendItem]) -> Vec<Short> {
    items
        .iter()
        .map(|item| {
            let head = [item.payload[0], item.payload[1]];
            (item.kind.0, head, item.timestamp)
        })
        .collect()
}

const META: (u8, [u8; 2]) = (18, [2, 0]);
const VIDEO: (u8, [u8; 2]) = (9, [0x17, 0]);
const AUDIO: (u8, [u8; 2]) = (8, [0xaf, 0]);
const KEY: (u8, [u8; 2]) = (9, [0x17, 1]);
const INTER: (u8, [u8; 2]) = (9, [0x27, 1]);
const SOUND: (u8, [u8; 2]) = (8, [0xaf, 1]);

fn at(times: &[((u8, [u8; 2]), u32)]) -> Vec<Short> {
    times
        .iter()
        .map(|&((kind, head), time)| (kind, head, time))
        .collect()
}

/// A broadcast with one output that keeps up, after a second of its first session.
fn on_air() -> (Rig, Cursor) {
    let mut rig = Rig::with_headers(5_000);
    let mut cursor = Cursor::new(StartPolicy::FirstKeyframe);
    rig.gop(25, 0);
    assert_eq!(rig.read(&mut cursor).1, Read::CaughtUp);
    (rig, cursor)
}

/// The next publisher comes `away` later, its clock at `wire`, and says what it sends.
fn comes_back(rig: &mut Rig, away: u32, wire: u32) {
    rig.pass(away);
    rig.wire = wire;
    rig.log.begin_session();
    rig.send(MessageType::DATA_AMF0, METADATA);
    rig.send(MessageType::VIDEO, VIDEO_HEADER);
    rig.send(MessageType::AUDIO, AUDIO_HEADER);
}

fn got(rig: &Rig, cursor: &mut Cursor) -> Vec<Short> {
    let (items, read) = rig.read(cursor);
    assert_eq!(read, Read::CaughtUp);
    short(&items)
}

#[test]
fn the_returning_publisher_goes_on_at_its_first_keyframe() {
    let (mut rig, mut cursor) = on_air();
    // The last frames came 40 ms ago, at 960.
    comes_back(&mut rig, 2_960, 77);
    rig.audio();
    rig.inter();
    assert_eq!(got(&rig, &mut cursor), [], "nothing without a keyframe");
    rig.pass(20);
    rig.key();
    rig.audio();
    rig.pass(40);
    rig.inter();
    let seam = 960 + 3_020;
    assert_eq!(
        got(&rig, &mut cursor),
        at(&[
            (META, seam),
            (VIDEO, seam),
            (AUDIO, seam),
            (KEY, seam),
            (SOUND, seam),
            (INTER, seam + 40),
        ])
    );
    assert_eq!(cursor.skipped(), crate::Skipped::default());
}

#[test]
fn one_that_is_back_at_once_begins_a_composition_time_and_a_frame_later() {
    let mut rig = Rig::with_headers(0);
    let mut cursor = Cursor::new(StartPolicy::FirstKeyframe);
    rig.key();
    rig.pass(40);
    rig.tag(MessageType::VIDEO, &[0x27, 1, 0, 0, 80], 0);
    let _ = rig.read(&mut cursor);
    comes_back(&mut rig, 0, 0);
    rig.key();
    assert_eq!(got(&rig, &mut cursor)[3..], at(&[(KEY, 40 + 80 + 40)]));
}

#[test]
fn audio_that_waited_for_the_keyframe_and_belongs_after_it_is_sent() {
    let (mut rig, mut cursor) = on_air();
    comes_back(&mut rig, 40, 1_000);
    rig.audio_at(999);
    rig.audio_at(1_000);
    rig.audio_at(1_021);
    rig.key();
    rig.audio_at(990);
    rig.audio_at(1_042);
    let seam = 960 + 80;
    assert_eq!(
        got(&rig, &mut cursor)[3..],
        // One slipped behind those that had begun.
        at(&[
            (KEY, seam),
            (SOUND, seam),
            (SOUND, seam + 21),
            (SOUND, seam + 21),
            (SOUND, seam + 42),
        ])
    );
}

#[test]
fn without_video_audio_goes_on_alone_after_a_second() {
    let (mut rig, mut cursor) = on_air();
    rig.pass(960);
    rig.wire = 0;
    rig.log.begin_session();
    rig.send(MessageType::AUDIO, AUDIO_HEADER);
    rig.audio();
    rig.pass(999);
    rig.audio();
    assert_eq!(got(&rig, &mut cursor), []);
    rig.pass(1);
    rig.audio();
    let seam = 960 + 1_000;
    assert_eq!(
        got(&rig, &mut cursor),
        at(&[
            (AUDIO, seam),
            (SOUND, seam),
            (SOUND, seam + 999),
            (SOUND, seam + 1_000),
        ])
    );
    // Video that comes later begins with header and keyframe, by the same clock.
    rig.inter();
    rig.send(MessageType::VIDEO, VIDEO_HEADER);
    rig.pass(500);
    rig.key();
    rig.inter();
    assert_eq!(
        got(&rig, &mut cursor),
        at(&[
            (VIDEO, seam + 1_000),
            (KEY, seam + 1_500),
            (INTER, seam + 1_500),
        ])
    );
}

#[test]
fn a_header_of_video_holds_audio_back_for_a_second() {
    let (mut rig, mut cursor) = on_air();
    comes_back(&mut rig, 40, 0);
    rig.audio();
    rig.pass(600);
    rig.send(MessageType::VIDEO, VIDEO_HEADER);
    rig.pass(999);
    rig.audio();
    assert_eq!(got(&rig, &mut cursor), []);
    rig.pass(1);
    rig.audio();
    assert_eq!(got(&rig, &mut cursor).len(), 3 + 3);
}

#[test]
fn headers_of_the_session_before_are_not_repeated() {
    let (mut rig, mut cursor) = on_air();
    rig.pass(40);
    rig.log.begin_session();
    let header = rig.send(MessageType::VIDEO, [VIDEO_HEADER, &[9]].concat());
    rig.key();
    let (items, _) = rig.read(&mut cursor);
    assert_eq!(items.len(), 2);
    assert_eq!(items[0].payload, header);
    let mut late = Cursor::new(StartPolicy::CachedGop);
    assert_eq!(short(&rig.read(&mut late).0), at(&[(VIDEO, 0), (KEY, 0)]));
}

#[test]
fn what_belongs_to_video_and_is_no_picture_waits_with_the_headers() {
    let (mut rig, mut cursor) = on_air();
    comes_back(&mut rig, 40, 0);
    let color = rig.send(MessageType::VIDEO, b"\x94hvc1\x02\x00\x09colorInfo");
    let cue = rig.send(MessageType::DATA_AMF0, b"\x02\x00\x09onCuePoint");
    let (items, _) = rig.read(&mut cursor);
    assert_eq!(items.len(), 1, "data waits for nothing");
    assert_eq!((items[0].timestamp, &items[0].payload), (960, &cue));
    rig.key();
    let (items, _) = rig.read(&mut cursor);
    assert_eq!(items[2].payload, color, "after the header of video");
    assert_eq!(&items[4].payload[..2], [0x17, 1]);
    // A later output needs it as well.
    let mut late = Cursor::new(StartPolicy::CachedGop);
    assert_eq!(rig.read(&mut late).0[2].payload, color);
}

#[test]
fn a_session_without_a_frame_leaves_no_trace() {
    let (mut rig, mut cursor) = on_air();
    for _ in 0..3 {
        comes_back(&mut rig, 1_000, 123);
        rig.audio();
    }
    comes_back(&mut rig, 960, 0);
    rig.key();
    assert_eq!(
        got(&rig, &mut cursor),
        at(&[(META, 4_960), (VIDEO, 4_960), (AUDIO, 4_960), (KEY, 4_960)])
    );
}

#[test]
fn a_clock_that_jumps_goes_on_at_the_next_keyframe_with_headers() {
    for jump in [
        3_600_000_u32,
        10_001,
        20_000_u32.wrapping_neg(),
        u32::MAX / 2,
    ] {
        let (mut rig, mut cursor) = on_air();
        rig.wire = rig.wire.wrapping_add(jump);
        rig.inter();
        rig.audio();
        rig.pass(40);
        rig.key();
        rig.audio();
        let seam = 960 + 80;
        assert_eq!(
            got(&rig, &mut cursor),
            at(&[
                (META, seam),
                (VIDEO, seam),
                (AUDIO, seam),
                (KEY, seam),
                (SOUND, seam),
            ]),
            "{jump}"
        );
        assert_eq!(cursor.skipped(), crate::Skipped::default());
    }
}

#[test]
fn a_jump_in_a_long_gop_costs_a_second_of_audio_at_most() {
    let (mut rig, mut cursor) = on_air();
    rig.wire += 60_000;
    let mut first = None;
    for step in 0..50 {
        rig.inter();
        rig.audio();
        let items = got(&rig, &mut cursor);
        if !items.is_empty() {
            first.get_or_insert((step, items.len()));
        }
        rig.pass(40);
    }
    // All that waited comes, the picture with the next keyframe.
    assert_eq!(first, Some((25, 3 + 26)));
    rig.key();
    assert_eq!(got(&rig, &mut cursor), at(&[(KEY, 960 + 40 + 50 * 40)]));
}

#[test]
fn a_kind_that_jumps_later_than_the_other_waits_for_itself() {
    let (mut rig, mut cursor) = on_air();
    let old = rig.wire;
    rig.wire = 0;
    rig.key();
    // Audio by the old clock, then by the new one.
    rig.audio_at(old);
    rig.audio_at(old + 23);
    rig.audio_at(40);
    let seam = 960 + 40;
    assert_eq!(
        got(&rig, &mut cursor)[3..],
        at(&[(KEY, seam), (SOUND, seam + 40)])
    );
}

#[test]
fn an_output_that_was_away_begins_with_the_session_that_came_back() {
    let (mut rig, _) = on_air();
    comes_back(&mut rig, 1_000, 5);
    rig.key();
    rig.pass(40);
    rig.inter();
    for policy in [StartPolicy::FirstKeyframe, StartPolicy::CachedGop] {
        let mut cursor = Cursor::new(policy);
        assert_eq!(
            got(&rig, &mut cursor),
            at(&[(META, 0), (VIDEO, 0), (AUDIO, 0), (KEY, 0), (INTER, 40)])
        );
    }
}

#[test]
fn what_waits_is_bounded() {
    let (mut rig, mut cursor) = on_air();
    comes_back(&mut rig, 40, 0);
    for _ in 0..SEAM_MAX + 1 {
        rig.audio();
    }
    rig.key();
    // One of them too many.
    assert_eq!(got(&rig, &mut cursor).len(), 4 + SEAM_MAX);

    comes_back(&mut rig, 40, 0);
    let half = SEAM_MAX_BYTES / 2 - 6;
    for extra in [0, half, half + 1, half] {
        rig.tag(MessageType::AUDIO, &[0xaf, 1], extra);
    }
    rig.key();
    assert_eq!(got(&rig, &mut cursor).len(), 4 + 1);
}

mod format {
    use super::*;

    /// What begins another format, by what it begins with.
    const OTHERS: [(MessageType, &[u8]); 3] = [
        (MessageType::VIDEO, b"\x90hvc1\x01"),
        (MessageType::AUDIO, &[0xaf, 0, 0x11, 0x90]),
        (MessageType::AUDIO, &[0xaf, 0, 0x12, 0x08]),
    ];

    fn comes_back_as(rig: &mut Rig, kind: MessageType, header: &[u8]) {
        comes_back(rig, 40, 0);
        rig.send(kind, header);
    }

    #[test]
    fn nothing_of_another_format_reaches_the_connection() {
        for (kind, header) in OTHERS {
            let (mut rig, mut cursor) = on_air();
            rig.inter();
            comes_back_as(&mut rig, kind, header);
            rig.key();
            let (items, read) = rig.read(&mut cursor);
            assert_eq!(short(&items), at(&[(INTER, 1_000)]));
            assert_eq!(read, Read::FormatChanged);
            assert_eq!(rig.read(&mut cursor), (vec![], Read::FormatChanged));
            // The next connection has it from its keyframe on, and no break.
            let mut next = Cursor::new(StartPolicy::FirstKeyframe);
            rig.pass(40);
            rig.inter();
            let (items, read) = rig.read(&mut next);
            assert_eq!(read, Read::CaughtUp);
            assert_eq!(items.len(), 5);
            assert_eq!(items[4].timestamp, 40);
        }
    }

    #[test]
    fn it_goes_on_where_the_input_says_so() {
        for (kind, header) in OTHERS {
            let (mut rig, mut cursor) = on_air();
            rig.log.let_format_change(true);
            comes_back_as(&mut rig, kind, header);
            rig.key();
            assert_eq!(got(&rig, &mut cursor).len(), 4);
        }
    }

    #[test]
    fn new_parameters_of_the_same_codec_go_on() {
        let (mut rig, mut cursor) = on_air();
        comes_back_as(&mut rig, MessageType::VIDEO, &[0x17, 0, 0, 0, 0, 1, 0x4d]);
        rig.key();
        assert_eq!(got(&rig, &mut cursor).len(), 4);
    }

    #[test]
    fn a_header_that_comes_after_the_keyframe_breaks_there() {
        let (mut rig, mut cursor) = on_air();
        rig.pass(40);
        rig.log.begin_session();
        rig.send(MessageType::VIDEO, VIDEO_HEADER);
        rig.key();
        rig.send(MessageType::AUDIO, [0xaf, 0, 0x11, 0x90]);
        rig.audio();
        let (items, read) = rig.read(&mut cursor);
        assert_eq!((items.len(), read), (2, Read::FormatChanged));
        // Not at the keyframe before it, from which it would come upon the break again.
        let mut next = Cursor::new(StartPolicy::FirstKeyframe);
        assert_eq!(rig.read(&mut next), (vec![], Read::CaughtUp));
        rig.key();
        assert_eq!(got(&rig, &mut next).len(), 4, "the sound at its time too");
    }

    #[test]
    fn one_that_fell_off_the_log_connects_anew_too() {
        let (mut rig, mut cursor) = on_air();
        rig.inter();
        comes_back_as(&mut rig, MessageType::AUDIO, &[0xaf, 0, 0x11, 0x90]);
        for _ in 0..15 {
            rig.gop(25, 0);
        }
        assert!(rig.log.front() > 70);
        assert_eq!(rig.read(&mut cursor), (vec![], Read::FormatChanged));
    }
}
