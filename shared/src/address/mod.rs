//! Which addresses and ports an output may send to.
//!
//! Users choose destinations, and must not reach through a relay node what only the node can
//! reach. The control plane judges the addresses that stand in URLs, a node those that names
//! resolve to, both by these rules. Addresses of special purpose are those of IANA's registries.

mod network;
mod ports;
mod purpose;

use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

pub use network::{InvalidNetwork, Network};
use ports::is_of_another_service;
pub use ports::{InvalidPorts, Ports};
pub use purpose::{Purpose, reached};

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

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!("10.0.0.0/8,".parse::<AddressPolicy>(), Err(InvalidNetwork));
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
}
