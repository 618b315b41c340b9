//! Which addresses and ports an output may send to.
//!
//! Users choose destinations, and must not reach through a relay node what only the node can
//! reach. The control plane judges the addresses that stand in URLs, a node those that names
//! resolve to, both by these rules. Addresses of special purpose are those of IANA's registries.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

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

/// Where outputs may send to: public addresses, and those in the operator's networks; ports that no
/// other service has, and those of the operator's ranges.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressPolicy {
    allowed: Vec<Network>,
    ports: Vec<Ports>,
}

impl AddressPolicy {
    /// Allows `networks` beside what is public.
    pub fn allowing(networks: impl IntoIterator<Item = Network>) -> Self {
        Self {
            allowed: networks.into_iter().collect(),
            ports: Vec::new(),
        }
    }

    /// The same, with `ports` allowed whatever service they belong to.
    #[must_use]
    pub fn with_ports(mut self, ports: impl IntoIterator<Item = Ports>) -> Self {
        self.ports.extend(ports);
        self
    }

    /// Whether the operator has allowed the network of `address` by name.
    pub fn names(&self, address: IpAddr) -> bool {
        let canonical = address.to_canonical();
        self.allowed.iter().any(|network| network.holds(canonical))
    }

    /// Judges a port.
    ///
    /// # Errors
    ///
    /// Where it is another service's, and not allowed.
    pub fn judge_port(&self, port: u16) -> Result<(), Forbidden> {
        match is_of_another_service(port) && !self.ports.iter().any(|ports| ports.hold(port)) {
            true => Err(Forbidden::Port(port)),
            false => Ok(()),
        }
    }

    /// Judges an address.
    ///
    /// # Errors
    ///
    /// Where it is neither public nor allowed.
    pub fn judge(&self, address: IpAddr) -> Result<(), Forbidden> {
        match Purpose::of(address) {
            Purpose::Public => Ok(()),
            _ if self.names(address) => Ok(()),
            purpose => Err(Forbidden::Address(purpose)),
        }
    }

    /// Judges a host, an address or a name, by its form: what a name resolves to is judged again
    /// by who connects to it. Names of private networks are allowed where addresses of such are.
    ///
    /// # Errors
    ///
    /// Where it can only be, or lead to, an address that is neither public nor allowed.
    pub fn judge_host(&self, host: &str) -> Result<(), Forbidden> {
        if let Ok(address) = host.parse() {
            return self.judge(address);
        }
        let name = host.trim_end_matches('.').to_ascii_lowercase();
        match name.rsplit('.').next() {
            Some("localhost") => self.judge(Ipv4Addr::LOCALHOST.into()),
            Some("local" | "internal") => {
                let is_wider = |network| !Network::LOOPBACK.contains(network);
                match self.allowed.iter().any(is_wider) {
                    true => Ok(()),
                    false => Err(Forbidden::PrivateName),
                }
            }
            _ => Ok(()),
        }
    }
}

/// Networks, separated by commas; none if the text is blank.
impl FromStr for AddressPolicy {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let networks: Result<Vec<Network>, _> =
            text.split(',').map(|one| one.trim().parse()).collect();
        Ok(Self::allowing(networks?))
    }
}

/// Why a host may not be sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    /// By its address.
    #[error("the destination is {0}, which outputs may not use")]
    Address(Purpose),
    /// `.local` and `.internal` are for names of private networks.
    #[error("the destination's name is one of a private network, which outputs may not use")]
    PrivateName,
    /// By its port.
    #[error("the destination's port, {0}, belongs to another service than RTMP")]
    Port(u16),
}

/// Whether servers of RTMP are not to be expected there, but others that something might be done to
/// by who sends what he likes: below 1024, where the system's services are, all but those of the web
/// and of RTMPS; above, those of data bases, queues, remote desktops and the like, most of which trust
/// whoever reaches them, and those that browsers do not connect to.
fn is_of_another_service(port: u16) -> bool {
    match port {
        80 | 443 => false,
        ..=1023 => true,
        _ => SERVICES.iter().any(|ports| ports.hold(port)),
    }
}

/// Above 1023, with what is expected there.
const SERVICES: [Ports; 42] = [
    // Microsoft SQL Server, Oracle.
    Ports::new(1433, 1434),
    Ports::new(1521, 1521),
    // H.323, PPTP.
    Ports::new(1719, 1720),
    Ports::new(1723, 1723),
    // NFS, ZooKeeper.
    Ports::new(2049, 2049),
    Ports::new(2181, 2181),
    // Docker, etcd.
    Ports::new(2375, 2377),
    Ports::new(2379, 2380),
    // LDAP's catalogue, MySQL, remote desktops.
    Ports::new(3268, 3269),
    Ports::new(3306, 3306),
    Ports::new(3389, 3389),
    // Apple's SASL, NFS's locks, Sieve.
    Ports::new(3659, 3659),
    Ports::new(4045, 4045),
    Ports::new(4190, 4190),
    // Erlang's nodes.
    Ports::new(4369, 4369),
    // SIP, XMPP.
    Ports::new(5060, 5061),
    Ports::new(5222, 5222),
    Ports::new(5269, 5269),
    // PostgreSQL, AMQP, VNC, CouchDB, Windows' remote management.
    Ports::new(5432, 5432),
    Ports::new(5671, 5672),
    Ports::new(5900, 5909),
    Ports::new(5984, 5984),
    Ports::new(5985, 5986),
    // X11, Redis, Kubernetes.
    Ports::new(6000, 6063),
    Ports::new(6379, 6380),
    Ports::new(6443, 6443),
    // SANE, IRC.
    Ports::new(6566, 6566),
    Ports::new(6665, 6669),
    Ports::new(6679, 6679),
    Ports::new(6697, 6697),
    // Cassandra, InfluxDB, Consul.
    Ports::new(7000, 7001),
    Ports::new(8086, 8086),
    Ports::new(8500, 8500),
    Ports::new(9042, 9042),
    // Kafka, printers, Elasticsearch.
    Ports::new(9092, 9093),
    Ports::new(9100, 9100),
    Ports::new(9200, 9200),
    Ports::new(9300, 9300),
    // Amanda, Kubernetes' nodes, memcached, MongoDB.
    Ports::new(10080, 10080),
    Ports::new(10250, 10255),
    Ports::new(11211, 11211),
    Ports::new(27017, 27019),
];

/// A range of ports: `8000-8999`, or one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    first: u16,
    last: u16,
}

impl Ports {
    const fn new(first: u16, last: u16) -> Self {
        Self { first, last }
    }

    fn hold(self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }

    /// Reads ranges that are separated by commas; none if the text is blank.
    ///
    /// # Errors
    ///
    /// Where one of them is none.
    pub fn parse(text: &str) -> Result<Vec<Self>, InvalidPorts> {
        if text.trim().is_empty() {
            return Ok(Vec::new());
        }
        text.split(',').map(|one| one.trim().parse()).collect()
    }
}

impl FromStr for Ports {
    type Err = InvalidPorts;

    fn from_str(text: &str) -> Result<Self, InvalidPorts> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let port = |text: &str| {
            let is_plain = text.bytes().all(|b| b.is_ascii_digit());
            text.parse().ok().filter(|port| is_plain && *port > 0)
        };
        match (port(first), port(last)) {
            (Some(first), Some(last)) if first <= last => Ok(Self { first, last }),
            _ => Err(InvalidPorts),
        }
    }
}

/// A text that is no range of ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a range of ports is its first and its last one, as 8000-8999, or a single one")]
pub struct InvalidPorts;

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

    #[test]
    fn what_is_not_public_is_forbidden_unless_it_is_allowed() {
        let judge = |policy: &str, address: &str| {
            let policy: AddressPolicy = policy.parse().unwrap();
            policy.judge(address.parse().unwrap())
        };
        assert_eq!(judge("", "8.8.8.8"), Ok(()));
        assert_eq!(
            judge(" ", "10.1.2.3"),
            Err(Forbidden::Address(Purpose::Private))
        );
        let policy = "10.1.0.0/16, fd12::/16,192.168.7.7 ";
        for (address, allowed) in [
            ("10.1.0.0", true),
            ("10.1.255.255", true),
            ("::ffff:10.1.2.3", true),
            ("10.0.255.255", false),
            ("10.2.0.0", false),
            ("192.168.7.7", true),
            ("192.168.7.6", false),
            ("fd12::1", true),
            ("fd13::1", false),
            ("8.8.8.8", true),
        ] {
            assert_eq!(judge(policy, address).is_ok(), allowed, "{address}");
        }
        let everything = "0.0.0.0/0, ::/0";
        for address in ["127.0.0.1", "255.255.255.255", "::1", "ff02::1"] {
            assert_eq!(judge(everything, address), Ok(()), "{address}");
        }
    }

    #[test]
    fn ports_of_other_services_are_forbidden_unless_they_are_allowed() {
        let judged = |policy: &AddressPolicy, port| policy.judge_port(port).is_ok();
        let default = AddressPolicy::default();
        // Of each range the first, the last, and the neighbours outside.
        for (first, last) in [
            (1, 79),
            (81, 442),
            (444, 1023),
            (1433, 1434),
            (2375, 2377),
            (3306, 3306),
            (5900, 5909),
            (6000, 6063),
            (6379, 6380),
            (10250, 10255),
            (11211, 11211),
            (27017, 27019),
        ] {
            for port in [first, last] {
                assert_eq!(default.judge_port(port), Err(Forbidden::Port(port)));
            }
            for port in [first - 1, last + 1] {
                assert!(port == 0 || judged(&default, port), "{port}");
            }
        }
        for port in [80, 443, 1935, 1936, 8080, 8443, 19350, 49152, 65535] {
            assert!(judged(&default, port), "{port}");
        }
        let widened = default.with_ports(Ports::parse("25, 6000-6001").unwrap());
        for (port, allowed) in [
            (24, false),
            (25, true),
            (26, false),
            (6000, true),
            (6001, true),
            (6002, false),
        ] {
            assert_eq!(judged(&widened, port), allowed, "{port}");
        }
    }

    #[test]
    fn ranges_of_ports_are_written_in_one_way() {
        assert_eq!(Ports::parse(" "), Ok(Vec::new()));
        assert_eq!(Ports::parse("1-65535"), Ok(vec![Ports::new(1, 65535)]));
        for wrong in [
            "0", "0-1", "2-1", "1-", "-1", "+1", "65536", "1,", "a", "1-2-3",
        ] {
            assert_eq!(Ports::parse(wrong), Err(InvalidPorts), "{wrong}");
        }
    }

    #[test]
    fn loopback_is_the_machine_itself() {
        let policy = AddressPolicy::allowing(Network::LOOPBACK);
        for address in [
            "127.0.0.1",
            "127.8.8.8",
            "0.0.0.0",
            "::1",
            "::",
            "::ffff:127.0.0.1",
        ] {
            let address = address.parse().unwrap();
            assert_eq!(policy.judge(address), Ok(()), "{address}");
            let default = AddressPolicy::default();
            assert!(default.judge(address).is_err(), "{address}");
        }
    }

    #[test]
    fn names_are_judged_by_their_form() {
        let loopback = AddressPolicy::allowing(Network::LOOPBACK);
        let private: AddressPolicy = "10.0.0.0/8".parse().unwrap();
        for (host, default, within_loopback, within_private) in [
            ("a.rtmp.youtube.com", true, true, true),
            ("localhost.example.com", true, true, true),
            ("nginx", true, true, true),
            ("localhost", false, true, false),
            ("LOCALHOST.", false, true, false),
            ("a.localhost", false, true, false),
            ("printer.local", false, false, true),
            ("metadata.google.internal.", false, false, true),
            ("127.0.0.1", false, true, false),
            ("10.0.0.1", false, false, true),
            ("fe80::1", false, false, false),
        ] {
            for (policy, allowed) in [
                (&AddressPolicy::default(), default),
                (&loopback, within_loopback),
                (&private, within_private),
            ] {
                assert_eq!(
                    policy.judge_host(host).is_ok(),
                    allowed,
                    "{host} {policy:?}"
                );
            }
        }
    }

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
        assert_eq!("10.0.0.0/8,".parse::<AddressPolicy>(), Err(InvalidNetwork));
    }
}
