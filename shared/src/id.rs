//! Identifiers: 32 lowercase hexadecimal digits each, a type each.

use std::fmt;
use std::str::FromStr;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::{Builder, Uuid};

use crate::hex;
use crate::limits::MAX_NODE_NAME_BYTES;

macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// Makes an id of 16 bytes of randomness (122 bits of them are kept, as a version 4
            /// UUID).
            pub fn from_random(bytes: [u8; 16]) -> Self {
                Self(Builder::from_random_bytes(bytes).into_uuid())
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                parse_hex(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_simple().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.0.as_simple().encode_lower(&mut [0; ID_DIGITS]))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(Text).map(Self)
            }
        }
    };
}

hex_id! {
    /// An account: who owns live inputs and tokens.
    AccountId
}
hex_id! {
    /// A live input.
    InputUid
}
hex_id! {
    /// An output of a live input.
    OutputUid
}
hex_id! {
    /// A token, by the id that the API shows: it stays when the token gets another secret.
    TokenTag
}
hex_id! {
    /// One run of a relay node's process.
    Instance
}

hex_id! {
    /// A destination of notifications.
    DestinationId
}
hex_id! {
    /// A notification policy: which events go to which destinations.
    PolicyId
}

/// An id that is not 32 lowercase hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an id is 32 lowercase hexadecimal digits")]
pub struct InvalidId;

/// Reads an id without a copy of its text: lists have thousands of them.
struct Text;

impl Visitor<'_> for Text {
    type Value = Uuid;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("32 lowercase hexadecimal digits")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Uuid, E> {
        parse_hex(text).map_err(E::custom)
    }
}

const ID_DIGITS: usize = 32;

fn parse_hex(text: &str) -> Result<Uuid, InvalidId> {
    let mut bytes = [0; ID_DIGITS / 2];
    hex::read(text, &mut bytes).ok_or(InvalidId)?;
    Ok(Uuid::from_bytes(bytes))
}

/// A relay node's name: a DNS label, chosen by its operator.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct NodeName(String);

impl NodeName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for NodeName {
    type Err = InvalidNodeName;

    fn from_str(text: &str) -> Result<Self, InvalidNodeName> {
        let allowed = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-');
        if text.is_empty()
            || text.len() > MAX_NODE_NAME_BYTES
            || !text.bytes().all(allowed)
            || text.starts_with('-')
            || text.ends_with('-')
        {
            return Err(InvalidNodeName);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for NodeName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(Error::custom)
    }
}

/// A node name that is not a DNS label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a node's name is 1 to 63 of a-z, 0-9 and -, and neither begins nor ends with -")]
pub struct InvalidNodeName;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_32_lowercase_hex_digits() {
        let text = "66be4bf738797e01e1fca35a7bdecdcd";
        assert_eq!(text.parse::<InputUid>().unwrap().to_string(), text);
        for wrong in [
            "",
            "66be4bf738797e01e1fca35a7bdecdc",
            "66be4bf738797e01e1fca35a7bdecdcda",
            "66BE4bf738797e01e1fca35a7bdecdcd",
            "66be4bf7-3879-7e01-e1fc-a35a7bdecdcd",
            "zzbe4bf738797e01e1fca35a7bdecdcd",
        ] {
            assert_eq!(wrong.parse::<InputUid>(), Err(InvalidId), "{wrong}");
        }
    }

    #[test]
    fn random_ids_differ_by_their_bytes() {
        assert_ne!(
            InputUid::from_random([1; 16]),
            InputUid::from_random([2; 16])
        );
        assert_eq!(InputUid::from_random([1; 16]).to_string().len(), 32);
    }

    #[test]
    fn node_names_are_dns_labels() {
        assert!("fra-1".parse::<NodeName>().is_ok());
        assert!("a".repeat(63).parse::<NodeName>().is_ok());
        for wrong in ["", "-a", "a-", "A", "a.b", "a/b", &"a".repeat(64)] {
            assert_eq!(wrong.parse::<NodeName>(), Err(InvalidNodeName), "{wrong}");
        }
    }
}
