use super::{Studio, connect_object};
use crate::amf0::Value;
use crate::command::Command;
use crate::message::MessageType;
use crate::server::{REQUEST_TIMEOUT, ServerEvent};

#[test]
fn obs_publishes() {
    let mut studio = Studio::new();
    studio.encoder.set_chunk_size(4096);
    studio.connect("live");
    let announced = b"\x02\x00\x00\x00\x00\x00\x04\x01\x00\x00\x00\x00\x00\x01\x00\x00";
    assert!(
        studio
            .encoder
            .raw()
            .windows(announced.len())
            .any(|bytes| bytes == announced)
    );
    assert_eq!(
        studio.encoder.transcript(),
        [
            "0 WindowAckSize [0, 38, 37, 160]",
            "0 SetPeerBandwidth [0, 38, 37, 160, 2]",
            "0 UserControl [0, 0, 0, 0, 0, 0]",
            "0 _result(1) {fmsVer,capabilities,mode} NetConnection.Connect.Success",
        ]
    );
    let [ServerEvent::Connected(connected)] = &studio.events[..] else {
        panic!("{:?}", studio.events);
    };
    assert_eq!(connected.encoder, "FMLE/3.0 (compatible; FMSc/1.0)");
    assert!(connected.capabilities.is_empty());

    let name = [Value::Null, Value::string("key")];
    studio.encoder.call(0, "releaseStream", 2.0, name.clone());
    studio.encoder.call(0, "FCPublish", 3.0, name.clone());
    studio.encoder.call(0, "createStream", 4.0, [Value::Null]);
    studio.run().unwrap();
    assert_eq!(
        studio.encoder.transcript(),
        [
            "0 _result(2) Null Undefined",
            "0 _result(3) Null Undefined",
            "0 onFCPublish(0) Null NetStream.Publish.Start",
            "0 _result(4) Null 1",
        ]
    );
    studio.publish("key");
    assert_eq!(studio.key(), Some("key"));
    assert_eq!(studio.encoder.transcript(), [""; 0]);

    studio.session.accept(studio.now).unwrap();
    studio.run().unwrap();
    assert_eq!(
        studio.encoder.transcript(),
        [
            "0 UserControl [0, 0, 0, 0, 0, 1]",
            "1 onStatus(0) Null NetStream.Publish.Start",
        ]
    );

    studio
        .encoder
        .send_at(MessageType::VIDEO, 1, 40, b"\x17\x01frame");
    studio.run().unwrap();
    assert_eq!(studio.media(), [(9, 40, &b"\x17\x01frame"[..])]);

    studio.encoder.call(0, "FCUnpublish", 6.0, name);
    studio
        .encoder
        .call(0, "deleteStream", 7.0, [Value::Null, Value::Number(1.0)]);
    studio.run().unwrap();
    assert_eq!(
        studio.encoder.transcript(),
        [
            "0 _result(6) Null Undefined",
            "1 onStatus(0) Null NetStream.Unpublish.Success",
        ]
    );
    let goodbyes = |event: &&ServerEvent| matches!(event, ServerEvent::Goodbye);
    assert_eq!(studio.events.iter().filter(goodbyes).count(), 1);
}

#[test]
fn ffmpeg_publishes_what_it_was_given_in_one_url() {
    let mut studio = Studio::new();
    studio.connect("live");
    studio.encoder.take_heard();
    studio.encoder.send(
        MessageType::WINDOW_ACK_SIZE,
        0,
        &2_500_000_u32.to_be_bytes(),
    );
    let name = [Value::Null, Value::string("key?x=1")];
    studio.encoder.call(0, "releaseStream", 2.0, name.clone());
    studio.encoder.call(0, "FCPublish", 3.0, name);
    studio.encoder.call(0, "createStream", 4.0, [Value::Null]);
    studio.encoder.call(0, "_checkbw", 5.0, [Value::Null]);
    studio.run().unwrap();
    assert_eq!(
        studio.encoder.transcript().last().unwrap(),
        "0 _result(5) Null Undefined"
    );
    studio.publish("key?x=1");
    assert_eq!(studio.key(), Some("key"));
}

#[test]
fn the_key_may_stand_in_the_url_of_obs() {
    let mut studio = Studio::new();
    studio.connect("live/key");
    studio.publish("");
    assert_eq!(studio.key(), Some("key"));
}

#[test]
fn an_encoder_of_amf3_is_answered_in_amf0() {
    let mut studio = Studio::new();
    let mut object = connect_object("live");
    let Value::Object(properties) = &mut object else {
        unreachable!();
    };
    properties.push(("objectEncoding".into(), Value::Number(3.0)));
    studio.encoder.call(0, "connect", 1.0, [object]);
    studio.run().unwrap();
    let heard = studio.encoder.take_heard();
    let result = heard.last().unwrap();
    let result = Command::read(result.kind, &result.payload).unwrap();
    assert_eq!(
        result.argument(0).unwrap().get("objectEncoding"),
        Some(&Value::Number(0.0))
    );

    let publish = [Value::Null, Value::string("key"), Value::string("live")];
    let publish = Command::new("publish", 2.0, publish).payload();
    let publish = [&[0], &publish[..]].concat();
    studio.encoder.send(MessageType::COMMAND_AMF3, 1, &publish);
    studio.run().unwrap();
    assert_eq!(studio.key(), Some("key"));
}

#[test]
fn an_encoder_of_enhanced_rtmp_hears_what_is_forwarded() {
    let mut studio = Studio::new();
    let object = Value::object([
        ("app", Value::string("live")),
        (
            "fourCcList",
            Value::StrictArray(vec![Value::string("av01")]),
        ),
        (
            "videoFourCcInfoMap",
            Value::object([("av01", Value::Number(2.0))]),
        ),
        ("capsEx", Value::Number(3.0)),
    ]);
    studio.encoder.call(0, "connect", 1.0, [object]);
    studio.run().unwrap();
    let heard = studio.encoder.take_heard();
    let result = heard.last().unwrap();
    let result = Command::read(result.kind, &result.payload).unwrap();
    let information = result.argument(0).unwrap();
    assert_eq!(
        information.get("fourCcList"),
        Some(&Value::StrictArray(vec![Value::string("av01")]))
    );
    assert_eq!(
        information.get("videoFourCcInfoMap"),
        Some(&Value::object([("*", Value::Number(4.0))]))
    );
    assert_eq!(information.get("audioFourCcInfoMap"), None);
    assert_eq!(information.get("capsEx"), Some(&Value::Number(3.0)));
    let [ServerEvent::Connected(connected)] = &studio.events[..] else {
        panic!("{:?}", studio.events);
    };
    assert_eq!(connected.capabilities.caps_ex, 3);
}

#[test]
fn an_encoder_that_obeys_is_asked_to_connect_again() {
    let request = "0 onStatus(0) Null NetConnection.Connect.ReconnectRequest".to_owned();
    for (caps_ex, obeys) in [(1.0, true), (14.0, false)] {
        let mut studio = Studio::new();
        let object = Value::object([
            ("app", Value::string("live")),
            ("capsEx", Value::Number(caps_ex)),
        ]);
        studio.encoder.call(0, "connect", 1.0, [object]);
        studio.run().unwrap();
        studio.publish("key");
        studio.encoder.take_heard();
        studio.session.ask_to_reconnect();
        studio.run().unwrap();
        assert!(studio.encoder.transcript().is_empty(), "it is not on air");
        studio.session.accept(studio.now).unwrap();
        studio.run().unwrap();
        studio.encoder.take_heard();
        studio.session.ask_to_reconnect();
        studio.run().unwrap();
        let heard = studio.encoder.transcript();
        assert_eq!(heard.contains(&request), obeys, "{heard:?}");
    }
}

#[test]
fn a_second_stream_on_the_connection_is_refused_and_the_first_goes_on() {
    let mut studio = Studio::new();
    studio.on_air();
    let values = [Value::Null, Value::string("other"), Value::string("live")];
    studio.encoder.call(2, "publish", 8.0, values);
    studio.encoder.send(MessageType::AUDIO, 1, b"\xaf\x01");
    studio.run().unwrap();
    assert_eq!(
        studio.encoder.transcript(),
        ["2 onStatus(0) Null NetStream.Publish.BadName"]
    );
    assert_eq!(studio.media().len(), 1);
    // Nor does the end of the other one end it.
    studio
        .encoder
        .call(0, "deleteStream", 9.0, [Value::Null, Value::Number(2.0)]);
    studio.encoder.call(2, "closeStream", 0.0, [Value::Null]);
    studio.run().unwrap();
    assert!(
        !studio
            .events
            .iter()
            .any(|event| matches!(event, ServerEvent::Goodbye))
    );
}

#[test]
fn an_encoder_may_publish_again_after_its_goodbye() {
    let mut studio = Studio::new();
    studio.on_air();
    studio.now += REQUEST_TIMEOUT * 2;
    studio.encoder.call(1, "closeStream", 0.0, [Value::Null]);
    studio.run().unwrap();
    assert!(matches!(studio.events[..], [ServerEvent::Goodbye]));
    assert_eq!(
        studio.session.poll_timeout(),
        Some(studio.now + REQUEST_TIMEOUT)
    );
    studio.publish("again");
    assert_eq!(studio.key(), Some("again"));
}

#[test]
fn calls_that_want_an_answer_get_one() {
    let mut studio = Studio::new();
    studio.connect("live");
    studio.encoder.take_heard();
    for (number, name) in ["getStreamLength", "_checkbw", "somethingNew"]
        .iter()
        .enumerate()
    {
        studio
            .encoder
            .call(0, name, number as f64 + 2.0, [Value::Null]);
        studio.encoder.call(0, name, 0.0, [Value::Null]);
    }
    studio.run().unwrap();
    assert_eq!(
        studio.encoder.transcript(),
        [
            "0 _result(2) Null 0",
            "0 _result(3) Null Undefined",
            "0 _result(4) Null Undefined",
        ]
    );
}

#[test]
fn nothing_is_answered_before_connect() {
    let mut studio = Studio::new();
    studio.encoder.call(0, "createStream", 1.0, [Value::Null]);
    studio.publish("key");
    assert_eq!(studio.encoder.transcript(), [""; 0]);
    assert!(studio.events.is_empty());
}

#[test]
fn events_print_no_key() {
    let mut studio = Studio::new();
    studio.connect("live/secret-in-app?token=secret-in-query");
    studio.publish("secret-in-app?secret-in-name");
    assert_eq!(studio.key(), Some("secret-in-app"));
    let printed = format!("{:?}", studio.events);
    assert!(!printed.contains("secret"), "{printed}");
}
