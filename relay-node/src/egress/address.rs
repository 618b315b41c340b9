//! Which addresses a destination may have.

use std::net::IpAddr;

/// Which addresses the node connects to. Users choose destinations, and must not reach through the
/// node what only the node can reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AddressPolicy {
    /// Whether the machine itself may be a destination: for development.
    pub allow_loopback: bool,
}

impl AddressPolicy {
    /// Judges an address.
    pub fn judge(self, address: IpAddr) -> Result<(), Forbidden> {
        // An IPv4 address in IPv6 clothes reaches the same host.
        let address = address.to_canonical();
        // Connecting to the unspecified address reaches the machine itself.
        if !self.allow_loopback && (address.is_loopback() || address.is_unspecified()) {
            return Err(Forbidden::Loopback);
        }
        Ok(())
    }
}

/// Why an address may not be connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    /// It is the node itself.
    #[error("the destination's address is a loopback address, which outputs may not use")]
    Loopback,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_itself_is_forbidden_unless_allowed() {
        let judge = |text: &str, allow_loopback| {
            AddressPolicy { allow_loopback }.judge(text.parse().unwrap())
        };
        for loopback in [
            "127.0.0.1",
            "127.8.8.8",
            "0.0.0.0",
            "::1",
            "::",
            "::ffff:127.0.0.1",
        ] {
            assert_eq!(
                judge(loopback, false),
                Err(Forbidden::Loopback),
                "{loopback}"
            );
            assert_eq!(judge(loopback, true), Ok(()), "{loopback}");
        }
        for public in ["192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1"] {
            assert_eq!(judge(public, false), Ok(()), "{public}");
        }
    }
}
