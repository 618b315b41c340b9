//! Just enough FLV and Enhanced RTMP to tell keyframes and sequence headers from the rest.

use crate::message::MessageType;

/// What a message is to a relay: what must come first, where one may begin, what may be skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TagClass {
    /// The decoder's configuration of a video track; needed before any of its frames.
    VideoSequenceHeader,
    /// A frame from which decoding can start.
    VideoKeyframe,
    /// A frame that needs earlier ones, and every video tag that is not known to be another.
    VideoInterframe,
    /// Video that shows nothing: commands, end of sequence, HDR metadata.
    VideoOther,
    /// The decoder's configuration of an audio track.
    AudioSequenceHeader,
    /// Audio, and every audio tag that is not known to be another.
    AudioFrame,
    /// `onMetaData`, with or without `@setDataFrame` before it.
    Metadata,
    /// Everything else: cue points, captions, unknown message types.
    Data,
}

/// Tells what a message is; looks at a few bytes and never fails.
pub fn classify(kind: MessageType, payload: &[u8]) -> TagClass {
    let _ = (kind, payload);
    todo!()
}
