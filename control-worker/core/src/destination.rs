//! Where outputs may send, by the form of their URLs. A node judges what names resolve to.

use shared::address::{AddressPolicy, Forbidden, InvalidNetwork, InvalidPorts, Ports};
use shared::output_url::OutputUrl;

/// Which destinations are allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DestinationPolicy {
    addresses: AddressPolicy,
    /// Host and port of the relay's own ingest.
    ingest: Option<(String, u16)>,
}

impl DestinationPolicy {
    /// Allows what is public, and the `networks` of the operator, separated by commas; ports that no
    /// other service has, and the `ports` of the operator; but not the relay's own ingest at
    /// `ingest_url`, because a feed that comes back to where it entered would go round for ever.
    ///
    /// # Errors
    ///
    /// Where `networks` or `ports` cannot be read.
    pub fn parse(networks: &str, ports: &str, ingest_url: &str) -> Result<Self, InvalidPolicy> {
        let ingest = OutputUrl::parse(ingest_url).ok();
        let addresses: AddressPolicy = networks.parse()?;
        Ok(Self {
            addresses: addresses.with_ports(Ports::parse(ports)?),
            ingest: ingest.map(|url| server(&url)),
        })
    }

    /// Judges the server of an output.
    ///
    /// # Errors
    ///
    /// Where it may not be sent to.
    pub fn judge(&self, url: &OutputUrl) -> Result<(), RefusedDestination> {
        if self.ingest.as_ref() == Some(&server(url)) {
            return Err(RefusedDestination::OwnIngest);
        }
        self.addresses.judge_port(url.port())?;
        Ok(self.addresses.judge_host(url.host())?)
    }
}

/// Why what the operator allows cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPolicy {
    /// The networks.
    #[error(transparent)]
    Networks(#[from] InvalidNetwork),
    /// The ports.
    #[error(transparent)]
    Ports(#[from] InvalidPorts),
}

/// Why an output may not send there. Each completes "this url cannot be used: …".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefusedDestination {
    /// By its address or name.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// It is where encoders send to this relay.
    #[error("the destination is this relay's own ingest, so that the feed would go in a circle")]
    OwnIngest,
}

/// A name is the same with and without the dot of the root.
fn server(url: &OutputUrl) -> (String, u16) {
    (url.host().trim_end_matches('.').to_owned(), url.port())
}

#[cfg(test)]
mod tests {
    use shared::address::Purpose;

    use super::*;

    fn judge(networks: &str, url: &str) -> Result<(), RefusedDestination> {
        let policy = DestinationPolicy::parse(networks, "25", "rtmps://localhost:1936/live/");
        let policy = policy.unwrap();
        policy.judge(&OutputUrl::parse(url).unwrap())
    }

    #[test]
    fn the_own_ingest_is_refused_even_where_its_address_is_allowed() {
        use RefusedDestination::*;
        let loopback = Err(Forbidden(shared::address::Forbidden::Address(
            Purpose::Loopback,
        )));
        let port = Err(Forbidden(shared::address::Forbidden::Port(22)));
        let allowed = "127.0.0.0/8, ::1/128";
        for (networks, url, expected) in [
            ("", "rtmps://a.example/live", Ok(())),
            ("", "rtmp://a.example:22/live", port),
            (allowed, "rtmp://127.0.0.1:22/live", port),
            ("", "rtmp://a.example:25/live", Ok(())),
            ("", "rtmp://localhost/live", loopback),
            (allowed, "rtmp://localhost/live", Ok(())),
            (allowed, "rtmp://127.0.0.1:1936/live", Ok(())),
            (allowed, "rtmps://localhost:1936/live", Err(OwnIngest)),
            (allowed, "rtmp://LOCALHOST.:1936/other", Err(OwnIngest)),
        ] {
            assert_eq!(judge(networks, url), expected, "{url}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        assert!(DestinationPolicy::parse("10.0.0.1/8", "", "").is_err());
        assert!(DestinationPolicy::parse("", "0", "").is_err());
        assert!(DestinationPolicy::parse("", "", "").is_ok());
    }
}
