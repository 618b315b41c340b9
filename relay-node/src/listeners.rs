//! The sockets that connections come in by: opened here, or handed to the process by whoever
//! started it.
//!
//! systemd's socket units hold them while no process of the node runs, so that a connection made
//! meanwhile waits instead of being refused (`sd_listen_fds(3)`). Each has the name of what it is
//! for: `rtmps`, `rtmp` or `admin`.

use std::net::{SocketAddr, TcpListener};
use std::{env, fmt, io};

use listenfd::ListenFd;

use crate::socket;

/// What connections come in for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Encoders, by TLS.
    Rtmps,
    /// Encoders, in clear.
    Rtmp,
    /// The operator: health, status and metrics.
    Admin,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Rtmps, Self::Rtmp, Self::Admin];

    /// Its name as a `FileDescriptorName=` of systemd.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rtmps => "rtmps",
            Self::Rtmp => "rtmp",
            Self::Admin => "admin",
        }
    }

    /// The one with that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A socket that listens.
#[derive(Debug)]
pub struct Listener {
    /// What for.
    pub kind: Kind,
    /// Whether it came from outside, in place of what is configured for its kind.
    pub given: bool,
    /// The socket itself.
    pub socket: TcpListener,
}

/// Takes the sockets that systemd has passed to this process, none if it has passed none. To be
/// called once, before there is a second thread: it takes what it read out of the environment.
///
/// # Errors
///
/// One of them has no name that this node knows, or does not listen.
pub fn from_systemd() -> Result<Vec<Listener>, InvalidSocket> {
    let names = env::var("LISTEN_FDNAMES").ok();
    let mut passed = ListenFd::from_env();
    let kinds = kinds(names.as_deref(), passed.len())?;
    let mut listeners = Vec::with_capacity(kinds.len());
    for (index, kind) in kinds.into_iter().enumerate() {
        let socket = passed
            .take_tcp_listener(index)
            .map_err(|source| InvalidSocket::Unusable { kind, source })?;
        listeners.extend(socket.map(|socket| Listener {
            kind,
            given: true,
            socket,
        }));
    }
    Ok(listeners)
}

/// What each of `count` sockets is for, by the names that came with them.
fn kinds(names: Option<&str>, count: usize) -> Result<Vec<Kind>, InvalidSocket> {
    let mut names = names.unwrap_or_default().split(':');
    (0..count)
        .map(|_| {
            let name = names.next().unwrap_or_default();
            Kind::named(name).ok_or_else(|| InvalidSocket::Name(name.to_owned()))
        })
        .collect()
}

/// Why a socket that systemd has passed cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidSocket {
    /// Nobody knows what it is for.
    #[error(
        "a socket from systemd is named {0:?}: set FileDescriptorName= to rtmps, rtmp or admin"
    )]
    Name(String),
    /// Not a TCP socket.
    #[error("the socket for {kind} from systemd is not one to accept TCP connections from")]
    Unusable {
        /// What it should be for.
        kind: Kind,
        /// Why not.
        source: io::Error,
    },
}

/// What should listen, of `kind`: the `given` ones if there are any, in place of what is
/// configured; else one on each address, those of `open` that are there already and new ones on
/// the rest.
///
/// # Errors
///
/// An address cannot be listened on.
pub fn complete(
    kind: Kind,
    addresses: &[SocketAddr],
    open: &mut Vec<Listener>,
) -> Result<Vec<Listener>, ListenError> {
    let given: Vec<_> = open
        .extract_if(.., |listener| listener.kind == kind && listener.given)
        .collect();
    if !given.is_empty() {
        return Ok(given);
    }
    let listen = |&address: &SocketAddr| {
        let there = open.iter().position(|listener| {
            listener.kind == kind && listener.socket.local_addr().is_ok_and(|at| at == address)
        });
        if let Some(index) = there {
            return Ok(open.swap_remove(index));
        }
        match socket::listen(address) {
            Ok(socket) => Ok(Listener {
                kind,
                given: false,
                socket,
            }),
            Err(source) => Err(ListenError { address, source }),
        }
    };
    addresses.iter().map(listen).collect()
}

/// Why a node cannot listen.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}")]
pub struct ListenError {
    /// Where.
    pub address: SocketAddr,
    /// Why not.
    pub source: io::Error,
}

/// Where those of one kind listen.
pub fn addresses_of(kind: Kind, listeners: &[Listener]) -> Vec<SocketAddr> {
    listeners
        .iter()
        .filter(|listener| listener.kind == kind)
        .filter_map(|listener| listener.socket.local_addr().ok())
        .collect()
}

/// Where they listen.
pub fn addresses(listeners: &[Listener]) -> Vec<SocketAddr> {
    listeners
        .iter()
        .filter_map(|listener| listener.socket.local_addr().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn any() -> SocketAddr {
        "127.0.0.1:0".parse().unwrap()
    }

    fn listener(kind: Kind, given: bool) -> Listener {
        let socket = socket::listen(any()).unwrap();
        Listener {
            kind,
            given,
            socket,
        }
    }

    #[test]
    fn sockets_are_known_by_their_names() {
        use Kind::{Admin, Rtmp, Rtmps};
        assert!(matches!(kinds(None, 0).as_deref(), Ok([])));
        let named = kinds(Some("rtmps:admin:rtmps:rtmp"), 4);
        assert_eq!(named.unwrap(), [Rtmps, Admin, Rtmps, Rtmp]);
        for (names, count, wrong) in [
            (None, 1, ""),
            (Some("rtmps"), 2, ""),
            (Some("rtmps:relay-node.socket"), 2, "relay-node.socket"),
        ] {
            let error = kinds(names, count).unwrap_err();
            assert!(
                matches!(&error, InvalidSocket::Name(name) if name == wrong),
                "{error}"
            );
        }
    }

    #[test]
    fn what_is_there_is_used_and_the_rest_is_opened() {
        let (kept, other) = (listener(Kind::Rtmp, false), listener(Kind::Rtmp, false));
        let at = kept.socket.local_addr().unwrap();
        let mut open = vec![other, kept, listener(Kind::Admin, false)];
        let listeners = complete(Kind::Rtmp, &[at, any()], &mut open).unwrap();
        let [first, second] = &listeners[..] else {
            panic!("{listeners:?}");
        };
        assert_eq!(first.socket.local_addr().unwrap(), at);
        assert_ne!(second.socket.local_addr().unwrap(), at);
        assert_eq!(open.len(), 2, "what nobody asked for is left");
    }

    #[test]
    fn what_is_given_stands_for_what_is_configured() {
        let given = listener(Kind::Rtmps, true);
        let at = given.socket.local_addr().unwrap();
        let mut open = vec![given, listener(Kind::Rtmps, false)];
        let wanted = ["192.0.2.1:443".parse().unwrap(), any()];
        let listeners = complete(Kind::Rtmps, &wanted, &mut open).unwrap();
        assert_eq!(addresses(&listeners), [at]);
    }

    #[test]
    fn an_address_that_is_taken_is_named() {
        let taken = listener(Kind::Rtmp, false).socket;
        let address = taken.local_addr().unwrap();
        let error = complete(Kind::Rtmp, &[address], &mut Vec::new()).unwrap_err();
        assert_eq!(error.address, address);
        assert_eq!(error.source.kind(), io::ErrorKind::AddrInUse);
    }
}
