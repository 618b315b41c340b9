use super::Platform;
use crate::amf0::Value;
use crate::capabilities::Capabilities;
use crate::client::{ClientEvent, Credentials, Demand, Login, PublishTarget};
use crate::command::Command;
use crate::message::MessageType;
use crate::stream_name::StreamName;

fn connecting(login: Login) -> Platform {
    let mut platform = Platform::at(PublishTarget {
        app: "app".into(),
        tc_url: "rtmps://host:443/app".into(),
        stream_name: StreamName::new("key"),
        capabilities: Capabilities::default(),
        credentials: Some(credentials()),
        login,
    });
    platform.run().unwrap();
    platform
}

fn credentials() -> Credentials {
    Credentials::new("me", "hunter2")
}

fn reject(platform: &mut Platform, description: &str) {
    let information = Value::object([
        ("level", Value::string("error")),
        ("code", Value::string("NetConnection.Connect.Rejected")),
        ("description", Value::string(description)),
    ]);
    platform
        .destination
        .call(0, "_error", 1.0, [Value::Null, information]);
    platform.destination.call(0, "close", 0.0, [Value::Null]);
    platform.run().unwrap();
    assert!(platform.client.is_closed());
}

/// What the refusal asks for, and what is to be said then.
fn asked(platform: &Platform, login: &Login) -> Login {
    match &platform.events[..] {
        [ClientEvent::Unauthorized(demand)] => login
            .answer(demand, Some(&credentials()), 0x00c0_ffee)
            .unwrap(),
        other => panic!("{other:?}"),
    }
}

/// The application and the URL of the `connect` that was heard.
fn said(platform: &mut Platform) -> [String; 2] {
    let heard = platform.destination.take_heard();
    let connect = heard
        .iter()
        .filter(|message| message.kind == MessageType::COMMAND_AMF0)
        .map(|message| Command::read(message.kind, &message.payload).unwrap())
        .find(|command| command.name == "connect")
        .unwrap();
    ["app", "tcUrl"].map(|name| {
        let value = connect.object().get(name).and_then(Value::as_str);
        value.unwrap().to_owned()
    })
}

/// The same, with `query` at the end of both.
fn expected(query: &str) -> [String; 2] {
    ["app", "rtmps://host:443/app"].map(|text| format!("{text}{query}"))
}

#[test]
fn a_user_is_named_then_proved_each_time_on_another_connection() {
    let anonymous = Login::default();
    let mut platform = connecting(anonymous.clone());
    assert_eq!(said(&mut platform), expected(""));
    reject(
        &mut platform,
        "[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ] : ",
    );
    let named = asked(&platform, &anonymous);

    let mut platform = connecting(named.clone());
    let query = "?authmod=adobe&user=me";
    assert_eq!(said(&mut platform), expected(query));
    reject(
        &mut platform,
        "[ AccessManager.Reject ] : [ authmod=adobe ] : \
         ?reason=needauth&user=me&salt=AAQ=&challenge=BBc=&opaque=BBc=",
    );
    let proved = asked(&platform, &named);

    let mut platform = connecting(proved);
    let query = "?authmod=adobe&user=me&challenge=00c0ffee\
                 &response=N1AwN8rv5KKcqz9Px/IXMA==&opaque=BBc=";
    assert_eq!(said(&mut platform), expected(query));
    platform.connected();
    assert!(platform.events.is_empty());
    assert!(!platform.client.is_closed());
}

#[test]
fn a_demand_is_one_in_answer_to_connect_alone() {
    let mut platform = connecting(Login::default());
    platform.connected();
    platform.destination.status(
        "error",
        "NetStream.Publish.Denied",
        "code=403 need auth; authmod=adobe; hunter2",
    );
    platform.run().unwrap();
    assert_eq!(
        platform.refused(),
        (
            "NetStream.Publish.Denied",
            "code=403 need auth; authmod=adobe; <redacted>"
        )
    );
}

#[test]
fn another_scheme_is_a_refusal() {
    let mut platform = connecting(Login::default());
    reject(&mut platform, "[ code=403 need auth; authmod=llnw ]");
    assert!(matches!(platform.events[..], [ClientEvent::Refused(_)]));
    let mut platform = connecting(Login::default());
    reject(&mut platform, "[ authmod=adobe ] : ?reason=authfailed");
    assert_eq!(platform.events, [ClientEvent::Unauthorized(Demand::Other)]);
}
