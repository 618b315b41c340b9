use std::time::Duration;

use bytes::Bytes;

use super::Platform;
use crate::amf0::Value;
use crate::capabilities::Capabilities;
use crate::client::{ClientEvent, PUBLISH_START_GRACE};
use crate::command::Command;
use crate::flv::Codec;
use crate::message::MessageType;

#[test]
fn what_a_destination_takes_is_read_from_either_object() {
    let said = Value::object([(
        "videoFourCcInfoMap",
        Value::object([("hvc1", Value::Number(4.0))]),
    )]);
    let success = || Value::object([("code", Value::string("NetConnection.Connect.Success"))]);
    for (answer, hevc) in [
        ([said.clone(), success()], true),
        ([success(), said], true),
        ([Value::Null, success()], false),
    ] {
        let mut platform = Platform::new();
        platform.run().unwrap();
        platform.destination.call(0, "_result", 1.0, answer);
        platform.run().unwrap();
        let capabilities = platform.client.capabilities();
        assert_eq!(
            [Codec::Hevc, Codec::Av1, Codec::H264].map(|codec| capabilities.takes(codec)),
            [hevc, false, true]
        );
    }
}

#[test]
fn a_stream_is_published_in_the_order_of_adobes_encoder() {
    let mut platform = Platform::new();
    platform.run().unwrap();
    let heard = platform.destination.take_heard();
    let connect = Command::read(heard[0].kind, &heard[0].payload).unwrap();
    let text = |name| connect.object().get(name).and_then(Value::as_str).unwrap();
    assert_eq!(
        (heard.len(), connect.name.as_str(), connect.transaction),
        (1, "connect", 1.0)
    );
    assert_eq!(text("app"), "app");
    assert_eq!(text("type"), "nonprivate");
    assert!(text("flashVer").starts_with("FMLE/3.0 (compatible; "));
    assert_eq!(text("tcUrl"), "rtmps://host:443/app");
    assert_eq!(connect.object().get("fourCcList"), None);

    platform.connected();
    let chunk_size = b"\x02\x00\x00\x00\x00\x00\x04\x01\x00\x00\x00\x00\x00\x01\x00\x00";
    assert!(platform.destination.raw().starts_with(chunk_size));
    assert_eq!(
        platform.destination.transcript(),
        [
            "0 WindowAckSize [0, 38, 37, 160]",
            "0 releaseStream(2) Null the/key?bw=1&x",
            "0 FCPublish(3) Null the/key?bw=1&x",
            "0 createStream(4) Null",
        ]
    );

    platform
        .destination
        .call(0, "_result", 4.0, [Value::Null, Value::Number(7.0)]);
    platform.run().unwrap();
    assert_eq!(
        platform.destination.transcript(),
        ["7 publish(5) Null the/key?bw=1&x live"]
    );
    assert!(platform.events.is_empty());

    platform
        .destination
        .status("status", "NetStream.Publish.Start", "Go");
    platform.run().unwrap();
    assert_eq!(
        platform.events,
        [ClientEvent::Publishing { confirmed: true }]
    );
    assert_eq!(platform.client.poll_timeout(), None);

    platform.client.stop();
    platform.run().unwrap();
    assert_eq!(
        platform.destination.transcript(),
        [
            "0 FCUnpublish(6) Null the/key?bw=1&x",
            "0 deleteStream(7) Null 7",
        ]
    );
    assert!(platform.client.is_closed());
}

#[test]
fn the_encoders_capabilities_are_passed_on() {
    let capabilities = Capabilities {
        four_ccs: vec!["hvc1".into()],
        caps_ex: 2,
        ..Capabilities::default()
    };
    let mut platform = Platform::of("key", capabilities.clone());
    platform.run().unwrap();
    let heard = platform.destination.take_heard();
    let connect = Command::read(heard[0].kind, &heard[0].payload).unwrap();
    assert_eq!(Capabilities::read(connect.object()), capabilities);
}

#[test]
fn a_server_that_never_says_start_is_published_to_after_the_grace() {
    let mut platform = Platform::new();
    platform.starting();
    let deadline = platform.now + PUBLISH_START_GRACE;
    assert_eq!(platform.client.poll_timeout(), Some(deadline));
    let early = deadline - Duration::from_millis(1);
    platform.client.handle_timeout(early).unwrap();
    platform.run().unwrap();
    assert!(platform.events.is_empty());

    platform.client.handle_timeout(deadline).unwrap();
    platform.run().unwrap();
    assert_eq!(
        platform.events,
        [ClientEvent::Publishing { confirmed: false }]
    );
    // Should it come after all, it isn't news.
    platform
        .destination
        .status("status", "NetStream.Publish.Start", "Go");
    platform.run().unwrap();
    assert_eq!(platform.events.len(), 1);
}

#[test]
fn small_talk_of_servers_changes_nothing() {
    let mut platform = Platform::new();
    platform.live();
    platform
        .destination
        .call(0, "onBWDone", 0.0, [Value::Null, Value::Number(8192.0)]);
    platform
        .destination
        .call(0, "onFCPublish", 0.0, [Value::Null]);
    platform.destination.call(0, "_result", 99.0, [Value::Null]);
    platform
        .destination
        .status("status", "NetStream.Data.Start", "");
    platform
        .destination
        .send(MessageType::DATA_AMF0, 1, b"\x07");
    platform.run().unwrap();
    assert!(platform.events.is_empty());
    assert!(platform.destination.take_heard().is_empty());
}

#[test]
fn pings_are_answered_and_acknowledgements_counted_while_live() {
    let mut platform = Platform::new();
    platform.live();
    assert_eq!(platform.client.acknowledged(), None);
    platform
        .destination
        .send(MessageType::USER_CONTROL, 0, &[0, 6, 9, 9, 9, 9]);
    platform
        .destination
        .send(MessageType::ACKNOWLEDGEMENT, 0, &[0, 0, 1, 0]);
    platform
        .destination
        .send(MessageType::WINDOW_ACK_SIZE, 0, &[0, 0, 0, 10]);
    platform.run().unwrap();
    assert_eq!(platform.client.acknowledged(), Some(256));
    let heard = platform.destination.transcript();
    assert_eq!(heard[0], "0 UserControl [0, 7, 9, 9, 9, 9]");
    assert!(heard[1].starts_with("0 Acknowledgement "), "{heard:?}");
}

#[test]
fn media_goes_out_on_the_stream_and_on_lanes_of_its_own() {
    let mut platform = Platform::new();
    platform.live();
    for (kind, lane) in [(8, 4), (9, 6), (18, 5), (15, 5), (99, 5)] {
        let payload = Bytes::from(vec![0xaa; 70_000]);
        let message = platform
            .client
            .message(MessageType(kind), 0x0102_0304, payload.clone())
            .unwrap();
        let bytes = message.to_bytes();
        assert_eq!(bytes[0], lane, "type {kind}");
        platform.destination.hear(&bytes);
        let heard = platform.destination.take_heard();
        assert_eq!(heard.len(), 1);
        assert_eq!(heard[0].kind, MessageType(kind));
        assert_eq!(heard[0].timestamp, 0x0102_0304);
        assert_eq!(heard[0].stream_id, 1);
        assert_eq!(heard[0].payload, payload);
    }
}

#[test]
fn stopping_says_only_what_was_begun() {
    let mut platform = Platform::new();
    platform.run().unwrap();
    platform.destination.take_heard();
    platform.client.stop();
    platform.run().unwrap();
    assert!(platform.destination.take_heard().is_empty());

    let mut platform = Platform::new();
    platform.connected();
    platform.destination.take_heard();
    platform.client.stop();
    platform.run().unwrap();
    assert_eq!(
        platform.destination.transcript(),
        ["0 FCUnpublish(6) Null the/key?bw=1&x"]
    );
    platform.client.stop();
    assert_eq!(platform.client.poll_output(), None);
}
