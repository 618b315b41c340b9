//! What audio and video tags of Enhanced RTMP have in common: modifiers, tracks, four characters.

use super::codec::Codec;

/// A packet type of both: modifiers come first, and then the packet type.
const MOD_EX: u8 = 7;

/// The start of an extended tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ExHeader<'a> {
    /// Of the message, or of all tracks in it.
    pub(super) packet_type: u8,
    pub(super) codec: Option<Codec>,
    pub(super) track: u8,
    /// What follows, of the first track if there are several.
    pub(super) body: &'a [u8],
}

/// The way to put tracks into a message in which no track's length is told: there is but one.
const ONE_TRACK: u8 = 0;

/// A packet type with the modifiers (ModEx) before it skipped; `None` if they are cut short.
pub(super) fn skip_modifiers(first: u8, mut rest: &[u8]) -> Option<(u8, &[u8])> {
    let mut packet_type = first;
    while packet_type == MOD_EX {
        let (&short, after) = rest.split_first()?;
        let (len, after) = if short == u8::MAX {
            let (long, after) = after.split_first_chunk()?;
            (usize::from(u16::from_be_bytes(*long)) + 1, after)
        } else {
            (usize::from(short) + 1, after)
        };
        let (&types, after) = after.get(len..)?.split_first()?;
        packet_type = types & 0xF;
        rest = after;
    }
    Some((packet_type, rest))
}

/// Reads on after the packet type: with several tracks there is a second one, in the lower half of
/// a byte. In each of the three ways to put tracks into a message, the first track's codec comes
/// next and then its number.
pub(super) fn read(packet_type: u8, multitrack: u8, rest: &[u8]) -> ExHeader<'_> {
    let (tracks, packet_type, rest) = match rest.split_first() {
        Some((types, rest)) if packet_type == multitrack => (Some(types >> 4), types & 0xF, rest),
        _ => (None, packet_type, rest),
    };
    let (codec, rest) = match rest.split_first_chunk() {
        Some((code, rest)) => (Codec::of_four_cc(*code), rest),
        None => (None, &[][..]),
    };
    let (track, body) = match (tracks, rest.split_first()) {
        (None, _) | (_, None) => (0, rest),
        (Some(ONE_TRACK), Some((&track, body))) => (track, body),
        (Some(_), Some((&track, sized))) => (track, sized_body(sized).unwrap_or_default()),
    };
    ExHeader {
        packet_type,
        codec,
        track,
        body,
    }
}

/// The bytes behind their length, of 24 bits.
fn sized_body(sized: &[u8]) -> Option<&[u8]> {
    let (&[high, middle, low], rest) = sized.split_first_chunk()?;
    let length = u32::from_be_bytes([0, high, middle, low]);
    rest.get(..usize::try_from(length).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modifiers_of_every_length_are_skipped() {
        for len in [1_u16, 2, 3, 255, 256, 257, 1000, u16::MAX] {
            let mut tag = match u8::try_from(len - 1) {
                Ok(short) if short < 255 => vec![short],
                _ => {
                    let [high, low] = (len - 1).to_be_bytes();
                    vec![255, high, low]
                }
            };
            tag.extend(vec![0x77; usize::from(len)]);
            tag.extend([0x01, b'r', b'e']);
            assert_eq!(skip_modifiers(MOD_EX, &tag), Some((1, &b"re"[..])), "{len}");
            for cut in [0, 1, tag.len() - 3] {
                assert_eq!(skip_modifiers(MOD_EX, &tag[..cut]), None, "{len} {cut}");
            }
        }
    }

    #[test]
    fn modifiers_may_follow_each_other() {
        let tag = [0, 0xAA, 0x07, 2, 0xAA, 0xAA, 0xAA, 0x03, 0x55];
        assert_eq!(skip_modifiers(MOD_EX, &tag), Some((3, &[0x55][..])));
        assert_eq!(skip_modifiers(5, &tag), Some((5, &tag[..])));
    }
}
