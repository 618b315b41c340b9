//! The connection that publishes to a destination.
//!
//! ```text
//! handshake → connect → releaseStream, FCPublish, createStream → publish
//!           → Publishing → message() … → stop()
//! ```

mod answers;
mod login;
mod target;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};

pub use login::{Challenge, Credentials, Demand, Login, LoginError};
pub use target::PublishTarget;

use crate::amf0::Value;
use crate::capabilities::Capabilities;
use crate::chunk::{ChunkSize, ChunkStreamId, ChunkedMessage, Limits, PayloadTooLong};
use crate::command::Command;
use crate::connection::{Connection, ProtocolError, WINDOW_ACK_SIZE};
use crate::handshake::HandshakeError;
use crate::message::{Message, MessageType};
use crate::server::SYSTEM;

/// For the handshake, and for each answer that must come: 10 s. A destination that accepts and
/// then says nothing is given up then.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// How long `NetStream.Publish.Start` is waited for: 5 s, then the stream begins without it, as
/// some servers never send it. Others throw away media sent before (nginx-rtmp issue 1490), and a
/// refusal that comes later still is heard while live.
pub const PUBLISH_START_GRACE: Duration = Duration::from_secs(5);

/// The longest message of a destination that is taken: 64 KiB. All it has to say are commands.
pub const MAX_ANSWER: usize = 64 << 10;

/// Destinations look for the name of Adobe's encoder to tell a publisher from a player.
const FLASH_VERSION: &str = "FMLE/3.0 (compatible; StreamConnect)";

/// A connection to a destination that publishes one stream, from its first byte.
///
/// Bytes are exchanged as with [`ServerSession`](crate::server::ServerSession). Media goes out
/// beside [`poll_output`](Self::poll_output): [`message`](Self::message) makes what is to be
/// written, and output may only be written between two whole messages.
///
/// That the peer closed the connection is seen, and told, by the caller.
pub struct PublishClient {
    target: PublishTarget,
    system: Option<String>,
    connection: Connection,
    events: VecDeque<ClientEvent>,
    state: State,
    stream_id: u32,
    deadline: Option<Instant>,
    capabilities: Capabilities,
}

/// What of a message's bytes depends on the destination: clients with the same framing make the
/// same bytes of the same message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Framing {
    stream_id: u32,
    chunk_size: ChunkSize,
}

/// Where the conversation stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Handshake,
    /// `connect` is sent.
    Connecting,
    /// `createStream` is sent, with the calls that some servers want before it.
    Creating,
    /// `publish` is sent.
    Starting,
    Live,
    /// Stopped by us, refused or ended by the destination.
    Closed,
}

impl PublishClient {
    /// A client on a connection that was made at `now`.
    ///
    /// # Errors
    ///
    /// The handshake can't be begun; the peer has no part in it.
    pub fn new(target: PublishTarget, now: Instant) -> Result<Self, HandshakeError> {
        let limits = Limits {
            max_message: MAX_ANSWER,
            max_command: MAX_ANSWER,
            max_partial_bytes: 2 * MAX_ANSWER,
            ..Limits::default()
        };
        Ok(Self {
            target,
            system: None,
            connection: Connection::client(limits)?,
            events: VecDeque::new(),
            state: State::Handshake,
            stream_id: 0,
            deadline: Some(now + ANSWER_TIMEOUT),
            capabilities: Capabilities::default(),
        })
    }

    /// Says in `connect` to which system the publisher belongs, so that another node of it knows its
    /// own again; see [`SYSTEM`](crate::server::SYSTEM). To be called before the handshake is over.
    pub fn introduce(&mut self, system: impl Into<String>) {
        self.system = Some(system.into());
    }

    /// The buffer to append received bytes to, with room for at least one good read.
    pub fn read_buf(&mut self) -> &mut BytesMut {
        self.connection.read_buf()
    }

    /// Takes notice of what was appended to [`read_buf`](Self::read_buf) by `now`.
    ///
    /// # Errors
    ///
    /// The destination broke the protocol: close the connection.
    pub fn process(&mut self, now: Instant) -> Result<(), ClientError> {
        let driven = self.drive(now);
        if driven.is_err() {
            self.close();
        }
        driven
    }

    /// Appends `bytes` and processes them: for callers that have them elsewhere.
    ///
    /// # Errors
    ///
    /// As [`process`](Self::process).
    pub fn input(&mut self, now: Instant, bytes: &[u8]) -> Result<(), ClientError> {
        self.read_buf().extend_from_slice(bytes);
        self.process(now)
    }

    /// Wraps a message of the stream for this destination; its payload is shared, not copied.
    ///
    /// To be called after [`ClientEvent::Publishing`]. `timestamp` is the destination's: it should
    /// start near 0.
    ///
    /// # Errors
    ///
    /// The payload is longer than the protocol can say.
    pub fn message(
        &self,
        kind: MessageType,
        timestamp: u32,
        payload: Bytes,
    ) -> Result<ChunkedMessage, PayloadTooLong> {
        let chunk_stream = match kind {
            MessageType::AUDIO => ChunkStreamId::AUDIO,
            MessageType::VIDEO => ChunkStreamId::VIDEO,
            _ => ChunkStreamId::DATA,
        };
        let chunk_size = self.connection.chunk_size();
        ChunkedMessage::new(
            chunk_stream,
            self.stream_id,
            kind,
            timestamp,
            payload,
            chunk_size,
        )
    }

    /// How messages are framed for this destination.
    pub fn framing(&self) -> Framing {
        Framing {
            stream_id: self.stream_id,
            chunk_size: self.connection.chunk_size(),
        }
    }

    /// Ends the stream as encoders do, so that the platform knows it was meant: Twitch shows a
    /// slate for 90 s otherwise, and YouTube stays live.
    ///
    /// Write what [`poll_output`](Self::poll_output) then holds before closing the connection.
    pub fn stop(&mut self) {
        if matches!(self.state, State::Creating | State::Starting | State::Live) {
            let name = self.stream_name();
            self.call(FC_UNPUBLISH, "FCUnpublish", [Value::Null, name]);
        }
        if self.stream_id != 0 && matches!(self.state, State::Starting | State::Live) {
            let id = Value::Number(f64::from(self.stream_id));
            self.call(DELETE_STREAM, "deleteStream", [Value::Null, id]);
        }
        self.close();
    }

    /// Acts on the time, `now` being at or after [`poll_timeout`](Self::poll_timeout).
    ///
    /// # Errors
    ///
    /// The destination took too long: close the connection.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), ClientError> {
        if self.deadline.is_none_or(|deadline| now < deadline) {
            return Ok(());
        }
        let error = match self.state {
            State::Handshake => ClientError::HandshakeTimeout,
            State::Connecting => ClientError::AnswerTimeout { call: "connect" },
            State::Creating => ClientError::AnswerTimeout {
                call: "createStream",
            },
            State::Starting => {
                self.live(false);
                return Ok(());
            }
            State::Live | State::Closed => return Ok(()),
        };
        self.close();
        Err(error)
    }

    /// The next bytes to write to the peer, in order, between two whole messages.
    pub fn poll_output(&mut self) -> Option<Bytes> {
        self.connection.poll_output()
    }

    /// What happened next.
    pub fn poll_event(&mut self) -> Option<ClientEvent> {
        self.events.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called, if nothing happens before.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadline
    }

    /// Whether nothing more will come of this connection: write what
    /// [`poll_output`](Self::poll_output) still has, then close it.
    pub fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    /// The number of bytes that the destination says it has received. Platforms count in ways of
    /// their own: good as a sign of life, not to be waited for.
    pub fn acknowledged(&self) -> Option<u32> {
        self.connection.acknowledged()
    }

    /// What the destination said of Enhanced RTMP in its answer to `connect`.
    pub fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// Whether the handshake is over, so that the destination speaks RTMP.
    pub fn is_open(&self) -> bool {
        self.connection.is_open()
    }

    fn drive(&mut self, now: Instant) -> Result<(), ClientError> {
        if self.state == State::Closed {
            self.connection.read_buf().clear();
            return Ok(());
        }
        loop {
            let message = self.connection.next_message()?;
            if self.state == State::Handshake && self.connection.is_open() {
                self.connect(now);
            }
            let Some(message) = message else {
                return Ok(());
            };
            self.message_received(now, &message)?;
            if self.state == State::Closed {
                return Ok(());
            }
        }
    }

    fn message_received(&mut self, now: Instant, message: &Message) -> Result<(), ClientError> {
        // Destinations send no media; data such as `onBandwidth` concerns nobody.
        if matches!(
            message.kind,
            MessageType::COMMAND_AMF0 | MessageType::COMMAND_AMF3
        ) {
            let command =
                Command::read(message.kind, &message.payload).map_err(ProtocolError::from)?;
            self.answer(now, &command);
        }
        Ok(())
    }

    fn connect(&mut self, now: Instant) {
        let login = self.target.login.query();
        let mut object = vec![
            ("app", Value::string(format!("{}{login}", self.target.app))),
            ("type", Value::string("nonprivate")),
            ("flashVer", Value::string(FLASH_VERSION)),
            ("swfUrl", Value::string(&self.target.tc_url)),
            (
                "tcUrl",
                Value::string(format!("{}{login}", self.target.tc_url)),
            ),
        ];
        object.extend(
            self.system
                .as_ref()
                .map(|system| (SYSTEM, Value::string(system))),
        );
        object.extend(self.target.capabilities.properties());
        self.call(CONNECT, "connect", [Value::object(object)]);
        self.await_answer(State::Connecting, now + ANSWER_TIMEOUT);
    }

    fn create_stream(&mut self, now: Instant) {
        self.connection.send_chunk_size();
        self.connection.send_window(WINDOW_ACK_SIZE);
        let name = self.stream_name();
        self.call(RELEASE_STREAM, "releaseStream", [Value::Null, name.clone()]);
        self.call(FC_PUBLISH, "FCPublish", [Value::Null, name]);
        self.call(CREATE_STREAM, "createStream", [Value::Null]);
        self.await_answer(State::Creating, now + ANSWER_TIMEOUT);
    }

    fn publish(&mut self, now: Instant, stream_id: u32) {
        self.stream_id = stream_id;
        let values = [Value::Null, self.stream_name(), Value::string("live")];
        self.connection
            .send_command(stream_id, &Command::new("publish", PUBLISH, values));
        self.await_answer(State::Starting, now + PUBLISH_START_GRACE);
    }

    fn live(&mut self, confirmed: bool) {
        self.state = State::Live;
        self.deadline = None;
        self.events.push_back(ClientEvent::Publishing { confirmed });
    }

    fn close(&mut self) {
        self.state = State::Closed;
        self.deadline = None;
    }

    fn await_answer(&mut self, state: State, deadline: Instant) {
        self.state = state;
        self.deadline = Some(deadline);
    }

    /// Calls a method of the connection.
    fn call(&mut self, transaction: f64, name: &str, values: impl IntoIterator<Item = Value>) {
        self.connection
            .send_command(0, &Command::new(name, transaction, values));
    }

    fn stream_name(&self) -> Value {
        Value::string(self.target.stream_name.expose())
    }
}

/// Something happened that the caller acts on.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ClientEvent {
    /// Media may be sent.
    Publishing {
        /// Whether the destination said so, or only didn't refuse for [`PUBLISH_START_GRACE`].
        confirmed: bool,
    },
    /// The destination refuses the stream, at its beginning or later, and the client
    /// [is closed](PublishClient::is_closed).
    Refused(Words),
    /// The destination ended the stream without calling it an error, and the client
    /// [is closed](PublishClient::is_closed).
    Ended(Words),
    /// The destination wants to know who publishes, on another connection: connect again with what
    /// [`Login::answer`] makes of it. The client [is closed](PublishClient::is_closed).
    Unauthorized(Demand),
}

/// What a destination gave as its reason, every secret of ours taken out.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Words {
    /// The status code, such as `NetStream.Publish.BadName`; often empty.
    pub code: String,
    /// A text in the destination's own words; often empty.
    pub description: String,
}

/// Why a connection to a destination can't go on; each time it is the destination's doing.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// It didn't answer a call within [`ANSWER_TIMEOUT`].
    #[error("the destination did not answer {call} within {} s", ANSWER_TIMEOUT.as_secs())]
    AnswerTimeout {
        /// The command.
        call: &'static str,
    },
    /// It didn't finish the handshake within [`ANSWER_TIMEOUT`].
    #[error("no RTMP handshake within {} s", ANSWER_TIMEOUT.as_secs())]
    HandshakeTimeout,
    /// It broke the protocol.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
}

/// The number of each call, which its answer repeats. Each is made once.
const CONNECT: f64 = 1.0;
const RELEASE_STREAM: f64 = 2.0;
const FC_PUBLISH: f64 = 3.0;
const CREATE_STREAM: f64 = 4.0;
const PUBLISH: f64 = 5.0;
const FC_UNPUBLISH: f64 = 6.0;
const DELETE_STREAM: f64 = 7.0;
