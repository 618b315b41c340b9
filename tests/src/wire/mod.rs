//! RTMP as its specification has it, read and written without the product's own code: what this
//! module and the product agree on is not one mistake made twice.

mod amf0;
mod flv;
mod reader;
mod writer;

pub use amf0::{string, values};
pub use flv::{read_flv, write_flv};
pub use reader::{Extended, Message, Reader};
pub use writer::{Writer, command};

/// Audio (RTMP specification, 7.1.4).
pub const AUDIO: u8 = 8;
/// Video (7.1.5).
pub const VIDEO: u8 = 9;
/// Data in AMF0: metadata, cues, captions (7.1.2).
pub const DATA: u8 = 18;

/// A handshake's part of each side's first and second packet.
pub const HANDSHAKE: usize = 1536;

/// One thing that a stream is made of.
#[derive(Clone, PartialEq, Eq)]
pub struct Tag {
    /// [`AUDIO`], [`VIDEO`] or [`DATA`].
    pub kind: u8,
    /// Milliseconds, as sent: from anywhere, and wrapping.
    pub time: u32,
    /// All of it.
    pub body: Vec<u8>,
}

impl std::fmt::Debug for Tag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match self.kind {
            AUDIO => "audio",
            VIDEO => "video",
            DATA => "data",
            _ => "other",
        };
        let head = self.body.get(..self.body.len().min(8)).unwrap_or_default();
        write!(
            f,
            "{kind} at {} ms, {} bytes {head:02x?}",
            self.time,
            self.body.len()
        )
    }
}

/// Where two lists of tags differ in kind, body, or time since the tag before; nothing if nowhere.
pub fn difference(found: &[Tag], sent: &[Tag]) -> Option<String> {
    let since = |tags: &[Tag], index: usize| {
        let before = tags.get(index.checked_sub(1)?)?;
        Some(tags.get(index)?.time.wrapping_sub(before.time))
    };
    for (index, (one, other)) in found.iter().zip(sent).enumerate() {
        if (one.kind, &one.body) != (other.kind, &other.body) {
            return Some(format!("tag {index} is {one:?} instead of {other:?}"));
        }
        let (one, other) = (since(found, index), since(sent, index));
        if one != other {
            return Some(format!(
                "tag {index} comes {one:?} ms later instead of {other:?}"
            ));
        }
    }
    let (found, sent) = (found.len(), sent.len());
    (found != sent).then(|| format!("{found} tags instead of {sent}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(kind: u8, time: u32, body: &[u8]) -> Tag {
        Tag {
            kind,
            time,
            body: body.to_vec(),
        }
    }

    #[test]
    fn lost_repeated_moved_altered_and_shifted_tags_are_noticed() {
        let sent = [
            tag(DATA, 7, b"m"),
            tag(VIDEO, 7, b"a"),
            tag(AUDIO, 30, b"b"),
            tag(VIDEO, 40, b"c"),
        ];
        let [m, a, b, c] = &sent;
        assert_eq!(difference(&sent, &sent), None);
        let later = sent.clone().map(|tag| Tag {
            time: tag.time.wrapping_sub(20),
            ..tag
        });
        assert_eq!(difference(&later, &sent), None, "the beginning is free");
        for wrong in [
            vec![m, a, b],
            vec![a, b, c],
            vec![m, a, a, b, c],
            vec![m, a, c, b],
            vec![m, a, &tag(VIDEO, 30, b"b"), c],
            vec![m, a, &tag(AUDIO, 31, b"b"), c],
            vec![m, a, &tag(AUDIO, 30, b"B"), c],
        ] {
            let wrong: Vec<_> = wrong.into_iter().cloned().collect();
            assert!(difference(&wrong, &sent).is_some(), "{wrong:?}");
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let mut body = vec![7; 300];
        body[128] = 0xC3;
        for extended in [Extended::Repeated, Extended::Once] {
            let (writer, mut reader) = (Writer::new(extended), Reader::new(extended));
            let sent = [
                tag(VIDEO, 0xFF_FFFE, &body),
                tag(VIDEO, 0xFF_FFFF, &body),
                tag(AUDIO, u32::MAX, &body[..128]),
                tag(VIDEO, 3, &body[..129]),
                tag(DATA, 3, b""),
            ];
            let mut found = Vec::new();
            for tag in &sent {
                for byte in writer.message(tag.kind, 1, tag.time, &tag.body) {
                    reader.push(&[byte]);
                    while let Some(message) = reader.message().unwrap() {
                        found.push(Tag {
                            kind: message.kind,
                            time: message.time,
                            body: message.body,
                        });
                    }
                }
            }
            assert_eq!(found, sent);
        }
    }
}
