//! Which web pages may ask: the dashboard's, and no other.
//!
//! A browser lets a page of another origin read an answer only where the answer says so. Programs
//! that are no browsers are not concerned.

/// Origins whose pages may ask.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origins(Vec<String>);

impl Origins {
    /// Reads the operator's list, `https://dashboard.example.com` and the like, separated by commas.
    /// What is no origin is left out: `*` and `null` would let everybody in.
    pub fn parse(list: &str) -> Self {
        let origins = list
            .split(',')
            .map(str::trim)
            .filter(|text| is_origin(text));
        Self(origins.map(str::to_owned).collect())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The headers of an answer to a request from `origin`, names in lower case.
    pub fn headers(&self, origin: Option<&str>) -> Vec<(&'static str, String)> {
        if self.is_empty() {
            return Vec::new();
        }
        // A cache must not give one origin the answer for another.
        let mut headers = vec![("vary", "origin".to_owned())];
        if let Some(origin) = self.allowed(origin) {
            headers.push(("access-control-allow-origin", origin.to_owned()));
            headers.push(("access-control-expose-headers", EXPOSED.to_owned()));
        }
        headers
    }

    /// What is added where the request asks whether it may ask, with `OPTIONS`. `methods` are those
    /// of the path.
    pub fn preflight(&self, origin: Option<&str>, methods: &str) -> Vec<(&'static str, String)> {
        if self.allowed(origin).is_none() {
            return Vec::new();
        }
        vec![
            ("access-control-allow-methods", methods.to_owned()),
            ("access-control-allow-headers", ALLOWED.to_owned()),
            ("access-control-max-age", MAX_AGE_SECONDS.to_owned()),
        ]
    }

    fn allowed<'a>(&self, origin: Option<&'a str>) -> Option<&'a str> {
        origin.filter(|origin| self.0.iter().any(|allowed| allowed == origin))
    }
}

/// As a browser writes it: scheme and host in lower case, the port where it is not the scheme's,
/// and nothing behind.
fn is_origin(text: &str) -> bool {
    let host = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    let is_host_byte =
        |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b':' | b'[' | b']');
    host.is_some_and(|host| !host.is_empty() && host.bytes().all(is_host_byte))
}

/// Headers that Cloudflare's clients send, in a browser too.
const ALLOWED: &str = "authorization, content-type, api-version, idempotency-key, x-auth-email, \
    x-auth-key, x-stainless-arch, x-stainless-helper-method, x-stainless-lang, x-stainless-os, \
    x-stainless-package-version, x-stainless-retry-count, x-stainless-runtime, \
    x-stainless-runtime-version, x-stainless-timeout, x-stainless-read-timeout";

/// Headers that a page may read beside those that it always may.
const EXPOSED: &str = "cf-ray, ratelimit, ratelimit-policy, retry-after, x-should-retry";

/// How long a browser may remember: as long as any does.
const MAX_AGE_SECONDS: &str = "7200";

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "https://dash.example.com, http://localhost:5173 ,*,null,https://,\
        https://a.example.com/,ftp://b.example.com,HTTPS://C.example.com";

    #[test]
    fn only_origins_of_the_list_are_allowed() {
        let origins = Origins::parse(LIST);
        for (origin, allowed) in [
            (Some("https://dash.example.com"), true),
            (Some("http://localhost:5173"), true),
            (Some("http://dash.example.com"), false),
            (Some("https://dash.example.com:8443"), false),
            (Some("https://dash.example.com.evil.example"), false),
            (Some("https://evil-dash.example.com"), false),
            (Some("https://DASH.example.com"), false),
            (Some("https://a.example.com"), false),
            (Some("https://a.example.com/"), false),
            (Some("null"), false),
            (Some("*"), false),
            (Some(""), false),
            (None, false),
        ] {
            let headers = origins.headers(origin);
            assert_eq!(headers[0], ("vary", "origin".to_owned()));
            let named = headers
                .iter()
                .find(|(name, _)| *name == "access-control-allow-origin");
            assert_eq!(
                named.map(|(_, value)| value.as_str()),
                origin.filter(|_| allowed)
            );
            assert_eq!(
                origins.preflight(origin, "GET").is_empty(),
                !allowed,
                "{origin:?}"
            );
        }
    }

    #[test]
    fn without_a_list_nothing_is_said() {
        for list in ["", " ", "*", "null"] {
            let origins = Origins::parse(list);
            assert_eq!(origins.headers(Some("https://dash.example.com")), []);
            assert_eq!(
                origins.preflight(Some("https://dash.example.com"), "GET"),
                []
            );
        }
    }

    #[test]
    fn a_preflight_names_what_clients_send() {
        let origins = Origins::parse(LIST);
        let headers = origins.preflight(Some("http://localhost:5173"), "GET, POST");
        assert_eq!(
            headers[0],
            ("access-control-allow-methods", "GET, POST".to_owned())
        );
        for name in [
            "authorization",
            "content-type",
            "x-stainless-lang",
            "idempotency-key",
        ] {
            assert!(
                headers[1].1.split(", ").any(|allowed| allowed == name),
                "{name}"
            );
        }
    }
}
