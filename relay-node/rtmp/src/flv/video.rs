//! Video tags.

use super::codec::Codec;
use super::enhanced::{self, ExHeader};
use super::{Tag, TagClass};

/// In the first byte: the rest of it is as Enhanced RTMP has it.
const EXTENDED: u8 = 0x80;

mod frame_type {
    pub(super) const KEY: u8 = 1;
    pub(super) const GENERATED_KEY: u8 = 4;
    pub(super) const COMMAND: u8 = 5;
}

/// `AVCPacketType`, used alike for the unofficial codec ids.
mod avc_packet_type {
    pub(super) const SEQUENCE_HEADER: u8 = 0;
    pub(super) const END_OF_SEQUENCE: u8 = 2;
}

mod packet_type {
    pub(super) const SEQUENCE_START: u8 = 0;
    pub(super) const CODED_FRAMES: u8 = 1;
    pub(super) const SEQUENCE_END: u8 = 2;
    /// With a composition time of 0 that is not written.
    pub(super) const CODED_FRAMES_X: u8 = 3;
    pub(super) const METADATA: u8 = 4;
    pub(super) const MPEG2TS_SEQUENCE_START: u8 = 5;
    pub(super) const MULTITRACK: u8 = 6;
}

pub(super) fn inspect(payload: &[u8]) -> Tag {
    match payload.split_first() {
        None => Tag::of(TagClass::VideoInterframe),
        Some((&first, rest)) if first & EXTENDED != 0 => extended(first, rest),
        Some((&first, rest)) => classic(first, rest),
    }
}

fn classic(first: u8, rest: &[u8]) -> Tag {
    let codec = Codec::of_video_id(first & 0xF);
    let has_packet_type = matches!(codec, Some(Codec::H264 | Codec::Hevc | Codec::Av1));
    let frame_type = first >> 4;
    let class = match rest.first() {
        _ if frame_type == frame_type::COMMAND => TagClass::VideoOther,
        Some(&avc_packet_type::SEQUENCE_HEADER) if has_packet_type => TagClass::VideoSequenceHeader,
        Some(&avc_packet_type::END_OF_SEQUENCE) if has_packet_type => TagClass::VideoOther,
        _ => frame(frame_type),
    };
    Tag {
        class,
        codec,
        track: 0,
    }
}

fn extended(first: u8, rest: &[u8]) -> Tag {
    let frame_type = (first >> 4) & 7;
    let Some((packet_type, rest)) = enhanced::skip_modifiers(first & 0xF, rest) else {
        return Tag::of(frame(frame_type));
    };
    // A command takes the place of all that would follow.
    if frame_type == frame_type::COMMAND && packet_type != packet_type::METADATA {
        return Tag::of(TagClass::VideoOther);
    }
    let ExHeader {
        packet_type,
        codec,
        track,
        ..
    } = enhanced::read(packet_type, packet_type::MULTITRACK, rest);
    let class = match packet_type {
        packet_type::SEQUENCE_START | packet_type::MPEG2TS_SEQUENCE_START => {
            TagClass::VideoSequenceHeader
        }
        packet_type::SEQUENCE_END | packet_type::METADATA => TagClass::VideoOther,
        _ => frame(frame_type),
    };
    Tag {
        class,
        codec,
        track,
    }
}

/// What tells how the pictures are, behind the tag's own header: a decoder's configuration, or a
/// keyframe of a codec that says it there.
pub(super) fn body(payload: &[u8]) -> Option<(Codec, &[u8])> {
    /// Bytes of packet type and composition time.
    const CLASSIC_HEADER: usize = 4;
    let (&first, rest) = payload.split_first()?;
    if first & EXTENDED == 0 {
        return match inspect(payload) {
            Tag {
                class: TagClass::VideoSequenceHeader,
                codec: Some(codec),
                ..
            } => Some((codec, rest.get(CLASSIC_HEADER..)?)),
            _ => None,
        };
    }
    let (packet_type, rest) = enhanced::skip_modifiers(first & 0xF, rest)?;
    let header = enhanced::read(packet_type, packet_type::MULTITRACK, rest);
    let codec = header.codec?;
    let tells = match header.packet_type {
        packet_type::SEQUENCE_START => codec != Codec::Vp9,
        packet_type::CODED_FRAMES | packet_type::CODED_FRAMES_X => codec == Codec::Vp9,
        _ => false,
    };
    tells.then_some((codec, header.body))
}

/// Whether this is metadata of video, such as HDR's.
pub(super) fn is_metadata(payload: &[u8]) -> bool {
    enhanced_packet_type(payload) == Some(packet_type::METADATA)
}

fn enhanced_packet_type(payload: &[u8]) -> Option<u8> {
    let (&first, rest) = payload.split_first()?;
    if first & EXTENDED == 0 {
        return None;
    }
    let (packet_type, rest) = enhanced::skip_modifiers(first & 0xF, rest)?;
    Some(enhanced::read(packet_type, packet_type::MULTITRACK, rest).packet_type)
}

fn frame(frame_type: u8) -> TagClass {
    match frame_type {
        frame_type::KEY | frame_type::GENERATED_KEY => TagClass::VideoKeyframe,
        _ => TagClass::VideoInterframe,
    }
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
            inspect_any(MessageType::VIDEO, payload),
            Tag {
                class,
                codec,
                track
            }
        );
    }

    #[test]
    fn h264_by_codec_id() {
        let h264 = Some(Codec::H264);
        check(&[0x17, 0, 0, 0, 0, 1, 0x64], VideoSequenceHeader, h264, 0);
        check(&[0x17, 1, 0, 0, 0, 0, 0], VideoKeyframe, h264, 0);
        check(&[0x27, 1, 0, 0, 80, 0, 0], VideoInterframe, h264, 0);
        check(&[0x37, 1, 0, 0, 80, 0, 0], VideoInterframe, h264, 0);
        check(&[0x47, 1, 0, 0, 0, 0, 0], VideoKeyframe, h264, 0);
        check(&[0x17, 2, 0, 0, 0], VideoOther, h264, 0);
        check(&[0x57, 0], VideoOther, h264, 0);
        check(&[0x17], VideoKeyframe, h264, 0);
    }

    #[test]
    fn unofficial_and_old_codec_ids() {
        check(
            &[0x1C, 0, 0, 0, 0, 1],
            VideoSequenceHeader,
            Some(Codec::Hevc),
            0,
        );
        check(&[0x1C, 1, 0, 0, 0], VideoKeyframe, Some(Codec::Hevc), 0);
        check(
            &[0x1D, 0, 0, 0, 0],
            VideoSequenceHeader,
            Some(Codec::Av1),
            0,
        );
        // Without sequence headers: the next byte is picture already.
        check(
            &[0x12, 0, 0, 0x84],
            VideoKeyframe,
            Some(Codec::SorensonH263),
            0,
        );
        check(
            &[0x22, 2, 0, 0x84],
            VideoInterframe,
            Some(Codec::SorensonH263),
            0,
        );
        check(&[0x14, 0], VideoKeyframe, Some(Codec::Vp6), 0);
        check(&[0x25, 0], VideoInterframe, Some(Codec::Vp6), 0);
        check(&[0x13, 0], VideoKeyframe, Some(Codec::ScreenVideo), 0);
        check(&[0x16, 0], VideoKeyframe, Some(Codec::ScreenVideo), 0);
        check(&[0x1F, 0], VideoKeyframe, None, 0);
        check(&[0x00, 0], VideoInterframe, None, 0);
        check(&[], VideoInterframe, None, 0);
    }

    #[test]
    fn each_packet_type_of_enhanced_rtmp() {
        let hevc = Some(Codec::Hevc);
        check(b"\x90hvc1\x01", VideoSequenceHeader, hevc, 0);
        check(b"\x91hvc1\x00\x00\x00\x00", VideoKeyframe, hevc, 0);
        check(b"\xA1hvc1\x00\x00\x50\x00", VideoInterframe, hevc, 0);
        check(b"\xB1hvc1\x00\x00\x50\x00", VideoInterframe, hevc, 0);
        check(b"\xC1hvc1\x00\x00\x50\x00", VideoKeyframe, hevc, 0);
        check(b"\x92hvc1", VideoOther, hevc, 0);
        check(b"\x93hvc1\x00", VideoKeyframe, hevc, 0);
        check(b"\xA3hvc1\x00", VideoInterframe, hevc, 0);
        check(b"\x94hvc1\x02\x00\x09colorInfo", VideoOther, hevc, 0);
        check(b"\xD4hvc1\x02\x00\x09colorInfo", VideoOther, hevc, 0);
        check(b"\x95av01\x80", VideoSequenceHeader, Some(Codec::Av1), 0);
        // A seek command: no four characters follow.
        check(b"\xD1\x00", VideoOther, None, 0);
        check(b"\xD0\x01", VideoOther, None, 0);
    }

    #[test]
    fn each_four_cc() {
        for (code, codec) in [
            (b"avc1", Codec::H264),
            (b"hvc1", Codec::Hevc),
            (b"vvc1", Codec::Vvc),
            (b"vp08", Codec::Vp8),
            (b"vp09", Codec::Vp9),
            (b"av01", Codec::Av1),
        ] {
            check(
                &[b"\x90", &code[..]].concat(),
                VideoSequenceHeader,
                Some(codec),
                0,
            );
        }
        check(b"\x90abcd", VideoSequenceHeader, None, 0);
    }

    #[test]
    fn multitrack() {
        // One track.
        check(
            b"\x96\x00avc1\x01\x01\x64",
            VideoSequenceHeader,
            Some(Codec::H264),
            1,
        );
        check(
            b"\x96\x01avc1\x02\x00\x00\x00",
            VideoKeyframe,
            Some(Codec::H264),
            2,
        );
        check(
            b"\xA6\x03hvc1\x02\x00",
            VideoInterframe,
            Some(Codec::Hevc),
            2,
        );
        check(b"\x96\x02hvc1\x02", VideoOther, Some(Codec::Hevc), 2);
        // Many tracks of one codec, then of several: the first counts.
        check(
            b"\x96\x10avc1\x00\x00\x00\x01\x64",
            VideoSequenceHeader,
            Some(Codec::H264),
            0,
        );
        check(
            b"\x96\x21av01\x03\x00\x00\x01\x12",
            VideoKeyframe,
            Some(Codec::Av1),
            3,
        );
        // No multitrack inside multitrack.
        check(b"\x96\x06avc1\x01", VideoKeyframe, Some(Codec::H264), 1);
    }

    #[test]
    fn modifiers_come_before_the_packet_type() {
        check(
            b"\x97\x02\x00\x00\x01\x00av01",
            VideoSequenceHeader,
            Some(Codec::Av1),
            0,
        );
        check(
            b"\xA7\x02\x00\x00\x01\x01av01",
            VideoInterframe,
            Some(Codec::Av1),
            0,
        );
        check(
            b"\x97\x02\x00\x00\x01\x06\x01hvc1\x05",
            VideoKeyframe,
            Some(Codec::Hevc),
            5,
        );
        check(b"\xD7\x02\x00\x00\x01\x01\x00", VideoOther, None, 0);
    }

    #[test]
    fn what_is_cut_short_or_unknown_is_a_frame() {
        check(b"\x90", VideoSequenceHeader, None, 0);
        check(b"\x91hvc", VideoKeyframe, None, 0);
        check(b"\xA7", VideoInterframe, None, 0);
        check(b"\x97\x02\x00", VideoKeyframe, None, 0);
        check(b"\xA6", VideoInterframe, None, 0);
        check(b"\xA6\x00", VideoSequenceHeader, None, 0);
        check(b"\xA6\x01av01", VideoInterframe, Some(Codec::Av1), 0);
        check(b"\xA8av01", VideoInterframe, Some(Codec::Av1), 0);
        check(b"\x9Fav01", VideoKeyframe, Some(Codec::Av1), 0);
    }
}
