//! Destinations: one thread that takes every stream, and compares it with what was sent.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anyhow::Result;
use rtmp::server::{ServerConfig, ServerEvent, ServerSession};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::media::{self, Sent};

/// What came to all destinations of a run.
#[derive(Debug, Default)]
pub(super) struct Sinks {
    /// Bytes of payload.
    pub(super) bytes: AtomicU64,
    /// Of those that have a keyframe.
    pub(super) begun: AtomicU64,
    /// By the key of the stream.
    pub(super) streams: Mutex<HashMap<String, Received>>,
}

/// What came to one destination.
#[derive(Debug, Default)]
pub(super) struct Received {
    pub(super) first_media: Option<Instant>,
    pub(super) first_keyframe: Option<Instant>,
    /// Number, and microseconds from the publisher's write.
    pub(super) messages: Vec<(usize, u32)>,
    pub(super) altered: u64,
    pub(super) disordered: u64,
}

/// The key of the stream of that publisher for its output of that number.
pub(crate) fn key(publisher: usize, output: usize) -> String {
    format!("s{publisher}-{output}")
}

fn publisher(key: &str) -> Option<usize> {
    key.strip_prefix('s')?.split('-').next()?.parse().ok()
}

/// Takes streams from `listener`, until it is dropped.
pub(super) async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    sent: Vec<Arc<Sent>>,
    sinks: Arc<Sinks>,
) {
    while let Ok((stream, _)) = listener.accept().await {
        let (tls, sent, sinks) = (tls.clone(), sent.clone(), Arc::clone(&sinks));
        tokio::task::spawn_local(async move {
            // A connection that breaks lacks messages, which is what counts.
            let _ = stream.set_nodelay(true);
            let _: Result<()> = async {
                match tls {
                    Some(tls) => take(tls.accept(stream).await?, &sent, &sinks).await,
                    None => take(stream, &sent, &sinks).await,
                }
            }
            .await;
        });
    }
}

async fn take<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    sent: &[Arc<Sent>],
    sinks: &Sinks,
) -> Result<()> {
    let mut session = ServerSession::new(ServerConfig::default(), Instant::now());
    let mut from = None;
    let mut received = Received::default();
    let mut key = String::new();
    let result = async {
        loop {
            while let Some(bytes) = session.poll_output() {
                stream.write_all(&bytes).await?;
            }
            if session.is_closed() || stream.read_buf(session.read_buf()).await? == 0 {
                return Ok(());
            }
            let at = Instant::now();
            session.process(at)?;
            while let Some(event) = session.poll_event() {
                match event {
                    ServerEvent::PublishRequested(request) => {
                        session.accept(at)?;
                        key = request.key.expose().to_owned();
                        from = publisher(&key).and_then(|publisher| sent.get(publisher));
                    }
                    ServerEvent::Media(message) => {
                        let Some(from) = from else { continue };
                        sinks
                            .bytes
                            .fetch_add(message.payload.len() as u64, Ordering::Relaxed);
                        if received.take(at, message.kind, &message.payload, from) {
                            sinks.begun.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                    _ => {}
                }
            }
        }
    }
    .await;
    let mut streams = sinks.streams.lock().unwrap_or_else(PoisonError::into_inner);
    streams.entry(key).or_default().add(received);
    result
}

impl Received {
    /// Adds what came by a later connection.
    fn add(&mut self, later: Self) {
        self.first_media = self.first_media.or(later.first_media);
        self.first_keyframe = self.first_keyframe.or(later.first_keyframe);
        self.messages.extend(later.messages);
        self.altered += later.altered;
        self.disordered += later.disordered;
    }

    /// Takes a message in; whether it is the first keyframe.
    fn take(&mut self, at: Instant, kind: rtmp::MessageType, payload: &[u8], from: &Sent) -> bool {
        let Some((number, is_key)) = media::number(kind, payload) else {
            return false;
        };
        let Some((sent_at, fingerprint)) = from.message(number) else {
            self.altered += 1;
            return false;
        };
        if media::fingerprint(payload) != fingerprint {
            self.altered += 1;
            return false;
        }
        if self
            .messages
            .last()
            .is_some_and(|(last, _)| *last >= number)
        {
            self.disordered += 1;
        }
        let micros = at.saturating_duration_since(sent_at).as_micros();
        self.messages
            .push((number, u32::try_from(micros).unwrap_or(u32::MAX)));
        self.first_media.get_or_insert(at);
        let is_first = is_key && self.first_keyframe.is_none();
        if is_first {
            self.first_keyframe = Some(at);
        }
        is_first
    }
}
