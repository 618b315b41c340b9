//! What each command of an encoder is answered.

use super::address::{Address, NoKey};
use super::{Connected, PublishRequested, Refusal, SYSTEM, ServerEvent, ServerSession, State};
use crate::amf0::Value;
use crate::capabilities::{Capabilities, CapsEx};
use crate::command::{Command, Level, Status};
use crate::connection::WINDOW_ACK_SIZE;

/// The server that encoders expect to find. Some look for the number of version 3.
const FMS_VERSION: &str = "FMS/3,0,1,123";

/// The capability bits that go with that version.
const FMS_CAPABILITIES: f64 = 31.0;

/// The longest name of an encoder that is kept, in characters.
pub(crate) const MAX_ENCODER_NAME: usize = 128;

impl ServerSession {
    pub(super) fn command(&mut self, stream_id: u32, command: &Command) {
        match (command.name.as_str(), self.state) {
            ("connect", State::Opening) => self.connect(command),
            // Nothing else is answered before; the time-out ends it.
            ("connect", _) | (_, State::Opening) => {}
            ("createStream", _) => self.create_stream(command),
            ("publish", _) => self.publish(stream_id, command),
            ("FCPublish", _) => {
                self.answer(command, Value::Undefined);
                // Some encoders wait for it before they go on.
                let status = Status {
                    level: Level::Status,
                    code: "NetStream.Publish.Start",
                    description: "The stream is being prepared.",
                };
                let event = [Value::Null, status.into_value()];
                self.connection
                    .send_command(0, &Command::new("onFCPublish", 0.0, event));
            }
            ("FCUnpublish", _) => {
                self.answer(command, Value::Undefined);
                self.goodbye();
            }
            ("deleteStream", State::Publishing(publishing)) => {
                let deleted = command.argument(0).and_then(Value::as_number);
                if deleted.is_none_or(|id| id == f64::from(publishing)) {
                    self.goodbye();
                }
            }
            ("closeStream", State::Publishing(publishing)) if stream_id == publishing => {
                self.goodbye();
            }
            ("deleteStream" | "closeStream", _) => {}
            ("play" | "play2", _) => self.refuse_at(stream_id, Refusal::PlaybackNotServed),
            ("getStreamLength", _) => self.answer(command, Value::Number(0.0)),
            // releaseStream, _checkbw, and what we don't know: an encoder that waits goes on.
            _ => self.answer(command, Value::Undefined),
        }
    }

    fn connect(&mut self, command: &Command) {
        let object = command.object();
        let app = object
            .get("app")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let system = object.get(SYSTEM).and_then(Value::as_str);
        if system.is_some() && system == self.config.system.as_deref() {
            return self.refuse_connect(command, Refusal::Loop);
        }
        let Some(address) = Address::of_app(app, &self.config.app) else {
            return self.refuse_connect(command, Refusal::WrongApplication);
        };
        self.address = Some(address);
        self.state = State::Connected;

        let capabilities = Capabilities::read(object);
        self.reconnects = capabilities.caps_ex & CapsEx::RECONNECT != 0;
        self.connection.send_window(WINDOW_ACK_SIZE);
        self.connection.send_peer_bandwidth(WINDOW_ACK_SIZE);
        self.connection.send_chunk_size();
        self.connection.send_stream_begin(0);
        self.connection
            .send_command(0, &connect_result(command.transaction, &capabilities));

        let encoder = object.get("flashVer").and_then(Value::as_str);
        self.events.push_back(ServerEvent::Connected(Connected {
            encoder: encoder
                .unwrap_or_default()
                .chars()
                .filter(|c| !c.is_control())
                .take(MAX_ENCODER_NAME)
                .collect(),
            capabilities,
        }));
    }

    /// The answer that belongs to the call, for encoders that wait for it, and the status, whose
    /// sentence OBS logs while it passes over that of the answer.
    fn refuse_connect(&mut self, command: &Command, refusal: Refusal) {
        let info = refusal.status().into_value();
        let error = Command::new("_error", command.transaction, [Value::Null, info]);
        self.connection.send_command(0, &error);
        self.refuse_at(0, refusal);
    }

    fn create_stream(&mut self, command: &Command) {
        // 0 is the connection, so streams begin at 1.
        self.streams = self.streams.wrapping_add(1).max(1);
        self.answer(command, Value::Number(f64::from(self.streams)));
    }

    fn publish(&mut self, stream_id: u32, command: &Command) {
        if self.state != State::Connected {
            // Two streams on one connection; the first goes on.
            let status = Status {
                level: Level::Error,
                code: "NetStream.Publish.BadName",
                description: "This connection publishes already.",
            };
            self.connection
                .send_command(stream_id, &Command::on_status(status));
            return;
        }
        let name = command.argument(0).and_then(Value::as_str);
        let key = match &self.address {
            Some(address) => address.key(name.unwrap_or_default()),
            None => Err(NoKey::OtherApplication),
        };
        match key {
            Ok(key) => {
                self.state = State::Pending(stream_id);
                self.heard_before_answer = self.connection.bytes_received();
                self.events
                    .push_back(ServerEvent::PublishRequested(PublishRequested { key }));
            }
            Err(NoKey::Empty) => self.refuse_at(stream_id, Refusal::EmptyKey),
            Err(NoKey::OtherApplication) => self.refuse_at(stream_id, Refusal::WrongApplication),
        }
    }

    /// The end that the encoder wished: told once, whichever of three ways it says it in.
    fn goodbye(&mut self) {
        let State::Publishing(stream_id) = self.state else {
            return;
        };
        self.state = State::Connected;
        self.waiting_since = self.heard_at;
        self.heard_before_request = self.connection.bytes_received();
        let status = Status {
            level: Level::Status,
            code: "NetStream.Unpublish.Success",
            description: "The stream has ended.",
        };
        self.connection
            .send_command(stream_id, &Command::on_status(status));
        self.events.push_back(ServerEvent::Goodbye);
    }

    /// Refuses of the session's own accord.
    fn refuse_at(&mut self, stream_id: u32, refusal: Refusal) {
        self.state = State::Closed;
        self.connection
            .send_command(stream_id, &Command::on_status(refusal.status()));
        self.events.push_back(ServerEvent::Refused(refusal));
    }

    /// Answers a call that wants an answer.
    fn answer(&mut self, call: &Command, value: Value) {
        if call.transaction != 0.0 {
            let result = Command::new("_result", call.transaction, [Value::Null, value]);
            self.connection.send_command(0, &result);
        }
    }
}

/// The status that lets an encoder begin.
pub(super) fn publish_start() -> Command {
    Command::on_status(Status {
        level: Level::Status,
        code: "NetStream.Publish.Start",
        description: "The stream has started.",
    })
}

/// The status that asks an encoder to connect again.
pub(super) fn reconnect() -> Command {
    Command::on_status(Status {
        level: Level::Status,
        code: "NetConnection.Connect.ReconnectRequest",
        description: "The server is being replaced: connect again, to the same address.",
    })
}

fn connect_result(transaction: f64, asked: &Capabilities) -> Command {
    let properties = Value::object([
        ("fmsVer", Value::string(FMS_VERSION)),
        ("capabilities", Value::Number(FMS_CAPABILITIES)),
        ("mode", Value::Number(1.0)),
    ]);
    let status = Status {
        level: Level::Status,
        code: "NetConnection.Connect.Success",
        description: "Connected.",
    };
    let mut information = status.properties();
    // Whatever was asked: we read AMF0 only.
    information.push(("objectEncoding", Value::Number(0.0)));
    // Proposed for this object in veovera/enhanced-rtmp issue 11.
    information.extend(asked.answer().properties());
    Command::new(
        "_result",
        transaction,
        [properties, Value::object(information)],
    )
}
