//! A TCP connection to one of a name's addresses, whichever stands first.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use broadcast::Reason;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::DialError;

/// How long an address has for itself before the next one is tried beside it (RFC 8305,
/// *Connection Attempt Delay*, recommends 250 ms).
const NEXT_ADDRESS_DELAY: Duration = Duration::from_millis(300);

/// How many addresses of a name are tried; names of large platforms have more, all alike.
const MAX_ADDRESSES: usize = 8;

/// The addresses with the families by turns, the resolver's first choice first: if one family does
/// not work, the second attempt is with the other.
pub(super) fn by_turns(addresses: Vec<SocketAddr>) -> VecDeque<SocketAddr> {
    let first_is_ipv6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) = addresses
        .into_iter()
        .partition(|address| address.is_ipv6() == first_is_ipv6);
    let mut second = second.into_iter();
    let mut turns: VecDeque<_> = first
        .into_iter()
        .flat_map(|address| [Some(address), second.next()])
        .flatten()
        .collect();
    turns.extend(second);
    turns.truncate(MAX_ADDRESSES);
    turns
}

/// Tries the addresses one after the other, without waiting for one that is slow; the first
/// connection that stands wins.
pub(super) async fn connect(mut addresses: VecDeque<SocketAddr>) -> Result<TcpStream, DialError> {
    let mut attempts = JoinSet::new();
    let mut last = DialError::from(Reason::ConnectFailed);
    loop {
        if let Some(address) = addresses.pop_front() {
            attempts.spawn(TcpStream::connect(address));
        }
        let next_address = async {
            match addresses.is_empty() {
                true => std::future::pending().await,
                false => sleep(NEXT_ADDRESS_DELAY).await,
            }
        };
        tokio::select! {
            () = next_address => {}
            attempt = attempts.join_next() => match attempt {
                None => return Err(last),
                Some(Ok(Ok(stream))) => return Ok(stream),
                Some(Ok(Err(error))) => last = not_connected(&error),
                Some(Err(_)) => last = Reason::Internal.into(),
            },
        }
    }
}

pub(super) fn not_connected(error: &io::Error) -> DialError {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Reason::ConnectRefused.into(),
        io::ErrorKind::TimedOut => Reason::ConnectTimeout.into(),
        kind => DialError {
            reason: Reason::ConnectFailed,
            words: Some(kind.to_string()),
        },
    }
}

#[cfg(test)]
pub(super) mod tests {
    use tokio::net::TcpListener;
    use tokio::time::{Instant, timeout};

    use super::*;

    pub(in crate::egress) async fn listener() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    /// A listener whose queue is full, so that the kernel leaves further connections unanswered;
    /// and what fills it.
    pub(in crate::egress) async fn mute() -> (socket2::Socket, SocketAddr, Vec<TcpStream>) {
        let socket = socket2::Socket::new(
            socket2::Domain::IPV4,
            socket2::Type::STREAM,
            Some(socket2::Protocol::TCP),
        )
        .unwrap();
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        socket.bind(&any.into()).unwrap();
        socket.listen(0).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        let mut fill = Vec::new();
        while let Ok(Ok(stream)) =
            timeout(Duration::from_millis(200), TcpStream::connect(address)).await
        {
            fill.push(stream);
        }
        (socket, address, fill)
    }

    #[tokio::test]
    async fn the_next_address_is_tried_after_a_dead_one() {
        let (listener, address) = listener().await;
        let (dead, dead_address) = self::listener().await;
        drop(dead);
        let stream = connect([dead_address, address].into()).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), address);
        drop(listener);
    }

    #[tokio::test]
    async fn the_next_address_does_not_wait_for_one_that_is_mute() {
        let (_mute, mute_address, _fill) = mute().await;
        let (_listener, address) = listener().await;
        let began = Instant::now();
        let stream = timeout(
            10 * NEXT_ADDRESS_DELAY,
            connect([mute_address, address].into()),
        );
        let stream = stream.await.unwrap().unwrap();
        assert_eq!(stream.peer_addr().unwrap(), address);
        assert!(began.elapsed() >= NEXT_ADDRESS_DELAY);
    }

    #[test]
    fn families_take_turns() {
        let parse = |texts: &[&str]| -> Vec<SocketAddr> {
            texts.iter().map(|text| text.parse().unwrap()).collect()
        };
        let found = parse(&["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1"]);
        let turns = parse(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "[::3]:1"]);
        assert_eq!(by_turns(found), turns);
        let found = parse(&["1.1.1.1:1", "[::1]:1", "[::2]:1"]);
        assert_eq!(by_turns(found.clone()), found);
        assert_eq!(
            by_turns(vec![found[0]; 2 * MAX_ADDRESSES]).len(),
            MAX_ADDRESSES
        );
    }
}
