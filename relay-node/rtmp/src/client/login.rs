//! Adobe's authentication: a user name and a password, proved in up to three connections.
//!
//! The destination refuses `connect` and says in the refusal's description what it wants to hear in
//! the next one, on a connection of its own. The answer is appended to the application and to
//! `tcUrl`:
//!
//! ```text
//! connect app                        ← code=403 need auth; authmod=adobe
//! connect app?authmod=adobe&user=…   ← authmod=adobe … ?reason=needauth&salt=…&challenge=…&opaque=…
//! connect app?authmod=adobe&user=…&challenge=…&response=…&opaque=…
//! ```
//!
//! It is written down nowhere; this is what FFmpeg, GStreamer and librtmp do (`rtmpproto.c`,
//! `rtmpclient.c`, `rtmp.c`).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};
use zeroize::Zeroizing;

/// The longest parameter of a demand that is understood, in bytes; servers send about twenty. A
/// demand with a longer one is a refusal like any other.
const MAX_PARAMETER: usize = 512;

/// A user of a destination. Prints as `<redacted>`, and is wiped when dropped.
#[derive(Clone)]
pub struct Credentials {
    user: Zeroizing<String>,
    password: Zeroizing<String>,
}

impl Credentials {
    /// Takes both into custody, byte for byte.
    pub fn new(user: impl Into<String>, password: impl Into<String>) -> Self {
        Self {
            user: Zeroizing::new(user.into()),
            password: Zeroizing::new(password.into()),
        }
    }

    pub(super) fn secrets(&self) -> [&str; 2] {
        [&self.user, &self.password]
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

/// What a connection says of its user; nothing by default. Prints as `<redacted>`.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Login(Step);

#[derive(Clone, Default, Eq, PartialEq)]
enum Step {
    #[default]
    Anonymous,
    Named {
        query: Zeroizing<String>,
    },
    Proved {
        query: Zeroizing<String>,
    },
}

impl Login {
    /// What to say on the next connection, where this one was refused with `demand`. `random` is
    /// fresh: it keeps the answer from being of use to another.
    ///
    /// A destination is asked no more than three times, whatever it demands.
    ///
    /// # Errors
    ///
    /// A person has to change something.
    pub fn answer(
        &self,
        demand: &Demand,
        credentials: Option<&Credentials>,
        random: u32,
    ) -> Result<Self, LoginError> {
        let credentials = credentials.ok_or(LoginError::NoCredentials)?;
        match (demand, &self.0) {
            (Demand::Name, Step::Anonymous) => Ok(Self(Step::Named {
                query: Zeroizing::new(named(credentials)),
            })),
            (Demand::Proof(challenge), Step::Anonymous | Step::Named { .. }) => {
                Ok(Self(Step::Proved {
                    query: Zeroizing::new(challenge.proof(credentials, random)),
                }))
            }
            (Demand::Other, _)
            | (Demand::Name, Step::Named { .. } | Step::Proved { .. })
            | (Demand::Proof(_), Step::Proved { .. }) => Err(LoginError::Refused),
        }
    }

    /// What is appended to the application and to `tcUrl`.
    pub(super) fn query(&self) -> &str {
        match &self.0 {
            Step::Anonymous => "",
            Step::Named { query } | Step::Proved { query } => query,
        }
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

/// Why no answer can be given to a [`Demand`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum LoginError {
    /// The destination wants a user name and a password, and there are none.
    #[error("the destination wants a user name and a password")]
    NoCredentials,
    /// The destination does not accept them.
    #[error("the destination does not accept the user name and the password")]
    Refused,
}

/// What a destination wants to know of a user before it takes a stream.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Demand {
    /// The user's name.
    Name,
    /// That the user knows the password.
    Proof(Challenge),
    /// Another user, or another password.
    Other,
}

/// What a proof is made for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Challenge {
    salt: String,
    challenge: Option<String>,
    opaque: Option<String>,
}

impl Demand {
    /// Reads the description of a refused `connect`; none if it is about something else.
    pub(super) fn read(description: &str) -> Option<Self> {
        let (_, scheme) = description.split_once("authmod=")?;
        if !scheme.starts_with("adobe") {
            return None;
        }
        if description.contains("code=403 need auth") {
            return Some(Self::Name);
        }
        let (_, query) = description.split_once("?reason=")?;
        let query = query.split_whitespace().next().unwrap_or_default();
        let mut parameters = query.split('&');
        if parameters.next() != Some("needauth") {
            return Some(Self::Other);
        }
        let mut challenge = Challenge {
            salt: String::new(),
            challenge: None,
            opaque: None,
        };
        for (name, value) in parameters.filter_map(|pair| pair.split_once('=')) {
            if value.len() > MAX_PARAMETER {
                return None;
            }
            match name {
                "salt" => challenge.salt = value.to_owned(),
                "challenge" => challenge.challenge = Some(value.to_owned()),
                "opaque" => challenge.opaque = Some(value.to_owned()),
                _ => {}
            }
        }
        Some(Self::Proof(challenge))
    }
}

impl Challenge {
    fn proof(&self, credentials: &Credentials, random: u32) -> String {
        let Credentials { user, password } = credentials;
        let own = format!("{random:08x}");
        // Servers of one generation send both, and hash what is opaque to us.
        let theirs = self.opaque.as_deref().or(self.challenge.as_deref());
        let secret = hash([user, &self.salt, password]);
        let response = hash([&secret, theirs.unwrap_or_default(), &own]);
        let opaque = self.opaque.as_ref();
        format!(
            "{}&challenge={own}&response={response}{}",
            named(credentials),
            opaque.map_or_else(String::new, |opaque| format!("&opaque={opaque}"))
        )
    }
}

fn named(credentials: &Credentials) -> String {
    format!("?authmod=adobe&user={}", *credentials.user)
}

/// MD5 is what these servers know; it is weak, and another reason to prefer RTMPS.
fn hash<const N: usize>(parts: [&str; N]) -> String {
    let mut md5 = Md5::new();
    for part in parts {
        md5.update(part);
    }
    STANDARD.encode(md5.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEED_AUTH: &str = "[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ] : ";

    fn demand(query: &str) -> Option<Demand> {
        Demand::read(&format!(
            "[ AccessManager.Reject ] : [ authmod=adobe ] : {query}"
        ))
    }

    fn credentials() -> Credentials {
        Credentials::new("me", "hunter2")
    }

    #[test]
    fn a_refusal_that_is_no_demand_is_none() {
        for description in [
            "",
            "authmod=",
            "[ AccessManager.Reject ] : [ authmod=llnw ] : ?reason=needauth&nonce=1",
            "[ AccessManager.Reject ] : [ code=403 need auth; authmod=llnw ]",
            "code=403 need auth",
            "authmod=adobe",
            "no such application",
        ] {
            assert_eq!(Demand::read(description), None, "{description}");
        }
    }

    #[test]
    fn what_is_wanted_is_said_step_by_step() {
        let name = Demand::read(NEED_AUTH).unwrap();
        assert_eq!(name, Demand::Name);
        let credentials = credentials();
        let named = Login::default()
            .answer(&name, Some(&credentials), 1)
            .unwrap();
        assert_eq!(named.query(), "?authmod=adobe&user=me");

        // The responses are what `md5sum` and `base64` make of the same texts.
        for (query, rest) in [
            (
                "?reason=needauth&user=me&salt=AAQ=&challenge=BBc=&opaque=BBc=",
                "&challenge=00c0ffee&response=N1AwN8rv5KKcqz9Px/IXMA==&opaque=BBc=",
            ),
            (
                "?reason=needauth&user=me&salt=AAQ=&challenge=BBc= ",
                "&challenge=00c0ffee&response=N1AwN8rv5KKcqz9Px/IXMA==",
            ),
            (
                "?reason=needauth&user=me&salt=AAQ=",
                "&challenge=00c0ffee&response=oQ/7x11km9rgyfL+DkT6Mw==",
            ),
        ] {
            let proved = named
                .answer(&demand(query).unwrap(), Some(&credentials), 0x00c0_ffee)
                .unwrap();
            let expected = format!("?authmod=adobe&user=me{rest}");
            assert_eq!(proved.query(), expected, "{query}");
        }
    }

    #[test]
    fn a_destination_is_never_asked_without_end() {
        let credentials = credentials();
        let name = Demand::Name;
        let proof = demand("?reason=needauth&salt=s").unwrap();
        let answer = |login: &Login, demand| login.answer(demand, Some(&credentials), 0);
        let named = answer(&Login::default(), &name).unwrap();
        let proved = answer(&named, &proof).unwrap();
        // Some say at once what they want proved.
        assert_eq!(answer(&Login::default(), &proof), Ok(proved.clone()));
        assert_eq!(answer(&named, &name), Err(LoginError::Refused));
        assert_eq!(answer(&proved, &proof), Err(LoginError::Refused));
        assert_eq!(answer(&proved, &name), Err(LoginError::Refused));
    }

    #[test]
    fn wrong_credentials_and_none_are_told_apart() {
        for query in [
            "?reason=authfailed&opaque=a",
            "?reason=nosuchuser",
            "?reason=",
        ] {
            let other = demand(query).unwrap();
            assert_eq!(other, Demand::Other, "{query}");
            let login = Login::default();
            let refused = Err(LoginError::Refused);
            assert_eq!(login.answer(&other, Some(&credentials()), 0), refused);
        }
        let login = Login::default();
        assert_eq!(
            login.answer(&Demand::Name, None, 0),
            Err(LoginError::NoCredentials)
        );
    }

    #[test]
    fn parameters_are_bounded() {
        let with = |length| demand(&format!("?reason=needauth&salt={}", "s".repeat(length)));
        assert!(matches!(with(MAX_PARAMETER), Some(Demand::Proof(_))));
        assert_eq!(with(MAX_PARAMETER + 1), None);
    }

    #[test]
    fn nothing_of_a_user_is_printed() {
        let login = Login::default().answer(&Demand::Name, Some(&credentials()), 0);
        assert_eq!(
            format!("{login:?} {:?}", credentials()),
            "Ok(<redacted>) <redacted>"
        );
    }
}
