use std::time::Duration;

use super::Platform;
use crate::amf0::Value;
use crate::capabilities::Capabilities;
use crate::client::{ANSWER_TIMEOUT, ClientError, ClientEvent, MAX_ANSWER};
use crate::connection::ProtocolError;
use crate::message::MessageType;

#[test]
fn silence_before_the_grace_has_a_name() {
    let mut platform = Platform::new();
    let deadline = platform.now + ANSWER_TIMEOUT;
    assert_eq!(
        platform
            .client
            .handle_timeout(deadline - Duration::from_millis(1)),
        Ok(())
    );
    assert_eq!(
        platform.client.handle_timeout(deadline),
        Err(ClientError::HandshakeTimeout)
    );
    assert!(platform.client.is_closed());
    assert!(!platform.client.is_open());

    let mut platform = Platform::new();
    platform.run().unwrap();
    assert!(platform.client.is_open());
    assert_eq!(
        platform
            .client
            .handle_timeout(platform.now + ANSWER_TIMEOUT),
        Err(ClientError::AnswerTimeout { call: "connect" })
    );

    let mut platform = Platform::new();
    platform.now += ANSWER_TIMEOUT - Duration::from_millis(1);
    platform.connected();
    assert_eq!(
        platform
            .client
            .handle_timeout(platform.now + ANSWER_TIMEOUT),
        Err(ClientError::AnswerTimeout {
            call: "createStream"
        })
    );
}

#[test]
fn refusals_are_told_at_every_stage_and_without_our_key() {
    let refuse = |platform: &mut Platform| {
        platform.destination.status(
            "error",
            "NetStream.Publish.BadName",
            "the/key?bw=1&x is taken:\nthe/key",
        );
        platform.run().unwrap();
        assert_eq!(
            platform.refused(),
            (
                "NetStream.Publish.BadName",
                "<redacted> is taken: <redacted>"
            )
        );
    };
    let mut platform = Platform::new();
    platform.run().unwrap();
    refuse(&mut platform);
    let mut platform = Platform::new();
    platform.connected();
    refuse(&mut platform);
    let mut platform = Platform::new();
    platform.starting();
    refuse(&mut platform);
    let mut platform = Platform::new();
    platform.live();
    refuse(&mut platform);
    // It is over: nothing more is said or heard.
    platform.client.stop();
    refuse_again_is_not_heard(&mut platform);
}

#[test]
fn a_key_that_looks_like_a_code_leaves_the_code_alone() {
    let mut platform = Platform::of("Name", Capabilities::default());
    platform.starting();
    platform.destination.status(
        "error",
        "NetStream.Publish.BadName",
        "Name NetStream.Publish.BadName",
    );
    platform.run().unwrap();
    assert_eq!(
        platform.refused(),
        (
            "NetStream.Publish.BadName",
            "<redacted> NetStream.Publish.Bad<redacted>"
        )
    );
}

fn refuse_again_is_not_heard(platform: &mut Platform) {
    platform.destination.take_heard();
    platform.events.clear();
    platform.destination.status("error", "NetStream.Failed", "");
    platform.run().unwrap();
    assert!(platform.events.is_empty());
    assert!(platform.destination.take_heard().is_empty());
}

#[test]
fn errors_of_calls_that_matter_are_refusals() {
    for number in [1.0, 4.0, 5.0, 0.0] {
        let mut platform = Platform::new();
        platform.connected();
        let information = Value::object([("description", Value::string("no"))]);
        platform
            .destination
            .call(0, "_error", number, [Value::Null, information]);
        platform.run().unwrap();
        assert_eq!(platform.refused(), ("", "no"), "call {number}");
    }
    let mut platform = Platform::new();
    platform.connected();
    for number in [2.0, 3.0] {
        platform
            .destination
            .call(0, "_error", number, [Value::Null]);
    }
    platform.run().unwrap();
    assert!(platform.events.is_empty());
    assert!(!platform.client.is_closed());
}

#[test]
fn a_refusal_may_have_any_shape() {
    // At level `status`, in the answer to connect.
    let mut platform = Platform::new();
    platform.run().unwrap();
    let information = Value::object([("code", Value::string("NetConnection.Connect.Rejected"))]);
    platform
        .destination
        .call(0, "_result", 1.0, [Value::Null, information]);
    platform.run().unwrap();
    assert_eq!(platform.refused(), ("NetConnection.Connect.Rejected", ""));

    // A bare text, in the place of the object.
    let mut platform = Platform::new();
    platform.live();
    platform
        .destination
        .call(0, "_error", 9.0, [Value::string("too many the/key")]);
    platform.run().unwrap();
    assert_eq!(platform.refused(), ("", "too many <redacted>"));

    // Nothing at all.
    let mut platform = Platform::new();
    platform.live();
    platform.destination.call(0, "_error", 9.0, []);
    platform.run().unwrap();
    assert_eq!(platform.refused(), ("", ""));

    // A book.
    let mut platform = Platform::new();
    platform.live();
    platform
        .destination
        .status("error", "NetStream.Failed", &"é".repeat(5_000));
    platform.run().unwrap();
    assert_eq!(platform.refused().1, "é".repeat(512));
}

#[test]
fn an_end_without_an_error_is_an_end() {
    for status in [
        "NetStream.Unpublish.Success",
        "NetConnection.Connect.Closed",
        "NetConnection.Connect.AppShutdown",
    ] {
        let mut platform = Platform::new();
        platform.live();
        platform.destination.status("status", status, "ended");
        platform.run().unwrap();
        let [ClientEvent::Ended(words)] = &platform.events[..] else {
            panic!("{:?}", platform.events);
        };
        assert_eq!(
            (words.code.as_str(), words.description.as_str()),
            (status, "ended")
        );
        assert!(platform.client.is_closed());
    }
    let mut platform = Platform::new();
    platform.live();
    platform.destination.call(0, "close", 0.0, [Value::Null]);
    platform.run().unwrap();
    assert!(matches!(platform.events[..], [ClientEvent::Ended(_)]));
}

#[test]
fn a_destination_that_breaks_the_protocol_is_left() {
    let mut platform = Platform::new();
    platform.live();
    let nested = [&b"\x02\x00\x01x"[..], &[0x0a, 0, 0, 0, 1].repeat(10_000)].concat();
    platform
        .destination
        .send(MessageType::COMMAND_AMF0, 0, &nested);
    assert!(matches!(
        platform.run(),
        Err(ClientError::Protocol(ProtocolError::Command(_)))
    ));
    assert!(platform.client.is_closed());

    let mut platform = Platform::new();
    platform.live();
    platform
        .destination
        .send(MessageType::VIDEO, 1, &vec![0; MAX_ANSWER + 1]);
    assert!(matches!(
        platform.run(),
        Err(ClientError::Protocol(ProtocolError::Chunk(_)))
    ));
}
