//! VP9: its configuration tells no size, but each keyframe does.

use super::PictureSize;
use super::bits::Bits;

/// `frame_sync_code` (7.2).
const SYNC_CODE: u32 = 0x49_8342;

/// `CS_RGB`.
const RGB: u32 = 7;

/// `uncompressed_header` (6.2), of a keyframe.
pub(super) fn picture_size(frame: &[u8]) -> Option<PictureSize> {
    let mut bits = Bits::new(frame);
    if bits.number(2)? != 2 {
        return None;
    }
    let (low, high) = (bits.number(1)?, bits.number(1)?);
    let profile = 2 * high + low;
    if profile == 3 {
        bits.skip(1)?;
    }
    let (is_shown_before, is_no_keyframe) = (bits.bit()?, bits.bit()?);
    if is_shown_before || is_no_keyframe {
        return None;
    }
    bits.skip(2)?; // show_frame, error_resilient_mode
    if bits.number(24)? != SYNC_CODE {
        return None;
    }
    if profile >= 2 {
        bits.skip(1)?; // ten_or_twelve_bit
    }
    let is_odd = profile & 1 == 1;
    if bits.number(3)? == RGB {
        bits.skip(usize::from(is_odd))?;
    } else {
        bits.skip(if is_odd { 4 } else { 1 })?; // color_range, subsampling
    }
    PictureSize::new(bits.number(16)? + 1, bits.number(16)? + 1)
}
