use super::Studio;
use crate::amf0::{Value, encode};
use crate::message::{Message, MessageType};

#[test]
fn media_passes_byte_for_byte_whatever_it_is() {
    let mut studio = Studio::new();
    studio.on_air();
    let mut frame = Vec::new();
    encode(&Value::string("@setDataFrame"), &mut frame);
    encode(&Value::string("onMetaData"), &mut frame);
    // A reference, which the decoder doesn't take, and bytes that are no AMF0 at all.
    frame.extend([0x07, 0, 1, 0xff, 0xfe]);
    let large: Vec<u8> = (0..100_000_u32).map(|n| n as u8).collect();
    let sent: [(u8, u32, &[u8]); 7] = [
        (18, 0, &frame),
        (15, 0, b"\x00\x11\x0a"),
        (9, 0xff_ffff, b"\x17\x00"),
        (9, 0xff_fffe, b""),
        (8, u32::MAX, b"\xaf\x01"),
        (9, 0, &large),
        (99, 1, b"what is to come"),
    ];
    for (kind, timestamp, payload) in sent {
        studio
            .encoder
            .send_at(MessageType(kind), 1, timestamp, payload);
    }
    studio.run().unwrap();
    assert_eq!(studio.media(), sent);
}

#[test]
fn aggregates_are_taken_apart() {
    let mut studio = Studio::new();
    studio.on_air();
    let tags = b"\x08\0\0\x01\0\0\x0a\0\0\0\0a\0\0\0\x0c\x09\0\0\x01\0\0\x14\0\0\0\0v\0\0\0\x0c";
    studio
        .encoder
        .send_at(MessageType::AGGREGATE, 1, 1000, tags);
    studio.run().unwrap();
    assert_eq!(studio.media(), [(8, 1000, &b"a"[..]), (9, 1010, &b"v"[..])]);
}

#[test]
fn media_before_the_answer_waits_for_it() {
    let mut studio = Studio::new();
    studio.request();
    assert!(!studio.session.wants_input());
    studio
        .encoder
        .send(MessageType::VIDEO, 1, b"\x17\x00header");
    studio.encoder.send(MessageType::VIDEO, 1, b"\x17\x01frame");
    studio.run().unwrap();
    assert!(studio.media().is_empty());

    studio.session.accept(studio.now).unwrap();
    studio.run().unwrap();
    assert!(studio.session.wants_input());
    assert_eq!(
        studio.media(),
        [
            (9, 0, &b"\x17\x00header"[..]),
            (9, 0, &b"\x17\x01frame"[..])
        ]
    );
}

#[test]
fn media_of_nobody_is_dropped() {
    let mut studio = Studio::new();
    studio.connect("live");
    studio.encoder.send(MessageType::VIDEO, 1, b"\x17\x01");
    studio.run().unwrap();
    assert!(studio.media().is_empty());
}

#[test]
fn pings_are_answered_and_bandwidths_with_a_window() {
    let mut studio = Studio::new();
    studio.on_air();
    studio
        .encoder
        .send(MessageType::USER_CONTROL, 0, &[0, 6, 1, 2, 3, 4]);
    let bandwidth = |size: u32| [&size.to_be_bytes()[..], &[2]].concat();
    studio
        .encoder
        .send(MessageType::SET_PEER_BANDWIDTH, 0, &bandwidth(2_500_000));
    studio
        .encoder
        .send(MessageType::SET_PEER_BANDWIDTH, 0, &bandwidth(1_000));
    // Too short to mean anything.
    for kind in [3, 4, 5, 6] {
        studio.encoder.send(MessageType(kind), 0, &[0]);
    }
    studio.run().unwrap();
    assert_eq!(
        studio.encoder.transcript(),
        [
            "0 UserControl [0, 7, 1, 2, 3, 4]",
            "0 WindowAckSize [0, 0, 3, 232]",
        ]
    );
}

#[test]
fn acknowledgements_carry_the_total() {
    let mut studio = Studio::new();
    studio.on_air();
    studio
        .encoder
        .send(MessageType::WINDOW_ACK_SIZE, 0, &100_000_u32.to_be_bytes());
    studio.run().unwrap();
    studio.encoder.take_heard();

    let mut totals = Vec::new();
    for _ in 0..4 {
        studio.encoder.send(MessageType::VIDEO, 1, &[0x27; 60_000]);
        studio.run().unwrap();
        let heard = studio.encoder.take_heard();
        let [Message { kind, payload, .. }] = &heard[..] else {
            panic!("{heard:?}");
        };
        assert_eq!(*kind, MessageType::ACKNOWLEDGEMENT);
        assert_eq!(
            u64::from(u32::from_be_bytes(payload[..].try_into().unwrap())),
            studio.session.bytes_received()
        );
        totals.push(studio.session.bytes_received());
    }
    assert!(totals.is_sorted_by(|a, b| b - a >= 60_000));
}

/// FFmpeg and librtmp announce no window, and lose their goodbye if they close with anything unread.
#[test]
fn an_encoder_on_air_that_announces_no_window_is_told_nothing() {
    let mut studio = Studio::new();
    studio.on_air();
    studio.run().unwrap();
    studio.encoder.take_heard();
    for _ in 0..100 {
        studio.encoder.send(MessageType::VIDEO, 1, &[0x27; 60_000]);
        studio.run().unwrap();
    }
    assert_eq!(studio.encoder.take_heard(), []);
}
