//! Conversations with rml_rtmp's sessions, as another's reading of the same protocol.

use std::time::Instant;

use bytes::Bytes;
use rml_rtmp::sessions::{
    ClientSession, ClientSessionConfig, ClientSessionEvent, ClientSessionResult,
    PublishRequestType, ServerSession as RmlServer, ServerSessionConfig, ServerSessionEvent,
    ServerSessionResult,
};
use rml_rtmp::time::RtmpTimestamp;

use crate::capabilities::Capabilities;
use crate::client::{ClientEvent, Login, PublishClient, PublishTarget};
use crate::handshake::Handshake;
use crate::message::MessageType;
use crate::server::{Refusal, ServerConfig, ServerEvent, ServerSession};
use crate::stream_name::StreamName;

/// rml_rtmp's client at our session.
struct RmlEncoder {
    now: Instant,
    rml: ClientSession,
    session: ServerSession,
    rml_events: Vec<ClientSessionEvent>,
    events: Vec<ServerEvent>,
}

impl RmlEncoder {
    fn new() -> Self {
        let now = Instant::now();
        let mut session = ServerSession::new(ServerConfig::default(), now);
        let (mut handshake, first) = Handshake::client().unwrap();
        session.input(now, &first).unwrap();
        loop {
            let bytes = session.poll_output().expect("an answer to the handshake");
            let progress = handshake.process(&bytes).unwrap();
            session.input(now, &progress.reply).unwrap();
            if progress.done.is_some() {
                break;
            }
        }
        let (rml, results) = ClientSession::new(ClientSessionConfig::new()).unwrap();
        let mut encoder = Self {
            now,
            rml,
            session,
            rml_events: Vec::new(),
            events: Vec::new(),
        };
        encoder.run(results);
        encoder
    }

    fn run(&mut self, mut results: Vec<ClientSessionResult>) {
        loop {
            for result in results.drain(..) {
                match result {
                    ClientSessionResult::OutboundResponse(packet) => {
                        self.session.input(self.now, &packet.bytes).unwrap();
                    }
                    ClientSessionResult::RaisedEvent(event) => self.rml_events.push(event),
                    ClientSessionResult::UnhandleableMessageReceived(message) => {
                        // All that its client doesn't know.
                        let kind = MessageType(message.type_id);
                        assert_eq!(kind, MessageType::SET_PEER_BANDWIDTH);
                    }
                }
            }
            self.events
                .extend(std::iter::from_fn(|| self.session.poll_event()));
            while let Some(bytes) = self.session.poll_output() {
                results.extend(self.rml.handle_input(&bytes).unwrap());
            }
            if results.is_empty() {
                return;
            }
        }
    }

    fn request(&mut self) {
        let result = self.rml.request_connection("live".into()).unwrap();
        self.run(vec![result]);
        assert!(
            self.rml_events
                .contains(&ClientSessionEvent::ConnectionRequestAccepted)
        );
        let result = self
            .rml
            .request_publishing("key".into(), PublishRequestType::Live)
            .unwrap();
        self.run(vec![result]);
    }
}

#[test]
fn rml_rtmp_publishes_to_our_session() {
    let mut encoder = RmlEncoder::new();
    encoder.request();
    assert!(matches!(
        encoder.events.last(),
        Some(ServerEvent::PublishRequested(request)) if request.key.expose() == "key"
    ));
    encoder.session.accept(encoder.now).unwrap();
    encoder.run(Vec::new());
    assert!(
        encoder
            .rml_events
            .contains(&ClientSessionEvent::PublishRequestAccepted)
    );
    encoder.events.clear();

    let sent: [(u8, u32, Vec<u8>); 4] = [
        (9, 0, b"\x17\x00header".to_vec()),
        (8, 3, b"\xaf\x00".to_vec()),
        (9, 40, vec![0x27; 30_000]),
        (9, 0x0100_0000, vec![0x27; 5_000]),
    ];
    for (kind, time, payload) in &sent {
        let payload = Bytes::copy_from_slice(payload);
        let time = RtmpTimestamp::new(*time);
        let result = match kind {
            8 => encoder.rml.publish_audio_data(payload, time, false),
            _ => encoder.rml.publish_video_data(payload, time, false),
        };
        encoder.run(vec![result.unwrap()]);
    }
    let media: Vec<_> = encoder
        .events
        .iter()
        .map(|event| match event {
            ServerEvent::Media(message) => {
                (message.kind.0, message.timestamp, message.payload.to_vec())
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(media, sent);

    let results = encoder.rml.stop_publishing().unwrap();
    encoder.run(results);
    assert!(matches!(encoder.events.last(), Some(ServerEvent::Goodbye)));
}

#[test]
fn rml_rtmp_understands_our_refusals() {
    let mut encoder = RmlEncoder::new();
    let result = encoder.rml.request_connection("wrong".into()).unwrap();
    encoder.run(vec![result]);
    assert!(
        encoder
            .rml_events
            .contains(&ClientSessionEvent::ConnectionRequestRejected {
                description: Refusal::WrongApplication.description().into(),
            })
    );

    let mut encoder = RmlEncoder::new();
    encoder.request();
    encoder.session.refuse(Refusal::UnknownKey);
    encoder.run(Vec::new());
    assert!(
        encoder
            .rml_events
            .contains(&ClientSessionEvent::UnhandleableOnStatusCode {
                code: Refusal::UnknownKey.code().into(),
            })
    );
}

/// Our client at rml_rtmp's server.
struct RmlDestination {
    now: Instant,
    client: PublishClient,
    rml: RmlServer,
    events: Vec<ClientEvent>,
    rml_events: Vec<ServerSessionEvent>,
}

impl RmlDestination {
    fn new() -> Self {
        let now = Instant::now();
        let target = PublishTarget {
            app: "app".into(),
            tc_url: "rtmp://localhost/app".into(),
            stream_name: StreamName::new("key"),
            capabilities: Capabilities::default(),
            credentials: None,
            login: Login::default(),
        };
        let mut client = PublishClient::new(target, now).unwrap();
        let mut handshake = Handshake::server();
        let (rml, results) = RmlServer::new(ServerSessionConfig::new()).unwrap();
        let rest = loop {
            let bytes = client
                .poll_output()
                .expect("the next step of the handshake");
            let progress = handshake.process(&bytes).unwrap();
            client.input(now, &progress.reply).unwrap();
            if let Some(rest) = progress.done {
                break rest;
            }
        };
        let mut destination = Self {
            now,
            client,
            rml,
            events: Vec::new(),
            rml_events: Vec::new(),
        };
        destination.run(results);
        destination.deliver(&rest);
        destination
    }

    fn deliver(&mut self, bytes: &[u8]) {
        let results = self.rml.handle_input(bytes).unwrap();
        self.run(results);
    }

    fn run(&mut self, mut results: Vec<ServerSessionResult>) {
        loop {
            for result in results.drain(..) {
                match result {
                    ServerSessionResult::OutboundResponse(packet) => {
                        self.client.input(self.now, &packet.bytes).unwrap();
                    }
                    ServerSessionResult::RaisedEvent(event) => self.rml_events.push(event),
                    ServerSessionResult::UnhandleableMessageReceived(message) => {
                        panic!("rml_rtmp doesn't understand {message:?}");
                    }
                }
            }
            self.events
                .extend(std::iter::from_fn(|| self.client.poll_event()));
            while let Some(bytes) = self.client.poll_output() {
                results.extend(self.rml.handle_input(&bytes).unwrap());
            }
            if results.is_empty() {
                return;
            }
        }
    }

    /// Finds the number of the request that `find` knows.
    fn requested(&self, find: impl Fn(&ServerSessionEvent) -> Option<u32>) -> u32 {
        self.rml_events
            .iter()
            .find_map(find)
            .unwrap_or_else(|| panic!("{:?}", self.rml_events))
    }

    fn connect(&mut self) {
        let request = self.requested(|event| match event {
            ServerSessionEvent::ConnectionRequested {
                request_id,
                app_name,
            } if app_name == "app" => Some(*request_id),
            _ => None,
        });
        let results = self.rml.accept_request(request).unwrap();
        self.run(results);
    }

    fn publish_request(&self) -> u32 {
        self.requested(|event| match event {
            ServerSessionEvent::PublishStreamRequested {
                request_id,
                stream_key,
                ..
            } if stream_key == "key" => Some(*request_id),
            _ => None,
        })
    }
}

#[test]
fn our_client_publishes_deliver_rtmp() {
    let mut destination = RmlDestination::new();
    destination.connect();
    let results = destination
        .rml
        .accept_request(destination.publish_request())
        .unwrap();
    destination.run(results);
    assert_eq!(
        destination.events,
        [ClientEvent::Publishing { confirmed: true }]
    );
    destination.rml_events.clear();

    let sent: [(u8, u32, Vec<u8>); 4] = [
        (9, 0, b"\x17\x00header".to_vec()),
        (8, 3, b"\xaf\x00".to_vec()),
        (9, 40, vec![0x27; 200_000]),
        (9, 0x0100_0000, vec![0x27; 5_000]),
    ];
    for (kind, time, payload) in &sent {
        let payload = Bytes::copy_from_slice(payload);
        let message = destination
            .client
            .message(MessageType(*kind), *time, payload);
        destination.deliver(&message.unwrap().to_bytes());
    }
    let media: Vec<_> = destination
        .rml_events
        .iter()
        .filter_map(|event| match event {
            ServerSessionEvent::AudioDataReceived {
                data, timestamp, ..
            } => Some((8, timestamp.value, data.to_vec())),
            ServerSessionEvent::VideoDataReceived {
                data, timestamp, ..
            } => Some((9, timestamp.value, data.to_vec())),
            _ => None,
        })
        .collect();
    assert_eq!(media, sent);

    destination.client.stop();
    destination.run(Vec::new());
    assert!(destination.rml_events.iter().any(|event| matches!(
        event,
        ServerSessionEvent::PublishStreamFinished { stream_key, .. } if stream_key == "key"
    )));
}

#[test]
fn our_client_understands_rml_rtmps_refusals() {
    let mut destination = RmlDestination::new();
    destination.connect();
    let request = destination.publish_request();
    let results = destination
        .rml
        .reject_request(request, "NetStream.Publish.BadName", "key is taken")
        .unwrap();
    destination.run(results);
    let Some(ClientEvent::Refused(words)) = destination.events.last() else {
        panic!("{:?}", destination.events);
    };
    assert!(!words.description.contains("key"), "{words:?}");
    assert!(destination.client.is_closed());
}
