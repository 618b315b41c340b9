//! The URL of an output, checked by form.

use std::fmt;
use std::ops::Range;

use url::{Host, ParseError, Url};
use zeroize::Zeroizing;

use crate::limits::MAX_OUTPUT_URL_BYTES;
use crate::secret::{REDACTED, Secret};

/// Where an output sends: `rtmp://` or `rtmps://`, perhaps `user:password@`, a host, perhaps a port,
/// and the application.
///
/// Kept as the user typed it. What a relay node needs to connect is taken apart here, so that the
/// control plane accepts exactly what a node can use.
#[derive(Clone, PartialEq, Eq)]
pub struct OutputUrl {
    text: Zeroizing<String>,
    /// The text without user name and password.
    bare: Zeroizing<String>,
    tls: bool,
    user: Option<User>,
    host: String,
    port: u16,
    app: Zeroizing<String>,
}

/// Who publishes, for servers that ask. Prints as `<redacted>`.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// The name, `%` escapes undone.
    pub name: Secret,
    /// The password, `%` escapes undone.
    pub password: Secret,
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
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
        let url = Url::parse(text).map_err(|error| match error {
            ParseError::InvalidPort => InvalidOutputUrl::Port,
            _ => InvalidOutputUrl::Malformed,
        })?;
        let tls = match url.scheme() {
            "rtmp" => false,
            "rtmps" => true,
            _ => return Err(InvalidOutputUrl::Scheme),
        };
        // The text itself is looked at: `Url` drops an empty user name, and reads an escaped host
        // as the one that it stands for.
        let (authority, app) = authority_and_app(text);
        let server = authority
            .rsplit_once('@')
            .map_or(authority, |(_, server)| server);
        let user_info = user_info(text).and_then(|range| text.get(range));
        let user = user_info.map(user).transpose()?;
        if server.contains('%') {
            return Err(InvalidOutputUrl::Host);
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
            // Decimal, octal and hexadecimal forms are read differently by different programs.
            Host::Ipv4(address) if address.to_string() != decoded => {
                return Err(InvalidOutputUrl::Address);
            }
            Host::Ipv4(_) => decoded,
            Host::Ipv6(address) => address.to_string(),
        };
        let port = match url.port() {
            Some(0) => return Err(InvalidOutputUrl::Port),
            Some(port) => port,
            None if tls => DEFAULT_RTMPS_PORT,
            None => DEFAULT_RTMP_PORT,
        };
        if app.is_empty() {
            return Err(InvalidOutputUrl::Application);
        }
        let bare = match user_info {
            Some(user_info) => text.replacen(&format!("{user_info}@"), "", 1),
            None => text.to_owned(),
        };
        Ok(Self {
            text: Zeroizing::new(text.to_owned()),
            bare: Zeroizing::new(bare),
            tls,
            user,
            host,
            port,
            app: Zeroizing::new(app.to_owned()),
        })
    }

    /// The URL as the user typed it. User name, password and query are secrets.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the connection is wrapped in TLS (`rtmps`).
    pub fn tls(&self) -> bool {
        self.tls
    }

    /// Who publishes, if the URL says so.
    pub fn user(&self) -> Option<&User> {
        self.user.as_ref()
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

    /// Whether both lead to the same application of the same server, however they are typed.
    pub fn is_same_destination(&self, other: &Self) -> bool {
        let parts = |url: &Self| (url.tls, url.host.clone(), url.port, url.app.clone());
        parts(self) == parts(other)
    }

    /// The `tcUrl` of RTMP's `connect`: the URL as typed, port included if it was, without user
    /// name and password, and without a slash at its end.
    pub fn tc_url(&self) -> &str {
        self.bare.trim_end_matches('/')
    }
}

/// Shows the server only: user, path and query of an output's URL may be secret.
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
    /// An IPv4 address that is not written as four decimal numbers.
    #[error("the URL's host is an address in an unusual form: write it as four decimal numbers")]
    Address,
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
    /// Port 0, or one above 65535.
    #[error("the URL's port cannot be connected to: give a port from 1 to 65535, or none")]
    Port,
    /// A scheme that outputs do not speak.
    #[error("outputs speak RTMP and RTMPS: the URL must begin with rtmp:// or rtmps://")]
    Scheme,
    /// Over its bound.
    #[error("the URL is longer than {MAX_OUTPUT_URL_BYTES} bytes")]
    TooLong,
    /// Something before `@` that is no user name and password.
    #[error(
        "what stands before @ in the URL is no user name and password: write it as user:password@, \
         with %40 for @, %2F for / and %25 for %"
    )]
    UserInfo,
}

/// Where in a URL stands what it says of the user, without the `@` after it; nothing is checked.
pub fn user_info(url: &str) -> Option<Range<usize>> {
    let start = url.find("://")? + "://".len();
    let (authority, _) = authority_and_app(url);
    Some(start..start + authority.rfind('@')?)
}

/// The authority of `text` and what stands after it, without the slashes round that.
fn authority_and_app(text: &str) -> (&str, &str) {
    let after_scheme = text.split_once("://").map_or("", |(_, rest)| rest);
    let end = after_scheme.find(['/', '?', '#']);
    let (authority, rest) = after_scheme.split_at(end.unwrap_or(after_scheme.len()));
    // A query alone is no application.
    let app = if rest.starts_with('/') { rest } else { "" };
    let app = app.trim_matches('/');
    (authority, if app.starts_with('?') { "" } else { app })
}

/// A user name and a password, neither of them empty.
fn user(user_info: &str) -> Result<User, InvalidOutputUrl> {
    let decoded = |part: &str| {
        let decoded = percent_decoded(part).filter(|part| !part.is_empty());
        decoded.map(Secret::new).ok_or(InvalidOutputUrl::UserInfo)
    };
    match user_info.split_once(':') {
        Some((name, password)) if !user_info.contains(['@', '\\']) => Ok(User {
            name: decoded(name)?,
            password: decoded(password)?,
        }),
        _ => Err(InvalidOutputUrl::UserInfo),
    }
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let (high, low) = (rest.next()?, rest.next()?);
                let digits = [high, low];
                // `from_str_radix` takes a sign for a digit.
                if !digits.iter().all(u8::is_ascii_hexdigit) {
                    return None;
                }
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
            ("rtmp://example.com:70000/live", Port),
            ("rtmp://example.com:-1/live", Port),
            ("rtmp://user@example.com/live", UserInfo),
            ("rtmp://user:@example.com/live", UserInfo),
            ("rtmp://:pass@example.com/live", UserInfo),
            ("rtmp://@example.com/live", UserInfo),
            ("rtmp://:@example.com/live", UserInfo),
            ("rtmp://user:p@ss@example.com/live", UserInfo),
            ("rtmp://user:50%@example.com/live", UserInfo),
            ("rtmp://user:%+1@example.com/live", UserInfo),
            ("rtmp://user:%ff@example.com/live", UserInfo),
            ("rtmp://user:pass@exa%6dple.com/live", Host),
            ("rtmp://user:pass@/live", Malformed),
            ("rtmp://2130706433/live", Address),
            ("rtmp://0x7f000001/live", Address),
            ("rtmp://0177.0.0.1/live", Address),
            ("rtmp://127.1/live", Address),
            ("rtmp://8.8.8.8./live", Address),
            ("rtmp://１２７.０.０.１/live", Address),
            ("rtmp://%31%32%37.0.0.1/live", Host),
            ("rtmp://exa%6dple.com/live", Host),
            ("rtmp://256.1.1.1/live", Host),
            ("rtmp://[::1/live", Malformed),
            ("rtmp://[fe80::1%25eth0]/live", Malformed),
            ("rtmp://example.com\\@evil.example/live", UserInfo),
            ("rtmp://example.com/?app=live", Application),
            ("rtmp://example.com?/live", Application),
            ("rtmp://example.com?app=live", Application),
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
    fn a_user_is_taken_apart_and_said_to_nobody() {
        for (text, name, password, tc_url) in [
            (
                "rtmp://me:hunter2@example.com/live",
                "me",
                "hunter2",
                "rtmp://example.com/live",
            ),
            (
                "rtmps://me%40home:a%2Fb%25:c@[2001:db8::1]:444/live?a=me:b@c/",
                "me@home",
                "a/b%:c",
                "rtmps://[2001:db8::1]:444/live?a=me:b@c",
            ),
            (
                "rtmp://rtmp:rtmp@rtmp.example/rtmp",
                "rtmp",
                "rtmp",
                "rtmp://rtmp.example/rtmp",
            ),
        ] {
            let url = OutputUrl::parse(text).unwrap();
            let user = url.user().unwrap();
            assert_eq!(
                (user.name.expose(), user.password.expose(), url.tc_url()),
                (name, password, tc_url)
            );
            assert_eq!(url.as_str(), text);
            assert_eq!(format!("{user:?}"), "<redacted>");
        }
        let bare = OutputUrl::parse("rtmp://example.com/live").unwrap();
        assert_eq!(bare.user(), None);
        let with = OutputUrl::parse("rtmp://me:hunter2@example.com/live").unwrap();
        assert!(bare.is_same_destination(&with));
        assert_eq!(format!("{with:?}"), "rtmp://example.com:1935/…");
    }

    #[test]
    fn a_destination_is_the_same_however_it_is_typed() {
        let url = |text| OutputUrl::parse(text).unwrap();
        let one = url("rtmps://Example.com/live?a=1");
        for (text, same) in [
            ("rtmps://example.com:443/live?a=1/", true),
            ("RTMPS://EXAMPLE.com/live?a=1", true),
            ("rtmp://example.com:443/live?a=1", false),
            ("rtmps://example.com:444/live?a=1", false),
            ("rtmps://example.com/live", false),
            ("rtmps://example.com/Live?a=1", false),
        ] {
            assert_eq!(one.is_same_destination(&url(text)), same, "{text}");
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

    /// Reads where the texts have been, as whoever reads the process's memory can.
    #[test]
    fn a_url_that_is_dropped_leaves_nothing_behind() {
        let path = "wiped-by-drop/".repeat(64);
        let url = OutputUrl::parse(&format!("rtmp://me:wiped-by-drop@example.com/{path}")).unwrap();
        let target = crate::link::Target::Rtmp {
            url: Secret::new(url.as_str()),
            stream_key: Secret::new(path.as_str()),
        };
        let crate::link::Target::Rtmp {
            url: sent,
            stream_key,
        } = &target
        else {
            panic!("no URL");
        };
        let texts = [
            url.as_str(),
            url.tc_url(),
            url.app(),
            sent.expose(),
            stream_key.expose(),
        ];
        let places = texts.map(|text| (text.as_ptr() as u64, text.len()));
        let read = |(at, length): (u64, usize)| {
            let mut bytes = vec![0; length];
            let memory = std::fs::File::open("/proc/self/mem").unwrap();
            std::os::unix::fs::FileExt::read_exact_at(&memory, &mut bytes, at).unwrap();
            String::from_utf8_lossy(&bytes).contains("wiped-by-drop")
        };
        assert_eq!(places.map(read), [true; 5]);
        drop((url, target));
        assert_eq!(places.map(read), [false; 5]);
    }

    #[test]
    fn debug_hides_path_and_query() {
        let url = OutputUrl::parse("rtmps://example.com/app?token=hunter2").unwrap();
        assert_eq!(format!("{url:?}"), "rtmps://example.com:443/…");
    }
}
