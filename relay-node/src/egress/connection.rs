//! A connection to a destination, encrypted or not, that knows what is on its way.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::socket;

/// A TCP connection, perhaps with TLS on it.
pub enum Connection {
    /// RTMP.
    Plain(Counted),
    /// RTMPS.
    Tls(Box<TlsStream<Counted>>),
}

/// How old an answer of the kernel may be for an output that keeps up: what was acknowledged since
/// counts as lag, of which it may have eight seconds. The session asks every second; asking at each
/// write would cost a tenth of what the write does.
const ANSWER_MAX_AGE: Duration = Duration::from_secs(2);

impl Connection {
    /// What the socket has taken so far, and what of it has arrived.
    pub fn traffic(&mut self, now: Instant) -> io::Result<Traffic> {
        self.counted().ask(now)
    }

    /// The same, as it may have been a moment ago.
    pub fn recent_traffic(&mut self, now: Instant) -> io::Result<Traffic> {
        self.counted().recall(now)
    }

    fn counted(&mut self) -> &mut Counted {
        match self {
            Self::Plain(counted) => counted,
            Self::Tls(stream) => stream.get_mut().0,
        }
    }
}

/// A look at a connection's socket, in bytes on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Acknowledged by the peer's kernel since the connection was made.
    pub acknowledged: u64,
    /// Taken by this kernel and not acknowledged.
    pub outstanding: u64,
    /// Whether this is an older answer: what was acknowledged since counts as outstanding.
    pub is_recalled: bool,
}

/// A TCP stream that counts what is written to it.
pub struct Counted {
    stream: TcpStream,
    written: u64,
    /// When the kernel was asked, and what it said was acknowledged.
    answer: Option<(Instant, u64)>,
}

impl Counted {
    /// Counts from 0.
    pub fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            written: 0,
            answer: None,
        }
    }

    fn ask(&mut self, now: Instant) -> io::Result<Traffic> {
        let acknowledged = socket::acknowledged(&self.stream)?;
        self.answer = Some((now, acknowledged));
        Ok(self.traffic(acknowledged, false))
    }

    fn recall(&mut self, now: Instant) -> io::Result<Traffic> {
        match self.answer {
            Some((at, acknowledged)) if now.saturating_duration_since(at) < ANSWER_MAX_AGE => {
                Ok(self.traffic(acknowledged, true))
            }
            _ => self.ask(now),
        }
    }

    fn traffic(&self, acknowledged: u64, is_recalled: bool) -> Traffic {
        Traffic {
            acknowledged,
            outstanding: self.written.saturating_sub(acknowledged),
            is_recalled,
        }
    }

    fn count(&mut self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = written {
            self.written += bytes as u64;
        }
        written
    }
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

fn would_block(written: &io::Result<usize>) -> bool {
    written
        .as_ref()
        .is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}

/// The socket is asked first, and tokio only where it takes nothing: most often it does, and what tokio
/// knows of it is memory that no cache holds.
impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = SockRef::from(&self.stream).send(buf);
        let written = match would_block(&written) {
            true => Pin::new(&mut self.stream).poll_write(cx, buf),
            false => Poll::Ready(written),
        };
        self.count(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // `sendmsg` in place of `writev`, whose way through the files takes a few hundredths longer.
        let send = || SockRef::from(&self.stream).send_vectored(bufs);
        let mut written = send();
        while would_block(&written) {
            ready!(self.stream.poll_write_ready(cx))?;
            written = self.stream.try_io(Interest::WRITABLE, send);
        }
        self.count(Poll::Ready(written))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn the_kernel_is_asked_when_its_answer_is_old() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
        let (mut far, _) = far.unwrap();
        let mut near = Counted::new(near.unwrap());
        let now = Instant::now();
        near.ask(now).unwrap();
        near.write_all(&[7; 10_000]).await.unwrap();
        far.read_exact(&mut [0; 10_000]).await.unwrap();
        far.write_all(&[1]).await.unwrap();
        // The answer carries the acknowledgement.
        near.read_exact(&mut [0]).await.unwrap();
        let recalled = near.recall(now + ANSWER_MAX_AGE - Duration::from_millis(1));
        let recalled = recalled.unwrap();
        // The kernel counts the opening of the connection.
        assert_eq!((recalled.acknowledged, recalled.outstanding), (1, 9_999));
        assert!(recalled.is_recalled);
        let asked = near.recall(now + ANSWER_MAX_AGE).unwrap();
        assert_eq!((asked.acknowledged, asked.outstanding), (10_001, 0));
        assert!(!asked.is_recalled);
    }
}
