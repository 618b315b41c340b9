//! Why an output is not live, for programs and for people.

use std::fmt;

use crate::backoff::Pace;

/// Why an attempt to send to a destination failed or ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Reason {
    /// The account does as much as it may at this relay.
    AccountLimit,
    /// The destination's address is one that this relay must not connect to.
    AddressForbidden,
    /// The destination does not accept the user name and the password.
    AuthFailed,
    /// The destination wants a user name and a password, and there are none.
    AuthRequired,
    /// The destination says that the stream is being published already.
    BadName,
    /// The destination closed the connection, or it was cut.
    ClosedByPeer,
    /// No TCP connection: unreachable, or another error of the network.
    ConnectFailed,
    /// No TCP connection: nobody listens there.
    ConnectRefused,
    /// No TCP connection in time.
    ConnectTimeout,
    /// The name does not resolve.
    DnsFailed,
    /// The name servers did not answer in time.
    DnsTimeout,
    /// What answered does not speak RTMP.
    HandshakeFailed,
    /// The RTMP handshake was not finished in time.
    HandshakeTimeout,
    /// The relay itself failed.
    Internal,
    /// The destination is an input of the same system.
    Loop,
    /// The destination broke the RTMP protocol after the handshake.
    ProtocolError,
    /// The destination neither took nor refused the stream in time.
    PublishTimeout,
    /// The destination refused the application or the stream key.
    Rejected,
    /// The destination acknowledged nothing for [`STALL_MAX`](super::STALL_MAX).
    Stalled,
    /// The destination's certificate is not valid for its name.
    TlsCertificate,
    /// No TLS session for another reason than the certificate.
    TlsFailed,
    /// No TLS session in time.
    TlsTimeout,
    /// The connection is too slow for the stream, audio alone included.
    TooSlow,
    /// This relay does not know the output's kind of target.
    Unsupported,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 24] = [
        Self::AccountLimit,
        Self::AddressForbidden,
        Self::AuthFailed,
        Self::AuthRequired,
        Self::BadName,
        Self::ClosedByPeer,
        Self::ConnectFailed,
        Self::ConnectRefused,
        Self::ConnectTimeout,
        Self::DnsFailed,
        Self::DnsTimeout,
        Self::HandshakeFailed,
        Self::HandshakeTimeout,
        Self::Internal,
        Self::Loop,
        Self::ProtocolError,
        Self::PublishTimeout,
        Self::Rejected,
        Self::Stalled,
        Self::TlsCertificate,
        Self::TlsFailed,
        Self::TlsTimeout,
        Self::TooSlow,
        Self::Unsupported,
    ];

    /// The stable code that an API client acts on.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AccountLimit => "account_limit",
            Self::AddressForbidden => "address_forbidden",
            Self::AuthFailed => "auth_failed",
            Self::AuthRequired => "auth_required",
            Self::BadName => "bad_name",
            Self::ClosedByPeer => "closed_by_peer",
            Self::ConnectFailed => "connect_failed",
            Self::ConnectRefused => "connect_refused",
            Self::ConnectTimeout => "connect_timeout",
            Self::DnsFailed => "dns_failed",
            Self::DnsTimeout => "dns_timeout",
            Self::HandshakeFailed => "handshake_failed",
            Self::HandshakeTimeout => "handshake_timeout",
            Self::Internal => "internal",
            Self::Loop => "loop",
            Self::ProtocolError => "protocol_error",
            Self::PublishTimeout => "publish_timeout",
            Self::Rejected => "rejected",
            Self::Stalled => "stalled",
            Self::TlsCertificate => "tls_certificate",
            Self::TlsFailed => "tls_failed",
            Self::TlsTimeout => "tls_timeout",
            Self::TooSlow => "too_slow",
            Self::Unsupported => "unsupported",
        }
    }

    /// What happened and what to do, for a person.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::AccountLimit => {
                "The account has as many outputs connected, or sends as much, as it may at this \
                 relay: end others first, or ask for more."
            }
            Self::AddressForbidden => {
                "The destination's name leads to an address that this relay does not connect to, \
                 such as a private network: use the destination's public name."
            }
            Self::AuthFailed => {
                "The destination does not accept the user name and password in the URL: check both."
            }
            Self::AuthRequired => {
                "The destination wants a user name and a password: put them into the URL, as in \
                 rtmp://user:password@host/application."
            }
            Self::BadName => {
                "The destination says that this stream is being published already: stop the other \
                 encoder, or wait until the destination has noticed that it is gone."
            }
            Self::ClosedByPeer => {
                "The destination closed the connection: if this repeats, check the stream key and \
                 whether the stream is set up to receive there."
            }
            Self::ConnectFailed => {
                "The destination cannot be reached over the network: check the host in the URL."
            }
            Self::ConnectRefused => {
                "Nothing accepts connections at the destination's port: check host and port in the \
                 URL."
            }
            Self::ConnectTimeout => {
                "The destination did not answer the connection in time: check host and port in the \
                 URL, and the destination's firewall."
            }
            Self::DnsFailed => {
                "The destination's host name does not resolve: check the spelling in the URL."
            }
            Self::DnsTimeout => {
                "The name servers did not answer for the destination's host name in time."
            }
            Self::HandshakeFailed => {
                "What answers at the destination does not speak RTMP: check the port, and whether \
                 the URL should begin with rtmps:// rather than rtmp://."
            }
            Self::HandshakeTimeout => {
                "The destination took the connection but did not finish the RTMP handshake: check \
                 the port, and whether the URL should begin with rtmps:// rather than rtmp://."
            }
            Self::Internal => "The relay itself failed on this output: please report it.",
            Self::Loop => {
                "The destination is an input of this same relay, so that the feed would go in a \
                 circle: send it elsewhere."
            }
            Self::ProtocolError => "The destination broke the RTMP protocol.",
            Self::PublishTimeout => "The destination neither took nor refused the stream in time.",
            Self::Rejected => {
                "The destination refused the stream: check the application in the URL and the \
                 stream key."
            }
            Self::Stalled => {
                "The destination has acknowledged nothing for 10 seconds: its connection is dead."
            }
            Self::TlsCertificate => {
                "The destination's certificate is not valid for its name: check the host in the \
                 URL, or have the destination's certificate renewed."
            }
            Self::TlsFailed => {
                "No TLS session with the destination: check the port, and whether the URL should \
                 begin with rtmp:// rather than rtmps://."
            }
            Self::TlsTimeout => {
                "The destination did not finish the TLS handshake in time: check the port, and \
                 whether the URL should begin with rtmp:// rather than rtmps://."
            }
            Self::TooSlow => {
                "The connection to the destination is too slow for this stream: lower the \
                 encoder's bitrate."
            }
            Self::Unsupported => {
                "This relay does not know this kind of destination: its software is older than the \
                 control plane's."
            }
        }
    }

    /// Whether only a person can help: such an output is reported as failed, and retried slowly.
    pub fn needs_a_person(self) -> bool {
        matches!(
            self,
            Self::AccountLimit
                | Self::AddressForbidden
                | Self::AuthFailed
                | Self::AuthRequired
                | Self::BadName
                | Self::Loop
                | Self::Rejected
                | Self::TlsCertificate
                | Self::Unsupported
        )
    }

    pub(super) fn pace(self) -> Pace {
        match self {
            Self::BadName => Pace::NAME_IN_USE,
            _ if self.needs_a_person() => Pace::REFUSAL,
            _ => Pace::FAILURE,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn codes_are_snake_case_and_differ() {
        let codes: BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(codes.len(), Reason::ALL.len());
        for code in codes {
            assert!(
                code.chars().all(|c| c.is_ascii_lowercase() || c == '_'),
                "{code}"
            );
        }
    }

    #[test]
    fn sentences_are_whole_and_differ() {
        let sentences: BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.sentence()).collect();
        assert_eq!(sentences.len(), Reason::ALL.len());
        for sentence in sentences {
            assert!(
                sentence.ends_with('.') && !sentence.contains("  "),
                "{sentence}"
            );
        }
    }
}
