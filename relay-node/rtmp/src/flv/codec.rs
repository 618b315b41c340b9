//! How audio and video are coded.

use std::fmt;

/// A codec that an FLV or Enhanced RTMP tag can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the variants are the codecs' names")]
pub enum Codec {
    SorensonH263,
    ScreenVideo,
    Vp6,
    H264,
    Hevc,
    Vvc,
    Vp8,
    Vp9,
    Av1,
    Pcm,
    Adpcm,
    Mp3,
    Nellymoser,
    G711A,
    G711Mu,
    Speex,
    Aac,
    Ac3,
    Eac3,
    Opus,
    Flac,
}

impl Codec {
    /// A stable name for status and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SorensonH263 => "h263",
            Self::ScreenVideo => "screen_video",
            Self::Vp6 => "vp6",
            Self::H264 => "h264",
            Self::Hevc => "hevc",
            Self::Vvc => "vvc",
            Self::Vp8 => "vp8",
            Self::Vp9 => "vp9",
            Self::Av1 => "av1",
            Self::Pcm => "pcm",
            Self::Adpcm => "adpcm",
            Self::Mp3 => "mp3",
            Self::Nellymoser => "nellymoser",
            Self::G711A => "g711_a",
            Self::G711Mu => "g711_mu",
            Self::Speex => "speex",
            Self::Aac => "aac",
            Self::Ac3 => "ac3",
            Self::Eac3 => "eac3",
            Self::Opus => "opus",
            Self::Flac => "flac",
        }
    }

    /// The name that people know it by.
    pub const fn title(self) -> &'static str {
        match self {
            Self::SorensonH263 => "Sorenson H.263",
            Self::ScreenVideo => "Screen Video",
            Self::Vp6 => "VP6",
            Self::H264 => "H.264",
            Self::Hevc => "HEVC",
            Self::Vvc => "VVC",
            Self::Vp8 => "VP8",
            Self::Vp9 => "VP9",
            Self::Av1 => "AV1",
            Self::Pcm => "PCM",
            Self::Adpcm => "ADPCM",
            Self::Mp3 => "MP3",
            Self::Nellymoser => "Nellymoser",
            Self::G711A => "G.711 A-law",
            Self::G711Mu => "G.711 mu-law",
            Self::Speex => "Speex",
            Self::Aac => "AAC",
            Self::Ac3 => "AC-3",
            Self::Eac3 => "E-AC-3",
            Self::Opus => "Opus",
            Self::Flac => "FLAC",
        }
    }

    /// By the codec id in a classic video tag. 12 and 13 are no part of the specification, but are
    /// widely sent for what had no id before Enhanced RTMP.
    pub(super) const fn of_video_id(id: u8) -> Option<Self> {
        Some(match id {
            2 => Self::SorensonH263,
            3 | 6 => Self::ScreenVideo,
            4 | 5 => Self::Vp6,
            7 => Self::H264,
            12 => Self::Hevc,
            13 => Self::Av1,
            _ => return None,
        })
    }

    /// By the sound format in a classic audio tag. 13 is as unofficial as its video namesake.
    pub(super) const fn of_sound_format(format: u8) -> Option<Self> {
        Some(match format {
            0 | 3 => Self::Pcm,
            1 => Self::Adpcm,
            2 | 14 => Self::Mp3,
            4..=6 => Self::Nellymoser,
            7 => Self::G711A,
            8 => Self::G711Mu,
            10 => Self::Aac,
            11 => Self::Speex,
            13 => Self::Opus,
            _ => return None,
        })
    }

    /// The four characters of a codec that FLV had no id for before Enhanced RTMP, which servers of
    /// the RTMP of 2012 don't know.
    pub(crate) const fn new_four_cc(self) -> Option<&'static str> {
        Some(match self {
            Self::Hevc => "hvc1",
            Self::Vvc => "vvc1",
            Self::Vp8 => "vp08",
            Self::Vp9 => "vp09",
            Self::Av1 => "av01",
            Self::Ac3 => "ac-3",
            Self::Eac3 => "ec-3",
            Self::Opus => "Opus",
            Self::Flac => "fLaC",
            _ => return None,
        })
    }

    /// By the four characters of Enhanced RTMP.
    pub(super) const fn of_four_cc(code: [u8; 4]) -> Option<Self> {
        Some(match &code {
            b"avc1" => Self::H264,
            b"hvc1" => Self::Hevc,
            b"vvc1" => Self::Vvc,
            b"vp08" => Self::Vp8,
            b"vp09" => Self::Vp9,
            b"av01" => Self::Av1,
            b"mp4a" => Self::Aac,
            b".mp3" => Self::Mp3,
            b"ac-3" => Self::Ac3,
            b"ec-3" => Self::Eac3,
            b"Opus" => Self::Opus,
            b"fLaC" => Self::Flac,
            _ => return None,
        })
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
