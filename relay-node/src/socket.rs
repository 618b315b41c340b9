//! What every media connection's socket is told, and what its kernel tells back.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::Duration;

use nix::sys::socket::{getsockopt, setsockopt};
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::TcpStream;

/// How long a connection may be silent before the kernel asks whether its peer still lives.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);

/// How long the kernel waits between such questions.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// How long bytes, or questions, may stay unacknowledged before the kernel gives the connection
/// up. Without it a half-open connection lives for a quarter of an hour.
const USER_TIMEOUT: Duration = Duration::from_secs(20);

/// Connections that wait in the kernel to be accepted: a restart of the node brings all its
/// encoders back within a second or two.
const BACKLOG: i32 = 1024;

/// Tells a connection's socket to send at once, and to notice a dead peer.
pub fn prepare(stream: &TcpStream) -> io::Result<()> {
    let socket = SockRef::from(stream);
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(
        &TcpKeepalive::new()
            .with_time(KEEPALIVE_IDLE)
            .with_interval(KEEPALIVE_INTERVAL),
    )?;
    socket.set_tcp_user_timeout(Some(USER_TIMEOUT))
}

/// Tells a sending socket to take no more than `bytes` that it cannot send yet: what the kernel
/// holds can no longer be skipped.
pub fn limit_unsent(stream: &TcpStream, bytes: u32) -> io::Result<()> {
    SockRef::from(stream).set_tcp_notsent_lowat(bytes)
}

/// Listens on `address`. An unspecified IPv6 address takes IPv4 too.
pub fn listen(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    // The last process's connections may still wait out their end.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Tells a receiving socket to wake its reader from so many bytes on, at an end, or where the kernel
/// has room for no more.
pub fn wake_from(stream: &TcpStream, bytes: u32) -> io::Result<()> {
    let bytes = i32::try_from(bytes).unwrap_or(i32::MAX);
    Ok(setsockopt(stream, ReceiveLowWater, &bytes)?)
}

#[derive(Clone, Copy)]
struct ReceiveLowWater;

nix::setsockopt_impl!(
    ReceiveLowWater,
    libc::SOL_SOCKET,
    libc::SO_RCVLOWAT,
    i32,
    nix::sys::socket::sockopt::SetStruct<i32>
);

/// How many bytes the peer's kernel has acknowledged since the connection was made (its opening
/// counts as one).
pub fn acknowledged(socket: &impl AsFd) -> io::Result<u64> {
    Ok(getsockopt(&socket.as_fd(), Info)?.bytes_acked)
}

/// The beginning of the kernel's `struct tcp_info` (linux/tcp.h), to the last field that is needed
/// here. Kernels since 4.1 fill all of it.
#[repr(C)]
#[derive(Clone, Copy)]
struct TcpInfo {
    flags: [u8; 8],
    counts: [u32; 24],
    pacing_rates: [u64; 2],
    bytes_acked: u64,
}

#[derive(Clone, Copy)]
struct Info;

nix::getsockopt_impl!(
    Info,
    libc::IPPROTO_TCP,
    libc::TCP_INFO,
    TcpInfo,
    nix::sys::socket::sockopt::GetStruct<TcpInfo>
);

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn the_kernel_knows_the_bounds() {
        let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        // Of a listener these are the connections that may wait to be accepted.
        let [.., backlog] = first_counts(&listener);
        let most: u32 = std::fs::read_to_string("/proc/sys/net/core/somaxconn")
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        assert_eq!(backlog, most.min(BACKLOG.unsigned_abs()));

        let stream = TcpStream::connect(address).await.unwrap();
        prepare(&stream).unwrap();
        limit_unsent(&stream, 12_345).unwrap();
        let socket = SockRef::from(&stream);
        assert!(socket.tcp_nodelay().unwrap());
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), KEEPALIVE_IDLE);
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), KEEPALIVE_INTERVAL);
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(USER_TIMEOUT));
        assert_eq!(socket.tcp_notsent_lowat().unwrap(), 12_345);
    }

    fn first_counts(socket: &impl AsFd) -> [u32; 6] {
        let info = getsockopt(&socket.as_fd(), Info).unwrap();
        *info.counts.first_chunk().unwrap()
    }

    #[tokio::test]
    async fn acknowledged_bytes_are_counted() {
        let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = TcpListener::from_std(listener).unwrap();
        let address = listener.local_addr().unwrap();
        let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
        let (mut near, (mut far, _)) = (near.unwrap(), far.unwrap());
        prepare(&near).unwrap();
        limit_unsent(&near, 1 << 17).unwrap();
        let before = acknowledged(&near).unwrap();
        near.write_all(&[7; 10_000]).await.unwrap();
        far.read_exact(&mut [0; 10_000]).await.unwrap();
        far.write_all(&[1]).await.unwrap();
        // The answer carries the acknowledgement.
        near.read_exact(&mut [0]).await.unwrap();
        assert_eq!(acknowledged(&near).unwrap() - before, 10_000);
    }
}
