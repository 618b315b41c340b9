//! The session of an encoder that publishes to us.
//!
//! ```text
//! handshake → connect → (releaseStream, FCPublish) → createStream → publish
//!           → PublishRequested, and accept() or refuse() → Media … → Goodbye
//! ```
//!
//! Every encoder walks this way with quirks of its own; what it does beside it is answered so that
//! it goes on, and never obeyed further than that.

mod address;
pub(crate) mod commands;
mod refusal;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};

pub use refusal::{LOOP, Refusal};

use address::Address;

use crate::aggregate::Parts;
use crate::allowance::Allowance;
use crate::amf0;
use crate::capabilities::Capabilities;
use crate::chunk::Limits;
use crate::command::Command;
use crate::connection::{Connection, ProtocolError};
use crate::message::{Message, MessageType};
use crate::stream_name::StreamName;

/// From the first byte to an accepted publish: 15 s, unless the caller says otherwise. Encoders need
/// four round trips; who takes longer only holds a connection.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);

/// Without a byte from a publisher: 30 s, unless the caller says otherwise. An encoder sends audio
/// or video many times a second; a missing pong says nothing, since OBS never sends one.
pub const PUBLISH_IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Messages a second of a publisher: 5000, unless the caller says otherwise. Ten tracks of video at
/// 60 frames and as many of audio come to a fifth of that; every message costs each output its own.
pub const MAX_MESSAGES_PER_SECOND: u32 = 5000;

/// For how long a publisher may have sent nothing and then all of it at once: 5 s of messages, as
/// after a network that stood still. One more ends the session.
pub const MESSAGES_HELD_UP: Duration = Duration::from_secs(5);

/// What may arrive before a publish is requested: 256 KiB. Handshake and commands come to 5 KiB; who
/// sends more makes us read for nothing.
pub const MAX_INPUT_BEFORE_REQUEST: u64 = 256 << 10;

/// What may arrive between the request to publish and its answer: 4 MiB, more than a second of the
/// fastest stream. A caller that stops reading while [`ServerSession::wants_input`] says so never
/// comes near.
pub const MAX_INPUT_BEFORE_ANSWER: u64 = 4 << 20;

/// The longest message before a publish is accepted: 64 KiB. Nobody has shown a key yet, and all
/// there is to say are commands; a longer one ends the session.
pub const MAX_MESSAGE_BEFORE_ANSWER: usize = 64 << 10;

/// What the session may be told to do otherwise.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServerConfig {
    /// The application that is served: the first part of the path in the server URL.
    pub app: String,
    /// How much a publisher may make us hold; less before it is one.
    pub limits: Limits,
    /// How much of AMF0 there may be in a command.
    pub amf0: amf0::Bounds,
    /// From the start of the session to an accepted publish.
    pub request_timeout: Duration,
    /// Without a byte from a publisher.
    pub idle_timeout: Duration,
    /// Messages a second, in the long run; of an aggregate each part counts.
    pub messages_per_second: u32,
    /// Of which publishers to refuse those that belong to it, as they say in [`SYSTEM`].
    pub system: Option<Arc<str>>,
}

impl Default for ServerConfig {
    /// The application `live`, and the default bounds.
    fn default() -> Self {
        Self {
            app: "live".to_owned(),
            limits: Limits::default(),
            amf0: amf0::Bounds::default(),
            request_timeout: REQUEST_TIMEOUT,
            idle_timeout: PUBLISH_IDLE_TIMEOUT,
            messages_per_second: MAX_MESSAGES_PER_SECOND,
            system: None,
        }
    }
}

/// The property of `connect` by which nodes of one system know each other: a stream that one of them
/// sends to another comes back to where it was. Servers ignore what they do not know.
pub const SYSTEM: &str = "streamConnectSystem";

/// One encoder's connection, from its first byte.
///
/// Bytes that the peer sent are appended to [`read_buf`](Self::read_buf), then
/// [`process`](Self::process)ed; after that, and after every other call that changes the session,
/// [`poll_output`](Self::poll_output) until it has nothing more to write, and
/// [`poll_event`](Self::poll_event) until nothing more happened.
pub struct ServerSession {
    config: ServerConfig,
    connection: Connection,
    events: VecDeque<ServerEvent>,
    state: State,
    /// Set by `connect`.
    address: Option<Address>,
    /// Whether the encoder has said that it obeys a request to connect again.
    reconnects: bool,
    streams: u32,
    waiting_since: Instant,
    heard: u64,
    heard_at: Instant,
    /// Bytes received when the publish was requested.
    heard_before_answer: u64,
    /// Bytes received when a publish could first be requested.
    heard_before_request: u64,
    messages: Allowance,
}

/// Where the conversation stands; the numbers are message streams.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Opening,
    Connected,
    Pending(u32),
    Publishing(u32),
    Closed,
}

impl ServerSession {
    /// A session on a connection that was accepted at `now`.
    pub fn new(config: ServerConfig, now: Instant) -> Self {
        let per_second = config.messages_per_second.max(1);
        let burst = per_second.saturating_mul(MESSAGES_HELD_UP.as_secs() as u32);
        Self {
            connection: Connection::server(before_answer(config.limits)),
            events: VecDeque::new(),
            state: State::Opening,
            address: None,
            reconnects: false,
            streams: 0,
            waiting_since: now,
            heard: 0,
            heard_at: now,
            heard_before_answer: 0,
            heard_before_request: 0,
            messages: Allowance::new(burst, Duration::from_secs(1) / per_second, now),
            config,
        }
    }

    /// The buffer to append received bytes to, with room for at least one good read.
    pub fn read_buf(&mut self) -> &mut BytesMut {
        self.connection.read_buf()
    }

    /// Takes notice of what was appended to [`read_buf`](Self::read_buf) by `now`.
    ///
    /// # Errors
    ///
    /// The peer broke the protocol: close the connection, once the output is written.
    pub fn process(&mut self, now: Instant) -> Result<(), ServerError> {
        let received = self.connection.bytes_received();
        if received != self.heard {
            self.heard = received;
            self.heard_at = now;
        }
        self.drive(now)
    }

    /// Appends `bytes` and processes them: for callers that have them elsewhere.
    ///
    /// # Errors
    ///
    /// As [`process`](Self::process).
    pub fn input(&mut self, now: Instant, bytes: &[u8]) -> Result<(), ServerError> {
        self.read_buf().extend_from_slice(bytes);
        self.process(now)
    }

    /// Lets the pending publish begin. Does nothing if none is pending.
    ///
    /// # Errors
    ///
    /// As [`process`](Self::process), in what the encoder sent while it waited.
    pub fn accept(&mut self, now: Instant) -> Result<(), ServerError> {
        if let State::Pending(stream_id) = self.state {
            self.state = State::Publishing(stream_id);
            self.heard_at = now;
            self.connection.set_limits(self.config.limits);
            self.connection.send_stream_begin(stream_id);
            self.connection
                .send_command(stream_id, &commands::publish_start());
        }
        self.drive(now)
    }

    /// Ends the session at any time, pending or on air, with a status that says why.
    pub fn refuse(&mut self, refusal: Refusal) {
        let stream_id = match self.state {
            State::Pending(stream_id) | State::Publishing(stream_id) => stream_id,
            State::Opening | State::Connected => 0,
            State::Closed => return,
        };
        self.state = State::Closed;
        // Before the handshake is over there is no way to say it.
        if self.connection.is_open() {
            let status = Command::on_status(refusal.status());
            self.connection.send_command(stream_id, &status);
        }
    }

    /// Asks a publisher to connect again at the same address, where another server has taken over
    /// (Enhanced RTMP v2, *Reconnect Request*); it sends on here until it does. Does nothing where the
    /// encoder has not said that it obeys.
    pub fn ask_to_reconnect(&mut self) {
        if self.reconnects && matches!(self.state, State::Publishing(_)) {
            self.connection.send_command(0, &commands::reconnect());
        }
    }

    /// Acts on the time, `now` being at or after [`poll_timeout`](Self::poll_timeout).
    ///
    /// # Errors
    ///
    /// The peer took too long: close the connection.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), ServerError> {
        if self.poll_timeout().is_none_or(|deadline| now < deadline) {
            return Ok(());
        }
        let error = match self.state {
            State::Publishing(_) => ServerError::Idle(self.config.idle_timeout),
            _ => ServerError::RequestTimeout(self.config.request_timeout),
        };
        self.state = State::Closed;
        Err(error)
    }

    /// The next bytes to write to the peer, in order.
    pub fn poll_output(&mut self) -> Option<Bytes> {
        self.connection.poll_output()
    }

    /// What happened next.
    pub fn poll_event(&mut self) -> Option<ServerEvent> {
        self.events.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called, if nothing happens before.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Opening | State::Connected | State::Pending(_) => {
                Some(self.waiting_since + self.config.request_timeout)
            }
            State::Publishing(_) => Some(self.heard_at + self.config.idle_timeout),
            State::Closed => None,
        }
    }

    /// Whether to read from the peer: not while a request to publish waits for its answer.
    ///
    /// Some encoders send media without waiting for it; that stays, whole and in order, in the
    /// socket and in the read buffer until [`accept`](Self::accept).
    pub fn wants_input(&self) -> bool {
        !matches!(self.state, State::Pending(_) | State::Closed)
    }

    /// Whether nothing more will come of this session: write what
    /// [`poll_output`](Self::poll_output) still has, then close the connection.
    pub fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    /// All bytes that came from the peer.
    pub fn bytes_received(&self) -> u64 {
        self.connection.bytes_received()
    }

    fn drive(&mut self, now: Instant) -> Result<(), ServerError> {
        let driven = self.drive_until_pending(now);
        if driven.is_err() {
            self.state = State::Closed;
        }
        driven
    }

    fn drive_until_pending(&mut self, now: Instant) -> Result<(), ServerError> {
        loop {
            match self.state {
                State::Closed => {
                    self.connection.read_buf().clear();
                    return Ok(());
                }
                State::Pending(_) => {
                    let meanwhile = self.connection.bytes_received() - self.heard_before_answer;
                    if meanwhile > MAX_INPUT_BEFORE_ANSWER {
                        return Err(ServerError::TooMuchBeforeAnswer);
                    }
                    return Ok(());
                }
                State::Opening | State::Connected | State::Publishing(_) => {}
            }
            let Some(message) = self.connection.next_message()? else {
                return self.check_input();
            };
            self.message(now, message)?;
        }
    }

    /// Who has not asked to publish yet has little to say.
    fn check_input(&self) -> Result<(), ServerError> {
        let so_far = self.connection.bytes_received() - self.heard_before_request;
        match self.state {
            State::Opening | State::Connected if so_far > MAX_INPUT_BEFORE_REQUEST => {
                Err(ServerError::TooMuchBeforeRequest)
            }
            _ => Ok(()),
        }
    }

    /// Takes a message from what the peer may send; if it is too much, the session is over.
    fn allow(&mut self, now: Instant) -> bool {
        let allowed = self.messages.take(now);
        if !allowed {
            self.refuse(Refusal::TooManyMessages);
            self.events
                .push_back(ServerEvent::Refused(Refusal::TooManyMessages));
        }
        allowed
    }

    fn message(&mut self, now: Instant, message: Message) -> Result<(), ServerError> {
        if !self.allow(now) {
            return Ok(());
        }
        match message.kind {
            MessageType::COMMAND_AMF0 | MessageType::COMMAND_AMF3 => {
                let command =
                    Command::read_within(self.config.amf0, message.kind, &message.payload)
                        .map_err(ProtocolError::from)?;
                self.command(message.stream_id, &command);
            }
            // Media of nobody who may publish.
            _ if !matches!(self.state, State::Publishing(_)) => {}
            MessageType::AGGREGATE => {
                for part in Parts::new(message) {
                    if !self.allow(now) {
                        break;
                    }
                    self.events.push_back(ServerEvent::Media(part));
                }
            }
            // Audio, video, data, and whatever type comes to be: all of it passes.
            _ => self.events.push_back(ServerEvent::Media(message)),
        }
        Ok(())
    }
}

fn before_answer(limits: Limits) -> Limits {
    Limits {
        max_message: limits.max_message.min(MAX_MESSAGE_BEFORE_ANSWER),
        max_partial_bytes: limits.max_partial_bytes.min(2 * MAX_MESSAGE_BEFORE_ANSWER),
        ..limits
    }
}

/// Something happened that the caller acts on.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ServerEvent {
    /// The encoder introduced itself.
    Connected(Connected),
    /// The encoder asks to publish, and waits for [`ServerSession::accept`] or
    /// [`ServerSession::refuse`].
    PublishRequested(PublishRequested),
    /// Audio, video or data of the stream, its payload as it came. Aggregates are taken apart.
    Media(Message),
    /// The encoder ended the stream of its own will. It may ask to publish again.
    Goodbye,
    /// The session refused the encoder itself, and [is closed](ServerSession::is_closed).
    Refused(Refusal),
}

/// What an encoder says of itself.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Connected {
    /// Its name and version as it gives them (`flashVer`), shortened and without control
    /// characters; often empty or a pretence.
    pub encoder: String,
    /// What it knows of Enhanced RTMP; what it is to be told at a destination on its behalf.
    pub capabilities: Capabilities,
}

/// A request to publish.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PublishRequested {
    /// The stream key, never empty.
    pub key: StreamName,
}

/// Why a session can't go on; each time it is the peer's doing.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// It publishes, but nothing came for so long.
    #[error("nothing came from the encoder for {} s", .0.as_secs())]
    Idle(Duration),
    /// It broke the protocol.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    /// No publish was accepted within that time.
    #[error("no stream was started within {} s", .0.as_secs())]
    RequestTimeout(Duration),
    /// It sent more than [`MAX_INPUT_BEFORE_ANSWER`] before it was told that it may.
    #[error("the encoder sent too much before its stream was accepted")]
    TooMuchBeforeAnswer,
    /// It sent more than [`MAX_INPUT_BEFORE_REQUEST`] without asking to publish.
    #[error("the peer sent too much without asking to publish")]
    TooMuchBeforeRequest,
}
