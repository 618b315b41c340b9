//! Where an output sends.

use std::fmt;

use shared::link::Target;
use shared::output_url::{InvalidOutputUrl, OutputUrl};
use shared::secret::Secret;

/// An RTMP or RTMPS server and the key to publish with. Two equal ones are one and the same
/// connection.
#[derive(Clone, PartialEq, Eq)]
pub struct Destination {
    /// The server and its application.
    pub url: OutputUrl,
    /// The key, byte for byte.
    pub stream_key: Secret,
}

impl Destination {
    /// What a snapshot's target means, if this node can serve it.
    pub fn new(target: &Target) -> Result<Self, NotServed> {
        match target {
            Target::Rtmp { url, stream_key } => Ok(Self {
                url: OutputUrl::parse(url.expose())?,
                stream_key: stream_key.clone(),
            }),
            Target::Unknown => Err(NotServed::Kind),
        }
    }

    /// The server alone, as `scheme://host:port`: user, path and query of a URL may be secret.
    pub fn server(&self) -> String {
        let scheme = if self.url.tls() { "rtmps" } else { "rtmp" };
        match self.url.host() {
            address if address.contains(':') => {
                format!("{scheme}://[{address}]:{}", self.url.port())
            }
            name => format!("{scheme}://{name}:{}", self.url.port()),
        }
    }
}

impl fmt::Debug for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.server())
    }
}

/// Why this node cannot serve a target; a newer control plane knows more of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotServed {
    /// The kind of target is unknown.
    #[error("this node does not know this kind of destination")]
    Kind,
    /// The URL cannot be used.
    #[error(transparent)]
    Url(#[from] InvalidOutputUrl),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn destination(url: &str) -> Destination {
        Destination::new(&Target::Rtmp {
            url: Secret::new(url),
            stream_key: Secret::new("hunter2"),
        })
        .unwrap()
    }

    #[test]
    fn only_the_server_is_shown() {
        for (url, server) in [
            (
                "rtmps://example.com/app?token=hunter2",
                "rtmps://example.com:443",
            ),
            (
                "rtmp://hunter2:hunter2@example.com/app",
                "rtmp://example.com:1935",
            ),
            (
                "rtmp://[2001:db8::1]/live/hunter2",
                "rtmp://[2001:db8::1]:1935",
            ),
        ] {
            assert_eq!(destination(url).server(), server);
            assert_eq!(format!("{:?}", destination(url)), server);
        }
    }

    #[test]
    fn what_is_not_served_says_why() {
        assert_eq!(Destination::new(&Target::Unknown), Err(NotServed::Kind));
        let target = Target::Rtmp {
            url: Secret::new("srt://example.com"),
            stream_key: Secret::new(""),
        };
        assert_eq!(
            Destination::new(&target),
            Err(NotServed::Url(InvalidOutputUrl::Scheme))
        );
    }
}
