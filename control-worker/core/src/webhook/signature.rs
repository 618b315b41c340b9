//! `Webhook-Signature`, by which a receiver knows who sends.

use hmac::{Hmac, KeyInit as _, Mac};
use sha2::{Digest, Sha256};
use shared::hex;
use shared::secret::Secret;
use shared::time::Timestamp;

/// `time=<unix seconds>,sig1=<64 hex>`: the HMAC-SHA256 of the time, a full stop and the body. The
/// secret's text is the key, not the bytes that its digits might mean.
pub(super) fn sign(secret: &Secret, body: &str, now: Timestamp) -> String {
    let time = now.as_micros().div_euclid(1_000_000);
    let mut mac = Hmac::<Sha256>::new(&block(secret.expose().as_bytes()).into());
    mac.update(format!("{time}.{body}").as_bytes());
    format!(
        "time={time},sig1={}",
        hex::text(&mac.finalize().into_bytes())
    )
}

/// The key as one block (RFC 2104), a form that cannot be refused.
fn block(key: &[u8]) -> [u8; 64] {
    let mut block = [0; 64];
    let digest: [u8; 32];
    let key = match key.len() {
        0..=64 => key,
        _ => {
            digest = Sha256::digest(key).into();
            &digest
        }
    };
    for (byte, key) in block.iter_mut().zip(key) {
        *byte = *key;
    }
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_hmac_sha_256_of_time_and_body() {
        // Computed by `printf '1230811200.{"a":1}' | openssl dgst -sha256 -hmac <key>`.
        let now = Timestamp::from_micros(1_230_811_200_999_999);
        for (key, expected) in [
            (
                "0123456789abcdef0123456789abcdef".to_owned(),
                "c4f07e9b282a2ff2ce948429b302089e918361427c6e0d52c46e6d2bfff900b3",
            ),
            (
                "k".repeat(64),
                "a2a0e54f395f9ffb5d7a9ec9adbfd2440588b3059b2270b0a576c74880560b0d",
            ),
            (
                "k".repeat(65),
                "771cda2906ff38b4431a3975b7dd637b3093e8d89aab7ea8e23bababa5a3c443",
            ),
        ] {
            assert_eq!(
                sign(&Secret::new(key), r#"{"a":1}"#, now),
                format!("time=1230811200,sig1={expected}")
            );
        }
    }
}
