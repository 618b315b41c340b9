//! An encoder's socket, of which what comes may be left in the kernel for a while.

use std::io::{self, ErrorKind, IoSlice, Read as _};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::gathering::{HELD_MAX, Windows};
use crate::alarm::Alarm;
use crate::{clock, socket};

/// What an encoder's session reads from.
pub(super) trait Gathers {
    /// What comes from here on is readable at the end of each of these windows, all of it, or before
    /// where it is much; without windows, as it comes. A window that is open goes on.
    fn gather(&mut self, windows: Option<Windows>);
}

/// A TCP connection that leaves what comes in the kernel until a window ends.
pub(super) struct EncoderSocket {
    stream: TcpStream,
    windows: Option<Windows>,
    reading: Reading,
    /// Made for the first window.
    alarm: Option<Alarm>,
    /// What wakes the task, in bytes.
    low_water: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    /// Each packet wakes the task.
    AsItComes,
    /// The next packet begins a window.
    Waiting,
    /// A window is open until the alarm goes off: less than [`HELD_MAX`] wakes nobody.
    Held,
    /// One has ended, and what it holds is read.
    Emptying {
        /// Whether there was anything.
        has_come: bool,
        /// Whether the last read has left nothing.
        is_empty: bool,
    },
}

/// How much of a window is read at once, in bytes: the buffer must be cleared first.
const READ: usize = 32 << 10;

impl EncoderSocket {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            windows: None,
            reading: Reading::AsItComes,
            alarm: None,
            low_water: 1,
        }
    }

    /// The same on the runtime that this is called in.
    pub(super) fn carried(self) -> io::Result<Self> {
        TcpStream::from_std(self.stream.into_std()?).map(Self::new)
    }

    fn wake_from(&mut self, low_water: u32) {
        if low_water != self.low_water {
            self.low_water = low_water;
            // Where it does not work, everything wakes, and costs what that costs.
            let _ = socket::wake_from(&self.stream, low_water);
        }
    }

    /// Opens a window.
    fn hold(&mut self, now: Instant, until: Instant) -> io::Result<()> {
        let alarm = match &self.alarm {
            Some(alarm) => alarm,
            None => self.alarm.insert(Alarm::new()?),
        };
        alarm.set(until.saturating_duration_since(now))?;
        // What has begun the window says nothing of what ends it.
        let _ = self
            .stream
            .try_io(Interest::READABLE, || -> io::Result<()> {
                Err(ErrorKind::WouldBlock.into())
            });
        self.wake_from(HELD_MAX);
        self.reading = Reading::Held;
        Ok(())
    }

    /// Goes on after what a window held was read, or without windows.
    fn go_on(&mut self, has_come: bool) {
        let now = clock::now();
        let next = self
            .windows
            .filter(|_| has_come)
            .and_then(|windows| windows.next(now));
        if let Some(until) = next
            && self.hold(now, until).is_ok()
        {
            return;
        }
        self.reading = match self.windows {
            Some(_) => Reading::Waiting,
            None => Reading::AsItComes,
        };
        self.wake_from(1);
    }

    /// Whether the open window is over: much has come, or an end, or it was to end by now.
    fn poll_over(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match (self.stream.poll_read_ready(cx), &self.alarm) {
            (Poll::Pending, Some(alarm)) => alarm.poll(cx).map(Ok),
            (ready, _) => ready,
        }
    }
}

impl Gathers for EncoderSocket {
    fn gather(&mut self, windows: Option<Windows>) {
        let had = std::mem::replace(&mut self.windows, windows);
        if had.is_some() != windows.is_some() {
            self.go_on(false);
        }
    }
}

impl Gathers for TlsStream<EncoderSocket> {
    fn gather(&mut self, windows: Option<Windows>) {
        self.get_mut().0.gather(windows);
    }
}

impl AsyncRead for EncoderSocket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            match (self.reading, self.windows) {
                (Reading::AsItComes, _) | (Reading::Waiting, None) => {
                    return Pin::new(&mut self.stream).poll_read(cx, buf);
                }
                (Reading::Waiting, Some(windows)) => {
                    ready!(self.stream.poll_read_ready(cx))?;
                    let now = clock::now();
                    if self.hold(now, windows.first(now)).is_err() {
                        // Without a timer there are no windows.
                        self.gather(None);
                    }
                }
                (Reading::Held, _) => {
                    ready!(self.poll_over(cx))?;
                    self.reading = Reading::Emptying {
                        has_come: false,
                        is_empty: false,
                    };
                }
                (Reading::Emptying { has_come, is_empty }, _) => {
                    if is_empty {
                        self.go_on(has_come);
                        continue;
                    }
                    let room = buf.remaining().min(READ);
                    // Tokio asks the kernel only if the kernel has said that there is something.
                    let read =
                        (&*SockRef::from(&self.stream)).read(buf.initialize_unfilled_to(room));
                    match read {
                        Ok(bytes) => {
                            buf.advance(bytes);
                            self.reading = Reading::Emptying {
                                has_come: true,
                                // Of an end nothing is left either, and it is said again.
                                is_empty: bytes < room,
                            };
                            return Poll::Ready(Ok(()));
                        }
                        Err(error) if error.kind() == ErrorKind::WouldBlock => {
                            self.go_on(has_come);
                        }
                        Err(error) => return Poll::Ready(Err(error)),
                    }
                }
            }
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

/// A pipe has no kernel to leave anything in.
#[cfg(test)]
impl Gathers for tokio::io::DuplexStream {
    fn gather(&mut self, _: Option<Windows>) {}
}

#[cfg(test)]
pub(super) mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::time::timeout;

    use super::super::gathering::Gathering;
    use super::*;

    const FOR_EVER: Duration = Duration::from_secs(3600);

    /// Of an encoder with so many outputs.
    fn windows(length: Duration, outputs: usize) -> Option<Windows> {
        let now = clock::now();
        let mut gathering = Gathering::new(length, now);
        gathering.takes(now, true);
        gathering.windows(outputs)
    }

    /// An encoder's end of a connection, and the node's.
    pub(in crate::ingest) async fn connection() -> (TcpStream, EncoderSocket) {
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

    /// Reads until the first packet has opened a window.
    async fn opened(socket: &mut EncoderSocket) {
        while !matches!(socket.reading, Reading::Held) {
            assert_eq!(read_now(socket).await, None);
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_packet_opens_a_window_at_whose_end_all_there_is_is_read() {
        const WINDOW: Duration = Duration::from_millis(30);
        let (mut encoder, mut socket) = connection().await;
        encoder.write_all(b"first").await.unwrap();
        assert_eq!(socket.read(&mut [0; 100]).await.unwrap(), 5);
        socket.gather(windows(WINDOW, 50));
        let mut bytes = [0; 100];
        for _ in 0..2 {
            let began = Instant::now();
            encoder.write_all(b"second").await.unwrap();
            opened(&mut socket).await;
            encoder.write_all(b"third").await.unwrap();
            assert_eq!(socket.read(&mut bytes).await.unwrap(), 11);
            assert!(began.elapsed() >= WINDOW, "after {:?}", began.elapsed());
            assert_eq!(read_now(&mut socket).await, None);
            assert_eq!(socket.reading, Reading::Waiting);
        }
    }

    #[tokio::test]
    async fn what_is_held_wakes_nobody_and_is_there_when_it_is_held_no_longer() {
        let (mut encoder, mut socket) = connection().await;
        socket.gather(windows(FOR_EVER, 50));
        encoder.write_all(b"first").await.unwrap();
        opened(&mut socket).await;
        encoder.write_all(b"second").await.unwrap();
        let woken = timeout(Duration::from_millis(50), socket.stream.readable()).await;
        assert!(woken.is_err(), "woken by {woken:?}");
        assert_eq!(read_now(&mut socket).await, None);
        socket.gather(None);
        let mut bytes = [0; 100];
        assert_eq!(socket.read(&mut bytes).await.unwrap(), 11);
        encoder.write_all(b"third").await.unwrap();
        assert_eq!(socket.read(&mut bytes).await.unwrap(), 5);
    }

    #[tokio::test]
    async fn so_much_is_not_held_any_longer_nor_is_an_end() {
        let (mut encoder, mut socket) = connection().await;
        socket.gather(windows(FOR_EVER, 50));
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
        for _ in 0..2 {
            assert_eq!(socket.read(&mut bytes).await.unwrap(), 0);
        }
    }

    #[tokio::test]
    async fn of_few_outputs_one_window_follows_the_other_while_something_comes() {
        const WINDOW: Duration = Duration::from_millis(20);
        let (mut encoder, mut socket) = connection().await;
        socket.gather(windows(WINDOW, 1));
        let mut bytes = [0; 100];
        encoder.write_all(b"first").await.unwrap();
        assert_eq!(socket.read(&mut bytes).await.unwrap(), 5);
        assert_eq!(read_now(&mut socket).await, None);
        assert!(matches!(socket.reading, Reading::Held), "the next");
        encoder.write_all(b"second").await.unwrap();
        assert_eq!(socket.read(&mut bytes).await.unwrap(), 6);
        assert_eq!(read_now(&mut socket).await, None);
        assert!(matches!(socket.reading, Reading::Held), "the last");
        while matches!(socket.reading, Reading::Held) {
            let read = timeout(WINDOW, socket.read(&mut bytes)).await;
            read.unwrap_err();
        }
        assert_eq!(socket.reading, Reading::Waiting);
    }
}
