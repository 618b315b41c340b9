//! Which port serves what, and who holds one that is taken.

use anyhow::{Result, bail};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use super::procfs;

/// The ports of one copy.
pub(crate) struct Ports {
    /// The API.
    pub(crate) control: u16,
    /// The relay node's health, status and metrics.
    pub(crate) admin: u16,
    /// RTMP in the clear.
    pub(crate) rtmp: u16,
    /// RTMP over TLS.
    pub(crate) rtmps: u16,
    /// wrangler's debugger.
    pub(crate) inspector: u16,
    /// The two servers of `--demo`.
    pub(crate) demo: [u16; 2],
    /// Their figures, over HTTP.
    pub(crate) demo_figures: u16,
}

/// Where the ports begin unless told otherwise.
const BASE: u16 = 8780;
/// RTMP's registered port, which encoders take when an address names none.
const RTMP: u16 = 1935;
/// Next to it, since 443 belongs to web servers.
const RTMPS: u16 = 1936;

impl Ports {
    /// The usual ports, or all in the ten from `base` on.
    pub(crate) fn new(base: Option<u16>) -> Self {
        let first = base.unwrap_or(BASE);
        Self {
            control: first,
            admin: first + 1,
            rtmp: base.map_or(RTMP, |base| base + 2),
            rtmps: base.map_or(RTMPS, |base| base + 3),
            inspector: first + 4,
            demo: [first + 5, first + 6],
            demo_figures: first + 7,
        }
    }

    /// Names the first port that is taken, and the process that holds it.
    pub(crate) fn check(&self, demo: bool) -> Result<()> {
        let mut wanted = vec![
            (self.control, "the API"),
            (self.admin, "the relay node's status"),
            (self.rtmp, "RTMP"),
            (self.rtmps, "RTMPS"),
            (self.inspector, "wrangler's debugger"),
        ];
        if demo {
            wanted.extend(self.demo.map(|port| (port, "a destination of the demo")));
            wanted.push((self.demo_figures, "the figures of the demo"));
        }
        for (port, purpose) in wanted {
            if is_taken(port) {
                let holder = procfs::listener(port).map_or_else(
                    || "a process that only root may see".to_owned(),
                    |process| format!("{} (pid {})", process.name, process.pid),
                );
                bail!(
                    "port {port}, needed for {purpose}, is taken by {holder}; \
                     end it, or take other ports with --port-base N"
                );
            }
        }
        Ok(())
    }
}

/// The addresses behind `localhost`: a program may try either first.
pub(crate) fn loopback(port: u16) -> Vec<SocketAddr> {
    let mut addresses = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, port))];
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok() {
        addresses.push(SocketAddr::from((Ipv6Addr::LOCALHOST, port)));
    }
    addresses
}

fn is_taken(port: u16) -> bool {
    loopback(port).iter().any(|address| {
        TcpListener::bind(address).is_err_and(|error| error.kind() == ErrorKind::AddrInUse)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_gives_ten_ports_and_no_more() {
        let ports = Ports::new(Some(20_000));
        let all = [
            ports.control,
            ports.admin,
            ports.rtmp,
            ports.rtmps,
            ports.inspector,
        ];
        let mut all = [&all[..], &ports.demo, &[ports.demo_figures]].concat();
        assert!(all.iter().all(|port| (20_000..20_010).contains(port)));
        all.dedup();
        assert_eq!(all.len(), 8);
    }

    #[test]
    fn a_taken_port_is_named_with_its_holder() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut ports = Ports::new(None);
        ports.control = port;
        let error = ports.check(false).unwrap_err().to_string();
        assert!(error.contains(&port.to_string()), "{error}");
        assert!(error.contains(&std::process::id().to_string()), "{error}");
    }
}
