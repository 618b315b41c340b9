//! Ranges of addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A range of addresses: `10.0.0.0/8`, `fd00::/8`, or a single address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    first: IpAddr,
    length: u32,
}

impl Network {
    /// The machine itself, and the unspecified addresses that stand for it.
    pub const LOOPBACK: [Self; 4] = [
        Self {
            first: IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)),
            length: 8,
        },
        Self {
            first: IpAddr::V6(Ipv6Addr::LOCALHOST),
            length: 128,
        },
        Self {
            first: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            length: 32,
        },
        Self {
            first: IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            length: 128,
        },
    ];

    /// Whether `address` is in the range.
    pub fn holds(&self, address: IpAddr) -> bool {
        match (self.first, address) {
            (IpAddr::V4(first), IpAddr::V4(address)) => {
                let mask = u32::MAX.checked_shl(32 - self.length).unwrap_or(0);
                first.to_bits() == address.to_bits() & mask
            }
            (IpAddr::V6(first), IpAddr::V6(address)) => {
                let mask = u128::MAX.checked_shl(128 - self.length).unwrap_or(0);
                first.to_bits() == address.to_bits() & mask
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let first: IpAddr = address.parse().map_err(|_| InvalidNetwork)?;
        let longest = if first.is_ipv4() { 32 } else { 128 };
        let length = match length {
            Some(length) if length.bytes().all(|b| b.is_ascii_digit()) => {
                length.parse().map_err(|_| InvalidNetwork)?
            }
            Some(_) => return Err(InvalidNetwork),
            None => longest,
        };
        let network = Self { first, length };
        // Bits beyond the length are a slip of the pen: which range is meant is not clear.
        if length > longest || !network.holds(first) {
            return Err(InvalidNetwork);
        }
        Ok(network)
    }
}

/// A text that is no range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a network is its first address, / and the length of its prefix, as 10.0.0.0/8 or fd00::/8"
)]
pub struct InvalidNetwork;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_written_in_one_way() {
        for wrong in [
            "",
            "/",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/+8",
            "10.0.0.1/8",
            "10.0/8",
            "fd00::/129",
            "fd00::1/8",
            "localhost",
        ] {
            assert_eq!(wrong.parse::<Network>(), Err(InvalidNetwork), "{wrong}");
        }
    }
}
