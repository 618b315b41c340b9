//! Where notifications may be sent, by the form of the URL. What names resolve to is the affair of
//! the runtime's network rules: the Worker is not told.

use shared::address::{AddressPolicy, Forbidden, InvalidNetwork};
use url::{Host, Url};

/// Which receivers are allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiverPolicy {
    addresses: AddressPolicy,
}

impl ReceiverPolicy {
    /// Allows what is public on ports 80 and 443, and the `networks` of the operator, separated by
    /// commas, on any.
    ///
    /// # Errors
    ///
    /// Where `networks` cannot be read.
    pub fn parse(networks: &str) -> Result<Self, InvalidNetwork> {
        Ok(Self {
            addresses: networks.parse()?,
        })
    }

    /// Judges a URL.
    ///
    /// # Errors
    ///
    /// Says what to change.
    pub fn judge(&self, text: &str) -> Result<(), InvalidReceiverUrl> {
        if text.len() > MAX_RECEIVER_URL_BYTES {
            return Err(InvalidReceiverUrl::TooLong);
        }
        let url = Url::parse(text).map_err(|_| InvalidReceiverUrl::Malformed)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(InvalidReceiverUrl::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidReceiverUrl::UserInfo);
        }
        let host = match url.host() {
            Some(Host::Domain(name)) => name.to_owned(),
            Some(Host::Ipv4(address)) => address.to_string(),
            Some(Host::Ipv6(address)) => address.to_string(),
            None => return Err(InvalidReceiverUrl::Malformed),
        };
        self.addresses.judge_host(&host)?;
        let is_public = AddressPolicy::default().judge_host(&host).is_ok();
        if is_public && !matches!(url.port_or_known_default(), Some(80 | 443)) {
            return Err(InvalidReceiverUrl::Port);
        }
        Ok(())
    }
}

/// Why nothing is sent to a URL. Each reads as a sentence that says what to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidReceiverUrl {
    /// By its address or name.
    #[error("the URL cannot be used: {0}")]
    Forbidden(#[from] Forbidden),
    /// Not a URL with a host.
    #[error("this is not a URL: write it as https://host/path")]
    Malformed,
    /// Another port than those of the Web.
    #[error("webhooks are sent to ports 80 and 443 only: use one of them, or none")]
    Port,
    /// Neither HTTP nor HTTPS.
    #[error("webhooks speak HTTP: the URL must begin with http:// or https://")]
    Scheme,
    /// Over its bound.
    #[error("the URL is longer than {MAX_RECEIVER_URL_BYTES} bytes")]
    TooLong,
    /// `user:password@`.
    #[error("the URL holds a user name or password: remove it, and check the signature instead")]
    UserInfo,
}

/// Bytes of a receiver's URL: with a token in its query, and short enough for every proxy.
const MAX_RECEIVER_URL_BYTES: usize = 2048;

#[cfg(test)]
mod tests {
    use shared::address::Purpose;

    use super::*;

    #[test]
    fn only_public_receivers_on_the_webs_ports_are_allowed() {
        use InvalidReceiverUrl::*;
        let forbidden = |purpose| Err(Forbidden(shared::address::Forbidden::Address(purpose)));
        let private_name = Err(Forbidden(shared::address::Forbidden::PrivateName));
        let default = ReceiverPolicy::parse("").unwrap();
        for (url, expected) in [
            ("https://example.com/hook?token=1", Ok(())),
            ("http://example.com", Ok(())),
            ("https://example.com:443/", Ok(())),
            ("http://example.com:443/", Ok(())),
            ("https://[2606:4700::1]/", Ok(())),
            ("https://example.com:8443/", Err(Port)),
            ("http://example.com:0/", Err(Port)),
            ("http://example.com:70000/", Err(Malformed)),
            ("example.com", Err(Malformed)),
            ("", Err(Malformed)),
            ("ftp://example.com/", Err(Scheme)),
            ("wss://example.com/", Err(Scheme)),
            ("https://me:secret@example.com/", Err(UserInfo)),
            ("https://localhost/", forbidden(Purpose::Loopback)),
            ("https://127.0.0.1/", forbidden(Purpose::Loopback)),
            // The same in other clothes, as URLs have them.
            ("https://0x7f000001/", forbidden(Purpose::Loopback)),
            ("https://0177.0.0.1/", forbidden(Purpose::Loopback)),
            ("https://2130706433/", forbidden(Purpose::Loopback)),
            ("https://[::ffff:127.0.0.1]/", forbidden(Purpose::Loopback)),
            ("https://10.0.0.1/", forbidden(Purpose::Private)),
            ("https://169.254.169.254/", forbidden(Purpose::LinkLocal)),
            ("https://printer.local/", private_name),
        ] {
            assert_eq!(default.judge(url), expected, "{url}");
        }
        let longest = format!("https://h/{}", "a".repeat(MAX_RECEIVER_URL_BYTES - 10));
        assert_eq!(default.judge(&longest), Ok(()));
        assert_eq!(default.judge(&format!("{longest}a")), Err(TooLong));
    }

    #[test]
    fn what_the_operator_allows_is_allowed_on_any_port() {
        let loopback = ReceiverPolicy::parse("127.0.0.0/8").unwrap();
        for (url, allowed) in [
            ("http://127.0.0.1:8080/", true),
            ("http://localhost:8080/", true),
            ("http://10.0.0.1:8080/", false),
            ("http://example.com:8080/", false),
        ] {
            assert_eq!(loopback.judge(url).is_ok(), allowed, "{url}");
        }
        assert!(ReceiverPolicy::parse("everything").is_err());
    }
}
