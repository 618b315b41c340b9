//! A peer that says what a test has it say, and keeps what it hears.

use bytes::Bytes;

use crate::amf0::Value;
use crate::chunk::{ChunkReader, ChunkSize, ChunkStreamId, ChunkedMessage, Limits};
use crate::command::Command;
use crate::handshake::Handshake;
use crate::message::{Message, MessageType};

pub(super) struct Peer {
    handshake: Option<Handshake>,
    reader: ChunkReader,
    chunk_size: ChunkSize,
    output: Vec<u8>,
    heard: Vec<Message>,
    raw: Vec<u8>,
}

impl Peer {
    pub(super) fn encoder() -> Self {
        let (handshake, first) = Handshake::client().unwrap();
        Self::new(handshake, first.to_vec())
    }

    pub(super) fn destination() -> Self {
        Self::new(Handshake::server(), Vec::new())
    }

    fn new(handshake: Handshake, output: Vec<u8>) -> Self {
        Self {
            handshake: Some(handshake),
            reader: ChunkReader::new(Limits::default()),
            chunk_size: ChunkSize::INITIAL,
            output,
            heard: Vec::new(),
            raw: Vec::new(),
        }
    }

    pub(super) fn hear(&mut self, bytes: &[u8]) {
        match &mut self.handshake {
            Some(handshake) => {
                let progress = handshake.process(bytes).unwrap();
                self.output.splice(0..0, progress.reply);
                if let Some(rest) = progress.done {
                    self.handshake = None;
                    self.hear(&rest);
                }
            }
            None => {
                self.raw.extend_from_slice(bytes);
                self.reader.push(bytes);
                while let Some(message) = self.reader.next_message().unwrap() {
                    self.heard.push(message);
                }
            }
        }
    }

    pub(super) fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    /// What was heard since the last call.
    pub(super) fn take_heard(&mut self) -> Vec<Message> {
        self.raw.clear();
        std::mem::take(&mut self.heard)
    }

    /// What was heard since the last call, a line for each message.
    pub(super) fn transcript(&mut self) -> Vec<String> {
        self.take_heard().iter().map(line).collect()
    }

    /// The chunks that were heard since the last call of the others.
    pub(super) fn raw(&self) -> &[u8] {
        &self.raw
    }

    pub(super) fn send(&mut self, kind: MessageType, stream_id: u32, payload: &[u8]) {
        self.send_at(kind, stream_id, 0, payload);
    }

    pub(super) fn send_at(
        &mut self,
        kind: MessageType,
        stream_id: u32,
        timestamp: u32,
        payload: &[u8],
    ) {
        let payload = Bytes::copy_from_slice(payload);
        let chunk_stream = match stream_id {
            0 => ChunkStreamId::COMMAND,
            _ => ChunkStreamId::AUDIO,
        };
        let message = ChunkedMessage::new(
            chunk_stream,
            stream_id,
            kind,
            timestamp,
            payload,
            self.chunk_size,
        );
        self.output.extend_from_slice(&message.unwrap().to_bytes());
    }

    pub(super) fn set_chunk_size(&mut self, size: u32) {
        self.send(MessageType::SET_CHUNK_SIZE, 0, &size.to_be_bytes());
        self.chunk_size = ChunkSize::new(size).unwrap();
    }

    pub(super) fn call(
        &mut self,
        stream_id: u32,
        name: &str,
        transaction: f64,
        values: impl IntoIterator<Item = Value>,
    ) {
        let command = Command::new(name, transaction, values);
        self.send(MessageType::COMMAND_AMF0, stream_id, &command.payload());
    }

    pub(super) fn status(&mut self, level: &str, code: &str, description: &str) {
        let information = Value::object([
            ("level", Value::string(level)),
            ("code", Value::string(code)),
            ("description", Value::string(description)),
        ]);
        self.call(1, "onStatus", 0.0, [Value::Null, information]);
    }
}

/// `<stream> <what> …`: enough to see what was meant.
fn line(message: &Message) -> String {
    let stream = message.stream_id;
    match message.kind {
        MessageType::COMMAND_AMF0 => {
            let command = Command::read(message.kind, &message.payload).unwrap();
            let values: Vec<_> = command.values.iter().map(short).collect();
            let (name, number) = (command.name, command.transaction);
            format!("{stream} {name}({number}) {}", values.join(" "))
        }
        kind => format!("{stream} {kind:?} {:?}", &message.payload[..]),
    }
}

fn short(value: &Value) -> String {
    match (value, value.get("code")) {
        (_, Some(code)) => code.as_str().unwrap().to_owned(),
        (Value::String(text), _) => text.clone(),
        (Value::Number(number), _) => number.to_string(),
        (Value::Object(properties), _) => {
            let names: Vec<_> = properties.iter().map(|(name, _)| name.as_str()).collect();
            format!("{{{}}}", names.join(","))
        }
        (other, _) => format!("{other:?}"),
    }
}
