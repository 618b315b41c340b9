//! Creations that may be asked for twice: the header `Idempotency-Key`.
//!
//! A key belongs to one request of an account, its path and its body to the letter, for
//! [`IDEMPOTENCY_HOURS`]. The row that remembers it is written by the batch that makes what was
//! asked for, and that batch makes nothing where there is such a row: however many ask at once, one
//! of them is made.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use shared::envelope::{Notice, code};
use shared::id::{InputUid, OutputUid};
use shared::limits::{IDEMPOTENCY_HOURS, MAX_IDEMPOTENCY_KEY_BYTES};
use shared::time::Timestamp;

use crate::failure::Failure;
use crate::keys::{Keyring, Unsealable};

/// A request that is to be carried out once, as it came in.
#[derive(Clone, Copy)]
pub struct Attempt<'a> {
    key: &'a str,
    /// The live input of a new output.
    within: Option<InputUid>,
    body: &'a [u8],
}

impl<'a> Attempt<'a> {
    /// Reads the header, if there is one. `within` is the live input of a new output.
    ///
    /// # Errors
    ///
    /// 400/6003 where it is empty, too long, or not of visible ASCII characters and blanks.
    pub fn parse(
        header: Option<&'a str>,
        within: Option<InputUid>,
        body: &'a [u8],
    ) -> Result<Option<Self>, Failure> {
        let Some(key) = header else {
            return Ok(None);
        };
        let is_good = (1..=MAX_IDEMPOTENCY_KEY_BYTES).contains(&key.len())
            && key.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if !is_good {
            let message = format!(
                "The header Idempotency-Key must be 1 to {MAX_IDEMPOTENCY_KEY_BYTES} visible ASCII \
                 characters."
            );
            return Err(Failure::new(
                400,
                Notice::new(code::INVALID_HEADERS, message),
            ));
        }
        Ok(Some(Self { key, within, body }))
    }

    /// What the database is to remember of it.
    ///
    /// # Errors
    ///
    /// [`Unsealable`] where the keyring is empty.
    pub fn once(&self, keyring: &Keyring) -> Result<Once, Unsealable> {
        Ok(Once {
            key: self.key.to_owned(),
            request: keyring.fingerprint(&self.text())?,
        })
    }

    /// Whether `made` came of this request, and not of another one with the same key.
    ///
    /// # Errors
    ///
    /// 409 where it came of another.
    pub fn check(&self, made: &Made, keyring: &Keyring) -> Result<(), Failure> {
        match keyring.is_fingerprint(&self.text(), &made.request) {
            true => Ok(()),
            false => Err(Failure::idempotency_key_taken()),
        }
    }

    /// A uid or nothing, a zero byte, the body: no two requests read the same.
    fn text(&self) -> Vec<u8> {
        let within = self.within.map_or_else(String::new, |uid| uid.to_string());
        [within.as_bytes(), self.body].join(&0)
    }
}

/// A creation that is to be made once.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Once {
    /// The key that the client chose.
    pub(crate) key: String,
    /// The keyed hash of what it asked for: a body may hold a key of a destination.
    pub(crate) request: String,
}

/// What an earlier creation with the same key made. It may be gone.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Made {
    /// The keyed hash of what was asked for.
    request: String,
    /// The live input, or that of the output.
    #[serde(rename = "input_uid")]
    pub input: InputUid,
    /// The output.
    #[serde(rename = "output_uid")]
    pub output: Option<OutputUid>,
}

/// When a key that is used at `now` is free again.
pub(crate) fn expiry(now: Timestamp) -> Timestamp {
    let lifetime = Duration::from_secs(u64::from(IDEMPOTENCY_HOURS) * 3600);
    now.after(lifetime)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_visible_and_of_255_bytes() {
        let parse = |key: &str| Attempt::parse(Some(key), None, b"").map(drop);
        assert!(Attempt::parse(None, None, b"").unwrap().is_none());
        for good in [
            "a",
            "8e03978e-40d5-43dd-bc93-6894a57f9324",
            " ",
            &"k".repeat(255),
        ] {
            assert_eq!(parse(good), Ok(()), "{good}");
        }
        for wrong in ["", &"k".repeat(256), "é", "a\tb", "a\0"] {
            assert_eq!(parse(wrong).unwrap_err().to_string(), "400/6003", "{wrong}");
        }
    }

    #[test]
    fn a_key_belongs_to_one_request() {
        let ring = |text: &str| Keyring::parse(text).unwrap();
        let old = format!("1:{}", "0a".repeat(32));
        let keyring = ring(&old);
        let input = InputUid::from_random([1; 16]);
        let attempt = |within, body: &'static [u8]| {
            Attempt::parse(Some("key"), within, body).unwrap().unwrap()
        };
        let asked = attempt(Some(input), b"{}");
        let made = Made {
            request: asked.once(&keyring).unwrap().request,
            input,
            output: None,
        };
        assert_eq!(asked.check(&made, &keyring), Ok(()));
        let rotated = ring(&format!("2:{},{old}", "0b".repeat(32)));
        assert_eq!(asked.check(&made, &rotated), Ok(()));
        for other in [
            attempt(Some(input), b"{ }"),
            attempt(Some(InputUid::from_random([2; 16])), b"{}"),
            attempt(None, b"{}"),
        ] {
            let failure = other.check(&made, &keyring).unwrap_err();
            assert_eq!(failure.to_string(), "409/10409");
            assert_eq!(failure.headers(), [("x-should-retry", "false")]);
        }
    }
}
