//! How the cache looks on the disk: sealed under keys that are derived from the node's token, which
//! is kept elsewhere. A copy of the folder alone, or a backup of it, reveals nothing; who may read
//! the token, root above all, reads this too.

use aes_gcm::aead::{Aead, KeyInit as _, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use hmac::{Hmac, Mac};
use sha2::{Digest as _, Sha256};
use shared::secret::Secret;
use zeroize::Zeroizing;

use super::book::KeyHash;

/// The keys of one token.
pub(super) struct Seal {
    encryption: Zeroizing<[u8; 32]>,
    hashing: Zeroizing<[u8; 32]>,
    /// Tells a file of another token from one that was damaged.
    id: [u8; ID_BYTES],
}

/// Why the bytes of a file cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unusable {
    /// Not what was written.
    #[error("it is damaged")]
    Damaged,
    /// Written under another token.
    #[error("it was written under another token of this node")]
    OtherToken,
    /// Of a version of the node that writes it otherwise.
    #[error("another version of this program wrote it")]
    OtherVersion,
}

impl Seal {
    /// The keys that hang on `token`, which is random enough to need no stretching.
    pub(super) fn new(token: &Secret) -> Self {
        let root = Zeroizing::new(Sha256::digest(token.expose().as_bytes()).into());
        let mut id = [0; ID_BYTES];
        id.copy_from_slice(
            mac(&root, b"stream connect: id of the key cache, v1")
                .split_at(ID_BYTES)
                .0,
        );
        Self {
            encryption: Zeroizing::new(mac(&root, b"stream connect: key cache, v1")),
            hashing: Zeroizing::new(mac(&root, b"stream connect: keys in the cache, v1")),
            id,
        }
    }

    /// The keyed hash of a stream key; white space round it is ignored, as the control plane does.
    pub(super) fn hash(&self, key: &Secret) -> KeyHash {
        mac(&self.hashing, key.expose().trim().as_bytes())
    }

    /// Seals `text`. `nonce` is random and never used twice. `None` where it is longer than
    /// AES-GCM can encrypt (64 GiB).
    pub(super) fn close(&self, nonce: [u8; NONCE_BYTES], text: &[u8]) -> Option<Vec<u8>> {
        let mut sealed = [MAGIC, &[VERSION], &self.id].concat();
        let payload = Payload {
            msg: text,
            aad: &sealed,
        };
        let text = self.cipher().encrypt(&Nonce::from(nonce), payload).ok()?;
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&text);
        Some(sealed)
    }

    /// Opens what was sealed.
    pub(super) fn open(&self, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Unusable> {
        let (head, text) = sealed
            .split_at_checked(HEAD_BYTES)
            .ok_or(Unusable::Damaged)?;
        let head: &[u8; HEAD_BYTES] = head.try_into().map_err(|_| Unusable::Damaged)?;
        let (magic, rest) = head.split_at(MAGIC.len());
        if magic != MAGIC {
            return Err(Unusable::Damaged);
        }
        let (version, id) = rest.split_at(1);
        if version != [VERSION] {
            return Err(Unusable::OtherVersion);
        }
        if id != self.id {
            return Err(Unusable::OtherToken);
        }
        let (nonce, text) = text
            .split_at_checked(NONCE_BYTES)
            .ok_or(Unusable::Damaged)?;
        let nonce: [u8; NONCE_BYTES] = nonce.try_into().map_err(|_| Unusable::Damaged)?;
        let payload = Payload {
            msg: text,
            aad: head,
        };
        let text = self.cipher().decrypt(&Nonce::from(nonce), payload);
        text.map(Zeroizing::new).map_err(|_| Unusable::Damaged)
    }

    fn cipher(&self) -> Aes256Gcm {
        Aes256Gcm::new((&*self.encryption).into())
    }
}

fn mac(key: &[u8; 32], message: &[u8]) -> [u8; 32] {
    // HMAC's own padding of a key shorter than its block (RFC 2104): the form that cannot be
    // refused.
    let mut block = Zeroizing::new([0; 64]);
    block.split_at_mut(key.len()).0.copy_from_slice(key);
    let mut mac = Hmac::<Sha256>::new(&(*block).into());
    mac.update(message);
    mac.finalize().into_bytes().into()
}

/// What the file begins with.
const MAGIC: &[u8] = b"stream connect key cache\n";

/// Of what follows.
const VERSION: u8 = 1;

const ID_BYTES: usize = 8;

/// Everything that tells what a file is.
const HEAD_BYTES: usize = MAGIC.len() + 1 + ID_BYTES;

/// Of a nonce. Random ones must not repeat under one key: at a write a second the odds stay below
/// 2^-32 for 130 years.
pub(super) const NONCE_BYTES: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    fn seal(token: &str) -> Seal {
        Seal::new(&Secret::new(token))
    }

    #[test]
    fn opens_what_it_closed_and_shows_nothing_of_it() {
        let seal = seal("token");
        let closed = seal.close([3; NONCE_BYTES], b"hunter2").unwrap();
        assert_eq!(seal.open(&closed).unwrap().as_slice(), b"hunter2");
        assert!(!closed.windows(7).any(|window| window == b"hunter2"));
    }

    #[test]
    fn every_damage_is_seen() {
        let seal = seal("token");
        let closed = seal.close([3; NONCE_BYTES], b"hunter2").unwrap();
        for length in 0..closed.len() {
            assert!(seal.open(&closed[..length]).is_err(), "{length}");
        }
        for place in 0..closed.len() {
            let mut damaged = closed.clone();
            damaged[place] ^= 1;
            assert!(seal.open(&damaged).is_err(), "{place}");
        }
    }

    #[test]
    fn who_wrote_it_is_told() {
        let closed = seal("one").close([3; NONCE_BYTES], b"hunter2").unwrap();
        assert_eq!(seal("two").open(&closed), Err(Unusable::OtherToken));
        let mut newer = closed;
        newer[MAGIC.len()] += 1;
        assert_eq!(seal("one").open(&newer), Err(Unusable::OtherVersion));
        assert_eq!(seal("one").open(b""), Err(Unusable::Damaged));
    }

    #[test]
    fn a_hash_hangs_on_token_and_key() {
        let hash = |token: &str, key: &str| seal(token).hash(&Secret::new(key));
        assert_eq!(hash("one", "key"), hash("one", " key\r\n"));
        assert_ne!(hash("one", "key"), hash("two", "key"));
        assert_ne!(hash("one", "key"), hash("one", "kez"));
    }
}
