//! H.264: the first sequence parameter set of an `AVCDecoderConfigurationRecord`.

use super::bits::{Bits, without_emulation};
use super::{PictureSize, window};

/// The profiles whose parameter sets tell the chroma format.
const WITH_CHROMA_FORMAT: [u32; 13] =
    [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135];

/// The most offsets of a picture order count (7.4.2.1.1).
const MAX_OFFSETS: u32 = 255;

pub(super) fn picture_size(record: &[u8]) -> Option<PictureSize> {
    // Version, profile, compatibility, level, length size; then how many sets, and the first one's
    // length.
    let (head, rest) = record.split_at_checked(6)?;
    if head.last()? & 0x1F == 0 {
        return None;
    }
    let (length, rest) = rest.split_first_chunk()?;
    let nal = rest.get(..u16::from_be_bytes(*length).into())?;
    // Without the NAL unit's own header.
    parameter_set(&without_emulation(nal.get(1..)?))
}

/// `seq_parameter_set_data` (7.3.2.1.1).
fn parameter_set(bytes: &[u8]) -> Option<PictureSize> {
    let mut bits = Bits::new(bytes);
    let profile = bits.number(8)?;
    bits.skip(16)?; // constraints, level
    bits.golomb()?; // seq_parameter_set_id
    let mut chroma_format = 1;
    let mut separate_planes = false;
    if WITH_CHROMA_FORMAT.contains(&profile) {
        chroma_format = bits.golomb()?;
        if chroma_format == 3 {
            separate_planes = bits.bit()?;
        }
        bits.golomb()?; // bit_depth_luma_minus8
        bits.golomb()?; // bit_depth_chroma_minus8
        bits.skip(1)?; // qpprime_y_zero_transform_bypass_flag
        if bits.bit()? {
            let lists = if chroma_format == 3 { 12 } else { 8 };
            for list in 0..lists {
                if bits.bit()? {
                    skip_scaling_list(&mut bits, if list < 6 { 16 } else { 64 })?;
                }
            }
        }
    }
    bits.golomb()?; // log2_max_frame_num_minus4
    match bits.golomb()? {
        0 => {
            bits.golomb()?; // log2_max_pic_order_cnt_lsb_minus4
        }
        1 => {
            bits.skip(1)?; // delta_pic_order_always_zero_flag
            bits.signed_golomb()?; // offset_for_non_ref_pic
            bits.signed_golomb()?; // offset_for_top_to_bottom_field
            let offsets = bits.golomb()?;
            if offsets > MAX_OFFSETS {
                return None;
            }
            for _ in 0..offsets {
                bits.signed_golomb()?;
            }
        }
        _ => {}
    }
    bits.golomb()?; // max_num_ref_frames
    bits.skip(1)?; // gaps_in_frame_num_value_allowed_flag
    let width_in_blocks = bits.golomb()?.checked_add(1)?;
    let height_in_units = bits.golomb()?.checked_add(1)?;
    let frames_only = bits.bit()?;
    if !frames_only {
        bits.skip(1)?; // mb_adaptive_frame_field_flag
    }
    bits.skip(1)?; // direct_8x8_inference_flag
    let fields: u32 = if frames_only { 1 } else { 2 };
    let width = width_in_blocks.checked_mul(16)?;
    let height = height_in_units.checked_mul(16)?.checked_mul(fields)?;
    window::shown(
        &mut bits,
        (width, height),
        (chroma_format, separate_planes),
        fields,
    )
}

/// `scaling_list` (7.3.2.1.1.1).
fn skip_scaling_list(bits: &mut Bits<'_>, size: u32) -> Option<()> {
    let (mut last, mut next) = (8, 8);
    for _ in 0..size {
        if next != 0 {
            next = (last + bits.signed_golomb()?.rem_euclid(256)) % 256;
        }
        if next != 0 {
            last = next;
        }
    }
    Some(())
}
