//! Encoders that connect again until they are stopped.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::net::TcpStream;
use tokio::time::{sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::fanout::media::Media;
use crate::publisher::{self, Publisher};

/// An encoder, and what became of it.
pub(super) struct Encoder {
    pub(super) port: u16,
    pub(super) key: String,
    pub(super) media: Media,
    /// How often it was let in.
    pub(super) sessions: AtomicUsize,
    /// Why it was not, the last time.
    pub(super) refused: Mutex<Option<String>>,
}

impl Encoder {
    /// Publishes until `stop`, from the beginning at each connection. How many messages the last
    /// one carried, once it has said goodbye.
    pub(super) async fn run(&self, stop: CancellationToken) -> usize {
        loop {
            let mut sent = 0;
            let outcome = self.publish(&stop, &mut sent).await;
            if stop.is_cancelled() {
                return sent;
            }
            if let Err(error) = outcome
                && let Ok(mut refused) = self.refused.lock()
            {
                *refused = Some(format!("{error:#}"));
            }
            sleep(AGAIN_AFTER).await;
        }
    }

    async fn publish(&self, stop: &CancellationToken, sent: &mut usize) -> Result<()> {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        stream.set_nodelay(true)?;
        let tc_url = format!("rtmp://127.0.0.1:{}/live", self.port);
        let target = publisher::target(tc_url, "live", &self.key);
        let begun = timeout(STEP_WITHIN, Publisher::begin(stream, target)).await;
        let mut publisher = begun.context("no answer")??;
        self.sessions.fetch_add(1, Ordering::SeqCst);
        for piece in Media::headers() {
            publisher
                .send(piece.kind, piece.timestamp, piece.payload)
                .await?;
        }
        let began = tokio::time::Instant::now();
        for piece in self.media.pieces() {
            let due = began + Duration::from_millis(u64::from(piece.timestamp));
            tokio::select! {
                () = stop.cancelled() => break,
                () = sleep_until(due) => {}
            }
            timeout(
                STUCK_AFTER,
                publisher.send(piece.kind, piece.timestamp, piece.payload),
            )
            .await??;
            *sent += 1;
            // Acknowledgements and pings, which nobody waits for.
            let mut nothing = [0; 4096];
            loop {
                match publisher.stream.try_read(&mut nothing) {
                    Ok(0) => bail!("the node has closed the connection"),
                    Ok(_) => {}
                    Err(_) => break,
                }
            }
        }
        publisher.end().await
    }
}

/// As OBS waits at first, and shorter.
const AGAIN_AFTER: Duration = Duration::from_millis(500);

/// An encoder that is not let in gives up, and tries again.
const STEP_WITHIN: Duration = Duration::from_secs(10);

/// Longer than any stall here.
const STUCK_AFTER: Duration = Duration::from_secs(20);
