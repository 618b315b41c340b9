//! Just enough FLV and Enhanced RTMP to tell keyframes and sequence headers from the rest, and what
//! these headers say of picture and sound.
//!
//! Sources: Adobe's *Video File Format Specification 10.1*, annex E; *Enhanced RTMP* v1 and v2
//! (Veovera). What is unknown, cut short or from a later version counts as an ordinary frame, so
//! that it passes through.

mod audio;
mod codec;
mod composition;
mod configuration;
mod enhanced;
mod format;
mod script;
mod video;

pub use codec::Codec;
pub use composition::composition_time;
pub use configuration::{PictureSize, SoundFormat, picture_size, sound_format};
pub use format::StreamFormat;

use crate::message::MessageType;

/// Tells what a message is; looks at its first few bytes and never fails.
pub fn inspect(kind: MessageType, payload: &[u8]) -> Tag {
    match kind {
        MessageType::VIDEO => video::inspect(payload),
        MessageType::AUDIO => audio::inspect(payload),
        MessageType::DATA_AMF0 => Tag::of(script::inspect(payload)),
        // AMF3 data is AMF0 behind one byte that says so.
        MessageType::DATA_AMF3 => Tag::of(script::inspect(payload.get(1..).unwrap_or_default())),
        _ => Tag::of(TagClass::Data),
    }
}

/// Whether a message is no sequence header, but says like one how a track is to be shown or heard
/// from here on: HDR's metadata, a configuration of several channels.
pub fn is_configuration(kind: MessageType, payload: &[u8]) -> bool {
    match kind {
        MessageType::VIDEO => video::is_metadata(payload),
        MessageType::AUDIO => audio::is_multichannel_config(payload),
        _ => false,
    }
}

/// The class that [`inspect`] finds.
pub fn classify(kind: MessageType, payload: &[u8]) -> TagClass {
    inspect(kind, payload).class
}

/// What the first bytes of a message say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag {
    /// What it is to a relay.
    pub class: TagClass,
    /// How it is coded, if it says and the code is known.
    pub codec: Option<Codec>,
    /// Which track it belongs to; the first one's if it carries several, and 0 without multitrack.
    pub track: u8,
}

impl Tag {
    fn of(class: TagClass) -> Self {
        Self {
            class,
            codec: None,
            track: 0,
        }
    }
}

/// What a message is to a relay: what must come first, where one may begin, what may be skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TagClass {
    /// The decoder's configuration of a video track; needed before any of its frames.
    VideoSequenceHeader,
    /// A frame from which decoding can start.
    VideoKeyframe,
    /// A frame that needs earlier ones, and every video tag that is not known to be another.
    VideoInterframe,
    /// Video that is no picture: commands, end of sequence, metadata such as HDR's.
    VideoOther,
    /// The decoder's configuration of an audio track; needed before any of its frames.
    AudioSequenceHeader,
    /// Audio, and every audio tag that is not known to be another.
    AudioFrame,
    /// `onMetaData`, with or without `@setDataFrame` before it.
    Metadata,
    /// Everything else: cue points, captions, unknown message types.
    Data,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configurations_beside_sequence_headers() {
        for (kind, payload, is_one) in [
            (
                MessageType::VIDEO,
                &b"\x94hvc1\x02\x00\x09colorInfo"[..],
                true,
            ),
            (MessageType::VIDEO, b"\xd4hvc1\x02", true),
            (MessageType::VIDEO, b"\x96\x04hvc1\x02", true),
            (MessageType::VIDEO, b"\x97\x02\x00\x00\x01\x04av01", true),
            (MessageType::VIDEO, b"\x90hvc1", false),
            (MessageType::VIDEO, b"\x92hvc1", false),
            (MessageType::VIDEO, b"\x14\x04", false),
            (MessageType::VIDEO, b"", false),
            (MessageType::AUDIO, b"\x94Opus\x01\x06", true),
            (MessageType::AUDIO, b"\x95\x04Opus\x01", true),
            (MessageType::AUDIO, b"\x91Opus", false),
            (MessageType::AUDIO, b"\xaf\x04", false),
            (MessageType::DATA_AMF0, b"\x94hvc1", false),
        ] {
            assert_eq!(is_configuration(kind, payload), is_one, "{payload:02x?}");
        }
    }
}
