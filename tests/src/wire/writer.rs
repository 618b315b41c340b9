//! Messages to chunks (RTMP specification, 5.3), by headers of type 0 and 3 alone.

use serde_json::Value;

use super::amf0;
use super::reader::Extended;

/// Writes what one side sends after its handshake.
pub struct Writer {
    extended: Extended,
    chunk_size: usize,
}

impl Writer {
    /// Begins with chunks of 128 bytes.
    pub fn new(extended: Extended) -> Self {
        Self {
            extended,
            chunk_size: 128,
        }
    }

    /// The message that changes the chunk size, which holds from here on.
    pub fn set_chunk_size(&mut self, size: u32) -> Vec<u8> {
        let bytes = self.message(1, 0, 0, &size.to_be_bytes());
        self.chunk_size = usize::try_from(size).unwrap_or(usize::MAX);
        bytes
    }

    /// A message in chunks, on a chunk stream of its kind's own.
    pub fn message(&self, kind: u8, stream: u32, time: u32, body: &[u8]) -> Vec<u8> {
        let chunk_stream = match kind {
            1..=6 => 2,
            20 => 3,
            super::AUDIO => 4,
            super::VIDEO => 6,
            _ => 5,
        };
        let mut bytes = vec![chunk_stream];
        let field = time.min(0xFF_FFFF).to_be_bytes();
        bytes.extend(field.into_iter().skip(1));
        let length = u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes();
        bytes.extend(length.into_iter().skip(1));
        bytes.push(kind);
        bytes.extend(stream.to_le_bytes());
        let is_extended = time >= 0xFF_FFFF;
        if is_extended {
            bytes.extend(time.to_be_bytes());
        }
        for (index, part) in body.chunks(self.chunk_size).enumerate() {
            if index > 0 {
                bytes.push(0xC0 | chunk_stream);
                if is_extended && self.extended != Extended::Once {
                    bytes.extend(time.to_be_bytes());
                }
            }
            bytes.extend_from_slice(part);
        }
        bytes
    }
}

/// The body of a command, or of anything else that is a list of values.
pub fn command(values: &[Value]) -> Vec<u8> {
    let mut body = Vec::new();
    for value in values {
        amf0::write(value, &mut body);
    }
    body
}
