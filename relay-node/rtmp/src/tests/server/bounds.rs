use std::time::Duration;

use super::Studio;
use crate::amf0::{self, Value};
use crate::chunk::{ChunkError, Limits};
use crate::connection::{MAX_QUEUED_OUTPUT, ProtocolError};
use crate::message::MessageType;
use crate::server::commands::MAX_ENCODER_NAME;
use crate::server::{
    MAX_INPUT_BEFORE_ANSWER, MAX_INPUT_BEFORE_REQUEST, MAX_MESSAGE_BEFORE_ANSWER, MESSAGES_HELD_UP,
    PUBLISH_IDLE_TIMEOUT, REQUEST_TIMEOUT, Refusal, ServerConfig, ServerError, ServerEvent,
};

#[test]
fn what_waits_before_the_answer_is_bounded() {
    let mut studio = Studio::new();
    studio.request();
    let most = usize::try_from(MAX_INPUT_BEFORE_ANSWER).unwrap();
    assert_eq!(studio.session.input(studio.now, &vec![0; most]), Ok(()));
    assert_eq!(
        studio.session.input(studio.now, &[0]),
        Err(ServerError::TooMuchBeforeAnswer)
    );
    assert!(studio.session.is_closed());
}

#[test]
fn long_messages_are_for_publishers() {
    let longer = vec![0x27; MAX_MESSAGE_BEFORE_ANSWER + 1];
    let mut studio = Studio::new();
    studio.connect("live");
    studio.encoder.send(MessageType::VIDEO, 1, &longer[1..]);
    studio.run().unwrap();
    studio.encoder.send(MessageType::VIDEO, 1, &longer);
    assert!(matches!(
        studio.run(),
        Err(ServerError::Protocol(ProtocolError::Chunk(_)))
    ));

    // One that waits for the answer is a publisher's by the time it is read.
    let mut studio = Studio::new();
    studio.request();
    studio.encoder.send(MessageType::VIDEO, 1, &longer);
    studio.run().unwrap();
    studio.session.accept(studio.now).unwrap();
    studio.run().unwrap();
    assert_eq!(studio.media().len(), 1);
}

#[test]
fn an_encoders_name_is_kept_to_its_bound() {
    for length in [MAX_ENCODER_NAME, MAX_ENCODER_NAME + 1] {
        let mut studio = Studio::new();
        let name = "é".repeat(length);
        let object = [
            ("app", Value::string("live")),
            ("flashVer", Value::string(&name)),
        ];
        studio
            .encoder
            .call(0, "connect", 1.0, [Value::object(object)]);
        studio.run().unwrap();
        let kept = studio.events.iter().find_map(|event| match event {
            ServerEvent::Connected(connected) => Some(connected.encoder.as_str()),
            _ => None,
        });
        assert_eq!(kept, Some("é".repeat(MAX_ENCODER_NAME).as_str()));
    }
}

#[test]
fn a_window_of_one_byte_costs_one_acknowledgement_a_read() {
    let mut studio = Studio::new();
    studio.on_air();
    studio
        .encoder
        .send(MessageType::WINDOW_ACK_SIZE, 0, &1_u32.to_be_bytes());
    studio.run().unwrap();
    studio.encoder.take_heard();
    for _ in 0..50 {
        studio.encoder.send(MessageType::VIDEO, 1, b"\x27");
    }
    studio.run().unwrap();
    assert_eq!(studio.encoder.take_heard().len(), 1);
}

#[test]
fn who_asks_without_reading_is_cut_off() {
    let mut studio = Studio::new();
    studio.on_air();
    // A ping is answered by as many bytes: 12 of header, 6 of payload.
    let answers = MAX_QUEUED_OUTPUT / 18 + 1;
    for _ in 0..answers {
        studio
            .encoder
            .send(MessageType::USER_CONTROL, 0, &[0, 6, 0, 0, 0, 0]);
    }
    let pings = studio.encoder.take_output();
    let one_less = pings.len() - 18;
    assert_eq!(studio.session.input(studio.now, &pings[..one_less]), Ok(()));
    assert_eq!(
        studio.session.input(studio.now, &pings[one_less..]),
        Err(ServerError::Protocol(ProtocolError::NotReading))
    );
    assert!(studio.session.is_closed());
}

#[test]
fn a_publish_must_come_in_time() {
    let mut studio = Studio::new();
    let deadline = studio.now + REQUEST_TIMEOUT;
    studio.now = deadline - Duration::from_millis(1);
    studio.request();
    assert_eq!(studio.session.poll_timeout(), Some(deadline));
    assert_eq!(studio.session.handle_timeout(studio.now), Ok(()));
    assert_eq!(
        studio.session.handle_timeout(deadline),
        Err(ServerError::RequestTimeout(REQUEST_TIMEOUT))
    );
    assert!(studio.session.is_closed());
    assert_eq!(studio.session.poll_timeout(), None);
}

#[test]
fn a_silent_publisher_is_given_up() {
    let mut studio = Studio::new();
    studio.on_air();
    studio.now += PUBLISH_IDLE_TIMEOUT - Duration::from_millis(1);
    studio.session.handle_timeout(studio.now).unwrap();
    // The half of a message is a sign of life too.
    studio.session.input(studio.now, &[0x04]).unwrap();
    let deadline = studio.now + PUBLISH_IDLE_TIMEOUT;
    assert_eq!(studio.session.poll_timeout(), Some(deadline));
    // Processing nothing isn't.
    studio.session.process(deadline).unwrap();
    assert_eq!(
        studio.session.handle_timeout(deadline),
        Err(ServerError::Idle(PUBLISH_IDLE_TIMEOUT))
    );
}

#[test]
fn a_command_that_is_none_ends_the_session() {
    let mut studio = Studio::new();
    studio.on_air();
    let nested = [&b"\x02\x00\x01x"[..], &[0x0a, 0, 0, 0, 1].repeat(10_000)].concat();
    studio.encoder.send(MessageType::COMMAND_AMF0, 0, &nested);
    assert!(matches!(
        studio.run(),
        Err(ServerError::Protocol(ProtocolError::Command(_)))
    ));
    assert!(studio.session.is_closed());
}

#[test]
fn who_does_not_ask_to_publish_has_little_to_say() {
    let mut studio = Studio::new();
    studio.connect("live");
    let said = studio.session.bytes_received();
    let rest = usize::try_from(MAX_INPUT_BEFORE_REQUEST - said).unwrap();
    // A ping that is the answer to nothing, over and over: nobody answers, nothing is held.
    let pong = [
        &[2, 0, 0, 0, 0, 0, 6, 4, 0, 0, 0, 0][..],
        &[0, 7, 0, 0, 0, 0],
    ]
    .concat();
    let noise: Vec<_> = pong.iter().copied().cycle().take(rest + 1).collect();
    assert_eq!(studio.session.input(studio.now, &noise[..rest]), Ok(()));
    assert_eq!(
        studio.session.input(studio.now, &noise[rest..]),
        Err(ServerError::TooMuchBeforeRequest)
    );
    assert!(studio.session.is_closed());
}

#[test]
fn what_was_sent_on_air_is_not_counted_before_the_next_request() {
    let mut studio = Studio::new();
    studio.on_air();
    let frame = vec![0x27; MAX_MESSAGE_BEFORE_ANSWER];
    for _ in 0..=MAX_INPUT_BEFORE_REQUEST / MAX_MESSAGE_BEFORE_ANSWER as u64 {
        studio.encoder.send(MessageType::VIDEO, 1, &frame);
        studio.run().unwrap();
    }
    let name = Value::string("key");
    studio
        .encoder
        .call(0, "FCUnpublish", 6.0, [Value::Null, name]);
    studio.run().unwrap();
    studio.publish("key");
    assert_eq!(studio.key(), Some("key"));
}

/// A session that takes ten messages a second.
fn slow() -> Studio {
    let mut studio = Studio::with(ServerConfig {
        messages_per_second: 10,
        ..ServerConfig::default()
    });
    studio.on_air();
    // Full again, whatever there was to say before.
    studio.now += MESSAGES_HELD_UP;
    studio
}

#[test]
fn messages_come_so_fast_and_no_faster() {
    let mut studio = slow();
    let held_up = 10 * MESSAGES_HELD_UP.as_secs();
    for _ in 0..held_up {
        studio.encoder.send(MessageType::VIDEO, 1, b"\x27");
    }
    studio.run().unwrap();
    studio.now += Duration::from_millis(100);
    studio.encoder.send(MessageType::AUDIO, 1, b"\xaf");
    studio.run().unwrap();
    assert!(!studio.session.is_closed());
    studio.encoder.send(MessageType::AUDIO, 1, b"\xaf");
    studio.run().unwrap();
    assert!(studio.session.is_closed());
    assert_eq!(studio.media().len() as u64, held_up + 1);
    let refused = |event: &ServerEvent| matches!(event, ServerEvent::Refused(why) if *why == Refusal::TooManyMessages);
    assert!(studio.events.last().is_some_and(refused));
    // It is told so.
    assert_eq!(studio.encoder.take_heard().len(), 1);
}

#[test]
fn each_part_of_an_aggregate_counts() {
    let mut studio = slow();
    let held_up = 10 * MESSAGES_HELD_UP.as_secs() as usize;
    let tag = b"\x09\0\0\0\0\0\0\0\0\0\0\0\0\0\x0b";
    let tags = tag.repeat(1000);
    studio.encoder.send(MessageType::AGGREGATE, 1, &tags);
    studio.run().unwrap();
    assert!(studio.session.is_closed());
    assert_eq!(studio.media().len(), held_up - 1);
}

#[test]
fn other_bounds_are_kept_at_their_edge() {
    let config = ServerConfig {
        limits: Limits {
            max_message: 1000,
            max_command: 500,
            max_chunk_streams: 8,
            max_partial_bytes: 1500,
        },
        amf0: amf0::Bounds {
            depth: 4,
            values: 40,
        },
        request_timeout: Duration::from_secs(3),
        idle_timeout: Duration::from_secs(7),
        ..ServerConfig::default()
    };
    let mut studio = Studio::with(config.clone());
    let late = studio.now + config.request_timeout;
    assert_eq!(
        studio.session.handle_timeout(late),
        Err(ServerError::RequestTimeout(config.request_timeout))
    );

    let mut studio = Studio::with(config.clone());
    studio.on_air();
    let late = studio.now + config.idle_timeout;
    assert_eq!(studio.session.poll_timeout(), Some(late));

    let kind = MessageType::VIDEO;
    studio.encoder.send(kind, 1, &[0x27; 1000]);
    studio.run().unwrap();
    studio.encoder.send(kind, 1, &[0x27; 1001]);
    let (len, max) = (1001, 1000);
    assert_eq!(
        studio.run(),
        Err(ServerError::Protocol(ProtocolError::Chunk(
            ChunkError::MessageTooLong { kind, len, max }
        )))
    );

    let nested =
        |depth: usize| (1..depth).fold(Value::Null, |value, _| Value::StrictArray(vec![value]));
    let null = |count| vec![Value::Null; count];
    // The name and the number are values too.
    for (values, fits) in [
        (vec![nested(4)], true),
        (vec![nested(5)], false),
        (null(38), true),
        (null(39), false),
    ] {
        let mut studio = Studio::with(config.clone());
        studio.on_air();
        studio.encoder.call(0, "what", 9.0, values);
        assert_eq!(studio.run().is_ok(), fits);
    }
}
