//! Chunks to messages (RTMP specification, 5.3).

use std::collections::HashMap;

use anyhow::{Context, Result, bail, ensure};

/// What follows a chunk of type 3 whose message has an extended timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extended {
    /// The timestamp again, as Adobe's encoders and the later specification have it: anything else
    /// is an error.
    Repeated,
    /// Payload at once, as librtmp had it for years.
    Once,
    /// Whichever the bytes look like.
    Either,
}

/// A whole message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The message type.
    pub kind: u8,
    /// The message stream it belongs to.
    pub stream: u32,
    /// Milliseconds.
    pub time: u32,
    /// All of it.
    pub body: Vec<u8>,
}

/// Reads what one side sends after its handshake.
pub struct Reader {
    extended: Extended,
    chunk_size: usize,
    buffer: Vec<u8>,
    chunk_streams: HashMap<u32, ChunkStream>,
}

#[derive(Clone, Default)]
struct ChunkStream {
    kind: u8,
    stream: u32,
    length: usize,
    time: u32,
    /// As the header had it: absolute after type 0, a difference after types 1 and 2.
    field: u32,
    extended: bool,
    body: Vec<u8>,
}

impl Reader {
    /// Nothing has come yet.
    pub fn new(extended: Extended) -> Self {
        Self {
            extended,
            chunk_size: 128,
            buffer: Vec::new(),
            chunk_streams: HashMap::new(),
        }
    }

    /// More bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole message. Chunk sizes are obeyed here, and handed on like the rest.
    pub fn message(&mut self) -> Result<Option<Message>> {
        loop {
            let mut rest = self.buffer.as_slice();
            let length = rest.len();
            let Some(chunk) = chunk(
                &mut rest,
                &self.chunk_streams,
                self.chunk_size,
                self.extended,
            )?
            else {
                return Ok(None);
            };
            let used = length - rest.len();
            self.buffer.drain(..used);
            let (id, mut stream) = chunk;
            let whole = (stream.body.len() == stream.length).then(|| Message {
                kind: stream.kind,
                stream: stream.stream,
                time: stream.time,
                body: std::mem::take(&mut stream.body),
            });
            self.chunk_streams.insert(id, stream);
            let Some(message) = whole else { continue };
            if message.kind == SET_CHUNK_SIZE {
                let size = message.body.first_chunk().context("a short chunk size")?;
                let size = u32::from_be_bytes(*size);
                ensure!((1..=0x7FFF_FFFF).contains(&size), "chunk size {size}");
                self.chunk_size = usize::try_from(size)?;
            }
            return Ok(Some(message));
        }
    }
}

const SET_CHUNK_SIZE: u8 = 1;

/// Takes one chunk, or nothing if there is not all of it.
fn chunk(
    bytes: &mut &[u8],
    known: &HashMap<u32, ChunkStream>,
    chunk_size: usize,
    extended: Extended,
) -> Result<Option<(u32, ChunkStream)>> {
    let Some([first]) = take::<1>(bytes) else {
        return Ok(None);
    };
    let id = match first & 0x3F {
        0 => take::<1>(bytes).map(|[id]| 64 + u32::from(id)),
        1 => take::<2>(bytes).map(|id| 64 + u32::from(u16::from_le_bytes(id))),
        id => Some(id.into()),
    };
    let Some(id) = id else { return Ok(None) };
    let form = first >> 6;
    let before = known.get(&id);
    if form != 0 && before.is_none() {
        bail!("chunk stream {id} begins with type {form}");
    }
    let mut stream = before.cloned().unwrap_or_default();
    let begins = stream.body.is_empty();
    ensure!(begins || form == 3, "type {form} inside of a message");
    let header = (|| {
        if form <= 2 {
            let [a, b, c] = take(bytes)?;
            stream.field = u32::from_be_bytes([0, a, b, c]);
            stream.extended = stream.field == 0xFF_FFFF;
        }
        if form <= 1 {
            let [a, b, c, kind] = take(bytes)?;
            stream.length = usize::try_from(u32::from_be_bytes([0, a, b, c])).ok()?;
            stream.kind = kind;
        }
        if form == 0 {
            stream.stream = u32::from_le_bytes(take(bytes)?);
        }
        if stream.extended && form <= 2 {
            stream.field = u32::from_be_bytes(take(bytes)?);
        } else if stream.extended && extended != Extended::Once {
            let again = u32::from_be_bytes(*bytes.first_chunk()?);
            if again == stream.field {
                take::<4>(bytes)?;
            } else if extended == Extended::Repeated {
                return Some(Err(again));
            }
        }
        Some(Ok(()))
    })();
    match header {
        None => return Ok(None),
        Some(Err(again)) => bail!("{again} follows type 3 instead of {}", stream.field),
        Some(Ok(())) => {}
    }
    if begins {
        stream.time = match form {
            0 => stream.field,
            _ => stream.time.wrapping_add(stream.field),
        };
    }
    let left = stream.length - stream.body.len();
    let Some((body, rest)) = bytes.split_at_checked(left.min(chunk_size)) else {
        return Ok(None);
    };
    stream.body.extend_from_slice(body);
    *bytes = rest;
    Ok(Some((id, stream)))
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Vec<Message>> {
        let mut reader = Reader::new(Extended::Repeated);
        reader.push(bytes);
        let mut messages = Vec::new();
        while let Some(message) = reader.message()? {
            messages.push(message);
        }
        Ok(messages)
    }

    #[test]
    fn every_type_of_header_is_read() {
        let bytes = b"\x06\0\0\x0a\0\0\x01\x09\x01\0\0\0a\
                      \x46\0\0\x05\0\0\x02\x08bb\
                      \x86\0\0\x03cc\
                      \xc6dd";
        let messages = read(bytes).unwrap();
        let found: Vec<_> = messages
            .iter()
            .map(|message| (message.kind, message.stream, message.time, &*message.body))
            .collect();
        let wanted: [(u8, u32, u32, &[u8]); 4] = [
            (9, 1, 10, b"a"),
            (8, 1, 15, b"bb"),
            (8, 1, 18, b"cc"),
            (8, 1, 21, b"dd"),
        ];
        assert_eq!(found, wanted);
    }

    #[test]
    fn a_sender_that_breaks_the_rules_is_told_apart() {
        let extended = [
            b"\x06\xff\xff\xff\0\0\x81\x09\x01\0\0\0\x01\0\0\0",
            &[7; 128][..],
        ]
        .concat();
        for (bytes, what) in [
            (b"\x46\0\0\x05\0\0\x02\x08bb".to_vec(), "begins with type 1"),
            (
                [
                    b"\x06\0\0\0\0\0\x81\x09\x01\0\0\0",
                    &[7; 128][..],
                    b"\x06\0\0\0",
                ]
                .concat(),
                "inside of a message",
            ),
            (
                [&extended[..], b"\xc6\x01\0\0\x01\x07"].concat(),
                "follows type 3",
            ),
            (
                b"\x02\0\0\0\0\0\x04\x01\0\0\0\0\0\0\0\0".to_vec(),
                "chunk size 0",
            ),
        ] {
            let error = read(&bytes).unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        }
    }
}
