//! Where the control plane is, and what lets the node in.

use shared::id::NodeName;
use shared::link::link_path;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use url::{Host, Url};

use super::{Config, InvalidConfig};

/// The control plane's address and the node's credentials there, checked.
#[derive(Clone)]
pub(super) struct Endpoint {
    /// Scheme, authority and path prefix, without a slash at the end.
    base: String,
    host: String,
    port: u16,
    tls: bool,
    node: NodeName,
    authorization: HeaderValue,
}

impl Endpoint {
    /// Checks `config`.
    pub(super) fn new(config: &Config) -> Result<Self, InvalidConfig> {
        let url = &config.control;
        let tls = match url.scheme() {
            "http" => false,
            "https" => true,
            _ => return Err(InvalidConfig::Scheme),
        };
        let has_more = url.query().is_some() || url.fragment().is_some();
        if has_more || !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidConfig::Url);
        }
        let host = match url.host() {
            Some(Host::Domain(name)) => name.to_owned(),
            Some(Host::Ipv4(address)) => address.to_string(),
            Some(Host::Ipv6(address)) => address.to_string(),
            None => return Err(InvalidConfig::Url),
        };
        let port = url.port_or_known_default().ok_or(InvalidConfig::Url)?;
        let mut authorization = HeaderValue::from_str(&format!("Bearer {}", config.token.expose()))
            .map_err(|_| InvalidConfig::Token)?;
        authorization.set_sensitive(true);
        Ok(Self {
            base: url.as_str().trim_end_matches('/').to_owned(),
            host,
            port,
            tls,
            node: config.node.clone(),
            authorization,
        })
    }

    /// The URL of `path`, which begins with a slash.
    pub(super) fn http_url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// The URL of the socket.
    pub(super) fn socket_url(&self) -> String {
        // `http` becomes `ws`, and `https` becomes `wss`.
        let rest = self.base.strip_prefix("http").unwrap_or(&self.base);
        format!("ws{rest}{}", link_path(&self.node))
    }

    /// The value of the `Authorization` header; its `Debug` hides it.
    pub(super) fn authorization(&self) -> HeaderValue {
        self.authorization.clone()
    }

    /// The name or address to connect to, without brackets.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// The port to connect to.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Whether to speak TLS.
    pub(super) fn tls(&self) -> bool {
        self.tls
    }

    /// The node's name.
    pub(super) fn node(&self) -> &NodeName {
        &self.node
    }

    /// Whether the token would cross a network in clear.
    pub(super) fn is_exposed(control: &Url) -> bool {
        let loopback = match control.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        };
        control.scheme() == "http" && !loopback
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::uplink::fake;

    fn endpoint(control: &str) -> Result<Endpoint, InvalidConfig> {
        Endpoint::new(&fake::config(control))
    }

    #[test]
    fn finds_its_paths_under_the_configured_url() {
        for (control, http, socket, host, port) in [
            (
                "https://api.example.com",
                "https://api.example.com/relay/v1/publish",
                "wss://api.example.com/relay/v1/nodes/fra-1/link",
                "api.example.com",
                443,
            ),
            (
                "http://[::1]:8787/",
                "http://[::1]:8787/relay/v1/publish",
                "ws://[::1]:8787/relay/v1/nodes/fra-1/link",
                "::1",
                8787,
            ),
            (
                "https://example.com/stream/",
                "https://example.com/stream/relay/v1/publish",
                "wss://example.com/stream/relay/v1/nodes/fra-1/link",
                "example.com",
                443,
            ),
        ] {
            let endpoint = endpoint(control).unwrap();
            assert_eq!(endpoint.http_url("/relay/v1/publish"), http);
            assert_eq!(endpoint.socket_url(), socket);
            assert_eq!((endpoint.host(), endpoint.port()), (host, port));
        }
    }

    #[test]
    fn refuses_what_it_cannot_use() {
        for (control, why) in [
            ("ws://example.com", InvalidConfig::Scheme),
            ("https://me:secret@example.com", InvalidConfig::Url),
            ("https://example.com/?a=b", InvalidConfig::Url),
            ("https://example.com/#a", InvalidConfig::Url),
        ] {
            assert_eq!(endpoint(control).err(), Some(why), "{control}");
        }
        let mut config = fake::config("https://example.com");
        config.token = shared::secret::Secret::new("a\nb");
        assert_eq!(Endpoint::new(&config).err(), Some(InvalidConfig::Token));
    }

    #[test]
    fn hides_the_token() {
        let endpoint = endpoint("https://example.com").unwrap();
        assert!(!format!("{:?}", endpoint.authorization()).contains(fake::TOKEN));
    }

    #[test]
    fn knows_when_the_token_crosses_a_network_in_clear() {
        for (control, exposed) in [
            ("https://example.com", false),
            ("http://example.com", true),
            ("http://10.0.0.1:80", true),
            ("http://localhost:8787", false),
            ("http://127.0.0.1:8787", false),
            ("http://[::1]:8787", false),
        ] {
            assert_eq!(Endpoint::is_exposed(&control.parse().unwrap()), exposed);
        }
    }
}
