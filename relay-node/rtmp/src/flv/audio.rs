//! Audio tags.

use super::codec::Codec;
use super::enhanced::{self, ExHeader};
use super::{Tag, TagClass};

/// The sound format that says: the rest is as Enhanced RTMP has it.
const EXTENDED: u8 = 9;
/// `AACPacketType` of the AudioSpecificConfig; used alike for the unofficial Opus.
const CLASSIC_SEQUENCE_HEADER: u8 = 0;

mod packet_type {
    pub(super) const SEQUENCE_START: u8 = 0;
    pub(super) const CODED_FRAMES: u8 = 1;
    pub(super) const MULTICHANNEL_CONFIG: u8 = 4;
    pub(super) const MULTITRACK: u8 = 5;
}

pub(super) fn inspect(payload: &[u8]) -> Tag {
    match payload.split_first() {
        None => Tag::of(TagClass::AudioFrame),
        Some((&first, rest)) if first >> 4 == EXTENDED => extended(first, rest),
        Some((&first, rest)) => classic(first, rest),
    }
}

fn classic(first: u8, rest: &[u8]) -> Tag {
    let codec = Codec::of_sound_format(first >> 4);
    let has_packet_type = matches!(codec, Some(Codec::Aac | Codec::Opus));
    let class = match rest.first() {
        Some(&CLASSIC_SEQUENCE_HEADER) if has_packet_type => TagClass::AudioSequenceHeader,
        _ => TagClass::AudioFrame,
    };
    Tag {
        class,
        codec,
        track: 0,
    }
}

fn extended(first: u8, rest: &[u8]) -> Tag {
    let Some((packet_type, rest)) = enhanced::skip_modifiers(first & 0xF, rest) else {
        return Tag::of(TagClass::AudioFrame);
    };
    let ExHeader {
        packet_type,
        codec,
        track,
        ..
    } = enhanced::read(packet_type, packet_type::MULTITRACK, rest);
    let class = match packet_type {
        packet_type::SEQUENCE_START => TagClass::AudioSequenceHeader,
        _ => TagClass::AudioFrame,
    };
    Tag {
        class,
        codec,
        track,
    }
}

/// What tells how the sound is, behind the tag's own header: a decoder's configuration, or a frame
/// of a codec that has none.
pub(super) fn body(payload: &[u8]) -> Option<(Codec, &[u8])> {
    let (&first, rest) = payload.split_first()?;
    if first >> 4 != EXTENDED {
        let Tag { class, codec, .. } = classic(first, rest);
        let codec = codec?;
        return match class {
            TagClass::AudioSequenceHeader => Some((codec, rest.get(1..)?)),
            _ if has_configuration(codec) => None,
            _ => Some((codec, rest)),
        };
    }
    let (packet_type, rest) = enhanced::skip_modifiers(first & 0xF, rest)?;
    let header = enhanced::read(packet_type, packet_type::MULTITRACK, rest);
    let codec = header.codec?;
    let tells = match header.packet_type {
        packet_type::SEQUENCE_START => has_configuration(codec),
        packet_type::CODED_FRAMES => !has_configuration(codec),
        _ => false,
    };
    tells.then_some((codec, header.body))
}

fn has_configuration(codec: Codec) -> bool {
    matches!(codec, Codec::Aac | Codec::Opus | Codec::Flac)
}

/// Whether this says which channel is heard where.
pub(super) fn is_multichannel_config(payload: &[u8]) -> bool {
    let packet_type = || {
        let (&first, rest) = payload.split_first()?;
        if first >> 4 != EXTENDED {
            return None;
        }
        let (packet_type, rest) = enhanced::skip_modifiers(first & 0xF, rest)?;
        Some(enhanced::read(packet_type, packet_type::MULTITRACK, rest).packet_type)
    };
    packet_type() == Some(packet_type::MULTICHANNEL_CONFIG)
}

#[cfg(test)]
mod tests {
    use super::super::inspect as inspect_any;
    use super::*;
    use crate::message::MessageType;
    use TagClass::*;

    #[track_caller]
    fn check(payload: &[u8], class: TagClass, codec: Option<Codec>, track: u8) {
        assert_eq!(
            inspect_any(MessageType::AUDIO, payload),
            Tag {
                class,
                codec,
                track
            }
        );
    }

    #[test]
    fn aac_by_sound_format() {
        check(
            &[0xAF, 0, 0x12, 0x10],
            AudioSequenceHeader,
            Some(Codec::Aac),
            0,
        );
        check(&[0xAF, 1, 0x21], AudioFrame, Some(Codec::Aac), 0);
        check(&[0xAF], AudioFrame, Some(Codec::Aac), 0);
        check(&[0xDF, 0, b'O'], AudioSequenceHeader, Some(Codec::Opus), 0);
        check(&[0xDF, 1], AudioFrame, Some(Codec::Opus), 0);
    }

    #[test]
    fn formats_without_sequence_header() {
        for (format, codec) in [
            (0, Some(Codec::Pcm)),
            (1, Some(Codec::Adpcm)),
            (2, Some(Codec::Mp3)),
            (3, Some(Codec::Pcm)),
            (4, Some(Codec::Nellymoser)),
            (5, Some(Codec::Nellymoser)),
            (6, Some(Codec::Nellymoser)),
            (7, Some(Codec::G711A)),
            (8, Some(Codec::G711Mu)),
            (11, Some(Codec::Speex)),
            (12, None),
            (14, Some(Codec::Mp3)),
            (15, None),
        ] {
            check(&[format << 4 | 0xF, 0, 0], AudioFrame, codec, 0);
        }
        check(&[], AudioFrame, None, 0);
    }

    #[test]
    fn each_packet_type_of_enhanced_rtmp() {
        let opus = Some(Codec::Opus);
        check(b"\x90OpusOpusHead", AudioSequenceHeader, opus, 0);
        check(b"\x91Opus\xFC", AudioFrame, opus, 0);
        check(b"\x92Opus", AudioFrame, opus, 0);
        check(b"\x94Opus\x01\x06", AudioFrame, opus, 0);
        check(b"\x9FOpus", AudioFrame, opus, 0);
    }

    #[test]
    fn each_four_cc() {
        for (code, codec) in [
            (b"mp4a", Codec::Aac),
            (b".mp3", Codec::Mp3),
            (b"ac-3", Codec::Ac3),
            (b"ec-3", Codec::Eac3),
            (b"Opus", Codec::Opus),
            (b"fLaC", Codec::Flac),
        ] {
            check(
                &[b"\x90", &code[..]].concat(),
                AudioSequenceHeader,
                Some(codec),
                0,
            );
        }
        check(b"\x90abcd", AudioSequenceHeader, None, 0);
    }

    #[test]
    fn multitrack() {
        check(
            b"\x95\x00mp4a\x01\x12\x10",
            AudioSequenceHeader,
            Some(Codec::Aac),
            1,
        );
        check(b"\x95\x01mp4a\x01\x21", AudioFrame, Some(Codec::Aac), 1);
        check(
            b"\x95\x10mp4a\x02\x00\x00\x02\x12\x10",
            AudioSequenceHeader,
            Some(Codec::Aac),
            2,
        );
        check(
            b"\x95\x21Opus\x03\x00\x00\x01\xFC",
            AudioFrame,
            Some(Codec::Opus),
            3,
        );
        check(b"\x95\x05mp4a\x01", AudioFrame, Some(Codec::Aac), 1);
    }

    #[test]
    fn modifiers_come_before_the_packet_type() {
        check(
            b"\x97\x02\x00\x00\x01\x00fLaC",
            AudioSequenceHeader,
            Some(Codec::Flac),
            0,
        );
        check(
            b"\x97\x02\x00\x00\x01\x05\x01Opus\x04",
            AudioFrame,
            Some(Codec::Opus),
            4,
        );
    }

    #[test]
    fn what_is_cut_short_is_a_frame() {
        check(b"\x91", AudioFrame, None, 0);
        check(b"\x95", AudioFrame, None, 0);
        check(b"\x97", AudioFrame, None, 0);
        check(b"\x97\xFF\x00", AudioFrame, None, 0);
        check(b"\x90Opu", AudioSequenceHeader, None, 0);
    }
}
