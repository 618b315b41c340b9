//! Ranges of ports, and those that belong to other services than RTMP.

use std::str::FromStr;

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

    pub(super) fn hold(self, port: u16) -> bool {
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

/// Whether servers of RTMP are not to be expected there, but others that something might be done to
/// by who sends what he likes: below 1024, where the system's services are, all but those of the web
/// and of RTMPS; above, those of data bases, queues, remote desktops and the like, most of which trust
/// whoever reaches them, and those that browsers do not connect to.
pub(super) fn is_of_another_service(port: u16) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
