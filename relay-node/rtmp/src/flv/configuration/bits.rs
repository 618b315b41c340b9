//! Reading bit by bit, never past the end.

/// A reader of bits, most significant first.
#[derive(Clone, Debug)]
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    /// Bits read.
    position: usize,
}

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    pub(super) fn bit(&mut self) -> Option<bool> {
        let byte = self.bytes.get(self.position / 8)?;
        let bit = byte >> (7 - self.position % 8) & 1;
        self.position += 1;
        Some(bit == 1)
    }

    /// A number of `count` bits, at most 32.
    pub(super) fn number(&mut self, count: u32) -> Option<u32> {
        let mut number = 0;
        for _ in 0..count {
            number = number << 1 | u32::from(self.bit()?);
        }
        Some(number)
    }

    pub(super) fn skip(&mut self, count: usize) -> Option<()> {
        let position = self.position.checked_add(count)?;
        if position > self.bytes.len().checked_mul(8)? {
            return None;
        }
        self.position = position;
        Some(())
    }

    /// An unsigned Exp-Golomb code, `ue(v)` in H.264 and HEVC, `uvlc()` in AV1.
    pub(super) fn golomb(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while !self.bit()? {
            zeros += 1;
            if zeros == 32 {
                return None;
            }
        }
        let rest = self.number(zeros)?;
        Some(((1_u32 << zeros) - 1).saturating_add(rest))
    }

    /// A signed one, `se(v)`.
    pub(super) fn signed_golomb(&mut self) -> Option<i32> {
        let code = i64::from(self.golomb()?);
        let magnitude = (code + 1) / 2;
        i32::try_from(if code % 2 == 1 { magnitude } else { -magnitude }).ok()
    }
}

/// How much of a parameter set is looked at, in bytes: the size stands near its beginning, behind
/// at most twelve scaling lists of 64 entries.
const LOOKED_AT: usize = 2048;

/// A NAL unit without the bytes that keep start codes out of it (`emulation_prevention_three_byte`).
pub(super) fn without_emulation(nal: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(nal.len().min(LOOKED_AT));
    let mut zeros = 0;
    for &byte in nal.iter().take(LOOKED_AT) {
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        bytes.push(byte);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_cross_bytes_and_end_with_them() {
        let mut bits = Bits::new(&[0b1010_0000, 0b0000_0001]);
        assert_eq!(bits.number(3), Some(0b101));
        assert_eq!(bits.skip(4), Some(()));
        assert_eq!(bits.number(9), Some(1));
        assert_eq!(bits.bit(), None);
        assert_eq!(bits.number(0), Some(0));
        assert_eq!(bits.skip(1), None);
        assert_eq!(Bits::new(&[0xFF; 4]).number(32), Some(u32::MAX));
    }

    #[test]
    fn golomb_codes() {
        for (code, unsigned, signed) in [
            (&[0b1000_0000][..], 0, 0),
            (&[0b0100_0000], 1, 1),
            (&[0b0110_0000], 2, -1),
            (&[0b0010_0000], 3, 2),
            (&[0b0001_1100], 13, 7),
        ] {
            assert_eq!(Bits::new(code).golomb(), Some(unsigned));
            assert_eq!(Bits::new(code).signed_golomb(), Some(signed));
        }
        // 31 zeros are the most.
        let longest = [0, 0, 0, 1, 0xFF, 0xFF, 0xFF, 0xFF];
        assert_eq!(Bits::new(&longest).golomb(), Some(u32::MAX - 1));
        assert_eq!(Bits::new(&[0; 16]).golomb(), None);
        assert_eq!(Bits::new(&[0]).golomb(), None);
    }

    #[test]
    fn emulation_prevention_is_taken_out() {
        for (nal, plain) in [
            (&[0, 0, 3, 1][..], &[0, 0, 1][..]),
            (&[0, 0, 3, 0, 0, 3], &[0, 0, 0, 0]),
            (&[0, 3, 0, 0, 0, 3], &[0, 3, 0, 0, 0]),
            (&[3, 3], &[3, 3]),
        ] {
            assert_eq!(without_emulation(nal), plain);
        }
        assert_eq!(without_emulation(&[1; 4096]).len(), LOOKED_AT);
    }
}
