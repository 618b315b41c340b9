//! What single settings may be, wherever they are written.

use std::fmt;
use std::net::{AddrParseError, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use clap::ValueEnum;
use serde::Deserialize;
use serde::de::{Deserializer, Error, SeqAccess, Unexpected, Visitor};
use shared::address::{InvalidNetwork, InvalidPorts, Network, Ports};

/// A whole number within bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u32")]
pub struct Count<const LEAST: u32, const MOST: u32>(u32);

impl<const LEAST: u32, const MOST: u32> Count<LEAST, MOST> {
    /// The number.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl<const LEAST: u32, const MOST: u32> TryFrom<u32> for Count<LEAST, MOST> {
    type Error = InvalidCount;

    fn try_from(number: u32) -> Result<Self, InvalidCount> {
        match (LEAST..=MOST).contains(&number) {
            true => Ok(Self(number)),
            false => Err(InvalidCount(LEAST, MOST)),
        }
    }
}

impl<const LEAST: u32, const MOST: u32> FromStr for Count<LEAST, MOST> {
    type Err = InvalidCount;

    fn from_str(text: &str) -> Result<Self, InvalidCount> {
        let number: u32 = text.parse().map_err(|_| InvalidCount(LEAST, MOST))?;
        number.try_into()
    }
}

/// Not a number within the bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a whole number from {0} to {1} is wanted")]
pub struct InvalidCount(u32, u32);

/// How long messages of a broadcast may wait for more to be written with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u64")]
pub struct Gather(Duration);

impl Gather {
    /// The longest: what viewers wait anyway, destinations transcode in steps of seconds.
    pub const MAX: Self = Self(Duration::from_millis(100));

    /// The time itself.
    pub fn duration(self) -> Duration {
        self.0
    }
}

impl Default for Gather {
    /// Two thirds of the writes at a picture's delay.
    fn default() -> Self {
        Self(Duration::from_millis(20))
    }
}

impl TryFrom<u64> for Gather {
    type Error = InvalidGather;

    fn try_from(milliseconds: u64) -> Result<Self, InvalidGather> {
        let gather = Self(Duration::from_millis(milliseconds));
        match gather.0 <= Self::MAX.0 {
            true => Ok(gather),
            false => Err(InvalidGather),
        }
    }
}

impl FromStr for Gather {
    type Err = InvalidGather;

    fn from_str(text: &str) -> Result<Self, InvalidGather> {
        let milliseconds: u64 = text.parse().map_err(|_| InvalidGather)?;
        milliseconds.try_into()
    }
}

/// Not a time that messages may be gathered for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`gather` is a number of milliseconds from 0 to {}", Gather::MAX.0.as_millis())]
pub struct InvalidGather;

/// How much the log tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Broken, and the process has to stop.
    Error,
    /// Very unusual, but everything still works.
    Warn,
    /// Changes that users may notice.
    #[default]
    Info,
    /// Departures from the happy path.
    Debug,
    /// Every step.
    Trace,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Addresses to listen on, at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses(pub Vec<SocketAddr>);

impl<'de> Deserialize<'de> for Addresses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMore;

        impl<'de> Visitor<'de> for OneOrMore {
            type Value = Addresses;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an address with its port, as \"[::]:443\", or an array of them")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Addresses, E> {
                let wrong = || E::invalid_value(Unexpected::Str(text), &self);
                Ok(Addresses(vec![text.parse().map_err(|_| wrong())?]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Addresses, A::Error> {
                let mut addresses = Vec::new();
                while let Some(address) = sequence.next_element()? {
                    addresses.push(address);
                }
                if addresses.is_empty() {
                    return Err(Error::invalid_length(0, &self));
                }
                Ok(Addresses(addresses))
            }
        }

        deserializer.deserialize_any(OneOrMore)
    }
}

/// On the command line: separated by commas.
impl FromStr for Addresses {
    type Err = AddrParseError;

    fn from_str(text: &str) -> Result<Self, AddrParseError> {
        let addresses: Result<_, _> = text.split(',').map(|one| one.trim().parse()).collect();
        addresses.map(Self)
    }
}

/// Networks: in the file an array of strings, on the command line separated by commas.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub struct Networks(pub Vec<Network>);

impl TryFrom<Vec<String>> for Networks {
    type Error = InvalidNetwork;

    fn try_from(texts: Vec<String>) -> Result<Self, InvalidNetwork> {
        let networks: Result<_, _> = texts.iter().map(|text| text.parse()).collect();
        networks.map(Self)
    }
}

impl FromStr for Networks {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        let networks: Result<_, _> = text.split(',').map(|one| one.trim().parse()).collect();
        networks.map(Self)
    }
}

/// Ranges of ports, written like [`Networks`].
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub struct PortRanges(pub Vec<Ports>);

impl TryFrom<Vec<String>> for PortRanges {
    type Error = InvalidPorts;

    fn try_from(texts: Vec<String>) -> Result<Self, InvalidPorts> {
        let ports: Result<_, _> = texts.iter().map(|text| text.parse()).collect();
        ports.map(Self)
    }
}

impl FromStr for PortRanges {
    type Err = InvalidPorts;

    fn from_str(text: &str) -> Result<Self, InvalidPorts> {
        Ports::parse(text).map(Self)
    }
}
