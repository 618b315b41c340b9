//! Ids of requests, in the form of Cloudflare's `cf-ray`.

use std::fmt;
use std::rc::Rc;

use shared::hex;

/// The id of a request: 16 hexadecimal digits, `-`, and three letters for the place where it was
/// answered. It stands in the answer, and in every line that the log has because of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ray(Rc<str>);

impl Ray {
    /// The id that a header `cf-ray` gives: the platform sets it, and an object is told that of the
    /// request on whose behalf it is asked. None where it has another form.
    pub fn sent(header: &str) -> Option<Self> {
        let (id, place) = header.split_once('-').unwrap_or((header, NOWHERE));
        let is_id = id.len() == 16 && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let is_place = place.len() == 3 && place.bytes().all(|b| b.is_ascii_uppercase());
        (is_id && is_place).then(|| Self::of(id, place))
    }

    /// A new one.
    pub fn random(random: [u8; 8]) -> Self {
        Self::of(&hex::text(&random), NOWHERE)
    }

    fn of(id: &str, place: &str) -> Self {
        Self([id, "-", place].concat().into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Ray {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The place where nobody names one: no airport has this code.
const NOWHERE: &str = "XXX";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_platforms_id_is_kept_and_nothing_else() {
        const ID: &str = "8f2a0c4b9d1e6f37";
        for (sent, expected) in [
            (format!("{ID}-FRA"), Some("8f2a0c4b9d1e6f37-FRA")),
            (ID.to_owned(), Some("8f2a0c4b9d1e6f37-XXX")),
            (format!("{ID}-fra"), None),
            (format!("{ID}-FRA\n"), None),
            (format!("{ID}-"), None),
            (ID.to_uppercase(), None),
            (format!("{ID}0"), None),
            (String::new(), None),
            ("anything else".to_owned(), None),
        ] {
            let ray = Ray::sent(&sent).map(|ray| ray.to_string());
            assert_eq!(ray.as_deref(), expected, "{sent}");
        }
    }

    #[test]
    fn a_new_one_has_the_same_form() {
        let ray = Ray::random([0xab; 8]);
        assert_eq!(ray.as_str(), "abababababababab-XXX");
        assert_eq!(Ray::sent(ray.as_str()), Some(ray));
    }
}
