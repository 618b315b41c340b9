//! HEVC: the first sequence parameter set of an `HEVCDecoderConfigurationRecord`.

use super::bits::{Bits, without_emulation};
use super::{PictureSize, window};

/// The NAL unit type of sequence parameter sets.
const PARAMETER_SET: u8 = 33;

/// Bytes of the record before its arrays of NAL units.
const BEFORE_ARRAYS: usize = 22;

pub(super) fn picture_size(record: &[u8]) -> Option<PictureSize> {
    let (arrays, mut rest) = record.get(BEFORE_ARRAYS..)?.split_first()?;
    for _ in 0..*arrays {
        let (&[kind, high, low], after) = rest.split_first_chunk()?;
        rest = after;
        for _ in 0..u16::from_be_bytes([high, low]) {
            let (length, after) = rest.split_first_chunk()?;
            let (nal, after) = after.split_at_checked(u16::from_be_bytes(*length).into())?;
            if kind & 0x3F == PARAMETER_SET {
                // Without the NAL unit's own header.
                return parameter_set(&without_emulation(nal.get(2..)?));
            }
            rest = after;
        }
    }
    None
}

/// `seq_parameter_set_rbsp` (7.3.2.2.1).
fn parameter_set(bytes: &[u8]) -> Option<PictureSize> {
    let mut bits = Bits::new(bytes);
    bits.skip(4)?; // sps_video_parameter_set_id
    let sub_layers = bits.number(3)?;
    bits.skip(1)?; // sps_temporal_id_nesting_flag
    skip_profile_tier_level(&mut bits, sub_layers)?;
    bits.golomb()?; // sps_seq_parameter_set_id
    let chroma_format = bits.golomb()?;
    let separate_planes = chroma_format == 3 && bits.bit()?;
    let (width, height) = (bits.golomb()?, bits.golomb()?);
    window::shown(
        &mut bits,
        (width, height),
        (chroma_format, separate_planes),
        1,
    )
}

/// `profile_tier_level` (7.3.3): 88 bits of profile and 8 of level, and the same for each sub-layer
/// that has its own.
fn skip_profile_tier_level(bits: &mut Bits<'_>, sub_layers: u32) -> Option<()> {
    const PROFILE: usize = 88;
    const LEVEL: usize = 8;
    bits.skip(PROFILE + LEVEL)?;
    let mut skip = 0;
    for _ in 0..sub_layers {
        skip += if bits.bit()? { PROFILE } else { 0 };
        skip += if bits.bit()? { LEVEL } else { 0 };
    }
    if sub_layers > 0 {
        // reserved_zero_2bits up to the eighth.
        skip += 2 * (8 - sub_layers as usize);
    }
    bits.skip(skip)
}
