//! What may be wrong at a destination that takes the stream.

use std::fmt;

use rtmp::flv::Codec;

/// Something to look at; `Display` says what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputWarning {
    /// The destination has not said that it takes what the stream is coded with. Some play it all
    /// the same; most of the others say nothing and show nothing.
    CodecNotAnnounced(Codec),
}

impl OutputWarning {
    /// A stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::CodecNotAnnounced(_) => "codec_not_announced",
        }
    }
}

impl fmt::Display for OutputWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::CodecNotAnnounced(codec) = self;
        let (lacks, instead) = match codec {
            Codec::Ac3 | Codec::Eac3 | Codec::Opus | Codec::Flac => ("heard", "AAC"),
            _ => ("seen", "H.264"),
        };
        write!(
            f,
            "The destination has not said that it takes {}: if nothing is {lacks} there, set the \
             encoder to {instead}.",
            codec.title()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_say_what_to_change() {
        for (codec, says) in [
            (
                Codec::Hevc,
                "The destination has not said that it takes HEVC: if nothing is seen there, set \
                 the encoder to H.264.",
            ),
            (
                Codec::Eac3,
                "The destination has not said that it takes E-AC-3: if nothing is heard there, \
                 set the encoder to AAC.",
            ),
        ] {
            assert_eq!(OutputWarning::CodecNotAnnounced(codec).to_string(), says);
        }
    }
}
