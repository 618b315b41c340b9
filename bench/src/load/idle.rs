//! Encoders that are on air and send next to nothing.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use rtmp::MessageType;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::fanout::media::Media;
use crate::publisher::{self, Publisher};

/// Between two keyframes: a third of what a node bears without a byte.
const KEYFRAME_EVERY: Duration = Duration::from_secs(10);

/// How many connect at a time.
const AT_ONCE: usize = 32;

/// What takes longer is a failure, and no figure.
const BEGIN_WITHIN: Duration = Duration::from_secs(15);

/// All of them.
pub(super) struct Idle {
    port: u16,
    at_once: Arc<Semaphore>,
    begun: usize,
    on_air: Arc<AtomicUsize>,
    stop: CancellationToken,
}

impl Idle {
    /// None yet, for the node at `port`.
    pub(super) fn new(port: u16) -> Self {
        Self {
            port,
            at_once: Arc::new(Semaphore::new(AT_ONCE)),
            begun: 0,
            on_air: Arc::default(),
            stop: CancellationToken::new(),
        }
    }

    /// The stream key of the one with that number.
    pub(super) fn key(number: usize) -> String {
        format!("idle{number}")
    }

    /// How many are on air now.
    pub(super) fn on_air(&self) -> usize {
        self.on_air.load(Ordering::Relaxed)
    }

    /// Begins until there are `count`, in the runtime that this is called in.
    pub(super) fn grow(&mut self, count: usize) {
        while self.begun < count {
            let key = Self::key(self.begun);
            self.begun += 1;
            let (port, at_once) = (self.port, Arc::clone(&self.at_once));
            let (on_air, stop) = (Arc::clone(&self.on_air), self.stop.clone());
            tokio::spawn(async move {
                // Who does not begin, or is cut, is missed by who counts.
                let _ = stop
                    .run_until_cancelled(publish(port, &key, &at_once, &on_air))
                    .await;
            });
        }
    }
}

impl Drop for Idle {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn publish(port: u16, key: &str, at_once: &Semaphore, on_air: &AtomicUsize) -> Result<()> {
    let permit = at_once.acquire().await?;
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    stream.set_nodelay(true)?;
    let target = publisher::target(format!("rtmp://127.0.0.1:{port}/live"), "live", key);
    let mut publisher = timeout(BEGIN_WITHIN, Publisher::begin(stream, target))
        .await
        .context("the node does not let the stream begin")??;
    for piece in Media::headers() {
        publisher
            .send(piece.kind, piece.timestamp, piece.payload)
            .await?;
    }
    drop(permit);
    let began = Instant::now();
    on_air.fetch_add(1, Ordering::Relaxed);
    let kept = keep(&mut publisher, began).await;
    on_air.fetch_sub(1, Ordering::Relaxed);
    kept
}

async fn keep(publisher: &mut Publisher<TcpStream>, began: Instant) -> Result<()> {
    loop {
        let time = u32::try_from(began.elapsed().as_millis())?;
        let keyframe = Bytes::from_static(KEYFRAME);
        publisher.send(MessageType::VIDEO, time, keyframe).await?;
        let mut nothing = [0; 4096];
        while publisher
            .stream
            .try_read(&mut nothing)
            .is_ok_and(|read| read > 0)
        {}
        sleep(KEYFRAME_EVERY).await;
    }
}

/// A keyframe of AVC of a few bytes, as of a black picture.
const KEYFRAME: &[u8] = b"\x17\x01\0\0\0\0\0\0\x04\x65\x88\x84\0";
