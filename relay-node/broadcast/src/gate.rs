//! How often one address is connected to.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

/// How many connections to one address may be attempted at once: a broadcast's fifty outputs to one
/// platform, and some more beside them.
pub const GATE_BURST: u32 = 100;

/// How far apart they are after that: fifty a second. The outputs of a thousand broadcasts to one
/// platform come back within their backoff, and a server of somebody who never asked for any of this
/// bears it.
pub const GATE_INTERVAL: Duration = Duration::from_millis(20);

/// How long an attempt may wait for its turn; one that would wait longer fails instead, and is
/// tried again with backoff.
pub const GATE_WAIT_MAX: Duration = Duration::from_secs(5);

/// How many addresses are remembered before those are forgotten that have been left in peace.
const ADDRESSES_MIN: usize = 256;

/// The rate at which a node attempts to connect to each address, all its inputs taken together, so
/// that nobody can use it as a hammer.
#[derive(Debug, Default)]
pub struct Gate {
    /// When each address has been left in peace long enough for a whole burst.
    calm: HashMap<IpAddr, Instant>,
    /// At how many addresses to look for those that can be forgotten.
    look_at: usize,
}

impl Gate {
    /// When an attempt to connect to `address` may begin; nothing if that is too far away, and then
    /// it does not count.
    pub fn admit(&mut self, now: Instant, address: IpAddr) -> Option<Instant> {
        self.forget(now);
        let address = network(address);
        let calm = self.calm.get(&address).copied();
        let calm = calm.map_or(now, |calm| calm.max(now)) + GATE_INTERVAL;
        // The clock may be younger than a burst is long.
        let turn = calm
            .checked_sub(GATE_INTERVAL * GATE_BURST)
            .map_or(now, |turn| turn.max(now));
        if turn.saturating_duration_since(now) > GATE_WAIT_MAX {
            return None;
        }
        self.calm.insert(address, calm);
        Some(turn)
    }

    fn forget(&mut self, now: Instant) {
        if self.calm.len() >= self.look_at.max(ADDRESSES_MIN) {
            self.calm.retain(|_, calm| *calm > now);
            self.look_at = 2 * self.calm.len();
        }
    }
}

/// What is one address to whoever owns it: of IPv6, the network of 64 bits.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(mapped) => IpAddr::V4(mapped),
            None => IpAddr::V6(Ipv6Addr::from_bits(
                address.to_bits() & !u128::from(u64::MAX),
            )),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_burst_goes_at_once_and_what_follows_by_turns() {
        let now = Instant::now();
        let mut gate = Gate::default();
        let mut wait = || {
            let turn = gate.admit(now, address("192.0.2.1"))?;
            Some(turn.duration_since(now).as_millis())
        };
        for _ in 0..GATE_BURST {
            assert_eq!(wait(), Some(0));
        }
        for turn in 1..=250 {
            assert_eq!(wait(), Some(turn * 20));
        }
        assert_eq!(wait(), None, "longer than anybody waits");
        // What is refused costs nothing.
        assert_eq!(wait(), None);
        let later = now + GATE_INTERVAL;
        let turn = gate.admit(later, address("192.0.2.1")).unwrap();
        assert_eq!(turn.duration_since(later), GATE_WAIT_MAX);
        // Others are not concerned.
        assert_eq!(gate.admit(now, address("192.0.2.2")), Some(now));
    }

    #[test]
    fn peace_brings_the_burst_back() {
        let now = Instant::now();
        let mut gate = Gate::default();
        for _ in 0..GATE_BURST {
            gate.admit(now, address("192.0.2.1"));
        }
        let later = now + GATE_INTERVAL * GATE_BURST;
        for _ in 0..GATE_BURST {
            assert_eq!(gate.admit(later, address("192.0.2.1")), Some(later));
        }
        assert_ne!(gate.admit(later, address("192.0.2.1")), Some(later));
    }

    #[test]
    fn an_ipv6_network_is_one_address() {
        let now = Instant::now();
        let mut gate = Gate::default();
        for host in 0..GATE_BURST {
            let one = address(&format!("2001:db8::{host:x}"));
            assert_eq!(gate.admit(now, one), Some(now));
        }
        assert_ne!(gate.admit(now, address("2001:db8::ffff")), Some(now));
        assert_eq!(gate.admit(now, address("2001:db8:0:1::1")), Some(now));
    }

    #[test]
    fn addresses_left_in_peace_are_forgotten() {
        let mut now = Instant::now();
        let mut gate = Gate::default();
        for number in 0..100_000_u32 {
            now += Duration::from_millis(1);
            gate.admit(now, IpAddr::from(number.to_be_bytes()));
            assert!(gate.calm.len() <= ADDRESSES_MIN);
        }
    }
}
