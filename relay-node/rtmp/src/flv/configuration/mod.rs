//! What pictures and sound are like, from what a decoder is told of them.
//!
//! Sources: ISO/IEC 14496-3 (AAC), 14496-10 (H.264), 23008-2 (HEVC), the AV1 and VP9 bitstream
//! specifications, RFC 7845 (Opus), RFC 9639 (FLAC), ETSI TS 102 366 (AC-3), ISO/IEC 11172-3 (MP3).
//! Everything here is somebody else's bytes: what cannot be read is not known, and nothing worse.

mod av1;
mod bits;
mod h264;
mod hevc;
mod sound;
mod vp9;
mod window;

use super::codec::Codec;
use super::{audio, video};

/// The size of pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PictureSize {
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
}

/// What sound is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SoundFormat {
    /// Samples a second.
    pub sample_rate: u32,
    /// How many.
    pub channels: u32,
}

impl PictureSize {
    /// The bound of the largest format (AV1): what is beyond is noise.
    const MAX: u32 = 1 << 16;

    fn new(width: u32, height: u32) -> Option<Self> {
        let possible = 1..=Self::MAX;
        (possible.contains(&width) && possible.contains(&height)).then_some(Self { width, height })
    }
}

impl SoundFormat {
    /// Beyond it is noise: the highest rates in use are 192 kHz, and FLAC's field ends here.
    const MAX_SAMPLE_RATE: u32 = 655_350;

    fn new(sample_rate: u32, channels: u32) -> Option<Self> {
        ((1..=Self::MAX_SAMPLE_RATE).contains(&sample_rate) && (1..=64).contains(&channels))
            .then_some(Self {
                sample_rate,
                channels,
            })
    }
}

/// The size of the pictures that a video tag's payload describes: that of its sequence header, and
/// of a keyframe where the codec tells it there (VP9).
pub fn picture_size(payload: &[u8]) -> Option<PictureSize> {
    let (codec, body) = video::body(payload)?;
    match codec {
        Codec::H264 => h264::picture_size(body),
        Codec::Hevc => hevc::picture_size(body),
        Codec::Av1 => av1::picture_size(body),
        Codec::Vp9 => vp9::picture_size(body),
        _ => None,
    }
}

/// What the sound is like that an audio tag's payload describes: its sequence header, and a frame
/// where the codec has no such header.
pub fn sound_format(payload: &[u8]) -> Option<SoundFormat> {
    let (codec, body) = audio::body(payload)?;
    match codec {
        Codec::Aac => sound::aac(body),
        Codec::Opus => sound::opus(body),
        Codec::Flac => sound::flac(body),
        Codec::Ac3 | Codec::Eac3 => sound::ac3(body),
        Codec::Mp3 => sound::mp3(body),
        // The rest has no words of its own for it, and stands in tags of 2012 only.
        _ => sound::classic(*payload.first()?),
    }
}

#[cfg(test)]
mod tests;
