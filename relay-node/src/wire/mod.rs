//! Bytes between a connection and a protocol's state machine, in both directions at once.

mod batch;

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use rtmp::ChunkedMessage;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::io::poll_read_buf;

pub use batch::{Batch, Batches};

/// What is to be written, in order; payloads are shared, and written in as few calls as the
/// connection allows.
#[derive(Debug, Default)]
pub struct Outbox {
    /// Bytes of the first that are written already.
    begun: usize,
    /// Whether something written may still be held back by an encryption layer.
    unflushed: bool,
    /// Here, as it is most often all there is, and `rest` is memory elsewhere.
    first: Option<Outgoing>,
    rest: VecDeque<Outgoing>,
}

impl Outbox {
    /// Puts the protocol's own bytes at the end; they are whole messages.
    pub fn push_bytes(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.push(Outgoing::Bytes(bytes));
        }
    }

    /// Puts a message at the end.
    pub fn push_message(&mut self, message: ChunkedMessage) {
        self.push(Outgoing::Message(message));
    }

    /// Puts messages that others write too at the end.
    pub fn push_batch(&mut self, batch: Arc<Batch>) {
        self.push(Outgoing::Batch(batch));
    }

    /// Forgets every message of which nothing is written yet.
    pub fn keep_begun(&mut self) {
        self.rest.clear();
        if self.begun == 0 {
            self.first = None;
        }
        if let Some(first) = &mut self.first
            && let Outgoing::Batch(batch) = first
        {
            *first = Outgoing::Bytes(batch.begun(self.begun));
            // Where it ends there, nothing is left of it.
            self.advance(0);
        }
    }

    /// Whether there is nothing more to write.
    pub fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// Whether all of it has left this process.
    pub fn is_done(&self) -> bool {
        self.is_empty() && !self.unflushed
    }

    fn push(&mut self, outgoing: Outgoing) {
        match self.first {
            None => self.first = Some(outgoing),
            Some(_) => self.rest.push_back(outgoing),
        }
    }

    fn slices(&self) -> Vec<IoSlice<'_>> {
        let mut slices = Vec::with_capacity(2 * (1 + self.rest.len()));
        let mut skip = self.begun;
        for outgoing in self.first.iter().chain(&self.rest) {
            match outgoing {
                Outgoing::Bytes(bytes) => {
                    slices.extend(bytes.get(skip..).map(IoSlice::new));
                }
                Outgoing::Batch(batch) => {
                    slices.extend(batch.bytes().get(skip..).map(IoSlice::new));
                }
                Outgoing::Message(message) => message.slices(skip, &mut slices),
            }
            skip = 0;
        }
        slices
    }

    /// What is to be written, if it is in one piece.
    fn piece(&self) -> Option<&[u8]> {
        if !self.rest.is_empty() {
            return None;
        }
        match self.first.as_ref()? {
            Outgoing::Bytes(bytes) => bytes.get(self.begun..),
            Outgoing::Batch(batch) => batch.bytes().get(self.begun..),
            Outgoing::Message(_) => None,
        }
    }

    fn advance(&mut self, written: usize) {
        self.begun += written;
        while let Some(first) = &self.first
            && self.begun >= first.len()
        {
            self.begun -= first.len();
            self.first = self.rest.pop_front();
        }
    }
}

#[derive(Debug)]
enum Outgoing {
    Bytes(Bytes),
    Batch(Arc<Batch>),
    Message(ChunkedMessage),
}

impl Outgoing {
    fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Batch(batch) => batch.bytes().len(),
            Self::Message(message) => message.len(),
        }
    }
}

/// What was exchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exchanged {
    /// Everything written has left this process.
    Flushed,
    /// So many bytes were read; none means that the peer has closed its side.
    Read(usize),
    /// So many bytes of the outbox were written.
    Wrote(usize),
}

/// Writes from `outbox` and reads to `inbox`, if there is one, whichever comes first. Nothing is
/// lost when the future is dropped.
///
/// A peer that says goodbye and closes at once answers what is written then with a reset. What it
/// said before is here nevertheless: a write that fails is an error only when all of it was read.
pub async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    mut inbox: Option<&mut BytesMut>,
    outbox: &mut Outbox,
) -> io::Result<Exchanged> {
    poll_fn(|cx| {
        let sent = poll_send(stream, cx, outbox);
        if let Poll::Ready(Ok(_)) = sent {
            return sent;
        }
        let Some(inbox) = &mut inbox else {
            return sent;
        };
        let read = poll_read_buf(Pin::new(&mut *stream), cx, &mut **inbox);
        match (sent, read) {
            (_, Poll::Ready(Ok(bytes))) if bytes > 0 => Poll::Ready(Ok(Exchanged::Read(bytes))),
            (Poll::Ready(Err(error)), _) => Poll::Ready(Err(error)),
            (_, read) => read.map_ok(Exchanged::Read),
        }
    })
    .await
}

/// Writes what `outbox` has and the connection takes. While that is nothing, the task is woken when
/// it is something.
pub fn poll_send<S: AsyncWrite + Unpin>(
    stream: &mut S,
    cx: &mut Context<'_>,
    outbox: &mut Outbox,
) -> Poll<io::Result<Exchanged>> {
    let mut unflushed = outbox.unflushed;
    let sent = match outbox.piece() {
        Some(piece) => poll_outgoing(stream, cx, &[IoSlice::new(piece)], &mut unflushed),
        None => poll_outgoing(stream, cx, &outbox.slices(), &mut unflushed),
    };
    outbox.unflushed = unflushed;
    if let Poll::Ready(Ok(Exchanged::Wrote(bytes))) = sent {
        outbox.advance(bytes);
    }
    sent
}

fn poll_outgoing<S: AsyncWrite + Unpin>(
    stream: &mut S,
    cx: &mut Context<'_>,
    slices: &[IoSlice<'_>],
    unflushed: &mut bool,
) -> Poll<io::Result<Exchanged>> {
    let mut stream = Pin::new(stream);
    let exchanged = if slices.is_empty() {
        if !*unflushed {
            return Poll::Pending;
        }
        Exchanged::Flushed
    } else {
        let written = match slices {
            // A vector of one costs more than the one.
            [piece] => stream.as_mut().poll_write(cx, piece),
            _ => stream.as_mut().poll_write_vectored(cx, slices),
        };
        let bytes = ready!(written)?;
        if bytes == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        *unflushed = true;
        Exchanged::Wrote(bytes)
    };
    // What is written leaves at once, where it can, and costs no turn of its own.
    match (stream.poll_flush(cx), exchanged) {
        (Poll::Ready(flushed), _) => {
            flushed?;
            *unflushed = false;
        }
        (Poll::Pending, Exchanged::Flushed) => return Poll::Pending,
        (Poll::Pending, _) => {}
    }
    Poll::Ready(Ok(exchanged))
}

#[cfg(test)]
mod tests {
    use rtmp::{ChunkSize, ChunkStreamId, MessageType};
    use tokio::io::{AsyncReadExt, duplex};

    use super::*;

    fn message(payload: &'static [u8]) -> ChunkedMessage {
        let size = ChunkSize::new(4).unwrap();
        let payload = Bytes::from_static(payload);
        ChunkedMessage::new(
            ChunkStreamId::VIDEO,
            1,
            MessageType::VIDEO,
            0,
            payload,
            size,
        )
        .unwrap()
    }

    #[tokio::test]
    async fn everything_arrives_in_order_through_a_narrow_pipe() {
        let (mut near, mut far) = duplex(3);
        let mut outbox = Outbox::default();
        let mut expected = Vec::new();
        for payload in [&b"0123456789"[..], b"abc", b""] {
            outbox.push_bytes(Bytes::from_static(b"control"));
            expected.extend_from_slice(b"control");
            expected.extend_from_slice(&message(payload).to_bytes());
            outbox.push_message(message(payload));
            let batch = Batch::of(&[message(b"one"), message(b"another")]);
            expected.extend_from_slice(batch.bytes());
            outbox.push_batch(Arc::new(batch));
        }
        let reading = tokio::spawn(async move {
            let mut received = Vec::new();
            far.read_to_end(&mut received).await.unwrap();
            received
        });
        while !outbox.is_done() {
            exchange(&mut near, None, &mut outbox).await.unwrap();
        }
        drop(near);
        assert_eq!(reading.await.unwrap(), expected);
    }

    #[tokio::test]
    async fn only_a_message_begun_is_kept() {
        let (mut near, _far) = duplex(3);
        let mut outbox = Outbox::default();
        outbox.push_message(message(b"first"));
        outbox.push_message(message(b"second"));
        assert_eq!(
            exchange(&mut near, None, &mut outbox).await.unwrap(),
            Exchanged::Wrote(3)
        );
        outbox.keep_begun();
        assert_eq!(
            outbox.slices().iter().map(|s| s.len()).sum::<usize>(),
            message(b"first").len() - 3
        );
        outbox.advance(message(b"first").len() - 3);
        outbox.push_message(message(b"third"));
        outbox.keep_begun();
        assert!(outbox.is_empty());
    }

    #[tokio::test]
    async fn of_a_batch_only_a_message_begun_is_kept() {
        let (first, second) = (message(b"first").len(), message(b"second").len());
        for (written, kept) in [
            (0, 0),
            (1, first),
            (first, first),
            (first + 1, first + second),
        ] {
            let (mut near, _far) = duplex(written.max(1));
            let mut outbox = Outbox::default();
            let messages = [message(b"first"), message(b"second"), message(b"third")];
            outbox.push_batch(Arc::new(Batch::of(&messages)));
            if written > 0 {
                let wrote = exchange(&mut near, None, &mut outbox).await.unwrap();
                assert_eq!(wrote, Exchanged::Wrote(written));
            }
            outbox.keep_begun();
            let left: usize = outbox.slices().iter().map(|slice| slice.len()).sum();
            assert_eq!(left, kept - written, "{written} bytes were written");
            assert_eq!(outbox.is_empty(), left == 0);
        }
    }

    #[tokio::test]
    async fn reading_goes_on_while_writing_is_blocked() {
        let (mut near, mut far) = duplex(4);
        let mut outbox = Outbox::default();
        outbox.push_message(message(b"longer than the pipe"));
        assert_eq!(
            exchange(&mut near, None, &mut outbox).await.unwrap(),
            Exchanged::Wrote(4)
        );
        tokio::io::AsyncWriteExt::write_all(&mut far, b"hi")
            .await
            .unwrap();
        let mut inbox = BytesMut::new();
        assert_eq!(
            exchange(&mut near, Some(&mut inbox), &mut outbox)
                .await
                .unwrap(),
            Exchanged::Read(2)
        );
        assert_eq!(inbox, "hi");
    }

    #[tokio::test]
    async fn what_was_said_before_the_connection_broke_is_read() {
        let (mut near, mut far) = duplex(16);
        tokio::io::AsyncWriteExt::write_all(&mut far, b"goodbye")
            .await
            .unwrap();
        drop(far);
        let mut outbox = Outbox::default();
        outbox.push_bytes(Bytes::from_static(b"an answer"));
        let mut inbox = BytesMut::with_capacity(4);
        while inbox.len() < 7 {
            let read = exchange(&mut near, Some(&mut inbox), &mut outbox).await;
            assert!(matches!(read, Ok(Exchanged::Read(1..))), "{read:?}");
        }
        assert_eq!(inbox, "goodbye");
        let error = exchange(&mut near, Some(&mut inbox), &mut outbox)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}
