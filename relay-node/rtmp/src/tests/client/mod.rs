mod login;
mod publish;
mod refusals;

use std::time::Instant;

use super::peer::Peer;
use crate::amf0::Value;
use crate::capabilities::Capabilities;
use crate::client::{ClientError, ClientEvent, Credentials, Login, PublishClient, PublishTarget};
use crate::stream_name::StreamName;

/// A client and the destination that it talks to.
struct Platform {
    now: Instant,
    client: PublishClient,
    destination: Peer,
    events: Vec<ClientEvent>,
}

impl Platform {
    fn new() -> Self {
        Self::of("the/key?bw=1&x", Capabilities::default())
    }

    fn of(key: &str, capabilities: Capabilities) -> Self {
        let target = PublishTarget {
            app: "app".into(),
            tc_url: "rtmps://host:443/app".into(),
            stream_name: StreamName::new(key),
            capabilities,
            credentials: Some(Credentials::new("me", "hunter2")),
            login: Login::default(),
        };
        Self::at(target)
    }

    fn at(target: PublishTarget) -> Self {
        let now = Instant::now();
        Self {
            now,
            client: PublishClient::new(target, now).unwrap(),
            destination: Peer::destination(),
            events: Vec::new(),
        }
    }

    fn run(&mut self) -> Result<(), ClientError> {
        loop {
            let mut quiet = true;
            while let Some(bytes) = self.client.poll_output() {
                self.destination.hear(&bytes);
                quiet = false;
            }
            let said = self.destination.take_output();
            quiet &= said.is_empty();
            let result = self.client.input(self.now, &said);
            while let Some(event) = self.client.poll_event() {
                self.events.push(event);
            }
            result?;
            if quiet {
                return Ok(());
            }
        }
    }

    fn connected(&mut self) {
        self.run().unwrap();
        let success = Value::object([
            ("level", Value::string("status")),
            ("code", Value::string("NetConnection.Connect.Success")),
        ]);
        self.destination
            .call(0, "_result", 1.0, [Value::Null, success]);
        self.run().unwrap();
    }

    fn starting(&mut self) {
        self.connected();
        self.destination
            .call(0, "_result", 4.0, [Value::Null, Value::Number(1.0)]);
        self.run().unwrap();
    }

    fn live(&mut self) {
        self.starting();
        self.destination
            .status("status", "NetStream.Publish.Start", "Go");
        self.run().unwrap();
        self.destination.take_heard();
        assert_eq!(self.events, [ClientEvent::Publishing { confirmed: true }]);
        self.events.clear();
    }

    /// The refusal, as code and description.
    fn refused(&self) -> (&str, &str) {
        assert!(self.client.is_closed());
        match &self.events[..] {
            [ClientEvent::Refused(words)] => (&words.code, &words.description),
            other => panic!("{other:?}"),
        }
    }
}
