//! The stream key of a live input: a secret that carries its input.

use std::fmt;
use std::str::FromStr;

use zeroize::Zeroizing;

use crate::hex;
use crate::id::InputUid;
use crate::secret::{REDACTED, Secret};

/// `<32 hex secret>k<input uid>`, 65 characters: the form of Cloudflare's keys, by which whoever
/// receives one knows the input without a look-up table.
#[derive(Clone, PartialEq, Eq)]
pub struct StreamKey {
    secret: Zeroizing<[u8; 16]>,
    input: InputUid,
}

impl StreamKey {
    /// A new key for `input` from 16 bytes of randomness.
    pub fn from_random(input: InputUid, secret: [u8; 16]) -> Self {
        Self {
            secret: Zeroizing::new(secret),
            input,
        }
    }

    /// The live input that the key belongs to, if it is genuine.
    pub fn input(&self) -> InputUid {
        self.input
    }

    /// The key as an encoder types it.
    pub fn expose(&self) -> Secret {
        let mut text = String::with_capacity(65);
        hex::push(&mut text, &*self.secret);
        text.push('k');
        text.push_str(&self.input.to_string());
        Secret::new(text)
    }
}

impl FromStr for StreamKey {
    type Err = MalformedStreamKey;

    /// Reads a key, white space round it ignored: people paste it with a line end.
    fn from_str(text: &str) -> Result<Self, MalformedStreamKey> {
        let (secret, input) = text.trim().split_once('k').ok_or(MalformedStreamKey)?;
        let input = input.parse().map_err(|_| MalformedStreamKey)?;
        let mut bytes = Zeroizing::new([0; 16]);
        hex::read(secret, &mut *bytes).ok_or(MalformedStreamKey)?;
        Ok(Self {
            secret: bytes,
            input,
        })
    }
}

impl fmt::Debug for StreamKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{REDACTED}k{}", self.input)
    }
}

/// A text that cannot be a stream key of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a stream key is 32 hexadecimal digits, the letter k, and the input's uid")]
pub struct MalformedStreamKey;

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "00112233445566778899aabbccddeeffk66be4bf738797e01e1fca35a7bdecdcd";

    #[test]
    fn reads_what_it_writes() {
        let key: StreamKey = TEXT.parse().unwrap();
        assert_eq!(key.input().to_string(), "66be4bf738797e01e1fca35a7bdecdcd");
        assert_eq!(key.expose().expose(), TEXT);
        assert_eq!(format!(" {TEXT}\r\n").parse::<StreamKey>().unwrap(), key);
    }

    #[test]
    fn refuses_everything_else() {
        let (secret, uid) = TEXT.split_once('k').unwrap();
        for wrong in [
            String::new(),
            "k".into(),
            secret.into(),
            format!("{secret}k"),
            format!("{secret}x{uid}"),
            format!("{secret}k{uid}k"),
            format!("{secret}0k{uid}"),
            format!("{}k{uid}", &secret[1..]),
            format!("{}k{uid}", secret.to_uppercase()),
            format!("{}k{uid}", "é".repeat(16)),
        ] {
            assert_eq!(
                wrong.parse::<StreamKey>(),
                Err(MalformedStreamKey),
                "{wrong}"
            );
        }
    }

    #[test]
    fn a_key_is_wiped_when_it_is_dropped() {
        fn is_wiped<T: zeroize::ZeroizeOnDrop>(_: &T) {}
        is_wiped(&TEXT.parse::<StreamKey>().unwrap().secret);
    }

    #[test]
    fn debug_shows_the_input_only() {
        let shown = format!("{:?}", TEXT.parse::<StreamKey>().unwrap());
        assert_eq!(shown, "<redacted>k66be4bf738797e01e1fca35a7bdecdcd");
    }
}
