use std::cmp::Reverse;
use std::fmt;

use zeroize::Zeroize as _;

use super::{Credentials, Login};
use crate::capabilities::Capabilities;
use crate::stream_name::StreamName;

/// Where a stream is published. Prints nothing of it, and is wiped when dropped: URLs of platforms
/// hold tokens.
#[derive(Clone)]
pub struct PublishTarget {
    /// The application: the path of the server URL, with its query.
    pub app: String,
    /// The server URL as the user gave it, without user name and password. YouTube, Twitch and nginx
    /// refuse a connection without.
    pub tc_url: String,
    /// The stream key, byte for byte as the user gave it: it may hold `/`, `?` and `&`.
    pub stream_name: StreamName,
    /// What the stream's encoder knows of Enhanced RTMP, said in its place.
    pub capabilities: Capabilities,
    /// Who publishes, kept out of what the destination says; told only by `login`.
    pub credentials: Option<Credentials>,
    /// What is said of them.
    pub login: Login,
}

impl PublishTarget {
    /// Takes everything secret out of a text that the destination sent: platforms repeat the key,
    /// the URL or its query in their refusals.
    pub(super) fn redact(&self, text: &str) -> String {
        let mut secrets = self.secrets();
        // A longer one may hold a shorter one.
        secrets.sort_unstable_by_key(|secret| (Reverse(secret.len()), *secret));
        secrets.dedup();
        secrets.iter().fold(text.to_owned(), |text, secret| {
            text.replace(secret, "<redacted>")
        })
    }

    fn secrets(&self) -> Vec<&str> {
        let name = self.stream_name.expose();
        // The key itself goes, however short.
        let mut secrets = vec![name, name.trim()];
        let mut parts = Vec::new();
        for text in [name, &self.app, &self.tc_url] {
            if let Some((path, query)) = text.split_once('?') {
                parts.push(query);
                parts.extend(
                    query
                        .split('&')
                        .filter_map(|pair| Some(pair.split_once('=')?.1)),
                );
                if text == name {
                    parts.push(path);
                }
            }
        }
        parts.extend(name.split(['/', '?']));
        if let Some(credentials) = &self.credentials {
            let [user, password] = credentials.secrets();
            parts.push(user);
            // A password goes however short, as the key does.
            secrets.push(password);
        }
        // Shorter parts (`1`, `live`) are no secrets, and would riddle the text.
        secrets.extend(
            parts
                .into_iter()
                .filter(|part| part.len() >= MIN_SECRET_PART),
        );
        secrets.retain(|secret| !secret.is_empty());
        secrets
    }
}

impl Drop for PublishTarget {
    fn drop(&mut self) {
        self.app.zeroize();
        self.tc_url.zeroize();
    }
}

impl fmt::Debug for PublishTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublishTarget(<redacted>)")
    }
}

/// The shortest part of a key or query that is taken for a secret of its own, in bytes.
const MIN_SECRET_PART: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    fn target(app: &str, tc_url: &str, name: &str) -> PublishTarget {
        PublishTarget {
            app: app.into(),
            tc_url: tc_url.into(),
            stream_name: StreamName::new(name),
            capabilities: Capabilities::default(),
            credentials: None,
            login: Login::default(),
        }
    }

    #[test]
    fn whatever_a_destination_repeats_of_the_address_is_taken_out() {
        let mut target = target(
            "app?token=apptoken",
            "rtmps://host/app?token=apptoken",
            "live_1_abcdef?sig=signature&bw=1",
        );
        target.credentials = Some(Credentials::new("somebody", "pass"));
        for (said, shown) in [
            ("Bad: live_1_abcdef?sig=signature&bw=1!", "Bad: <redacted>!"),
            ("live_1_abcdef in use", "<redacted> in use"),
            ("sig signature is wrong", "sig <redacted> is wrong"),
            ("app?token=apptoken", "app?<redacted>"),
            (
                "apptoken, somebody:pass, pass",
                "<redacted>, <redacted>:<redacted>, <redacted>",
            ),
            ("1 stream of app", "1 stream of app"),
        ] {
            assert_eq!(target.redact(said), shown);
        }
    }

    #[test]
    fn a_part_of_a_key_is_a_secret_from_six_bytes_on() {
        let target = target("live", "rtmp://h/live", "key?a=sixsix&b=five5");
        assert_eq!(target.redact("sixsix five5"), "<redacted> five5");
    }

    #[test]
    fn a_short_key_is_a_key() {
        assert_eq!(
            target("live", "rtmp://h/live", "k").redact("k taken"),
            "<redacted> ta<redacted>en"
        );
        assert_eq!(target("live", "rtmp://h/live", "").redact("taken"), "taken");
        assert_eq!(
            target("live", "rtmp://h/live", " key ").redact("key"),
            "<redacted>"
        );
    }

    #[test]
    fn parts_of_a_key_that_is_a_path_are_secrets_too() {
        let target = target("app", "rtmp://h/app", "event/0123456789");
        assert_eq!(
            target.redact("no 0123456789 in event"),
            "no <redacted> in event"
        );
    }

    /// Reads where a dropped target's texts have been, as whoever reads the process's memory can.
    #[test]
    fn a_target_that_is_dropped_leaves_nothing_behind() {
        let secret = |word: &str| format!("{word}={}", "wiped by drop ".repeat(32));
        let mut target = target(&secret("app"), &secret("url"), &secret("name"));
        target.credentials = Some(Credentials::new(secret("user"), secret("password")));
        let [user, password] = target.credentials.as_ref().unwrap().secrets();
        let name = target.stream_name.expose();
        let places = [&target.app, &target.tc_url, name, user, password]
            .map(|text| (text.as_ptr() as u64, text.len()));
        let read = |(at, length): (u64, usize)| {
            let mut bytes = vec![0; length];
            let memory = std::fs::File::open("/proc/self/mem").unwrap();
            std::os::unix::fs::FileExt::read_exact_at(&memory, &mut bytes, at).unwrap();
            String::from_utf8_lossy(&bytes).contains("wiped by drop")
        };
        assert_eq!(places.map(read), [true; 5]);
        drop(target);
        assert_eq!(places.map(read), [false; 5]);
    }

    #[test]
    fn a_target_prints_nothing() {
        let target = target("app?t=x", "rtmp://h/app?t=x", "key");
        assert_eq!(format!("{target:?}"), "PublishTarget(<redacted>)");
    }
}
