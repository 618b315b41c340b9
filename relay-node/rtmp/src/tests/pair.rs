//! A publishing client and a server session, byte for byte against each other.

use std::time::{Duration, Instant};

use bytes::Bytes;
use proptest::prelude::*;

use crate::capabilities::Capabilities;
use crate::client::{ClientEvent, Login, PublishClient, PublishTarget};
use crate::message::{Message, MessageType};
use crate::server::{
    LOOP, PUBLISH_IDLE_TIMEOUT, Refusal, ServerConfig, ServerEvent, ServerSession,
};
use crate::stream_name::StreamName;

/// In no sentence of ours, or the client would take it out of it.
const KEY: &str = "0123456789abcdef";

/// Both ends of a connection, and a pipe between them that delivers pieces of a chosen size.
pub(super) struct Pair {
    now: Instant,
    client: PublishClient,
    server: ServerSession,
    piece: usize,
    client_events: Vec<ClientEvent>,
    server_events: Vec<ServerEvent>,
}

impl Pair {
    fn new(app: &str, key: &str, piece: usize) -> Self {
        Self::between((app, key, piece), None, None)
    }

    /// With the systems that the client and the server belong to.
    fn between(
        (app, key, piece): (&str, &str, usize),
        of_client: Option<&str>,
        of_server: Option<&str>,
    ) -> Self {
        let now = Instant::now();
        let target = PublishTarget {
            app: app.into(),
            tc_url: format!("rtmp://localhost/{app}"),
            stream_name: StreamName::new(key),
            capabilities: Capabilities::default(),
            credentials: None,
            login: Login::default(),
        };
        let mut client = PublishClient::new(target, now).unwrap();
        if let Some(system) = of_client {
            client.introduce(system);
        }
        let config = ServerConfig {
            system: of_server.map(Into::into),
            ..ServerConfig::default()
        };
        let mut pair = Self {
            now,
            client,
            server: ServerSession::new(config, now),
            piece,
            client_events: Vec::new(),
            server_events: Vec::new(),
        };
        pair.run();
        pair
    }

    fn on_air(piece: usize) -> Self {
        let mut pair = Self::new("live", KEY, piece);
        pair.server.accept(pair.now).unwrap();
        pair.run();
        assert_eq!(
            pair.client_events,
            [ClientEvent::Publishing { confirmed: true }]
        );
        pair
    }

    /// Until both have nothing more to say.
    fn run(&mut self) {
        loop {
            let mut quiet = true;
            while let Some(bytes) = self.client.poll_output() {
                quiet = false;
                self.deliver(&bytes);
            }
            while let Some(bytes) = self.server.poll_output() {
                quiet = false;
                for piece in bytes.chunks(self.piece) {
                    self.client.input(self.now, piece).unwrap();
                }
            }
            self.client_events
                .extend(std::iter::from_fn(|| self.client.poll_event()));
            self.server_events
                .extend(std::iter::from_fn(|| self.server.poll_event()));
            if quiet {
                return;
            }
        }
    }

    fn deliver(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(self.piece) {
            self.server.input(self.now, piece).unwrap();
        }
    }

    fn send(&mut self, kind: MessageType, timestamp: u32, payload: &Bytes) {
        let message = self
            .client
            .message(kind, timestamp, payload.clone())
            .unwrap();
        self.deliver(&message.to_bytes());
        self.run();
    }

    fn media(&self) -> Vec<&Message> {
        self.server_events
            .iter()
            .filter_map(|event| match event {
                ServerEvent::Media(message) => Some(message),
                _ => None,
            })
            .collect()
    }
}

#[test]
fn a_system_knows_its_own_outputs_again_and_no_others() {
    for (of_client, of_server, is_refused) in [
        (Some("one"), Some("one"), true),
        (Some("one"), Some("other"), false),
        (Some("one"), None, false),
        (None, Some("one"), false),
        (None, None, false),
    ] {
        let mut pair = Pair::between(("live", KEY, 7), of_client, of_server);
        let refused = pair.client_events.pop();
        match is_refused {
            true => {
                let Some(ClientEvent::Refused(words)) = refused else {
                    panic!("{refused:?}");
                };
                assert_eq!(words.code, LOOP);
                assert!(pair.server.is_closed());
            }
            false => assert_eq!(refused, None, "{of_client:?} {of_server:?}"),
        }
    }
}

#[test]
fn a_stream_begins_and_ends() {
    let mut pair = Pair::on_air(1);
    assert!(matches!(
        &pair.server_events[..],
        [ServerEvent::Connected(_), ServerEvent::PublishRequested(request)]
            if request.key.expose() == KEY
    ));
    pair.client.stop();
    pair.run();
    assert!(matches!(
        pair.server_events.last(),
        Some(ServerEvent::Goodbye)
    ));
    assert!(pair.client.is_closed());
}

#[test]
fn refusals_arrive_with_their_sentence() {
    for refusal in [Refusal::UnknownKey, Refusal::TryAgain, Refusal::Replaced] {
        for on_air in [false, true] {
            let mut pair = match on_air {
                true => Pair::on_air(7),
                false => Pair::new("live", KEY, 7),
            };
            pair.server.refuse(refusal);
            pair.run();
            let Some(ClientEvent::Refused(words)) = pair.client_events.last() else {
                panic!("{:?}", pair.client_events);
            };
            assert_eq!(words.code, refusal.code());
            assert_eq!(words.description, refusal.description());
        }
    }
}

#[test]
fn refusals_of_the_session_arrive_too() {
    for (app, key, refusal) in [
        ("other", KEY, Refusal::WrongApplication),
        ("live/a", KEY, Refusal::WrongApplication),
        ("live", "", Refusal::EmptyKey),
    ] {
        let pair = Pair::new(app, key, 1000);
        let [ClientEvent::Refused(words)] = &pair.client_events[..] else {
            panic!("{:?}", pair.client_events);
        };
        assert_eq!(words.code, refusal.code());
        assert_eq!(words.description, refusal.description());
        assert!(pair.server.is_closed());
    }
}

#[test]
fn a_long_stream_is_acknowledged() {
    let mut pair = Pair::on_air(100_000);
    let frame = Bytes::from(vec![0x27; 100_000]);
    for n in 0..60 {
        pair.now += PUBLISH_IDLE_TIMEOUT - Duration::from_millis(1);
        pair.server.handle_timeout(pair.now).unwrap();
        pair.send(MessageType::VIDEO, n * 40, &frame);
    }
    assert_eq!(pair.media().len(), 60);
    // At least up to the last half of a window of 2.5 MB.
    let acknowledged = u64::from(pair.client.acknowledged().unwrap());
    assert!(acknowledged + 1_250_000 + 200_000 > pair.server.bytes_received());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn media_arrives_as_it_was_sent_however_the_bytes_are_cut(
        piece in 1_usize..5_000,
        messages in prop::collection::vec(
            (
                prop::sample::select(vec![8_u8, 9, 15, 18]),
                any::<u32>(),
                prop_oneof![
                    prop::collection::vec(any::<u8>(), 0..300),
                    (any::<u8>(), 60_000_usize..140_000)
                        .prop_map(|(byte, length)| vec![byte; length]),
                ],
            ),
            0..6,
        ),
    ) {
        let mut pair = Pair::on_air(piece);
        for (kind, timestamp, payload) in &messages {
            let payload = Bytes::copy_from_slice(payload);
            pair.send(MessageType(*kind), *timestamp, &payload);
        }
        let arrived: Vec<_> = pair
            .media()
            .iter()
            .map(|message| (message.kind.0, message.timestamp, message.payload.to_vec()))
            .collect();
        prop_assert_eq!(arrived, messages);
    }
}
