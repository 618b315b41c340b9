//! What an address is for.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What an address is for. All but [`Public`](Self::Public) are forbidden unless an operator
/// allows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Everybody on one network: `255.255.255.255`.
    Broadcast,
    /// Measurements within a laboratory.
    Benchmarking,
    /// Between a provider's customers and its translator of addresses.
    CarrierGrade,
    /// A cloud's own service for its machines, which may hand out their credentials.
    CloudMetadata,
    /// Examples in texts.
    Documentation,
    /// One link: nobody behind a router.
    LinkLocal,
    /// The machine itself.
    Loopback,
    /// Groups of machines.
    Multicast,
    /// A private network.
    Private,
    /// A translator of a private network, to wherever it translates.
    PrivateTranslation,
    /// The public Internet.
    Public,
    /// No use yet, or none any more.
    Reserved,
    /// An IPv4 address in the clothes of 6to4 or Teredo, which reaches wherever that one does.
    Tunnel,
    /// Protocols of the network itself.
    NetworkProtocol,
    /// No address: the machine itself, as most systems read it.
    Unspecified,
}

impl Purpose {
    /// What `address` is for. An IPv4 address that IPv6 maps or translates is judged as itself.
    pub fn of(address: IpAddr) -> Self {
        match reached(address) {
            IpAddr::V4(address) => Self::of_ipv4(address),
            IpAddr::V6(address) => Self::of_ipv6(address),
        }
    }

    fn of_ipv4(address: Ipv4Addr) -> Self {
        match address.octets() {
            [0, ..] => Self::Unspecified,
            [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Self::Private,
            [100, 64..=127, ..] => Self::CarrierGrade,
            [127, ..] => Self::Loopback,
            [168, 63, 129, 16] => Self::CloudMetadata,
            [169, 254, ..] => Self::LinkLocal,
            [192, 0, 0, _] => Self::NetworkProtocol,
            [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Self::Documentation,
            [192, 88, 99, _] => Self::Tunnel,
            [198, 18..=19, ..] => Self::Benchmarking,
            [224..=239, ..] => Self::Multicast,
            [255, 255, 255, 255] => Self::Broadcast,
            [240..=255, ..] => Self::Reserved,
            _ => Self::Public,
        }
    }

    fn of_ipv6(address: Ipv6Addr) -> Self {
        match address.segments() {
            [0, 0, 0, 0, 0, 0, 0, 0] => Self::Unspecified,
            [0, 0, 0, 0, 0, 0, 0, 1] => Self::Loopback,
            [0x64, 0xff9b, 1, ..] => Self::PrivateTranslation,
            [0x2001, 0, ..] | [0x2002, ..] => Self::Tunnel,
            [0x2001, 2, 0, ..] => Self::Benchmarking,
            [0x2001, 0..=0x1ff, ..] => Self::NetworkProtocol,
            [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Self::Documentation,
            // AWS's and Google's, which their machines reach without a private network.
            [0xfd00, 0xec2, ..] | [0xfd20, 0xce, ..] => Self::CloudMetadata,
            [0xfc00..=0xfdff, ..] => Self::Private,
            [0xfe80..=0xfebf, ..] => Self::LinkLocal,
            [0xff00..=0xffff, ..] => Self::Multicast,
            // All that was ever given out is in this eighth.
            [0x2000..=0x3fff, ..] => Self::Public,
            _ => Self::Reserved,
        }
    }
}

/// The address that is reached by `address`: an IPv4 one, where IPv6 maps or translates it.
pub fn reached(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(translated) => carried(translated).map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    }
}

/// The IPv4 address that `address` stands for, mapped (`::ffff:0:0/96`) or translated by the
/// well-known prefix (`64:ff9b::/96`), by which networks without IPv4 reach it.
fn carried(address: Ipv6Addr) -> Option<Ipv4Addr> {
    match address.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            let [a, b] = high.to_be_bytes();
            let [c, d] = low.to_be_bytes();
            Some(Ipv4Addr::new(a, b, c, d))
        }
        _ => None,
    }
}

/// Completes "the destination is …".
impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Broadcast => "a broadcast address",
            Self::Benchmarking => "an address for benchmarks",
            Self::CarrierGrade => "an address within a provider's network",
            Self::CloudMetadata => "an address of a cloud's metadata service",
            Self::Documentation => "an address for documentation",
            Self::LinkLocal => "a link-local address",
            Self::Loopback => "a loopback address",
            Self::Multicast => "a multicast address",
            Self::NetworkProtocol => "an address for the network's own protocols",
            Self::Private => "a private address",
            Self::PrivateTranslation => "an address of a private translator",
            Self::Public => "a public address",
            Self::Reserved => "a reserved address",
            Self::Tunnel => "an address of a 6to4 or Teredo tunnel",
            Self::Unspecified => "the unspecified address",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn purpose(text: &str) -> Purpose {
        Purpose::of(text.parse().unwrap())
    }

    /// The first and last address of each range, and their neighbours outside.
    #[test]
    fn ranges_end_where_they_end() {
        use Purpose::*;
        for (addresses, expected) in [
            (["0.0.0.0", "0.255.255.255"], Unspecified),
            (["1.0.0.0", "9.255.255.255"], Public),
            (["10.0.0.0", "10.255.255.255"], Private),
            (["11.0.0.0", "100.63.255.255"], Public),
            (["100.64.0.0", "100.127.255.255"], CarrierGrade),
            (["100.128.0.0", "126.255.255.255"], Public),
            (["127.0.0.0", "127.255.255.255"], Loopback),
            (["128.0.0.0", "168.63.129.15"], Public),
            (["168.63.129.16", "168.63.129.16"], CloudMetadata),
            (["168.63.129.17", "169.253.255.255"], Public),
            (["169.254.0.0", "169.254.255.255"], LinkLocal),
            (["169.254.169.254", "169.254.170.2"], LinkLocal),
            (["169.255.0.0", "172.15.255.255"], Public),
            (["172.16.0.0", "172.31.255.255"], Private),
            (["172.32.0.0", "191.255.255.255"], Public),
            (["192.0.0.0", "192.0.0.255"], NetworkProtocol),
            (["192.0.1.0", "192.0.1.255"], Public),
            (["192.0.2.0", "192.0.2.255"], Documentation),
            (["192.0.3.0", "192.88.98.255"], Public),
            (["192.88.99.0", "192.88.99.255"], Tunnel),
            (["192.88.100.0", "192.167.255.255"], Public),
            (["192.168.0.0", "192.168.255.255"], Private),
            (["192.169.0.0", "198.17.255.255"], Public),
            (["198.18.0.0", "198.19.255.255"], Benchmarking),
            (["198.20.0.0", "198.51.99.255"], Public),
            (["198.51.100.0", "198.51.100.255"], Documentation),
            (["198.51.101.0", "203.0.112.255"], Public),
            (["203.0.113.0", "203.0.113.255"], Documentation),
            (["203.0.114.0", "223.255.255.255"], Public),
            (["224.0.0.0", "239.255.255.255"], Multicast),
            (["240.0.0.0", "255.255.255.254"], Reserved),
            (["255.255.255.255", "255.255.255.255"], Broadcast),
            (["::", "::"], Unspecified),
            (["::1", "::1"], Loopback),
            (["::2", "::fffe:ffff:ffff"], Reserved),
            (["::ffff:0:0:0", "64:ff9a:ffff::"], Reserved),
            (["64:ff9b::1:0:0", "64:ff9b:0:ffff::"], Reserved),
            (["64:ff9b:1::", "64:ff9b:1:ffff::"], PrivateTranslation),
            (["100::", "1fff:ffff::"], Reserved),
            (["2001::", "2001:0:ffff::"], Tunnel),
            (["2001:1::", "2001:1:ffff::"], NetworkProtocol),
            (["2001:2::", "2001:2:0:ffff::"], Benchmarking),
            (["2001:2:1::", "2001:1ff:ffff::"], NetworkProtocol),
            (["2000::", "2001:200::"], Public),
            (["2001:db7:ffff::", "2001:db9::"], Public),
            (["2001:db8::", "2001:db8:ffff::"], Documentation),
            (["2002::", "2002:ffff::"], Tunnel),
            (["2003::", "3ffe:ffff::"], Public),
            (["3fff::", "3fff:fff:ffff::"], Documentation),
            (["3fff:1000::", "3fff:ffff::"], Public),
            (["4000::", "5f00::"], Reserved),
            (["fbff:ffff::", "fe00::"], Reserved),
            (["fc00::", "fdff:ffff::"], Private),
            (["fd00:ec2::254", "fd20:ce::254"], CloudMetadata),
            (["fe80::", "febf:ffff::"], LinkLocal),
            (["fec0::", "feff:ffff::"], Reserved),
            (["ff00::", "ffff:ffff::"], Multicast),
        ] {
            for address in addresses {
                assert_eq!(purpose(address), expected, "{address}");
            }
        }
    }

    #[test]
    fn an_ipv4_address_in_other_clothes_is_judged_as_itself() {
        for (address, expected) in [
            ("::ffff:127.0.0.1", Purpose::Loopback),
            ("::ffff:10.0.0.1", Purpose::Private),
            ("::ffff:8.8.8.8", Purpose::Public),
            ("64:ff9b::127.0.0.1", Purpose::Loopback),
            ("64:ff9b::169.254.169.254", Purpose::LinkLocal),
            ("64:ff9b::8.8.8.8", Purpose::Public),
        ] {
            assert_eq!(purpose(address), expected, "{address}");
        }
    }
}
