mod bounds;
mod media;
mod publish;
mod refusals;

use std::time::Instant;

use super::peer::Peer;
use crate::amf0::Value;
use crate::server::{ServerConfig, ServerError, ServerEvent, ServerSession};

/// An encoder and the session that it talks to.
struct Studio {
    now: Instant,
    encoder: Peer,
    session: ServerSession,
    events: Vec<ServerEvent>,
}

impl Studio {
    fn new() -> Self {
        Self::with(ServerConfig::default())
    }

    fn with(config: ServerConfig) -> Self {
        let now = Instant::now();
        let mut studio = Self {
            now,
            encoder: Peer::encoder(),
            session: ServerSession::new(config, now),
            events: Vec::new(),
        };
        studio.run().unwrap();
        studio
    }

    /// Carries bytes to and fro until nobody has any more to say.
    fn run(&mut self) -> Result<(), ServerError> {
        loop {
            let said = self.encoder.take_output();
            let result = self.session.input(self.now, &said);
            let mut quiet = said.is_empty();
            while let Some(bytes) = self.session.poll_output() {
                self.encoder.hear(&bytes);
                quiet = false;
            }
            while let Some(event) = self.session.poll_event() {
                self.events.push(event);
            }
            result?;
            if quiet {
                return Ok(());
            }
        }
    }

    fn connect(&mut self, app: &str) {
        self.encoder.call(0, "connect", 1.0, [connect_object(app)]);
        self.run().unwrap();
    }

    /// As far as the request to publish; nothing of it is left in the events.
    fn request(&mut self) {
        self.connect("live");
        self.encoder.call(0, "createStream", 2.0, [Value::Null]);
        self.publish("key");
        self.encoder.take_heard();
        self.events.clear();
    }

    fn on_air(&mut self) {
        self.request();
        self.session.accept(self.now).unwrap();
        self.run().unwrap();
        self.encoder.take_heard();
    }

    fn publish(&mut self, key: &str) {
        let values = [Value::Null, Value::string(key), Value::string("live")];
        self.encoder.call(1, "publish", 3.0, values);
        self.run().unwrap();
    }

    fn key(&self) -> Option<&str> {
        self.events.iter().find_map(|event| match event {
            ServerEvent::PublishRequested(request) => Some(request.key.expose()),
            _ => None,
        })
    }

    fn media(&self) -> Vec<(u8, u32, &[u8])> {
        self.events
            .iter()
            .filter_map(|event| match event {
                ServerEvent::Media(message) => {
                    Some((message.kind.0, message.timestamp, &message.payload[..]))
                }
                _ => None,
            })
            .collect()
    }
}

fn connect_object(app: &str) -> Value {
    Value::object([
        ("app", Value::string(app)),
        ("type", Value::string("nonprivate")),
        ("flashVer", Value::string("FMLE/3.0 (compatible; FMSc/1.0)")),
        ("swfUrl", Value::string("rtmps://localhost:1936/live")),
        ("tcUrl", Value::string("rtmps://localhost:1936/live")),
    ])
}
