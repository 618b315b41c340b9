use rtmp::Message;

use super::*;
use crate::testing::{AUDIO_HEADER, METADATA, Rig, VIDEO_HEADER};
use crate::timeline::TIMELINE_START;

fn video(payload: &Bytes, timestamp: u32) -> Message {
    Message {
        kind: MessageType::VIDEO,
        timestamp,
        stream_id: 1,
        payload: payload.clone(),
    }
}

#[test]
fn payloads_are_shared_and_never_copied() {
    let mut rig = Rig::new(0);
    let sent = rig.key();
    assert_eq!(rig.log.entry(0).unwrap().payload.as_ptr(), sent.as_ptr());
}

#[test]
fn entries_are_numbered_and_classed() {
    let mut rig = Rig::with_headers(7_000);
    rig.key();
    rig.pass(40);
    rig.inter();
    rig.send(MessageType::DATA_AMF0, b"\x02\x00\x09onCuePoint");
    rig.send(MessageType(77), b"what is this");
    let classes: Vec<_> = (0..rig.log.end())
        .map(|seq| rig.log.entry(seq).unwrap().class)
        .collect();
    assert_eq!(
        classes,
        [
            TagClass::Metadata,
            TagClass::VideoSequenceHeader,
            TagClass::AudioSequenceHeader,
            TagClass::VideoKeyframe,
            TagClass::VideoInterframe,
            TagClass::Data,
            TagClass::Data,
        ]
    );
    assert_eq!(rig.log.entry(4).unwrap().timestamp, TIMELINE_START + 40);
    assert!(rig.log.entry(7).is_none());
}

#[test]
fn each_point_knows_the_headers_that_hold_there() {
    let mut rig = Rig::with_headers(0);
    rig.key();
    rig.pass(40);
    rig.send(MessageType::VIDEO, VIDEO_HEADER);
    rig.send(MessageType::DATA_AMF0, METADATA);
    rig.key();
    let seqs = |point: &Point| {
        point
            .headers
            .all()
            .map(|header| header.seq)
            .collect::<Vec<_>>()
    };
    assert_eq!(seqs(rig.log.first_point().unwrap()), [0, 1, 2]);
    assert_eq!(seqs(rig.log.newest_point().unwrap()), [5, 4, 2]);
}

#[test]
fn keyframes_of_several_tracks_at_one_time_are_one_point() {
    let mut rig = Rig::new(0);
    rig.key();
    rig.key();
    rig.pass(40);
    rig.key();
    assert!(rig.log.point(0).is_some());
    assert!(rig.log.point(1).is_none());
    assert_eq!(rig.log.newest_point().unwrap().seq, 2);
}

#[test]
fn media_older_than_the_age_is_forgotten_and_no_younger() {
    let mut rig = Rig::new(0);
    rig.key();
    let age = LOG_MAX_AGE.as_millis() as u32;
    rig.pass_with_pictures(age);
    rig.inter();
    assert_eq!(rig.log.front(), 0);
    rig.pass(1);
    rig.inter();
    assert_eq!(rig.log.front(), 1);
    assert!(rig.log.entry(0).is_none());
    assert!(rig.log.first_point().is_none() && rig.log.newest_point().is_none());
}

#[test]
fn a_gop_without_end_is_bounded_by_bytes_even_when_time_stands_still() {
    let payload = Bytes::from(
        [
            &[0x27, 1, 0, 0, 0][..],
            &vec![0; 1024 * 1024 - ENTRY_COST - 5],
        ]
        .concat(),
    );
    let mut log = Log::default();
    let now = Instant::now();
    for _ in 0..32 {
        log.append(now, video(&payload, 0));
    }
    assert_eq!(
        (log.cost(), log.front()),
        (LOG_MAX_BYTES, 0),
        "at the bound all is kept"
    );
    log.append(now, video(&Bytes::from_static(&[0x27]), 0));
    assert_eq!(log.front(), 1, "one byte over it the oldest goes");
    for _ in 0..1_000 {
        log.append(now, video(&payload, 0));
        assert!(log.cost() <= LOG_MAX_BYTES);
    }
}

#[test]
fn a_flood_of_empty_messages_is_bounded() {
    let mut log = Log::default();
    let now = Instant::now();
    for _ in 0..LOG_MAX_BYTES / ENTRY_COST + 10_000 {
        log.append(now, video(&Bytes::new(), 0));
    }
    assert_eq!(log.end() - log.front(), (LOG_MAX_BYTES / ENTRY_COST) as u64);
}

#[test]
fn the_copies_of_headers_that_keyframes_hold_are_counted() {
    let mut rig = Rig::new(0);
    rig.key();
    let before = rig.log.cost();
    rig.send(MessageType::AUDIO, AUDIO_HEADER);
    let paid = rig.log.cost() - before;
    assert_eq!(
        paid,
        ENTRY_COST + AUDIO_HEADER.len() + rig.log.headers().footprint()
    );
}

#[test]
fn lag_counts_what_is_unread_and_what_is_on_its_way() {
    let mut rig = Rig::new(0);
    for _ in 0..10 {
        rig.tag(MessageType::VIDEO, &[0x27, 1], 94);
        rig.pass(100);
    }
    let end = rig.log.end();
    let lag = |seq, unacknowledged| {
        let Lag { media, bytes } = rig.log.lag(seq, unacknowledged);
        (media.as_millis(), bytes)
    };
    assert_eq!(lag(end, 0), (0, 0));
    assert_eq!(lag(end - 1, 0), (0, 100));
    assert_eq!(lag(end - 5, 0), (400, 500));
    assert_eq!(
        lag(end, 500),
        (400, 500),
        "the same five messages, on their way"
    );
    assert_eq!(lag(end, 401), (400, 401), "the fifth in part");
    assert_eq!(lag(end - 2, 300), (400, 500));
    assert_eq!(lag(0, 0), (900, 1_000));
    assert_eq!(lag(end, u64::MAX), (900, u64::MAX), "no more than there is");
}

#[test]
fn unread_messages_without_payload_lag_too() {
    let mut rig = Rig::new(0);
    for _ in 0..5 {
        rig.send(MessageType::AUDIO, []);
        rig.pass(100);
    }
    assert_eq!(rig.log.lag(1, 0).media, Duration::from_millis(300));
}

#[test]
fn nobody_lags_by_the_time_in_which_nothing_came() {
    for millis in [100, 9_000, 3_600_000] {
        let mut rig = Rig::new(0);
        rig.key();
        rig.log.begin_session();
        rig.pass(millis);
        rig.key();
        assert_eq!(rig.log.lag(0, 0).media, Duration::ZERO);
        rig.pass(40);
        rig.inter();
        assert_eq!(rig.log.lag(0, 0).media, Duration::from_millis(40));
    }
}

#[test]
fn a_silence_counts_for_a_second_at_most() {
    for (silence, counts) in [(999, 999), (1_000, 1_000), (1_001, 1_000), (10_000, 1_000)] {
        let mut rig = Rig::new(0);
        rig.key();
        rig.pass(silence);
        rig.inter();
        assert_eq!(rig.log.lag(0, 0).media, Duration::from_millis(counts));
    }
}

#[test]
fn audio_is_alone_since_it_began_or_video_ended() {
    let mut rig = Rig::new(0);
    assert_eq!(rig.log.audio_alone(rig.now), None);
    rig.audio();
    rig.pass(300);
    assert_eq!(
        rig.log.audio_alone(rig.now),
        Some(Duration::from_millis(300))
    );
    rig.key();
    rig.pass(200);
    assert_eq!(
        rig.log.audio_alone(rig.now),
        Some(Duration::from_millis(200))
    );
}
