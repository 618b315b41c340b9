//! Where this machine is reached itself.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use broadcast::Reason;
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::SockaddrStorage;
use shared::address::{AddressPolicy, Network, reached};

use super::DialError;

/// What is said of the relay's own machine, whose firewall does not see what the machine itself sends
/// to it.
const OWN_MACHINE: &str = "the destination is the relay's own machine, which outputs may not use";

/// The addresses of this machine, the listeners of encoders among them, and where the system's other
/// nodes are.
#[derive(Clone)]
pub(super) struct Own {
    ingest: Arc<[SocketAddr]>,
    nodes: Arc<[Network]>,
    interfaces: fn() -> Vec<IpAddr>,
}

impl Default for Own {
    /// Without any listener.
    fn default() -> Self {
        Self {
            ingest: Arc::new([]),
            nodes: Arc::new([]),
            interfaces,
        }
    }
}

impl Own {
    /// With those listeners, at `0.0.0.0` or `::` for all addresses of the machine.
    pub(super) fn with_ingest(self, ingest: impl IntoIterator<Item = SocketAddr>) -> Self {
        Self {
            ingest: ingest.into_iter().collect(),
            ..self
        }
    }

    /// With the system's other nodes in these networks.
    pub(super) fn with_nodes(self, nodes: impl IntoIterator<Item = Network>) -> Self {
        Self {
            nodes: nodes.into_iter().collect(),
            ..self
        }
    }

    /// Judges addresses that `policy` allows: neither an encoder's listener nor another node is ever an
    /// output's destination, and the machine's other ports are only where the operator names the address.
    /// The interfaces are read anew each time: addresses come and go.
    pub(super) fn judge(
        &self,
        addresses: &[SocketAddr],
        policy: &AddressPolicy,
    ) -> Vec<Result<SocketAddr, DialError>> {
        let interfaces = (self.interfaces)();
        let judge = |address: &SocketAddr| {
            let ip = reached(address.ip());
            // What is unspecified is the machine itself, as most systems read it.
            let is_own = ip.is_loopback() || ip.is_unspecified() || interfaces.contains(&ip);
            let is_ingest = |listener: &SocketAddr| {
                let at = listener.ip().to_canonical();
                let is_there = at == ip || (is_own && (at.is_unspecified() || ip.is_unspecified()));
                listener.port() == address.port() && is_there
            };
            let is_node = self.nodes.iter().any(|nodes| nodes.holds(ip));
            if is_node || self.ingest.iter().any(is_ingest) {
                return Err(Reason::Loop.into());
            }
            if is_own && !policy.names(ip) {
                return Err(DialError {
                    reason: Reason::AddressForbidden,
                    words: Some(OWN_MACHINE.to_owned()),
                });
            }
            Ok(*address)
        };
        addresses.iter().map(judge).collect()
    }
}

/// The addresses of all interfaces; none where the system does not tell.
fn interfaces() -> Vec<IpAddr> {
    let ip = |address: SockaddrStorage| {
        let v4 = address.as_sockaddr_in().map(|address| address.ip().into());
        v4.or_else(|| address.as_sockaddr_in6().map(|address| address.ip().into()))
    };
    let found = getifaddrs().into_iter().flatten();
    found
        .filter_map(|interface| ip(interface.address?))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(ingest: &[&str], allowed: &str, address: &str) -> Result<(), Reason> {
        let own = Own {
            interfaces: || vec!["203.0.113.7".parse().unwrap(), "fd00::7".parse().unwrap()],
            ..Own::default()
        };
        let own = own.with_ingest(ingest.iter().map(|address| address.parse().unwrap()));
        let policy = allowed.parse().unwrap();
        let judged = own.judge(&[address.parse().unwrap()], &policy);
        match &judged[..] {
            [Ok(_)] => Ok(()),
            [Err(error)] => Err(error.reason),
            _ => panic!("{judged:?}"),
        }
    }

    #[test]
    fn a_listener_of_encoders_is_no_destination_whatever_is_allowed() {
        let everything = "0.0.0.0/0,::/0";
        for (listener, address, is_loop) in [
            ("[::]:443", "203.0.113.7:443", true),
            ("[::]:443", "[fd00::7]:443", true),
            ("[::]:443", "[::ffff:203.0.113.7]:443", true),
            ("[::]:443", "[64:ff9b::203.0.113.7]:443", true),
            ("[::]:443", "127.0.0.1:443", true),
            ("[::]:443", "127.9.9.9:443", true),
            ("[::]:443", "0.0.0.0:443", true),
            ("[::]:443", "203.0.113.7:444", false),
            ("[::]:443", "203.0.113.8:443", false),
            ("0.0.0.0:443", "203.0.113.7:443", true),
            ("203.0.113.7:443", "203.0.113.7:443", true),
            ("203.0.113.7:443", "127.0.0.1:443", false),
            ("127.0.0.1:1935", "127.0.0.1:1935", true),
            ("127.0.0.1:1935", "0.0.0.0:1935", true),
            ("127.0.0.1:1935", "203.0.113.7:1935", false),
        ] {
            let expected = if is_loop { Err(Reason::Loop) } else { Ok(()) };
            let found = judge(&[listener], everything, address);
            assert_eq!(found, expected, "{listener} {address}");
        }
    }

    #[test]
    fn no_port_of_another_node_is_a_destination_whatever_is_allowed() {
        let nodes = ["198.51.100.16/28", "2001:db8:7::/48"];
        let own = Own::default().with_nodes(nodes.map(|nodes| nodes.parse().unwrap()));
        let everything = "0.0.0.0/0,::/0".parse().unwrap();
        for (address, is_node) in [
            ("198.51.100.15:443", false),
            ("198.51.100.16:443", true),
            ("198.51.100.31:8080", true),
            ("198.51.100.32:443", false),
            ("[::ffff:198.51.100.20]:443", true),
            ("[64:ff9b::198.51.100.20]:443", true),
            ("[2001:db8:7:ffff::1]:1935", true),
            ("[2001:db8:8::1]:1935", false),
        ] {
            let judged = own.judge(&[address.parse().unwrap()], &everything);
            let is_loop = matches!(&judged[..], [Err(error)] if error.reason == Reason::Loop);
            assert_eq!(is_loop, is_node, "{address}");
        }
    }

    #[test]
    fn the_machine_itself_is_used_only_where_its_address_is_allowed() {
        for (allowed, address, expected) in [
            ("", "203.0.113.7:8080", Err(Reason::AddressForbidden)),
            ("", "203.0.113.8:8080", Ok(())),
            ("203.0.113.0/24", "203.0.113.7:8080", Ok(())),
            (
                "10.0.0.0/8",
                "[fd00::7]:8080",
                Err(Reason::AddressForbidden),
            ),
            ("fd00::/8", "[fd00::7]:8080", Ok(())),
            ("127.0.0.0/8", "127.0.0.1:8080", Ok(())),
        ] {
            assert_eq!(
                judge(&[], allowed, address),
                expected,
                "{allowed} {address}"
            );
        }
    }

    #[test]
    fn the_system_tells_its_addresses() {
        assert!(interfaces().contains(&"127.0.0.1".parse().unwrap()));
    }
}
