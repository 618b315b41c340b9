//! Bytes as a network delivers them: cut anywhere.

/// Lengths of pieces, by turns: of one byte, of a header or two, of a packet, of all there is.
const LONGEST: [usize; 6] = [1, 4, 16, 150, 1500, usize::MAX];

/// The pieces of some bytes; how long they are follows from a seed. The seed 0 cuts nothing.
pub(crate) struct Pieces<'a> {
    rest: &'a [u8],
    state: u32,
}

impl<'a> Pieces<'a> {
    pub(crate) fn new(bytes: &'a [u8], seed: u8) -> Self {
        Self {
            rest: bytes,
            state: seed.into(),
        }
    }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let length = match self.state {
            0 => usize::MAX,
            _ => {
                // Numerical Recipes' generator; its high bits are the good ones.
                self.state = self
                    .state
                    .wrapping_mul(1_664_525)
                    .wrapping_add(1_013_904_223)
                    .max(1);
                let [high, low, ..] = self.state.to_be_bytes();
                let longest = LONGEST.get(usize::from(high % 6)).copied().unwrap_or(1);
                1 + usize::from(low) % longest
            }
        };
        let (piece, rest) = self.rest.split_at(length.min(self.rest.len()));
        self.rest = rest;
        Some(piece)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_between_pieces() {
        let bytes: Vec<u8> = (0..=255).cycle().take(3000).collect();
        for seed in 0..=255 {
            let pieces: Vec<_> = Pieces::new(&bytes, seed).collect();
            assert_eq!(pieces.concat(), bytes);
            assert_eq!(pieces.len() == 1, seed == 0, "{seed}");
        }
    }
}
