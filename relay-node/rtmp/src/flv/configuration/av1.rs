//! AV1: the sequence header in an `AV1CodecConfigurationRecord`.

use super::PictureSize;
use super::bits::Bits;

/// The type of the unit (OBU) that is a sequence header.
const SEQUENCE_HEADER: u8 = 1;

/// Bytes of the record before its units.
const BEFORE_UNITS: usize = 4;

pub(super) fn picture_size(record: &[u8]) -> Option<PictureSize> {
    let mut rest = record.get(BEFORE_UNITS..)?;
    loop {
        let (&header, after) = rest.split_first()?;
        let (has_extension, has_size) = (header & 4 != 0, header & 2 != 0);
        let after = after.get(usize::from(has_extension)..)?;
        let (size, after) = if has_size {
            leb128(after)?
        } else {
            (after.len(), after)
        };
        let (unit, after) = after.split_at_checked(size)?;
        if header >> 3 & 0xF == SEQUENCE_HEADER {
            return sequence_header(unit);
        }
        rest = after;
    }
}

/// `sequence_header_obu` (5.5.1), as far as the size of its frames.
fn sequence_header(unit: &[u8]) -> Option<PictureSize> {
    let mut bits = Bits::new(unit);
    bits.skip(4)?; // seq_profile, still_picture
    let is_reduced = bits.bit()?;
    if is_reduced {
        bits.skip(5)?; // seq_level_idx
    } else {
        let mut buffer_delay = None;
        if bits.bit()? {
            bits.skip(64)?; // num_units_in_display_tick, time_scale
            if bits.bit()? {
                bits.golomb()?; // num_ticks_per_picture_minus_1
            }
            if bits.bit()? {
                buffer_delay = Some(bits.number(5)? as usize + 1);
                bits.skip(32 + 5 + 5)?; // the rest of the decoder model
            }
        }
        let has_display_delay = bits.bit()?;
        for _ in 0..=bits.number(5)? {
            bits.skip(12)?; // operating_point_idc
            if bits.number(5)? > 7 {
                bits.skip(1)?; // seq_tier
            }
            if let Some(length) = buffer_delay
                && bits.bit()?
            {
                bits.skip(2 * length + 1)?;
            }
            if has_display_delay && bits.bit()? {
                bits.skip(4)?; // initial_display_delay_minus_1
            }
        }
    }
    let (across, down) = (bits.number(4)? + 1, bits.number(4)? + 1);
    PictureSize::new(bits.number(across)? + 1, bits.number(down)? + 1)
}

/// A number in little-endian groups of seven bits (4.10.5).
fn leb128(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut number = 0;
    for (index, &byte) in bytes.iter().take(8).enumerate() {
        number |= u64::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((usize::try_from(number).ok()?, bytes.get(index + 1..)?));
        }
    }
    None
}
