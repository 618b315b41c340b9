//! An encoder's socket, of which what comes may be left in the kernel for a while.

use std::io::{self, IoSlice, Read as _};
use std::pin::Pin;
use std::task::{Context, Poll};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::gathering::HELD_MAX;
use crate::socket;

/// How what comes is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// Each packet wakes the task.
    AsItComes,
    /// Less than [`HELD_MAX`] wakes nobody, and need not be readable.
    Held,
    /// Whatever has come is readable, though nobody was woken by it.
    AllThereIs,
}

/// What an encoder's session reads from.
pub(super) trait Holds {
    /// From here on.
    fn set_reading(&mut self, reading: Reading);
}

/// A TCP connection that reads as it is told to.
pub(super) struct EncoderSocket {
    stream: TcpStream,
    reading: Reading,
    /// What wakes the task, in bytes.
    low_water: u32,
    /// Whether the last read of all there is has left nothing.
    is_empty: bool,
}

/// How much is read at once of what nobody was woken by, in bytes: the buffer must be cleared first.
const READ: usize = 32 << 10;

impl EncoderSocket {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            reading: Reading::AsItComes,
            low_water: 1,
            is_empty: false,
        }
    }

    /// The same on the runtime that this is called in.
    pub(super) fn carried(self) -> io::Result<Self> {
        TcpStream::from_std(self.stream.into_std()?).map(Self::new)
    }
}

impl Holds for EncoderSocket {
    fn set_reading(&mut self, reading: Reading) {
        (self.reading, self.is_empty) = (reading, false);
        let low_water = match reading {
            Reading::AsItComes => 1,
            Reading::Held => HELD_MAX,
            Reading::AllThereIs => return,
        };
        if low_water != self.low_water {
            self.low_water = low_water;
            // Where it does not work, everything is read as it comes, and costs what that costs.
            let _ = socket::wake_from(&self.stream, low_water);
        }
    }
}

impl Holds for TlsStream<EncoderSocket> {
    fn set_reading(&mut self, reading: Reading) {
        self.get_mut().0.set_reading(reading);
    }
}

impl AsyncRead for EncoderSocket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // It asks the kernel only if the kernel has said that there is something.
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if read.is_ready() || self.reading != Reading::AllThereIs {
            return read;
        }
        if self.is_empty {
            return Poll::Pending;
        }
        let room = buf.remaining().min(READ);
        let unsaid = (&*SockRef::from(&self.stream)).read(buf.initialize_unfilled_to(room));
        match unsaid {
            Ok(bytes) => {
                buf.advance(bytes);
                // Of an end nothing is left either, and it is said again to who waits for more.
                self.is_empty = bytes < room;
                Poll::Ready(Ok(()))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
            Err(error) => Poll::Ready(Err(error)),
        }
    }
}

impl AsyncWrite for EncoderSocket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// A pipe has no kernel to hold anything.
#[cfg(test)]
impl Holds for tokio::io::DuplexStream {
    fn set_reading(&mut self, _: Reading) {}
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::time::timeout;

    use super::*;

    async fn connection() -> (TcpStream, EncoderSocket) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
        (near.unwrap(), EncoderSocket::new(far.unwrap().0))
    }

    /// What can be read without a wait.
    async fn read_now(socket: &mut EncoderSocket) -> Option<usize> {
        let mut bytes = [0; 1000];
        let mut buf = ReadBuf::new(&mut bytes);
        let read = poll_fn(|cx| Poll::Ready(Pin::new(&mut *socket).poll_read(cx, &mut buf))).await;
        read.is_ready().then(|| buf.filled().len())
    }

    #[tokio::test]
    async fn what_is_held_wakes_nobody_and_is_there_when_it_is_asked_for() {
        let (mut encoder, mut socket) = connection().await;
        encoder.write_all(b"first").await.unwrap();
        assert_eq!(socket.read(&mut [0; 100]).await.unwrap(), 5);
        socket.set_reading(Reading::Held);
        encoder.write_all(b"second").await.unwrap();
        let mut bytes = [0; 100];
        let woken = timeout(Duration::from_millis(50), socket.stream.readable()).await;
        assert!(woken.is_err(), "woken by {woken:?}");
        assert_eq!(read_now(&mut socket).await, None);
        socket.set_reading(Reading::AllThereIs);
        assert_eq!(read_now(&mut socket).await, Some(6));
        assert_eq!(read_now(&mut socket).await, None);
        // What comes before it is said that each packet counts again is not forgotten.
        encoder.write_all(b"third").await.unwrap();
        socket.set_reading(Reading::AsItComes);
        assert_eq!(socket.read(&mut bytes).await.unwrap(), 5);
    }

    #[tokio::test]
    async fn so_much_is_not_held_any_longer_nor_is_an_end() {
        let (mut encoder, mut socket) = connection().await;
        socket.set_reading(Reading::Held);
        let held = usize::try_from(HELD_MAX).unwrap();
        let writing = tokio::spawn(async move {
            encoder.write_all(&vec![7; held]).await.unwrap();
            encoder
        });
        let mut bytes = vec![0; held];
        socket.read_exact(&mut bytes).await.unwrap();
        let mut encoder = writing.await.unwrap();
        encoder.write_all(b"bye").await.unwrap();
        drop(encoder);
        assert_eq!(socket.read(&mut bytes).await.unwrap(), 3);
        assert_eq!(socket.read(&mut bytes).await.unwrap(), 0);
    }
}
