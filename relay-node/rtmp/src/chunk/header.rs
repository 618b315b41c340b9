//! The header of one chunk, as far as it can be read without knowing the chunk stream.

use crate::message::MessageType;

/// A 24-bit timestamp field that says: 32 more bits follow (section 5.3.1.3).
pub(super) const EXTENDED: u32 = 0xFF_FFFF;

/// The basic and the message header of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ChunkHeader {
    /// 2 to 65 599, in whichever of its three forms it was written.
    pub(super) chunk_stream: u32,
    pub(super) fields: Fields,
    /// Bytes that it took.
    pub(super) size: usize,
}

/// What the four formats (section 5.3.1.2) say; the rest is as in the chunk stream's last header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fields {
    /// Type 0.
    All {
        timestamp: Time,
        len: usize,
        kind: MessageType,
        stream_id: u32,
    },
    /// Type 1.
    NoStream {
        delta: Time,
        len: usize,
        kind: MessageType,
    },
    /// Type 2.
    TimeOnly { delta: Time },
    /// Type 3. Whether an extended timestamp follows depends on the header before and on the peer.
    Nothing,
}

/// A timestamp or a difference of two, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Time {
    pub(super) value: u32,
    /// It did not fit into 24 bits.
    pub(super) extended: bool,
}

impl ChunkHeader {
    /// Reads a header from the start of `bytes`; `None` while it is not all there.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let mut input = Input { rest: bytes };
        let [basic] = input.take()?;
        let chunk_stream = match basic & 0x3F {
            0 => 64 + u32::from(input.u8()?),
            1 => 64 + u32::from(u16::from_le_bytes(input.take()?)),
            id => u32::from(id),
        };
        let fields = match basic >> 6 {
            0 => {
                let field = input.u24()?;
                let (len, kind) = input.len_and_kind()?;
                let stream_id = u32::from_le_bytes(input.take()?);
                Fields::All {
                    timestamp: input.time(field)?,
                    len,
                    kind,
                    stream_id,
                }
            }
            1 => {
                let field = input.u24()?;
                let (len, kind) = input.len_and_kind()?;
                Fields::NoStream {
                    delta: input.time(field)?,
                    len,
                    kind,
                }
            }
            2 => {
                let field = input.u24()?;
                Fields::TimeOnly {
                    delta: input.time(field)?,
                }
            }
            _ => Fields::Nothing,
        };
        Some(Self {
            chunk_stream,
            fields,
            size: bytes.len() - input.rest.len(),
        })
    }
}

struct Input<'a> {
    rest: &'a [u8],
}

impl Input<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take().map(|[byte]| byte)
    }

    fn u24(&mut self) -> Option<u32> {
        self.take()
            .map(|[a, b, c]| u32::from_be_bytes([0, a, b, c]))
    }

    fn len_and_kind(&mut self) -> Option<(usize, MessageType)> {
        Some((self.u24()? as usize, MessageType(self.u8()?)))
    }

    fn time(&mut self, field: u32) -> Option<Time> {
        if field == EXTENDED {
            Some(Time {
                value: u32::from_be_bytes(self.take()?),
                extended: true,
            })
        } else {
            Some(Time {
                value: field,
                extended: false,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], chunk_stream: u32, fields: Fields) {
        let size = bytes.len();
        for missing in 1..=size {
            assert_eq!(
                ChunkHeader::parse(&bytes[..size - missing]),
                None,
                "{missing} missing"
            );
        }
        let mut more = bytes.to_vec();
        for _ in 0..2 {
            let header = ChunkHeader::parse(&more);
            assert_eq!(
                header,
                Some(ChunkHeader {
                    chunk_stream,
                    fields,
                    size
                })
            );
            more.push(0xFF);
        }
    }

    fn short(value: u32) -> Time {
        Time {
            value,
            extended: false,
        }
    }

    fn long(value: u32) -> Time {
        Time {
            value,
            extended: true,
        }
    }

    #[test]
    fn type_0() {
        let kind = MessageType::VIDEO;
        let fields = Fields::All {
            timestamp: short(0x010203),
            len: 0x040506,
            kind,
            stream_id: 1,
        };
        check(&[6, 1, 2, 3, 4, 5, 6, 9, 1, 0, 0, 0], 6, fields);
        let fields = Fields::All {
            timestamp: short(0xFFFFFE),
            len: 0,
            kind,
            stream_id: 0x04030201,
        };
        check(&[6, 0xFF, 0xFF, 0xFE, 0, 0, 0, 9, 1, 2, 3, 4], 6, fields);
        let fields = Fields::All {
            timestamp: long(0x01020304),
            len: 7,
            kind,
            stream_id: 1,
        };
        check(
            &[6, 0xFF, 0xFF, 0xFF, 0, 0, 7, 9, 1, 0, 0, 0, 1, 2, 3, 4],
            6,
            fields,
        );
    }

    #[test]
    fn type_1() {
        let kind = MessageType::AUDIO;
        let fields = Fields::NoStream {
            delta: short(23),
            len: 300,
            kind,
        };
        check(&[0x44, 0, 0, 23, 0, 1, 44, 8], 4, fields);
        let fields = Fields::NoStream {
            delta: long(0xFFFF_FFFF),
            len: 300,
            kind,
        };
        let bytes = [0x44, 0xFF, 0xFF, 0xFF, 0, 1, 44, 8, 0xFF, 0xFF, 0xFF, 0xFF];
        check(&bytes, 4, fields);
    }

    #[test]
    fn type_2_and_3() {
        check(&[0x84, 0, 0, 33], 4, Fields::TimeOnly { delta: short(33) });
        let delta = long(0xFF_FFFF);
        check(
            &[0x84, 0xFF, 0xFF, 0xFF, 0, 0xFF, 0xFF, 0xFF],
            4,
            Fields::TimeOnly { delta },
        );
        check(&[0xC4], 4, Fields::Nothing);
    }

    #[test]
    fn chunk_stream_ids_of_one_two_and_three_bytes() {
        for (bytes, id) in [
            (&[0xC2][..], 2),
            (&[0xFF], 63),
            (&[0xC0, 0], 64),
            (&[0xC0, 255], 319),
            (&[0xC1, 0, 0], 64),
            (&[0xC1, 0, 1], 320),
            (&[0xC1, 1, 0], 65),
            (&[0xC1, 255, 255], 65_599),
        ] {
            check(bytes, id, Fields::Nothing);
        }
    }
}
