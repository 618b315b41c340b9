//! The destination of all outputs, which compares every message with what its encoder sends.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use anyhow::Result;
use bytes::Bytes;
use rtmp::MessageType;
use rtmp::server::{ServerConfig, ServerEvent, ServerSession};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::fanout::media::{self, Media, Piece};

/// All streams, by the key that they are published with.
#[derive(Clone, Default)]
pub(super) struct Sinks(Arc<Mutex<HashMap<String, Stream>>>);

/// What came by one output.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    media: Media,
    /// How often it was published.
    pub(super) connects: usize,
    pub(super) messages: u64,
    /// Messages that were left out between two that came by one connection.
    pub(super) lost: u64,
    pub(super) altered: u64,
    pub(super) disordered: u64,
    /// The number of the last message of each session of the encoder that came by the connection
    /// that is open, or was last.
    pub(super) sessions: Vec<usize>,
    /// Whether the last connection ended with a goodbye.
    pub(super) said_goodbye: bool,
}

impl Sinks {
    /// An output of that key will be sent `media`.
    pub(super) fn expect(&self, key: &str, media: Media) {
        let stream = Stream {
            media,
            connects: 0,
            messages: 0,
            lost: 0,
            altered: 0,
            disordered: 0,
            sessions: Vec::new(),
            said_goodbye: false,
        };
        self.lock().insert(key.to_owned(), stream);
    }

    /// What has come by that key.
    pub(super) fn stream(&self, key: &str) -> Option<Stream> {
        self.lock().get(key).cloned()
    }

    /// Takes streams from `listener`, until its runtime ends.
    pub(super) async fn serve(self, listener: TcpListener, tls: Option<TlsAcceptor>) {
        while let Ok((stream, _)) = listener.accept().await {
            let (tls, sinks) = (tls.clone(), self.clone());
            tokio::spawn(async move {
                // What breaks a connection shows in what came by it.
                let _ = stream.set_nodelay(true);
                match tls {
                    Some(tls) => sinks.take(tls.accept(stream).await?).await,
                    None => sinks.take(stream).await,
                }
            });
        }
    }

    async fn take(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin) -> Result<()> {
        let mut session = ServerSession::new(ServerConfig::default(), Instant::now());
        let mut published: Option<(String, Checker)> = None;
        loop {
            while let Some(bytes) = session.poll_output() {
                stream.write_all(&bytes).await?;
            }
            stream.flush().await?;
            if session.is_closed() || stream.read_buf(session.read_buf()).await? == 0 {
                return Ok(());
            }
            session.process(Instant::now())?;
            while let Some(event) = session.poll_event() {
                match event {
                    ServerEvent::PublishRequested(request) => {
                        session.accept(Instant::now())?;
                        let key = request.key.expose().to_owned();
                        if let Some(known) = self.lock().get_mut(&key) {
                            known.connects += 1;
                            known.sessions.clear();
                            known.said_goodbye = false;
                            published = Some((key, Checker::new(known.media)));
                        }
                    }
                    ServerEvent::Media(message) => {
                        if let Some((key, checker)) = &mut published
                            && let Some(stream) = self.lock().get_mut(key)
                        {
                            checker.take(message.kind, &message.payload, stream);
                        }
                    }
                    ServerEvent::Goodbye => {
                        if let Some((key, _)) = &published
                            && let Some(stream) = self.lock().get_mut(key)
                        {
                            stream.said_goodbye = true;
                        }
                    }
                    _ => {}
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Stream>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes what must come, beside what comes.
struct Checker {
    media: Media,
    headers: Vec<Piece>,
    expected: Box<dyn Iterator<Item = Piece> + Send>,
    next: usize,
    begun: bool,
}

impl Checker {
    fn new(media: Media) -> Self {
        Self {
            media,
            headers: Media::headers(),
            expected: Box::new(media.pieces()),
            next: 0,
            begun: false,
        }
    }

    fn take(&mut self, kind: MessageType, payload: &Bytes, stream: &mut Stream) {
        stream.messages += 1;
        let Some((number, is_key)) = media::number(kind, payload) else {
            let is_header = |piece: &Piece| piece.kind == kind && piece.payload == *payload;
            stream.altered += u64::from(!self.headers.iter().any(is_header));
            return;
        };
        if number < self.next {
            if number > 0 || !is_key {
                stream.disordered += 1;
                return;
            }
            // The encoder has begun anew.
            self.expected = Box::new(self.media.pieces());
            self.next = 0;
            stream.sessions.push(0);
        } else if !self.begun {
            stream.sessions.push(0);
        }
        let missing = number - self.next;
        if self.begun {
            stream.lost += missing as u64;
        }
        self.begun = true;
        let expected = self.expected.nth(missing);
        self.next = number + 1;
        let is_right =
            expected.is_some_and(|piece| piece.kind == kind && piece.payload == *payload);
        stream.altered += u64::from(!is_right);
        if let Some(last) = stream.sessions.last_mut() {
            *last = number;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEDIA: Media = Media {
        bits_per_second: 500_000,
    };

    fn found(pieces: impl Iterator<Item = Piece>) -> Stream {
        let sinks = Sinks::default();
        sinks.expect("key", MEDIA);
        let mut stream = sinks.stream("key").unwrap();
        let mut checker = Checker::new(MEDIA);
        for piece in pieces {
            checker.take(piece.kind, &piece.payload, &mut stream);
        }
        stream
    }

    fn sent() -> impl Iterator<Item = Piece> {
        Media::headers().into_iter().chain(MEDIA.pieces()).take(300)
    }

    #[test]
    fn a_whole_stream_and_one_that_begins_anew_are_right() {
        let stream = found(sent().chain(sent().take(100)));
        assert_eq!((stream.lost, stream.altered, stream.disordered), (0, 0, 0));
        assert_eq!(stream.sessions, [296, 96]);
        let late = found(MEDIA.pieces().skip(80).take(10));
        assert_eq!((late.lost, late.altered), (0, 0));
    }

    #[test]
    fn what_is_lost_altered_or_moved_is_seen() {
        let without = found(
            sent()
                .enumerate()
                .filter(|(n, _)| *n != 50)
                .map(|(_, piece)| piece),
        );
        assert_eq!((without.lost, without.altered), (1, 0));
        let other = Media {
            bits_per_second: 510_000,
        };
        assert!(found(other.pieces().take(20)).altered > 0);
        let altered = found(sent().map(|mut piece| {
            if piece.timestamp == 1000 {
                let mut payload = piece.payload.to_vec();
                *payload.last_mut().unwrap() ^= 1;
                piece.payload = payload.into();
            }
            piece
        }));
        assert!(altered.altered > 0 && altered.lost == 0);
        let twice = found(sent().chain(MEDIA.pieces().skip(100).take(1)));
        assert_eq!(twice.disordered, 1);
    }
}
