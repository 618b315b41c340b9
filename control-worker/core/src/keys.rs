//! Keys at rest: a keyed hash to check them by, an encrypted form to show them from.
//!
//! Both hang on the operator's keyring, so that a copy of the database alone reveals no key and
//! cannot be searched by trying keys.

use aes_gcm::aead::{Aead, KeyInit as _, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use shared::hex;
use shared::id::{AccountId, DestinationId, InputUid, NodeName, OutputUid};
use shared::secret::Secret;
use shared::stream_key::StreamKey;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

/// The operator's keys. The first one encrypts and hashes, all of them decrypt and check: a key is
/// replaced by putting a new one before it.
pub struct Keyring {
    keys: Vec<RingKey>,
}

impl Keyring {
    /// Reads `<id>:<64 hexadecimal digits>`, several separated by commas, white space round each
    /// ignored.
    ///
    /// # Errors
    ///
    /// Says which entry is wrong and how, and shows nothing of it.
    pub fn parse(text: &str) -> Result<Self, InvalidKeyring> {
        let mut keys: Vec<RingKey> = Vec::new();
        for (index, entry) in text.split(',').enumerate() {
            let number = index + 1;
            let (id, digits) = entry
                .trim()
                .split_once(':')
                .ok_or(InvalidKeyring::Form { number })?;
            let well_formed = !id.is_empty()
                && id.len() <= MAX_KEY_ID_BYTES
                && id.bytes().all(|b| b.is_ascii_alphanumeric());
            if !well_formed {
                return Err(InvalidKeyring::Id { number });
            }
            if keys.iter().any(|key| key.id == id) {
                return Err(InvalidKeyring::Repeated { number });
            }
            let bytes = key_bytes(digits).ok_or(InvalidKeyring::Digits { number })?;
            keys.push(RingKey {
                id: id.to_owned(),
                cipher: Aes256Gcm::new((&*bytes).into()),
                bytes,
            });
        }
        Ok(Self { keys })
    }

    /// Encrypts `secret` for its place: `v1.<key id>.<nonce>.<ciphertext>`, the last two in
    /// base64url. `nonce` is 12 bytes of randomness, never used twice.
    ///
    /// # Errors
    ///
    /// Only where `secret` is longer than AES-GCM can encrypt (64 GiB).
    pub fn seal(
        &self,
        place: &Place,
        nonce: [u8; 12],
        secret: &Secret,
    ) -> Result<String, Unsealable> {
        let key = self.keys.first().ok_or(Unsealable)?;
        let payload = Payload {
            msg: secret.expose().as_bytes(),
            aad: &place.associated_data(&key.id),
        };
        let sealed = key
            .cipher
            .encrypt(&Nonce::from(nonce), payload)
            .map_err(|_| Unsealable)?;
        Ok(format!(
            "{SEALED_VERSION}.{}.{}.{}",
            key.id,
            URL_SAFE_NO_PAD.encode(nonce),
            URL_SAFE_NO_PAD.encode(sealed)
        ))
    }

    /// Decrypts what [`seal`](Self::seal) made for the same place.
    ///
    /// # Errors
    ///
    /// [`Unsealable`] where the text was damaged, moved from another place, or made with a key
    /// that the ring does not hold.
    pub fn open(&self, place: &Place, sealed: &str) -> Result<Secret, Unsealable> {
        let mut parts = sealed.split('.');
        let mut next = || parts.next().ok_or(Unsealable);
        let (version, id, nonce, text) = (next()?, next()?, next()?, next()?);
        if version != SEALED_VERSION || parts.next().is_some() {
            return Err(Unsealable);
        }
        let key = self.key(id).ok_or(Unsealable)?;
        let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| Unsealable);
        let nonce: [u8; 12] = decode(nonce)?.try_into().map_err(|_| Unsealable)?;
        let payload = Payload {
            msg: &decode(text)?,
            aad: &place.associated_data(id),
        };
        let clear = key
            .cipher
            .decrypt(&Nonce::from(nonce), payload)
            .map_err(|_| Unsealable)?;
        String::from_utf8(clear).map(Secret::new).map_err(|error| {
            error.into_bytes().zeroize();
            Unsealable
        })
    }

    /// What everything begins with that the newest key has sealed or hashed.
    pub(crate) fn newest_prefix(&self) -> Result<String, Unsealable> {
        let key = self.keys.first().ok_or(Unsealable)?;
        Ok(format!("{SEALED_VERSION}.{}.", key.id))
    }

    /// The keyed hash of a stream key: `v1.<key id>.<64 hexadecimal digits>`.
    pub fn hash(&self, key: &StreamKey) -> Result<String, Unsealable> {
        let ring_key = self.keys.first().ok_or(Unsealable)?;
        Ok(ring_key.hash(key))
    }

    /// Whether `stored`, made by [`hash`](Self::hash), is the hash of `key`. Takes the same time
    /// wherever they differ.
    pub fn matches(&self, key: &StreamKey, stored: &str) -> bool {
        self.maker(stored)
            .is_some_and(|maker| equal(&maker.hash(key), stored))
    }

    /// The keyed hash of a request that may hold secrets: `v1.<key id>.<64 hexadecimal digits>`.
    pub(crate) fn fingerprint(&self, request: &[u8]) -> Result<String, Unsealable> {
        let ring_key = self.keys.first().ok_or(Unsealable)?;
        Ok(ring_key.keyed_hash(REQUEST_KEY_LABEL, request))
    }

    /// Whether `stored`, made by [`fingerprint`](Self::fingerprint), is that of `request`.
    pub(crate) fn is_fingerprint(&self, request: &[u8], stored: &str) -> bool {
        self.maker(stored)
            .is_some_and(|key| equal(&key.keyed_hash(REQUEST_KEY_LABEL, request), stored))
    }

    /// The entry that a stored hash was made with.
    fn maker(&self, stored: &str) -> Option<&RingKey> {
        stored.split('.').nth(1).and_then(|id| self.key(id))
    }

    fn key(&self, id: &str) -> Option<&RingKey> {
        self.keys.iter().find(|key| key.id == id)
    }
}

/// Where a secret is kept. A sealed text opens only in the place that it was made for, so that
/// nobody who can write to the database can have one account's key shown to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    table: &'static str,
    column: &'static str,
    owner: String,
    uid: String,
}

impl Place {
    /// The stream key of a live input.
    pub fn input_key(account: AccountId, input: InputUid) -> Self {
        Self {
            table: "live_inputs",
            column: "key_sealed",
            owner: account.to_string(),
            uid: input.to_string(),
        }
    }

    /// The stream key of an output.
    pub fn output_key(account: AccountId, output: OutputUid) -> Self {
        Self {
            table: "outputs",
            column: "key_sealed",
            owner: account.to_string(),
            uid: output.to_string(),
        }
    }

    /// What the URL of an output says of the user.
    pub fn output_url(account: AccountId, output: OutputUid) -> Self {
        Self {
            column: "url",
            ..Self::output_key(account, output)
        }
    }

    /// What signs what `/stream/webhook` receives.
    pub fn webhook_secret(account: AccountId) -> Self {
        Self {
            table: "stream_webhooks",
            column: "secret_sealed",
            owner: account.to_string(),
            uid: account.to_string(),
        }
    }

    /// What `cf-webhook-auth` carries to a destination.
    pub fn destination_secret(account: AccountId, destination: DestinationId) -> Self {
        Self {
            table: "webhook_destinations",
            column: "secret_sealed",
            owner: account.to_string(),
            uid: destination.to_string(),
        }
    }

    /// What signs what a destination receives.
    pub fn destination_signing(account: AccountId, destination: DestinationId) -> Self {
        Self {
            column: "signing_sealed",
            ..Self::destination_secret(account, destination)
        }
    }

    /// The snapshot of a live input that a node's object keeps.
    pub fn snapshot(node: &NodeName, input: InputUid) -> Self {
        Self {
            table: "relay_node",
            column: "snapshot",
            owner: node.to_string(),
            uid: input.to_string(),
        }
    }

    /// None of the parts can hold a zero byte, so no two places read the same.
    fn associated_data(&self, key_id: &str) -> Vec<u8> {
        [
            SEALED_VERSION,
            key_id,
            self.table,
            self.column,
            &self.owner,
            &self.uid,
        ]
        .join("\0")
        .into_bytes()
    }
}

/// Why a keyring cannot be used. `number` counts its entries from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKeyring {
    /// The key is not 64 hexadecimal digits.
    #[error("entry {number} of the keyring: after the colon come 64 hexadecimal digits")]
    Digits {
        /// The entry.
        number: usize,
    },
    /// No colon.
    #[error("entry {number} of the keyring: write <id>:<64 hexadecimal digits>")]
    Form {
        /// The entry.
        number: usize,
    },
    /// The id is not 1 to 16 letters and digits.
    #[error("entry {number} of the keyring: its id is 1 to {MAX_KEY_ID_BYTES} letters and digits")]
    Id {
        /// The entry.
        number: usize,
    },
    /// The id was used before.
    #[error("entry {number} of the keyring: its id was used by an entry before it")]
    Repeated {
        /// The entry.
        number: usize,
    },
}

/// A secret that cannot be sealed or opened: damaged, moved, or of a key that is not on the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a sealed secret does not open: it was damaged or moved, or its key left the keyring")]
pub struct Unsealable;

struct RingKey {
    id: String,
    bytes: Zeroizing<[u8; 32]>,
    /// Made once: its key schedule costs more than what is sealed. It is zeroed as `bytes` is.
    cipher: Aes256Gcm,
}

impl RingKey {
    /// Each hash has a key of its own, derived from this one, so that no key serves two algorithms.
    fn hash(&self, key: &StreamKey) -> String {
        self.keyed_hash(HASH_KEY_LABEL, key.expose().expose().as_bytes())
    }

    fn keyed_hash(&self, label: &[u8], message: &[u8]) -> String {
        let derived = Zeroizing::new(mac(&self.bytes, label));
        let digest = mac(&derived, message);
        format!("{HASH_VERSION}.{}.{}", self.id, hex::text(&digest))
    }
}

/// In constant time.
fn equal(one: &str, other: &str) -> bool {
    one.as_bytes().ct_eq(other.as_bytes()).into()
}

/// Long enough for a date.
const MAX_KEY_ID_BYTES: usize = 16;

const SEALED_VERSION: &str = "v1";
const HASH_VERSION: &str = "v1";
const HASH_KEY_LABEL: &[u8] = b"stream connect: keyed hash of stream keys, v1";

const REQUEST_KEY_LABEL: &[u8] = b"stream connect: keyed hash of requests, v1";

fn mac(key: &[u8; 32], message: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new(&padded(key).into());
    mac.update(message);
    mac.finalize().into_bytes().into()
}

/// HMAC's own padding of a key shorter than its block (RFC 2104), done here because a key of
/// exactly one block is the form that cannot be refused.
fn padded(key: &[u8; 32]) -> [u8; 64] {
    let mut block = [0; 64];
    let (start, _) = block.split_at_mut(key.len());
    start.copy_from_slice(key);
    block
}

fn key_bytes(digits: &str) -> Option<Zeroizing<[u8; 32]>> {
    // Operators may write them in capitals.
    let digits = Zeroizing::new(digits.to_ascii_lowercase());
    let mut bytes = Zeroizing::new([0; 32]);
    hex::read(&digits, &mut *bytes)?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: &str, byte: &str) -> String {
        format!("{id}:{}", byte.repeat(32))
    }

    fn ring(text: &str) -> Keyring {
        Keyring::parse(text).unwrap()
    }

    fn place() -> Place {
        Place::output_key(
            AccountId::from_random([1; 16]),
            OutputUid::from_random([2; 16]),
        )
    }

    #[test]
    fn what_is_sealed_opens_in_its_place_only() {
        let ring = ring(&entry("1", "0a"));
        let secret = Secret::new("hunter2");
        let sealed = ring.seal(&place(), [7; 12], &secret).unwrap();
        assert!(sealed.starts_with("v1.1.BwcHBwcHBwcHBwcH."), "{sealed}");
        assert_eq!(ring.open(&place(), &sealed), Ok(secret));
        for elsewhere in [
            Place {
                table: "live_inputs",
                ..place()
            },
            Place {
                column: "url",
                ..place()
            },
            Place {
                owner: "another".into(),
                ..place()
            },
            Place {
                uid: "another".into(),
                ..place()
            },
        ] {
            assert_eq!(ring.open(&elsewhere, &sealed), Err(Unsealable));
        }
    }

    #[test]
    fn what_the_newest_key_made_can_be_told_by_its_beginning() {
        let ring = ring(&format!("{},{}", entry("2", "0b"), entry("1", "0a")));
        let key = StreamKey::from_random(InputUid::from_random([1; 16]), [2; 16]);
        let made = [
            ring.seal(&place(), [7; 12], &Secret::new("a")).unwrap(),
            ring.hash(&key).unwrap(),
            ring.fingerprint(b"a").unwrap(),
        ];
        for text in made {
            assert!(text.starts_with(&ring.newest_prefix().unwrap()), "{text}");
        }
    }

    #[test]
    fn damaged_texts_do_not_open() {
        let ring = ring(&entry("1", "0a"));
        let sealed = ring
            .seal(&place(), [7; 12], &Secret::new("hunter2"))
            .unwrap();
        let (front, _) = sealed.rsplit_once('.').unwrap();
        for damaged in [
            String::new(),
            front.to_owned(),
            format!("{front}."),
            format!("{sealed}A"),
            format!("{sealed}.A"),
            sealed.replacen("v1", "v2", 1),
            sealed.replacen("v1.1", "v1.2", 1),
            sealed.replacen("BwcH", "BwcI", 1),
            sealed.to_uppercase(),
        ] {
            assert_eq!(ring.open(&place(), &damaged), Err(Unsealable), "{damaged}");
        }
    }

    #[test]
    fn a_key_is_replaced_by_putting_a_new_one_before_it() {
        let old = ring(&entry("1", "0a"));
        let both = ring(&format!("{}, {}", entry("2", "0B"), entry("1", "0a")));
        let new = ring(&entry("2", "0b"));
        let sealed = old.seal(&place(), [1; 12], &Secret::new("a")).unwrap();
        assert_eq!(both.open(&place(), &sealed), Ok(Secret::new("a")));
        assert_eq!(new.open(&place(), &sealed), Err(Unsealable));
        let sealed = both.seal(&place(), [2; 12], &Secret::new("b")).unwrap();
        assert_eq!(new.open(&place(), &sealed), Ok(Secret::new("b")));

        let key = StreamKey::from_random(InputUid::from_random([1; 16]), [2; 16]);
        let hash = old.hash(&key).unwrap();
        assert!(both.matches(&key, &hash));
        assert!(!new.matches(&key, &hash));
        assert!(new.matches(&key, &both.hash(&key).unwrap()));
    }

    #[test]
    fn the_hash_is_of_one_key_under_one_ring() {
        let ring = ring(&entry("1", "0a"));
        let other_ring = Keyring::parse(&entry("1", "0b")).unwrap();
        let input = InputUid::from_random([1; 16]);
        let key = StreamKey::from_random(input, [2; 16]);
        let hash = ring.hash(&key).unwrap();
        assert!(ring.matches(&key, &hash));
        for other in [
            StreamKey::from_random(input, [3; 16]),
            StreamKey::from_random(InputUid::from_random([2; 16]), [2; 16]),
        ] {
            assert!(!ring.matches(&other, &hash));
        }
        for wrong in ["", "v1", "v1.1", "v1.1.", "v1.2.", &hash[..hash.len() - 1]] {
            assert!(!ring.matches(&key, wrong), "{wrong}");
        }
        assert!(!hash.contains(key.expose().expose()));
        assert!(!other_ring.matches(&key, &hash));
    }

    #[test]
    fn the_mac_is_hmac_sha_256() {
        // RFC 4231, test case 2, whose key is padded with zeros as RFC 2104 pads it.
        let mut key = [0; 32];
        key[..4].copy_from_slice(b"Jefe");
        assert_eq!(
            hex::text(&mac(&key, b"what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    #[test]
    fn a_wrong_keyring_says_where_and_shows_nothing() {
        let good = entry("1", "0a");
        for (text, why) in [
            (String::new(), InvalidKeyring::Form { number: 1 }),
            ("0a".repeat(32), InvalidKeyring::Form { number: 1 }),
            (
                format!(":{}", "0a".repeat(32)),
                InvalidKeyring::Id { number: 1 },
            ),
            (
                format!("a.b:{}", "0a".repeat(32)),
                InvalidKeyring::Id { number: 1 },
            ),
            (
                entry(&"a".repeat(17), "0a"),
                InvalidKeyring::Id { number: 1 },
            ),
            (format!("{good},"), InvalidKeyring::Form { number: 2 }),
            (format!("{good},2:0a"), InvalidKeyring::Digits { number: 2 }),
            (entry("1", "0g"), InvalidKeyring::Digits { number: 1 }),
            (entry("1", "+a"), InvalidKeyring::Digits { number: 1 }),
            (
                format!("{good},{good}"),
                InvalidKeyring::Repeated { number: 2 },
            ),
        ] {
            let error = Keyring::parse(&text).err().unwrap();
            assert_eq!(error, why);
            assert!(!error.to_string().contains("0a0a"));
        }
        assert!(Keyring::parse(&entry(&"a".repeat(16), "0a")).is_ok());
    }
}
