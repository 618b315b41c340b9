//! The window that is shown of coded pictures, as H.264 (7.4.2.1.1) and HEVC (7.4.3.2.1) tell it.

use super::PictureSize;
use super::bits::Bits;

/// Reads whether there is a window, and if so its four sides, in samples of chroma: what is left of
/// `width` and `height`. A picture is made of so many `fields`, one or two.
pub(super) fn shown(
    bits: &mut Bits<'_>,
    (width, height): (u32, u32),
    (chroma_format, separate_planes): (u32, bool),
    fields: u32,
) -> Option<PictureSize> {
    if !bits.bit()? {
        return PictureSize::new(width, height);
    }
    let (across, down) = match chroma_format {
        1 if !separate_planes => (2, 2),
        2 if !separate_planes => (2, 1),
        _ => (1, 1),
    };
    let mut sides = || Some((bits.golomb()?, bits.golomb()?));
    let ((left, right), (top, bottom)) = (sides()?, sides()?);
    let cut = |one: u32, other: u32, unit: u32| one.checked_add(other)?.checked_mul(unit);
    PictureSize::new(
        width.checked_sub(cut(left, right, across)?)?,
        height.checked_sub(cut(top, bottom, down * fields)?)?,
    )
}
