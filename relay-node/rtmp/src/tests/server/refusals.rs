use super::Studio;
use crate::amf0::Value;
use crate::command::Command;
use crate::message::MessageType;
use crate::server::{Refusal, ServerEvent};

#[test]
fn every_refusal_of_a_publish_reaches_the_encoder() {
    for refusal in [
        Refusal::UnknownKey,
        Refusal::Disabled,
        Refusal::Deleted,
        Refusal::Replaced,
        Refusal::TryAgain,
        Refusal::ShuttingDown,
    ] {
        for on_air in [false, true] {
            let mut studio = Studio::new();
            match on_air {
                true => studio.on_air(),
                false => studio.request(),
            }
            studio.session.refuse(refusal);
            assert!(studio.session.is_closed());
            studio.encoder.send(MessageType::VIDEO, 1, b"\x17\x01");
            studio.run().unwrap();

            let heard = studio.encoder.take_heard();
            assert_eq!(heard.len(), 1);
            assert_eq!(heard[0].stream_id, 1);
            let status = Command::read(heard[0].kind, &heard[0].payload).unwrap();
            assert_eq!(status.name, "onStatus");
            assert_eq!(
                status.argument(0),
                Some(&Value::object([
                    ("level", Value::string("error")),
                    ("code", Value::string(refusal.code())),
                    ("description", Value::string(refusal.description())),
                ]))
            );
            assert!(studio.media().is_empty());
            assert_eq!(studio.session.poll_timeout(), None);
        }
    }
}

#[test]
fn an_empty_key_and_a_wrong_application_are_refused_with_their_sentences() {
    let mut studio = Studio::new();
    studio.connect("live/");
    studio.encoder.take_heard();
    studio.publish(" ");
    assert!(studio.session.is_closed());
    assert_eq!(
        studio.encoder.transcript(),
        ["1 onStatus(0) Null NetStream.Publish.Denied"]
    );
    assert!(matches!(
        studio.events.last(),
        Some(ServerEvent::Refused(Refusal::EmptyKey))
    ));

    let mut studio = Studio::new();
    studio.connect("app");
    assert!(studio.session.is_closed());
    assert_eq!(
        studio.encoder.transcript(),
        [
            "0 _error(1) Null NetConnection.Connect.InvalidApp",
            "0 onStatus(0) Null NetConnection.Connect.InvalidApp",
        ]
    );
    assert!(matches!(
        studio.events[..],
        [ServerEvent::Refused(Refusal::WrongApplication)]
    ));
}

#[test]
fn a_player_is_refused() {
    let mut studio = Studio::new();
    studio.connect("live");
    studio.encoder.take_heard();
    studio
        .encoder
        .call(1, "play", 0.0, [Value::Null, Value::string("key")]);
    studio.run().unwrap();
    assert_eq!(
        studio.encoder.transcript(),
        ["1 onStatus(0) Null NetStream.Play.Failed"]
    );
    assert!(studio.session.is_closed());
}
