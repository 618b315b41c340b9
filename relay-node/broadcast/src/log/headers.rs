//! What a decoder must be told before its first frame.

use bytes::Bytes;
use rtmp::MessageType;
use rtmp::flv::{self, Tag, TagClass};

/// How many sequence headers of one kind are remembered: one for each track. Platforms take
/// up to six video tracks; past the bound the oldest header makes room.
pub const HEADERS_MAX: usize = 16;

/// How long a sequence header may be and still be remembered, in bytes. Real ones have tens to
/// hundreds; a longer one passes to the outputs that are live, and is not repeated to later ones.
pub const HEADER_MAX_BYTES: usize = 64 * 1024;

/// The same for metadata, which may carry a picture or a platform's own tables.
pub const METADATA_MAX_BYTES: usize = 1024 * 1024;

/// Metadata and sequence headers as they hold at one place of a log.
#[derive(Clone, Debug, Default)]
pub struct Headers {
    metadata: Option<Header>,
    video: Vec<Header>,
    audio: Vec<Header>,
}

/// One of them.
#[derive(Clone, Debug)]
pub struct Header {
    /// The sequence number of the entry that brought it.
    pub seq: u64,
    /// The message's type.
    pub kind: MessageType,
    /// The message's payload.
    pub payload: Bytes,
    track: u8,
    /// It comes beside the sequence header of its track, and after it.
    beside: bool,
}

impl Headers {
    /// All of them, in the order in which a decoder needs them.
    pub fn all(&self) -> impl Iterator<Item = &Header> {
        self.metadata.iter().chain(self.video()).chain(&self.audio)
    }

    /// All but those of video.
    pub(crate) fn but_video(&self) -> impl Iterator<Item = &Header> {
        self.metadata.iter().chain(&self.audio)
    }

    /// Those of video.
    pub fn video(&self) -> impl Iterator<Item = &Header> {
        self.video.iter()
    }

    /// Whether [`Headers::note`] would remember this message.
    pub(super) fn concerns(class: TagClass, kind: MessageType, payload: &Bytes) -> bool {
        match class {
            TagClass::Metadata => payload.len() <= METADATA_MAX_BYTES,
            TagClass::VideoSequenceHeader | TagClass::AudioSequenceHeader => {
                payload.len() <= HEADER_MAX_BYTES
            }
            TagClass::VideoOther | TagClass::AudioFrame => {
                payload.len() <= HEADER_MAX_BYTES && flv::is_configuration(kind, payload)
            }
            TagClass::VideoKeyframe | TagClass::VideoInterframe | TagClass::Data => false,
        }
    }

    /// Remembers a message that [`Headers::concerns`] them, in place of the one that it overrides.
    pub(super) fn note(&mut self, seq: u64, tag: Tag, kind: MessageType, payload: &Bytes) {
        let header = Header {
            seq,
            kind,
            payload: payload.clone(),
            track: tag.track,
            beside: flv::is_configuration(kind, payload),
        };
        let beside = header.beside;
        let same_kind = match tag.class {
            TagClass::VideoSequenceHeader | TagClass::VideoOther => &mut self.video,
            TagClass::AudioSequenceHeader | TagClass::AudioFrame => &mut self.audio,
            _ => {
                self.metadata = Some(header);
                return;
            }
        };
        // To the end even when it overrides: tracks stay in the order of their last change.
        same_kind.retain(|other| (other.track, other.beside) != (tag.track, beside));
        if same_kind.len() >= HEADERS_MAX {
            same_kind.remove(0);
        }
        same_kind.push(header);
        same_kind.sort_by_key(|header| header.beside);
    }

    /// About how much memory a copy of them takes, the shared payloads left out.
    pub(super) fn footprint(&self) -> usize {
        size_of::<Self>() + size_of::<Header>() * (self.video.len() + self.audio.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{AUDIO_HEADER, METADATA, VIDEO_HEADER, multitrack_video_header};

    fn note(headers: &mut Headers, seq: u64, kind: MessageType, payload: &Bytes) {
        let tag = flv::inspect(kind, payload);
        assert!(Headers::concerns(tag.class, kind, payload));
        headers.note(seq, tag, kind, payload);
    }

    fn seqs(headers: &Headers) -> Vec<u64> {
        headers.all().map(|header| header.seq).collect()
    }

    #[test]
    fn metadata_comes_first_whenever_it_came() {
        let mut headers = Headers::default();
        note(
            &mut headers,
            0,
            MessageType::AUDIO,
            &Bytes::from_static(AUDIO_HEADER),
        );
        note(
            &mut headers,
            1,
            MessageType::VIDEO,
            &Bytes::from_static(VIDEO_HEADER),
        );
        note(
            &mut headers,
            2,
            MessageType::DATA_AMF0,
            &Bytes::from_static(METADATA),
        );
        assert_eq!(seqs(&headers), [2, 1, 0]);
    }

    #[test]
    fn a_later_header_overrides_the_one_of_its_track_only() {
        let mut headers = Headers::default();
        let tracks = [0, 1, 2].map(multitrack_video_header);
        for (seq, track) in (0..).zip(&tracks) {
            note(&mut headers, seq, MessageType::VIDEO, track);
        }
        assert_eq!(seqs(&headers), [0, 1, 2]);
        note(&mut headers, 3, MessageType::VIDEO, &tracks[1]);
        assert_eq!(seqs(&headers), [0, 2, 3]);
    }

    #[test]
    fn what_comes_beside_a_header_is_remembered_beside_it() {
        let mut headers = Headers::default();
        let video = MessageType::VIDEO;
        let color = Bytes::from_static(b"\x94avc1\x02\x00\x09colorInfo");
        let channels = Bytes::from_static(b"\x94Opus\x01\x06");
        note(&mut headers, 0, video, &color);
        note(&mut headers, 1, MessageType::AUDIO, &channels);
        note(&mut headers, 2, video, &Bytes::from_static(VIDEO_HEADER));
        assert_eq!(seqs(&headers), [2, 0, 1], "after it, whenever it came");
        note(&mut headers, 3, video, &color);
        assert_eq!(seqs(&headers), [2, 3, 1]);
        let video: Vec<_> = headers.video().map(|header| header.seq).collect();
        assert_eq!(video, [2, 3]);
    }

    #[test]
    fn past_the_bound_the_oldest_makes_room() {
        let mut headers = Headers::default();
        for track in 0..=HEADERS_MAX as u8 {
            let payload = multitrack_video_header(track);
            note(&mut headers, track.into(), MessageType::VIDEO, &payload);
            assert!(headers.video().count() <= HEADERS_MAX);
        }
        assert_eq!(seqs(&headers).first(), Some(&1));
        assert_eq!(headers.video().count(), HEADERS_MAX);
    }

    #[test]
    fn what_is_longer_than_its_bound_is_not_remembered() {
        let video = MessageType::VIDEO;
        for (class, bound) in [
            (TagClass::VideoSequenceHeader, HEADER_MAX_BYTES),
            (TagClass::AudioSequenceHeader, HEADER_MAX_BYTES),
            (TagClass::VideoOther, HEADER_MAX_BYTES),
            (TagClass::Metadata, METADATA_MAX_BYTES),
        ] {
            let of = |length| Bytes::from([b"\x94hvc1", &vec![0; length - 5][..]].concat());
            assert!(Headers::concerns(class, video, &of(bound)));
            assert!(!Headers::concerns(class, video, &of(bound + 1)));
        }
    }
}
