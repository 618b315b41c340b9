//! By how much a picture is shown later than it is decoded.

use super::codec::Codec;
use super::enhanced;

const EXTENDED: u8 = 0x80;

mod packet_type {
    /// The only packet type with a composition time: the one that says it is 0 leaves it out.
    pub(super) const CODED_FRAMES: u8 = 1;
    pub(super) const MULTITRACK: u8 = 6;
}

/// `AvcMultitrackType`: one track, so that no size comes before its frame.
const ONE_TRACK: u8 = 0;

/// The composition time of a video tag in milliseconds, presentation less decoding; of the first
/// track if the tag carries several. What has none, or is cut short, has 0.
pub fn composition_time(payload: &[u8]) -> i32 {
    read(payload).map_or(0, |[high, middle, low]| {
        // A signed number of 24 bits.
        i32::from_be_bytes([high, middle, low, 0]) >> 8
    })
}

fn read(payload: &[u8]) -> Option<[u8; 3]> {
    let (&first, rest) = payload.split_first()?;
    if first & EXTENDED == 0 {
        let codec = Codec::of_video_id(first & 0xF)?;
        let (&packet_type, rest) = rest.split_first()?;
        let timed = matches!(codec, Codec::H264 | Codec::Hevc | Codec::Av1);
        return (timed && packet_type == packet_type::CODED_FRAMES)
            .then(|| rest.first_chunk().copied())?;
    }
    let (mut packet_type, mut rest) = enhanced::skip_modifiers(first & 0xF, rest)?;
    let mut tracks = None;
    if packet_type == packet_type::MULTITRACK {
        let (&types, after) = rest.split_first()?;
        (packet_type, tracks, rest) = (types & 0xF, Some(types >> 4), after);
    }
    let (code, rest) = rest.split_first_chunk()?;
    let timed = matches!(
        Codec::of_four_cc(*code),
        Some(Codec::H264 | Codec::Hevc | Codec::Vvc)
    );
    if !timed || packet_type != packet_type::CODED_FRAMES {
        return None;
    }
    let before = match tracks {
        None => 0,
        // The track's number.
        Some(ONE_TRACK) => 1,
        // And the size of its frame.
        Some(_) => 4,
    };
    rest.get(before..)?.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_each_form_that_has_one() {
        for (tag, time) in [
            (&b"\x27\x01\x00\x00\x50rest"[..], 80),
            (b"\x27\x01\xff\xff\xb0", -80),
            (b"\x2c\x01\x00\x01\x00", 256),
            (b"\xa1hvc1\x00\x00\x28", 40),
            (b"\xa1avc1\x80\x00\x00", -8_388_608),
            (b"\xa1vvc1\x7f\xff\xff", 8_388_607),
            (b"\xa7\x02\x00\x00\x01\x01hvc1\x00\x00\x21", 33),
            (b"\xa6\x01avc1\x02\x00\x00\x21", 33),
            (b"\xa6\x11avc1\x02\x00\x00\x09\x00\x00\x22", 34),
            (b"\xa6\x21hvc1\x02\x00\x00\x09\xff\xff\xff", -1),
        ] {
            assert_eq!(composition_time(tag), time, "{tag:02x?}");
        }
    }

    #[test]
    fn what_has_none_has_0() {
        for tag in [
            &b""[..],
            b"\x17",
            b"\x17\x00\x00\x00\x50",
            b"\x27\x01\x00\x00",
            b"\x22\x01\x00\x00\x50",
            b"\xa3hvc1\x00\x00\x50",
            b"\xa1av01\x00\x00\x50",
            b"\xa1vp09\x00\x00\x50",
            b"\xa1xxxx\x00\x00\x50",
            b"\xa1hvc1\x00\x00",
            b"\xa6\x01avc1\x02\x00\x00",
            b"\xa6\x11avc1\x02\x00\x00\x09\x00\x00",
            b"\xa6",
            b"\xa7\x02\x00",
        ] {
            assert_eq!(composition_time(tag), 0, "{tag:02x?}");
        }
    }
}
