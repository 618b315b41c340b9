//! The URL of an output at rest: as the user typed it, but with what it says of the user sealed where
//! it stands.
//!
//! ```text
//! rtmp://user:password@host/app   →   rtmp://v1.…@host/app
//! ```

use std::borrow::Cow;

use shared::output_url::{OutputUrl, user_info};
use shared::secret::Secret;

use crate::keys::{Keyring, Place, Unsealable};

/// The form that is stored. `nonce` is random and never used twice.
pub(crate) fn seal(
    url: &OutputUrl,
    place: &Place,
    nonce: [u8; 12],
    keyring: &Keyring,
) -> Result<String, Unsealable> {
    replaced(url.as_str(), |user| {
        keyring.seal(place, nonce, &Secret::new(user))
    })
}

/// What [`seal`] was given for the same place.
pub(crate) fn open(stored: &str, place: &Place, keyring: &Keyring) -> Result<String, Unsealable> {
    replaced(stored, |sealed| {
        Ok(keyring.open(place, sealed)?.expose().to_owned())
    })
}

/// A stored URL whose user is sealed by the newest key.
pub(crate) fn anew(
    stored: &str,
    place: &Place,
    nonce: [u8; 12],
    keyring: &Keyring,
) -> Result<String, Unsealable> {
    replaced(stored, |sealed| {
        keyring.seal(place, nonce, &keyring.open(place, sealed)?)
    })
}

/// Where a stored URL leads, whoever the user is.
pub(crate) fn destination(stored: &str) -> Option<OutputUrl> {
    let bare = match user_info(stored) {
        Some(user) => {
            let (before, rest) = stored.split_at_checked(user.start)?;
            let after = rest.get(user.len() + "@".len()..)?;
            Cow::Owned(format!("{before}{after}"))
        }
        None => Cow::Borrowed(stored),
    };
    OutputUrl::parse(&bare).ok()
}

fn replaced(
    url: &str,
    replace: impl FnOnce(&str) -> Result<String, Unsealable>,
) -> Result<String, Unsealable> {
    let Some(user) = user_info(url) else {
        return Ok(url.to_owned());
    };
    let mut text = url.to_owned();
    let user_text = url.get(user.clone()).ok_or(Unsealable)?;
    text.replace_range(user, &replace(user_text)?);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use shared::id::{AccountId, OutputUid};

    use super::*;

    const NONCE: [u8; 12] = [7; 12];

    fn keyring() -> Keyring {
        Keyring::parse(&format!("1:{}", "ab".repeat(32))).unwrap()
    }

    fn place(n: u8) -> Place {
        Place::output_url(
            AccountId::from_random([1; 16]),
            OutputUid::from_random([n; 16]),
        )
    }

    #[test]
    fn what_a_url_says_of_the_user_is_sealed_and_nothing_else() {
        let typed = "rtmps://me:hunter2@example.com:444/live?a=b@c";
        let url = OutputUrl::parse(typed).unwrap();
        let stored = seal(&url, &place(1), NONCE, &keyring()).unwrap();
        assert!(stored.starts_with("rtmps://v1.1."), "{stored}");
        assert!(stored.ends_with("@example.com:444/live?a=b@c"), "{stored}");
        assert!(!stored.contains("me:") && !stored.contains("hunter2"));
        assert_eq!(open(&stored, &place(1), &keyring()), Ok(typed.to_owned()));
        assert_eq!(open(&stored, &place(2), &keyring()), Err(Unsealable));
        let destination = destination(&stored).unwrap();
        assert!(destination.is_same_destination(&url));
    }

    #[test]
    fn a_url_without_a_user_is_stored_as_it_is() {
        for typed in ["rtmp://example.com/live", "rtmp://example.com/a@b?c=d@e"] {
            let url = OutputUrl::parse(typed).unwrap();
            assert_eq!(
                seal(&url, &place(1), NONCE, &keyring()),
                Ok(typed.to_owned())
            );
            assert_eq!(open(typed, &place(1), &keyring()), Ok(typed.to_owned()));
            assert_eq!(destination(typed), Some(url));
        }
    }
}
