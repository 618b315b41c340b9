use std::time::Duration;

use super::Studio;
use crate::amf0::Value;
use crate::connection::{MAX_QUEUED_OUTPUT, ProtocolError};
use crate::message::MessageType;
use crate::server::commands::MAX_ENCODER_NAME;
use crate::server::{
    MAX_INPUT_BEFORE_ANSWER, MAX_MESSAGE_BEFORE_ANSWER, PUBLISH_IDLE_TIMEOUT, REQUEST_TIMEOUT,
    ServerError, ServerEvent,
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
        Err(ServerError::RequestTimeout)
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
        Err(ServerError::Idle)
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
