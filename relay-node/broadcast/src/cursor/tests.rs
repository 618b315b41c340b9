use super::*;
use crate::lag::LAG_MAX_BYTES;
use crate::testing::{AUDIO_HEADER, METADATA, Rig, VIDEO_HEADER, multitrack_video_header};

fn payloads(items: &[SendItem]) -> Vec<&[u8]> {
    items.iter().map(|item| item.payload.as_ref()).collect()
}

fn stamps(items: &[SendItem]) -> Vec<u32> {
    items.iter().map(|item| item.timestamp).collect()
}

fn videos(items: &[SendItem]) -> usize {
    items
        .iter()
        .filter(|item| item.kind == MessageType::VIDEO)
        .count()
}

fn audios(items: &[SendItem]) -> usize {
    items
        .iter()
        .filter(|item| item.kind == MessageType::AUDIO)
        .count()
}

/// A cursor that has read all there is.
fn live(rig: &Rig) -> Cursor {
    let mut cursor = Cursor::new(StartPolicy::FirstKeyframe);
    assert_eq!(rig.read(&mut cursor).1, Read::CaughtUp);
    assert!(cursor.has_started());
    cursor
}

mod start {
    use super::*;

    #[test]
    fn a_waiting_output_begins_with_headers_and_the_very_first_keyframe() {
        let mut rig = Rig::with_headers(5_000);
        let mut cursor = Cursor::new(StartPolicy::FirstKeyframe);
        assert_eq!(rig.read(&mut cursor), (vec![], Read::CaughtUp));
        rig.audio();
        rig.inter();
        rig.pass(40);
        assert!(rig.read(&mut cursor).0.is_empty());

        let key = rig.key();
        let audio = rig.audio();
        rig.pass(40);
        let inter = rig.inter();
        rig.pass(1_960);
        let second = rig.key();
        let (items, read) = rig.read(&mut cursor);
        assert_eq!(
            payloads(&items),
            [
                METADATA,
                VIDEO_HEADER,
                AUDIO_HEADER,
                &key,
                &audio,
                &inter,
                &second
            ]
        );
        assert_eq!(stamps(&items), [0, 0, 0, 0, 0, 40, 2_000]);
        assert_eq!(read, Read::CaughtUp);
    }

    #[test]
    fn the_first_keyframe_serves_up_to_its_limit() {
        for (millis, expected) in [(6_000, 0), (6_001, 6_001)] {
            let mut rig = Rig::with_headers(0);
            rig.key();
            rig.pass_with_pictures(millis);
            rig.key();
            let mut cursor = Cursor::new(StartPolicy::FirstKeyframe);
            let (items, _) = rig.read(&mut cursor);
            let key = items
                .iter()
                .find(|item| item.payload.starts_with(&[0x17, 1]))
                .unwrap();
            let first = rig.log.entry(3).unwrap().payload.clone();
            assert_eq!(key.payload == first, expected == 0);
        }
    }

    #[test]
    fn audio_ahead_of_the_keyframe_is_looked_for_so_far_back() {
        for (between, is_found) in [(127, true), (128, false)] {
            let mut rig = Rig::with_headers(0);
            let ahead = rig.audio_at(500);
            for _ in 0..between {
                rig.inter();
            }
            rig.key();
            let mut cursor = Cursor::new(StartPolicy::FirstKeyframe);
            let (items, _) = rig.read(&mut cursor);
            assert_eq!(payloads(&items).contains(&&ahead[..]), is_found);
        }
    }

    #[test]
    fn a_late_output_begins_with_the_cached_gop_while_it_is_young() {
        for (millis, cached) in [(2_999, true), (3_000, false)] {
            let mut rig = Rig::with_headers(0);
            rig.gop(1, 0);
            rig.pass(960);
            let key = rig.key();
            rig.pass(millis);
            let inter = rig.inter();
            let mut cursor = Cursor::new(StartPolicy::CachedGop);
            let (items, _) = rig.read(&mut cursor);
            if cached {
                assert_eq!(
                    payloads(&items),
                    [METADATA, VIDEO_HEADER, AUDIO_HEADER, &key, &inter]
                );
                assert_eq!(stamps(&items), [0, 0, 0, 0, millis]);
                continue;
            }
            assert!(items.is_empty());
            let key = rig.key();
            let (items, _) = rig.read(&mut cursor);
            assert_eq!(
                payloads(&items),
                [METADATA, VIDEO_HEADER, AUDIO_HEADER, &key]
            );
        }
    }

    #[test]
    fn the_headers_are_those_that_hold_at_the_keyframe() {
        let mut rig = Rig::with_headers(0);
        let key = rig.key();
        let newer = rig.send(MessageType::VIDEO, [VIDEO_HEADER, &[2]].concat());
        let metadata = rig.send(MessageType::DATA_AMF0, [METADATA, &[5]].concat());
        let mut cursor = Cursor::new(StartPolicy::CachedGop);
        let (items, _) = rig.read(&mut cursor);
        assert_eq!(
            payloads(&items),
            [
                METADATA,
                VIDEO_HEADER,
                AUDIO_HEADER,
                &key,
                &newer,
                &metadata
            ]
        );
    }

    #[test]
    fn every_tracks_header_and_keyframe_is_there() {
        let mut rig = Rig::new(0);
        for track in 0..3 {
            rig.send(MessageType::VIDEO, multitrack_video_header(track));
        }
        let keys = [rig.key(), rig.key(), rig.key()];
        let mut cursor = Cursor::new(StartPolicy::CachedGop);
        let (items, _) = rig.read(&mut cursor);
        assert_eq!(
            payloads(&items)[3..],
            keys.each_ref().map(|key| key.as_ref())
        );
        assert_eq!(items.len(), 6);
    }

    #[test]
    fn audio_is_judged_by_its_time_and_not_by_its_place() {
        let mut rig = Rig::with_headers(1_000);
        rig.audio_at(999);
        let same_time = rig.audio_at(1_000);
        let ahead = rig.audio_at(1_023);
        let key = rig.key();
        let slipped = rig.audio_at(999);
        let late = rig.audio_at(1_046);
        let back = rig.audio_at(999);
        let mut cursor = Cursor::new(StartPolicy::FirstKeyframe);
        let (items, _) = rig.read(&mut cursor);
        // Once audio runs all of it passes, even if the encoder's clock slips back.
        assert_eq!(
            payloads(&items)[3..],
            [&key, &same_time, &ahead, &slipped, &late, &back]
        );
        assert_eq!(stamps(&items)[3..], [0, 0, 23, 23, 46, 46]);
    }

    #[test]
    fn a_configuration_of_several_channels_comes_once() {
        const CHANNELS: &[u8] = b"\x94mp4a\x01\x06";
        for with_video in [true, false] {
            let mut rig = Rig::new(0);
            rig.send(MessageType::AUDIO, CHANNELS);
            let first = match with_video {
                true => rig.key(),
                false => rig.audio(),
            };
            rig.pass(1_000);
            let audio = rig.audio();
            let mut cursor = Cursor::new(StartPolicy::FirstKeyframe);
            let (items, _) = rig.read(&mut cursor);
            assert_eq!(payloads(&items), [CHANNELS, &first, &audio]);
        }
    }

    #[test]
    fn audio_only_begins_with_its_first_frame_after_a_second() {
        let mut rig = Rig::new(400);
        rig.send(MessageType::AUDIO, AUDIO_HEADER);
        let mut cursor = Cursor::new(StartPolicy::FirstKeyframe);
        let first = rig.audio();
        rig.pass(999);
        let second = rig.audio();
        assert!(rig.read(&mut cursor).0.is_empty());
        rig.pass(1);
        let third = rig.audio();
        let (items, _) = rig.read(&mut cursor);
        assert_eq!(payloads(&items), [AUDIO_HEADER, &first, &second, &third]);
        assert_eq!(stamps(&items), [0, 0, 999, 1_000]);
    }

    #[test]
    fn a_late_output_of_audio_only_begins_with_the_next_frame() {
        let mut rig = Rig::new(0);
        rig.send(MessageType::AUDIO, AUDIO_HEADER);
        for _ in 0..100 {
            rig.audio();
            rig.pass(23);
        }
        let mut cursor = Cursor::new(StartPolicy::CachedGop);
        assert_eq!(payloads(&rig.read(&mut cursor).0), [AUDIO_HEADER]);
        let next = rig.audio();
        let (items, _) = rig.read(&mut cursor);
        assert_eq!(
            (payloads(&items), stamps(&items)),
            (vec![next.as_ref()], vec![0])
        );
    }

    #[test]
    fn video_that_comes_after_audio_begins_with_header_and_keyframe() {
        let mut rig = Rig::new(0);
        rig.audio();
        rig.pass(1_000);
        let mut cursor = live(&rig);
        rig.send(MessageType::VIDEO, VIDEO_HEADER);
        rig.inter();
        let audio = rig.audio();
        let key = rig.key();
        let inter = rig.inter();
        let (items, _) = rig.read(&mut cursor);
        assert_eq!(payloads(&items), [&audio, VIDEO_HEADER, &key, &inter]);
        assert_eq!(stamps(&items), [1_000; 4]);
        assert_eq!(cursor.skipped(), Skipped::default());
    }

    #[test]
    fn a_video_header_holds_audio_back_for_a_second() {
        let mut rig = Rig::new(0);
        rig.audio();
        rig.pass(600);
        rig.send(MessageType::VIDEO, VIDEO_HEADER);
        rig.pass(600);
        rig.audio();
        let mut cursor = Cursor::new(StartPolicy::FirstKeyframe);
        assert!(rig.read(&mut cursor).0.is_empty());
    }

    #[test]
    fn a_gop_that_would_lag_too_far_is_not_begun() {
        // An encoder that sends faster than its media plays.
        let mut rig = Rig::with_headers(0);
        rig.key();
        for step in [1_000; 8].into_iter().chain([1]) {
            rig.wire += step;
            rig.inter();
        }
        let mut cursor = Cursor::new(StartPolicy::CachedGop);
        assert!(rig.read(&mut cursor).0.is_empty());
    }
}

mod healthy {
    use super::*;

    #[test]
    fn everything_passes_once_in_order_and_untouched() {
        let mut rig = Rig::with_headers(0);
        let mut expected = vec![rig.key()];
        let mut cursor = Cursor::new(StartPolicy::FirstKeyframe);
        let mut got = Vec::new();
        let others: [(MessageType, &[u8]); 9] = [
            (MessageType::VIDEO, VIDEO_HEADER),
            (MessageType::VIDEO, &[0x57, 0]),
            (MessageType::VIDEO, &[0xff, 0xff, 1, 2]),
            (MessageType::VIDEO, &[]),
            (MessageType::AUDIO, AUDIO_HEADER),
            (MessageType::AUDIO, &[0x9f, 1, 2]),
            (MessageType::DATA_AMF0, METADATA),
            (MessageType::DATA_AMF3, &[0, 2, 0, 1, b'x']),
            (MessageType(99), b"?"),
        ];
        for (kind, payload) in others.into_iter().cycle().take(90) {
            expected.push(rig.send(kind, payload));
            expected.push(rig.inter());
            expected.push(rig.audio());
            rig.pass(33);
            let (items, read) = rig.read(&mut cursor);
            assert_eq!(read, Read::CaughtUp);
            got.extend(items);
        }
        assert_eq!(payloads(&got)[3..], expected);
        assert_eq!(cursor.skipped(), Skipped::default());
    }

    #[test]
    fn a_read_keeps_to_its_room_and_goes_on_from_there() {
        let mut rig = Rig::with_headers(0);
        let mut cursor = live_after_gop(&mut rig);
        for _ in 0..4 {
            rig.tag(MessageType::VIDEO, &[0x27, 1, 0, 0, 0], 91);
        }
        let read = |cursor: &mut Cursor, messages, bytes| {
            let mut out = Vec::new();
            let read = cursor.read(
                &rig.log,
                rig.now,
                Backlog::default(),
                Room { messages, bytes },
                &mut out,
            );
            (out.len(), read)
        };
        assert_eq!(read(&mut cursor, 1, 1_000), (1, Read::Full));
        assert_eq!(
            read(&mut cursor, 9, 100),
            (1, Read::Full),
            "full to the byte"
        );
        assert_eq!(
            read(&mut cursor, 9, 101),
            (2, Read::CaughtUp),
            "one byte left, one more"
        );
        assert_eq!(read(&mut cursor, 9, 1_000), (0, Read::CaughtUp));
    }

    fn live_after_gop(rig: &mut Rig) -> Cursor {
        rig.gop(25, 0);
        live(rig)
    }

    #[test]
    fn timestamps_wrap_at_the_wires_32_bits() {
        let mut rig = Rig::with_headers(u32::MAX - 20);
        rig.key();
        let mut cursor = live(&rig);
        // 49.7 days, in steps that are no jump.
        let mut left = u64::from(u32::MAX);
        while left > 0 {
            let step = left.min(10_000) as u32;
            rig.pass(step);
            left -= u64::from(step);
            rig.key();
            let (items, _) = rig.read(&mut cursor);
            assert_eq!(items.len(), 1);
            if left == 0 {
                assert_eq!(stamps(&items), [u32::MAX]);
            }
        }
        rig.pass(3);
        rig.key();
        assert_eq!(stamps(&rig.read(&mut cursor).0), [2]);
    }
}

mod lagging {
    use super::*;

    #[test]
    fn at_the_bound_nothing_is_skipped_and_beyond_it_video_is() {
        for (millis, skips) in [(8_000, 0), (8_001, 1)] {
            let mut rig = Rig::with_headers(0);
            rig.key();
            let mut cursor = live(&rig);
            rig.inter();
            rig.pass_with_pictures(millis);
            rig.inter();
            rig.audio();
            let (items, read) = rig.read(&mut cursor);
            assert_eq!(read, Read::CaughtUp);
            assert_eq!(cursor.skipped().times, skips);
            assert_eq!(
                (videos(&items), audios(&items)),
                if skips == 0 { (9, 1) } else { (0, 1) }
            );
        }
    }

    #[test]
    fn the_bound_in_bytes_holds_too() {
        let bound = LAG_MAX_BYTES as usize;
        for (over, skips) in [(0, 0), (1, 1)] {
            let mut rig = Rig::with_headers(0);
            rig.key();
            let mut cursor = live(&rig);
            rig.tag(MessageType::VIDEO, &[0x27, 1], bound - 6 + over);
            let _ = rig.read(&mut cursor);
            assert_eq!(cursor.skipped().times, skips);
        }
    }

    #[test]
    fn a_pause_of_the_publisher_is_no_lag_and_the_next_picture_is_sent() {
        for pause in [8_001, 9_999, 10_000, 10_001, 12_000, 3_600_000] {
            let mut rig = Rig::with_headers(0);
            rig.key();
            let mut cursor = live(&rig);
            rig.pass(pause);
            let next = rig.key();
            // Beyond ten seconds it is a jump of the clock, and the headers come again before it.
            assert_eq!(
                payloads(&rig.read(&mut cursor).0).last(),
                Some(&next.as_ref()),
                "{pause} ms"
            );
            assert_eq!(cursor.skipped().times, 0, "{pause} ms");
            // On the wire it was longer, so that the one before the pause seems to be there in part.
            let on_its_way = next.len() as u64 + 12;
            rig.pass(40);
            let next = rig.inter();
            let (items, _) = rig.read_behind(&mut cursor, on_its_way);
            assert_eq!(payloads(&items), [&next], "{pause} ms");
            assert_eq!(cursor.skipped().times, 0, "{pause} ms");
        }
    }

    #[test]
    fn what_the_kernel_holds_counts() {
        let mut rig = Rig::with_headers(0);
        rig.key();
        let mut cursor = live(&rig);
        for _ in 0..230 {
            rig.pass(40);
            rig.tag(MessageType::VIDEO, &[0x27, 1], 994);
            assert_eq!(rig.read(&mut cursor).1, Read::CaughtUp);
        }
        let held = |messages: u64| Backlog {
            unwritten: 1_000,
            unacknowledged: (messages - 1) * 1_000,
            may_be_less: false,
        };
        assert_eq!(cursor.lag(&rig.log, held(200)).media.as_millis(), 199 * 40);
        assert_eq!(cursor.lag(&rig.log, held(200)).bytes, 200_000);

        let _ = rig.read_behind(&mut cursor, 201_000);
        assert_eq!(cursor.skipped().times, 0, "8 s exactly");
        let mut guess = |unacknowledged| {
            let backlog = Backlog {
                unacknowledged,
                may_be_less: true,
                ..Backlog::default()
            };
            let room = Room::default();
            cursor.read(&rig.log, rig.now, backlog, room, &mut Vec::new())
        };
        assert_eq!(guess(201_000), Read::CaughtUp);
        assert_eq!(guess(201_001), Read::Unsure);
        assert_eq!(cursor.skipped().times, 0, "nothing is skipped on a guess");
        let _ = rig.read_behind(&mut cursor, 201_001);
        assert_eq!(cursor.skipped().times, 1);
    }

    #[test]
    fn a_skip_leads_to_the_newest_keyframe_with_audio_in_order_meanwhile() {
        let mut rig = Rig::with_headers(0);
        rig.key();
        let mut cursor = live(&rig);
        for _ in 0..9 {
            rig.gop(25, 1_000);
        }
        let (items, read) = rig.read(&mut cursor);
        assert_eq!(read, Read::CaughtUp);
        assert_eq!(audios(&items), 9 * 25, "all audio");
        assert_eq!(videos(&items), 25, "the last GOP");
        let first = items
            .iter()
            .find(|item| item.kind == MessageType::VIDEO)
            .unwrap();
        assert_eq!(&first.payload[..2], [0x17, 1]);
        assert_eq!(first.timestamp, 8_000);
        assert!(stamps(&items).is_sorted());
        let skipped = cursor.skipped();
        assert_eq!((skipped.times, skipped.messages), (1, 8 * 25));
        assert_eq!(skipped.bytes, 8 * 25 * 1_009);
        assert_eq!(skipped.media, Duration::from_secs(8));
    }

    #[test]
    fn a_keyframe_that_leaves_too_much_lag_is_passed_over() {
        for (millis, resumes) in [(1_000, true), (1_001, false)] {
            let mut rig = Rig::with_headers(0);
            rig.key();
            let mut cursor = live(&rig);
            rig.inter();
            rig.pass_with_pictures(8_000);
            rig.key();
            rig.pass_with_pictures(millis);
            rig.inter();
            assert_eq!(
                videos(&rig.read(&mut cursor).0),
                if resumes { 2 } else { 0 }
            );
            rig.pass(1_000);
            rig.key();
            assert_eq!(videos(&rig.read(&mut cursor).0), 1);
        }
    }

    #[test]
    fn of_several_keyframes_that_would_do_the_newest_is_taken() {
        let mut rig = Rig::with_headers(0);
        rig.key();
        let mut cursor = live(&rig);
        rig.inter();
        rig.pass_with_pictures(8_001);
        rig.key();
        rig.pass(100);
        let newest = rig.key();
        rig.pass(100);
        let inter = rig.inter();
        assert_eq!(payloads(&rig.read(&mut cursor).0), [&newest, &inter]);
    }

    #[test]
    fn headers_that_changed_meanwhile_come_before_the_keyframe_and_only_those() {
        let mut rig = Rig::with_headers(0);
        rig.gop(1, 0);
        let mut cursor = live(&rig);
        rig.inter();
        rig.pass_with_pictures(8_000);
        let header = rig.send(MessageType::VIDEO, [VIDEO_HEADER, &[2]].concat());
        let metadata = rig.send(MessageType::DATA_AMF0, METADATA);
        rig.inter();
        rig.pass(500);
        let key = rig.key();
        let (items, _) = rig.read(&mut cursor);
        assert_eq!(payloads(&items), [&metadata, &header, &key]);
        let [_, header, key] = &items[..] else {
            panic!("three")
        };
        assert_eq!(header.timestamp, key.timestamp);

        // Nothing changed: nothing is repeated.
        rig.inter();
        rig.pass_with_pictures(8_001);
        let key = rig.key();
        assert_eq!(payloads(&rig.read(&mut cursor).0), [&key]);
    }

    #[test]
    fn a_gop_without_end_leaves_audio_and_is_not_the_outputs_fault() {
        let mut rig = Rig::with_headers(0);
        rig.key();
        let mut cursor = live(&rig);
        rig.inter();
        rig.pass_with_pictures(8_001);
        rig.inter();
        for _ in 0..60 {
            rig.audio();
            let (items, read) = rig.read(&mut cursor);
            assert_eq!(
                (read, videos(&items), audios(&items)),
                (Read::CaughtUp, 0, 1)
            );
            rig.pass(1_000);
            rig.inter();
        }
        assert_eq!(cursor.skipped().times, 1);
    }

    #[test]
    fn one_that_never_catches_up_is_too_slow() {
        for (held, too_slow) in [(20_000, true), (10_000, false)] {
            let mut rig = Rig::with_headers(0);
            rig.key();
            let mut cursor = live(&rig);
            let mut stream = |millis: u32| {
                for _ in 0..millis / 100 {
                    rig.tag(MessageType::VIDEO, &[0x27, 1], 994);
                    rig.pass(100);
                }
                // The kernel never gets rid of two seconds, or of one.
                rig.read_behind(&mut cursor, held).1
            };
            assert_eq!(stream(8_200), Read::CaughtUp);
            assert_eq!(stream(9_900), Read::CaughtUp);
            let last = stream(100);
            assert_eq!(last == Read::TooSlow, too_slow);
        }
    }

    #[test]
    fn one_that_fell_off_the_log_leaps_and_a_second_time_is_too_slow() {
        let mut rig = Rig::with_headers(0);
        rig.gop(25, 0);
        let mut cursor = live(&rig);
        let header = rig.send(MessageType::VIDEO, [VIDEO_HEADER, &[2]].concat());
        let audio_header = rig.send(MessageType::AUDIO, [AUDIO_HEADER, &[2]].concat());
        for _ in 0..12 {
            rig.gop(25, 0);
        }
        assert!(rig.log.front() > 60);
        let (items, read) = rig.read(&mut cursor);
        assert_eq!(read, Read::CaughtUp);
        assert_eq!(payloads(&items)[..2], [&audio_header, &header]);
        assert_eq!(&items[2].payload[..2], [0x17, 1], "the newest keyframe");
        assert_eq!((videos(&items), audios(&items)), (1 + 25, 1 + 25));
        let skipped = cursor.skipped();
        assert_eq!((skipped.times, skipped.messages), (1, 2 + 11 * 50));
        assert_eq!(skipped.media, Duration::from_millis(11_040));
        // It went on at a keyframe: it may fall off again, and skip again.
        for _ in 0..12 {
            rig.gop(25, 0);
        }
        assert_eq!(rig.read_behind(&mut cursor, 50_000).1, Read::CaughtUp);
        assert_eq!(cursor.skipped().times, 2);
        // It has not caught up from that when it falls off.
        for _ in 0..12 {
            rig.gop(25, 0);
        }
        assert_eq!(rig.read_behind(&mut cursor, 50_000).1, Read::TooSlow);
    }
}
