//! The URL of an output, checked by form.

use std::fmt;

use url::{Host, Url};

use crate::limits::MAX_OUTPUT_URL_BYTES;

/// Where an output sends: `rtmp://` or `rtmps://`, a host, perhaps a port, and the application.
///
/// Kept as the user typed it. What a relay node needs to connect is taken apart here, so that the
/// control plane accepts exactly what a node can use.
#[derive(Clone, PartialEq, Eq)]
pub struct OutputUrl {
    text: String,
    tls: bool,
    host: String,
    port: u16,
    app: String,
}

impl OutputUrl {
    /// Checks `text` and takes it apart.
    pub fn parse(text: &str) -> Result<Self, InvalidOutputUrl> {
        if text.len() > MAX_OUTPUT_URL_BYTES {
            return Err(InvalidOutputUrl::TooLong);
        }
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(InvalidOutputUrl::Blank);
        }
        let url = Url::parse(text).map_err(|_| InvalidOutputUrl::Malformed)?;
        let tls = match url.scheme() {
            "rtmp" => false,
            "rtmps" => true,
            _ => return Err(InvalidOutputUrl::Scheme),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidOutputUrl::UserInfo);
        }
        if url.fragment().is_some() {
            return Err(InvalidOutputUrl::Fragment);
        }
        // `rtmp` is not one of the schemes whose hosts `Url` understands: ask for the host proper,
        // which also turns an internationalised name into the one that DNS knows.
        let typed = url
            .host_str()
            .filter(|host| !host.is_empty())
            .ok_or(InvalidOutputUrl::Host)?;
        let decoded = percent_decoded(typed).ok_or(InvalidOutputUrl::Host)?;
        let host = match Host::parse(&decoded).map_err(|_| InvalidOutputUrl::Host)? {
            Host::Domain(name) => name,
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        };
        let port = match url.port() {
            Some(0) => return Err(InvalidOutputUrl::Port),
            Some(port) => port,
            None if tls => DEFAULT_RTMPS_PORT,
            None => DEFAULT_RTMP_PORT,
        };
        let app = app_of(text);
        if app.is_empty() {
            return Err(InvalidOutputUrl::Application);
        }
        Ok(Self {
            text: text.to_owned(),
            tls,
            host,
            port,
            app: app.to_owned(),
        })
    }

    /// The URL as the user typed it. Its query may hold a secret.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the connection is wrapped in TLS (`rtmps`).
    pub fn tls(&self) -> bool {
        self.tls
    }

    /// The host to look up: an ASCII name, or an address without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port to connect to.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The RTMP application: what follows the host, without the slashes round it, query kept.
    pub fn app(&self) -> &str {
        &self.app
    }

    /// The `tcUrl` of RTMP's `connect`: the URL as typed, port included if it was, without a
    /// slash at its end.
    pub fn tc_url(&self) -> &str {
        self.text.trim_end_matches('/')
    }
}

/// Shows the server only: path and query of an output's URL may hold a secret.
impl fmt::Debug for OutputUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "rtmps" } else { "rtmp" };
        write!(f, "{scheme}://{}:{}/…", self.host, self.port)
    }
}

/// RTMP's registered port.
pub const DEFAULT_RTMP_PORT: u16 = 1935;

/// The port that RTMPS servers answer on.
pub const DEFAULT_RTMPS_PORT: u16 = 443;

/// Why a text is no URL for an output. Each reads as a sentence that says what to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidOutputUrl {
    /// Nothing after the host.
    #[error(
        "the URL names no application: add it after the host, as in rtmp://a.rtmp.youtube.com/live2"
    )]
    Application,
    /// White space or control characters.
    #[error("the URL holds white space or control characters: remove them")]
    Blank,
    /// A `#` part.
    #[error("the URL has a fragment (#…), which RTMP does not know: remove it")]
    Fragment,
    /// No host, or one that cannot be a name or an address.
    #[error("the URL's host is neither a name nor an address")]
    Host,
    /// Not a URL.
    #[error("this is not a URL: write it as rtmp://host/application or rtmps://host/application")]
    Malformed,
    /// Port 0.
    #[error("port 0 cannot be connected to: give a port from 1 to 65535, or none")]
    Port,
    /// A scheme that outputs do not speak.
    #[error("outputs speak RTMP and RTMPS: the URL must begin with rtmp:// or rtmps://")]
    Scheme,
    /// Over its bound.
    #[error("the URL is longer than {MAX_OUTPUT_URL_BYTES} bytes")]
    TooLong,
    /// `user:password@`.
    #[error("the URL holds a user name or password: remove it, and give the key as streamKey")]
    UserInfo,
}

/// What stands after the authority of `text`, taken from the text itself because `Url` re-encodes.
fn app_of(text: &str) -> &str {
    let after_scheme = text.split_once("://").map_or("", |(_, rest)| rest);
    after_scheme
        .split_once('/')
        .map_or("", |(_, path)| path)
        .trim_matches('/')
}

fn percent_decoded(host: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(host.len());
    let mut rest = host.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let (high, low) = (rest.next()?, rest.next()?);
                let digits = [high, low];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_apart_what_platforms_give() {
        for (text, tls, host, port, app, tc_url) in [
            (
                "rtmp://a.rtmp.youtube.com/live2",
                false,
                "a.rtmp.youtube.com",
                1935,
                "live2",
                "rtmp://a.rtmp.youtube.com/live2",
            ),
            (
                "rtmps://live-api-s.facebook.com:443/rtmp/",
                true,
                "live-api-s.facebook.com",
                443,
                "rtmp",
                "rtmps://live-api-s.facebook.com:443/rtmp",
            ),
            (
                "rtmps://b.rtmps.youtube.com/live2?backup=1",
                true,
                "b.rtmps.youtube.com",
                443,
                "live2?backup=1",
                "rtmps://b.rtmps.youtube.com/live2?backup=1",
            ),
            (
                "rtmp://[2001:db8::1]:19350/a/b",
                false,
                "2001:db8::1",
                19350,
                "a/b",
                "rtmp://[2001:db8::1]:19350/a/b",
            ),
            (
                "rtmp://127.0.0.1/live",
                false,
                "127.0.0.1",
                1935,
                "live",
                "rtmp://127.0.0.1/live",
            ),
            (
                "RTMP://bücher.example/live",
                false,
                "xn--bcher-kva.example",
                1935,
                "live",
                "RTMP://bücher.example/live",
            ),
        ] {
            let url = OutputUrl::parse(text).unwrap();
            assert_eq!(
                (url.tls(), url.host(), url.port(), url.app(), url.tc_url()),
                (tls, host, port, app, tc_url)
            );
            assert_eq!(url.as_str(), text);
        }
    }

    #[test]
    fn refuses_the_rest_by_name() {
        use InvalidOutputUrl::*;
        for (text, why) in [
            ("", Malformed),
            ("live", Malformed),
            ("http://example.com/live", Scheme),
            ("srt://example.com:9000/live", Scheme),
            ("rtmp://", Host),
            ("rtmp:///live", Host),
            ("rtmp:example.com/live", Host),
            ("rtmp://exa%20mple.com/live", Host),
            ("rtmp://example.com:0/live", Port),
            ("rtmp://example.com:70000/live", Malformed),
            ("rtmp://user:pass@example.com/live", UserInfo),
            ("rtmp://example.com", Application),
            ("rtmp://example.com/", Application),
            ("rtmp://example.com/live#a", Fragment),
            ("rtmp://example.com/li ve", Blank),
            ("rtmp://example.com/live\n", Blank),
        ] {
            assert_eq!(OutputUrl::parse(text), Err(why), "{text:?}");
        }
    }

    #[test]
    fn length_is_bounded() {
        let longest = format!(
            "rtmp://h/{}",
            "a".repeat(MAX_OUTPUT_URL_BYTES - "rtmp://h/".len())
        );
        assert!(OutputUrl::parse(&longest).is_ok());
        assert_eq!(
            OutputUrl::parse(&format!("{longest}a")),
            Err(InvalidOutputUrl::TooLong)
        );
    }

    #[test]
    fn debug_hides_path_and_query() {
        let url = OutputUrl::parse("rtmps://example.com/app?token=hunter2").unwrap();
        assert_eq!(format!("{url:?}"), "rtmps://example.com:443/…");
    }
}
