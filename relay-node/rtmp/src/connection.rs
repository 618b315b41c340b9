//! What both sides of a connection do alike: handshake, acknowledgements, pings, and the queue of
//! what to write.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use crate::chunk::{
    ChunkError, ChunkReader, ChunkSize, ChunkStreamId, ChunkedMessage, Limits, OUT_CHUNK_SIZE,
};
use crate::command::{Command, CommandError};
use crate::handshake::{Handshake, HandshakeError};
use crate::message::{Message, MessageType};

/// What may wait to be written: 64 KiB, some 300 answers. A peer that asks for more without
/// reading them is cut off.
pub const MAX_QUEUED_OUTPUT: usize = 64 << 10;

/// The acknowledgement window that we announce: 2.5 MB, as FFmpeg does; seldom enough to cost
/// nothing, often enough to show progress.
pub(crate) const WINDOW_ACK_SIZE: u32 = 2_500_000;

/// One connection, from its first byte.
pub(crate) struct Connection {
    phase: Phase,
    reader: ChunkReader,
    output: VecDeque<Bytes>,
    queued: usize,
    chunk_size: ChunkSize,
    handshake_bytes: u64,
    acknowledged_to_peer: u64,
    /// None until the peer announces one.
    peer_window: Option<u32>,
    announced_window: Option<u32>,
    acknowledged_by_peer: Option<u32>,
}

enum Phase {
    Handshake {
        handshake: Box<Handshake>,
        received: BytesMut,
    },
    Chunks,
}

impl Connection {
    /// The side that was called.
    pub(crate) fn server(limits: Limits) -> Self {
        Self::new(Handshake::server(), limits)
    }

    /// The side that calls.
    pub(crate) fn client(limits: Limits) -> Result<Self, HandshakeError> {
        let (handshake, first) = Handshake::client()?;
        let mut connection = Self::new(handshake, limits);
        connection.queue(first);
        Ok(connection)
    }

    fn new(handshake: Handshake, limits: Limits) -> Self {
        Self {
            phase: Phase::Handshake {
                handshake: Box::new(handshake),
                received: BytesMut::new(),
            },
            reader: ChunkReader::new(limits),
            output: VecDeque::new(),
            queued: 0,
            chunk_size: ChunkSize::INITIAL,
            handshake_bytes: 0,
            acknowledged_to_peer: 0,
            peer_window: None,
            announced_window: None,
            acknowledged_by_peer: None,
        }
    }

    /// Where to append what the peer sent.
    pub(crate) fn read_buf(&mut self) -> &mut BytesMut {
        match &mut self.phase {
            Phase::Handshake { received, .. } => {
                received.reserve(HANDSHAKE_READ);
                received
            }
            Phase::Chunks => self.reader.read_buf(),
        }
    }

    /// The next message that isn't about the connection itself.
    pub(crate) fn next_message(&mut self) -> Result<Option<Message>, ProtocolError> {
        if !self.shake_hands()? {
            return Ok(None);
        }
        loop {
            if self.queued > MAX_QUEUED_OUTPUT {
                return Err(ProtocolError::NotReading);
            }
            let Some(message) = self.reader.next_message()? else {
                self.acknowledge();
                return Ok(None);
            };
            match message.kind {
                MessageType::ACKNOWLEDGEMENT
                | MessageType::USER_CONTROL
                | MessageType::WINDOW_ACK_SIZE
                | MessageType::SET_PEER_BANDWIDTH => self.obey(&message),
                _ => return Ok(Some(message)),
            }
        }
    }

    /// Changes how much the peer may make us hold.
    pub(crate) fn set_limits(&mut self, limits: Limits) {
        self.reader.set_limits(limits);
    }

    /// Whether the handshake is over.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Chunks)
    }

    /// All bytes that came in.
    pub(crate) fn bytes_received(&self) -> u64 {
        let unprocessed = match &self.phase {
            Phase::Handshake { received, .. } => received.len() as u64,
            Phase::Chunks => 0,
        };
        self.handshake_bytes + unprocessed + self.reader.bytes_received()
    }

    /// The total in the peer's last acknowledgement. Some peers send the increment instead, so it
    /// says that they are alive and not more.
    pub(crate) fn acknowledged(&self) -> Option<u32> {
        self.acknowledged_by_peer
    }

    /// The next bytes to write.
    pub(crate) fn poll_output(&mut self) -> Option<Bytes> {
        let bytes = self.output.pop_front()?;
        self.queued = self.queued.saturating_sub(bytes.len());
        Some(bytes)
    }

    /// Queues a command on the connection (stream 0) or on a stream.
    pub(crate) fn send_command(&mut self, stream_id: u32, command: &Command) {
        let chunk_stream = match stream_id {
            0 => ChunkStreamId::COMMAND,
            _ => ChunkStreamId::STREAM_COMMAND,
        };
        self.send(
            chunk_stream,
            stream_id,
            MessageType::COMMAND_AMF0,
            command.payload(),
        );
    }

    /// Announces our chunk size, and keeps to it from here on.
    pub(crate) fn send_chunk_size(&mut self) {
        let size = OUT_CHUNK_SIZE.get().to_be_bytes();
        self.send_control(MessageType::SET_CHUNK_SIZE, &size);
        self.chunk_size = OUT_CHUNK_SIZE;
    }

    /// Tells the peer after how many bytes we want an acknowledgement.
    pub(crate) fn send_window(&mut self, window: u32) {
        self.announced_window = Some(window);
        self.send_control(MessageType::WINDOW_ACK_SIZE, &window.to_be_bytes());
    }

    /// Tells the peer how much it may have unacknowledged; "dynamic" binds nobody.
    pub(crate) fn send_peer_bandwidth(&mut self, bandwidth: u32) {
        const DYNAMIC: u8 = 2;
        let [a, b, c, d] = bandwidth.to_be_bytes();
        self.send_control(MessageType::SET_PEER_BANDWIDTH, &[a, b, c, d, DYNAMIC]);
    }

    /// Tells the peer that a stream is there.
    pub(crate) fn send_stream_begin(&mut self, stream_id: u32) {
        self.send_user_control(user_control::STREAM_BEGIN, stream_id.to_be_bytes());
    }

    /// The chunk size of everything that we send from here on.
    pub(crate) fn chunk_size(&self) -> ChunkSize {
        self.chunk_size
    }

    /// Whether chunks can be read; what came for the handshake is given to it first.
    fn shake_hands(&mut self) -> Result<bool, ProtocolError> {
        let Phase::Handshake {
            handshake,
            received,
        } = &mut self.phase
        else {
            return Ok(true);
        };
        if received.is_empty() {
            return Ok(false);
        }
        let bytes = received.split();
        let progress = handshake.process(&bytes)?;
        self.handshake_bytes += bytes.len() as u64;
        self.queue(progress.reply);
        let Some(rest) = progress.done else {
            return Ok(false);
        };
        self.phase = Phase::Chunks;
        // Chunks already, which the reader counts.
        self.handshake_bytes -= rest.len() as u64;
        self.reader.push(&rest);
        Ok(true)
    }

    /// Does what a message about the connection asks for. One too short to mean anything is
    /// passed over.
    fn obey(&mut self, message: &Message) {
        match message.kind {
            MessageType::ACKNOWLEDGEMENT => {
                if let Some(total) = be_u32(&message.payload) {
                    self.acknowledged_by_peer = Some(total);
                }
            }
            MessageType::WINDOW_ACK_SIZE => {
                if let Some(window) = be_u32(&message.payload) {
                    self.peer_window = Some(window);
                }
            }
            MessageType::SET_PEER_BANDWIDTH => {
                // Section 5.4.5: answered with the window, if that is another than before.
                if let Some(window) = be_u32(&message.payload)
                    && self.announced_window != Some(window)
                {
                    self.send_window(window);
                }
            }
            _ => {
                if let [0, event, rest @ ..] = &message.payload[..]
                    && *event == user_control::PING_REQUEST
                    && let Some(time) = rest.first_chunk()
                {
                    self.send_user_control(user_control::PING_RESPONSE, *time);
                }
            }
        }
    }

    /// Tells a peer that has announced a window what came in, each half of it: the sender that waits
    /// at the full one, which is the peer's right, then never does.
    ///
    /// Nobody else: an encoder closes its connection with what it has not read, the kernel makes a
    /// reset of that, and the goodbye that was still on its way is lost. As nginx-rtmp and SRS do it.
    ///
    /// Once for all that was read together, so that a window of 1 doesn't multiply the traffic.
    fn acknowledge(&mut self) {
        let Some(window) = self.peer_window else {
            return;
        };
        let total = self.bytes_received();
        if total - self.acknowledged_to_peer > u64::from(window / 2) {
            self.acknowledged_to_peer = total;
            // The low 32 bits: the counter wraps on the wire.
            let wrapped = total as u32;
            self.send_control(MessageType::ACKNOWLEDGEMENT, &wrapped.to_be_bytes());
        }
    }

    fn send_user_control(&mut self, event: u8, argument: [u8; 4]) {
        let [a, b, c, d] = argument;
        self.send_control(MessageType::USER_CONTROL, &[0, event, a, b, c, d]);
    }

    fn send_control(&mut self, kind: MessageType, payload: &[u8]) {
        let payload = Bytes::copy_from_slice(payload);
        self.send(ChunkStreamId::CONTROL, 0, kind, payload);
    }

    fn send(
        &mut self,
        chunk_stream: ChunkStreamId,
        stream_id: u32,
        kind: MessageType,
        payload: Bytes,
    ) {
        let message =
            ChunkedMessage::new(chunk_stream, stream_id, kind, 0, payload, self.chunk_size);
        // Too long is only a command with a name or URL of 16 MiB, which no configuration holds.
        if let Ok(message) = message {
            self.queue(message.to_bytes());
        }
    }

    fn queue(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.queued += bytes.len();
            self.output.push_back(bytes);
        }
    }
}

/// How the peer broke the protocol.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// In the chunk stream.
    #[error(transparent)]
    Chunk(#[from] ChunkError),
    /// In a command.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// In the handshake.
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    /// More answers wait for the peer than [`MAX_QUEUED_OUTPUT`].
    #[error("the peer asks for more answers than it reads")]
    NotReading,
}

/// Room for a read during the handshake, whose longest part is 1537 bytes twice.
const HANDSHAKE_READ: usize = 4096;

/// Events of User Control messages (section 6.2 and 7.1.7), of which we know the low byte.
mod user_control {
    pub(super) const STREAM_BEGIN: u8 = 0;
    pub(super) const PING_REQUEST: u8 = 6;
    pub(super) const PING_RESPONSE: u8 = 7;
}

fn be_u32(payload: &[u8]) -> Option<u32> {
    payload.first_chunk().copied().map(u32::from_be_bytes)
}
