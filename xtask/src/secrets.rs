//! Tokens of the control plane, and the one seed from which `dev` derives every secret.

use anyhow::{Context, Result, anyhow, bail};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest, Sha256};
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::place::hex;

/// Length of the seed and of every key derived from it, in bytes.
const KEY_BYTES: usize = 32;

/// Length of the block that SHA-256, and so its HMAC, works on.
const HMAC_BLOCK_BYTES: usize = 64;

/// A text that must never be printed by accident.
#[derive(Clone)]
pub(crate) struct Secret(String);

impl Secret {
    /// The text itself, for the few places that hand it on.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// What the control plane stores of a token: lower-case hexadecimal SHA-256.
    pub(crate) fn hash(&self) -> String {
        hex(&Sha256::digest(self.0.as_bytes()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

/// 32 random bytes; everything secret in a `dev` state folder follows from them, so that only one
/// file has to be kept private and a restart finds the same tokens.
pub(crate) struct Seed([u8; KEY_BYTES]);

impl Seed {
    /// A new one.
    pub(crate) fn random() -> Result<Self> {
        let mut bytes = [0; KEY_BYTES];
        getrandom::fill(&mut bytes).map_err(|error| anyhow!("drawing random bytes: {error}"))?;
        Ok(Self(bytes))
    }

    /// The one in a file, which is made (readable by its owner only) when it is not there.
    pub(crate) fn at(path: &Path) -> Result<Self> {
        match fs::read_to_string(path) {
            Ok(text) => Self::parse(text.trim()).with_context(|| format!("in {}", path.display())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let seed = Self::random()?;
                write_private(path, &format!("{}\n", hex(&seed.0)))?;
                Ok(seed)
            }
            Err(error) => Err(error).with_context(|| format!("reading {}", path.display())),
        }
    }

    /// The id of the first account: 32 hexadecimal digits.
    pub(crate) fn account(&self) -> String {
        self.id("account")
    }

    /// The id of a row that belongs to `dev`: 32 hexadecimal digits.
    pub(crate) fn id(&self, label: &str) -> String {
        self.derive(&format!("id {label}"))
            .chars()
            .take(32)
            .collect()
    }

    /// The token of the first account.
    pub(crate) fn api_token(&self) -> Secret {
        Secret(format!("sct_{}", self.derive("api token")))
    }

    /// The token with which the relay node signs in.
    pub(crate) fn relay_token(&self) -> Secret {
        Secret(format!("scr_{}", self.derive("relay token")))
    }

    /// The Worker's secret by the name that `wrangler.toml` requires.
    pub(crate) fn worker_secret(&self) -> (&'static str, Secret) {
        let keys = format!("1:{}", self.derive("key encryption"));
        ("KEY_ENCRYPTION_KEYS", Secret(keys))
    }

    fn parse(text: &str) -> Result<Self> {
        let mut bytes = [0; KEY_BYTES];
        if text.len() != 2 * KEY_BYTES || !text.is_ascii() {
            bail!("the seed is not {KEY_BYTES} bytes in hexadecimal; remove it (or use --fresh)");
        }
        for (index, byte) in bytes.iter_mut().enumerate() {
            let digits = text.get(2 * index..2 * index + 2).unwrap_or_default();
            *byte = u8::from_str_radix(digits, 16).context("the seed is not hexadecimal")?;
        }
        Ok(Self(bytes))
    }

    fn derive(&self, label: &str) -> String {
        // A shorter key is one with zeros behind it, by HMAC's definition (RFC 2104, section 2).
        let mut key = [0; HMAC_BLOCK_BYTES];
        key.iter_mut().zip(self.0).for_each(|(to, from)| *to = from);
        let mut mac = Hmac::<Sha256>::new(&key.into());
        mac.update(label.as_bytes());
        hex(&mac.finalize().into_bytes())
    }
}

/// Writes a file that only its owner may read.
pub(crate) fn write_private(path: &Path, text: &str) -> Result<()> {
    let write = || -> std::io::Result<()> {
        let mut options = OpenOptions::new();
        let mut file = options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path)?;
        file.write_all(text.as_bytes())
    };
    write().with_context(|| format!("writing {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seed() -> Seed {
        Seed([7; KEY_BYTES])
    }

    #[test]
    fn tokens_have_the_form_that_the_control_plane_accepts() {
        for token in [seed().api_token(), seed().relay_token()] {
            let text = token.expose();
            assert!((40..=80).contains(&text.len()));
            assert!(
                text.bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            );
        }
    }

    #[test]
    fn secrets_of_one_seed_differ_from_each_other() {
        let seed = seed();
        let mut all = vec![seed.account(), seed.id("api token"), seed.id("relay token")];
        all.push(seed.api_token().expose().to_owned());
        all.push(seed.relay_token().expose().to_owned());
        all.push(seed.worker_secret().1.expose().to_owned());
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count);
    }

    #[test]
    fn a_seed_is_found_again_and_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let path = std::env::temp_dir().join(format!("xtask-seed-{}", std::process::id()));
        let first = Seed::at(&path).unwrap();
        let again = Seed::at(&path).unwrap();
        assert_eq!(first.account(), again.account());
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        fs::write(&path, "short").unwrap();
        assert!(Seed::at(&path).is_err());
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_secret_is_not_printed() {
        assert_eq!(format!("{:?}", seed().api_token()), "<redacted>");
    }

    #[test]
    fn a_hash_is_the_sha_256_of_the_ascii_text() {
        let hash = Secret("abc".to_owned()).hash();
        assert_eq!(
            hash,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
