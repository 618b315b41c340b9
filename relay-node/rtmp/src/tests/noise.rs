//! What no peer should send, and one will.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::peer::Peer;
use crate::amf0::Value;
use crate::capabilities::Capabilities;
use crate::client::{Login, PublishClient, PublishTarget};
use crate::message::MessageType;
use crate::server::{Refusal, ServerConfig, ServerEvent, ServerSession};
use crate::stream_name::StreamName;

#[derive(Clone, Debug)]
enum Act {
    Bytes(Vec<u8>),
    Message(u8, u32, Vec<u8>),
    Command(&'static str, f64, u32, Vec<Value>),
    Accept,
    Refuse,
    Stop,
    Time(u64),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let values = prop::collection::vec(
        prop_oneof![
            Just(Value::Null),
            any::<f64>().prop_map(Value::Number),
            "(live|live/k|k|)".prop_map(Value::String),
            Just(Value::object([("app", Value::string("live"))])),
            Just(Value::object([
                ("level", Value::string("error")),
                ("code", Value::Null)
            ])),
            Just(Value::object([(
                "code",
                Value::string("NetStream.Publish.Start")
            )])),
        ],
        0..4,
    );
    let name = prop::sample::select(vec![
        "connect",
        "createStream",
        "publish",
        "FCPublish",
        "FCUnpublish",
        "deleteStream",
        "closeStream",
        "play",
        "_result",
        "_error",
        "onStatus",
        "close",
        "what",
    ]);
    let act = prop_oneof![
        1 => prop::collection::vec(any::<u8>(), 0..64).prop_map(Act::Bytes),
        4 => (0_u8..24, 0_u32..3, prop::collection::vec(any::<u8>(), 0..40))
            .prop_map(|(kind, stream, payload)| Act::Message(kind, stream, payload)),
        12 => (name, 0_u32..9, 0_u32..3, values)
            .prop_map(|(name, number, stream, values)| {
                Act::Command(name, f64::from(number), stream, values)
            }),
        3 => Just(Act::Accept),
        1 => Just(Act::Refuse),
        1 => Just(Act::Stop),
        2 => (0_u64..20).prop_map(Act::Time),
    ];
    prop::collection::vec(act, 0..40)
}

impl Act {
    /// The part of it that a peer does; whether it was such.
    fn of_peer(&self, peer: &mut Peer) -> Option<Vec<u8>> {
        match self {
            Self::Bytes(bytes) => return Some(bytes.clone()),
            Self::Message(kind, stream, payload) => {
                peer.send(MessageType(*kind), *stream, payload);
            }
            Self::Command(name, number, stream, values) => {
                peer.call(*stream, name, *number, values.clone());
            }
            _ => return None,
        }
        Some(peer.take_output())
    }
}

proptest! {
    #[test]
    fn a_session_survives_every_encoder(acts in acts()) {
        let mut now = Instant::now();
        let mut session = ServerSession::new(ServerConfig::default(), now);
        let mut encoder = Peer::encoder();
        for _ in 0..2 {
            session.input(now, &encoder.take_output()).unwrap();
            while let Some(bytes) = session.poll_output() {
                encoder.hear(&bytes);
            }
        }
        let mut accepted = false;
        let mut failed = false;
        for act in acts {
            let input = act.of_peer(&mut encoder);
            let result = match (input, act) {
                (Some(bytes), _) => session.input(now, &bytes),
                (None, Act::Accept) => {
                    accepted = true;
                    session.accept(now)
                }
                (None, Act::Refuse) => {
                    session.refuse(Refusal::UnknownKey);
                    Ok(())
                }
                (None, Act::Time(seconds)) => {
                    now += Duration::from_secs(seconds);
                    session.handle_timeout(now)
                }
                (None, _) => Ok(()),
            };
            failed |= result.is_err();
            // Whoever failed is closed, and stays so; what is closed waits for nothing.
            prop_assert!(!failed || session.is_closed());
            prop_assert_eq!(session.is_closed(), session.poll_timeout().is_none());
            while let Some(event) = session.poll_event() {
                prop_assert!(accepted || !matches!(event, ServerEvent::Media(_)));
            }
            while session.poll_output().is_some() {}
        }
    }

    #[test]
    fn a_client_survives_every_destination(acts in acts()) {
        let mut now = Instant::now();
        let target = PublishTarget {
            app: "app".into(),
            tc_url: "rtmp://host/app".into(),
            stream_name: StreamName::new("key"),
            capabilities: Capabilities::default(),
            credentials: None,
            login: Login::default(),
        };
        let mut client = PublishClient::new(target, now).unwrap();
        let mut destination = Peer::destination();
        for _ in 0..2 {
            while let Some(bytes) = client.poll_output() {
                destination.hear(&bytes);
            }
            client.input(now, &destination.take_output()).unwrap();
        }
        let mut failed = false;
        for act in acts {
            let input = act.of_peer(&mut destination);
            let result = match (input, act) {
                (Some(bytes), _) => client.input(now, &bytes),
                (None, Act::Stop) => {
                    client.stop();
                    Ok(())
                }
                (None, Act::Time(seconds)) => {
                    now += Duration::from_secs(seconds);
                    client.handle_timeout(now)
                }
                (None, _) => Ok(()),
            };
            failed |= result.is_err();
            prop_assert!(!failed || client.is_closed());
            prop_assert!(!client.is_closed() || client.poll_timeout().is_none());
            while client.poll_event().is_some() {}
            while client.poll_output().is_some() {}
        }
    }
}
