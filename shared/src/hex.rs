//! Bytes as lower-case hexadecimal digits: ids, the secret half of stream keys, hashes.

/// Writes two digits for each byte to the end of `text`.
pub fn push(text: &mut String, bytes: &[u8]) {
    let digit = |value: u8| char::from_digit(value.into(), 16).unwrap_or_default();
    text.extend(
        bytes
            .iter()
            .flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)]),
    );
}

/// Two digits for each byte.
pub fn text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    push(&mut text, bytes);
    text
}

/// Fills `bytes` with what `text` says, in the place where a secret is to stay; nothing if that is not
/// two lower-case digits for each of them, and then `bytes` holds anything.
#[must_use]
pub fn read(text: &str, bytes: &mut [u8]) -> Option<()> {
    if text.len() != 2 * bytes.len() {
        return None;
    }
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        for digit in digits {
            let value = match digit {
                b'0'..=b'9' => digit - b'0',
                b'a'..=b'f' => digit - b'a' + 10,
                _ => return None,
            };
            *byte = *byte << 4 | value;
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_read_as_it_is_written() {
        let all: Vec<u8> = (0..=255).collect();
        let written = text(&all);
        let expected: String = all.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(written, expected);
        let mut read_again = vec![0xff; all.len()];
        assert_eq!(read(&written, &mut read_again), Some(()));
        assert_eq!(read_again, all);
    }

    #[test]
    fn nothing_else_is_read() {
        for wrong in ["", "0", "000", "0000", "0A", "+1", "g0", "0g", " 1", "é"] {
            assert_eq!(read(wrong, &mut [0]), None, "{wrong}");
        }
    }
}
