//! Publishers, each a task that sends its stream when it is due.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tokio::net::TcpStream;
use tokio::time::{sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::media::{Media, Sent, fingerprint};
use crate::publisher::{self, Publisher};

/// Where a publisher publishes.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) port: u16,
    pub(crate) app: String,
    pub(crate) key: String,
}

/// Publishes until `stop`, and then says goodbye.
pub(crate) async fn publish(
    target: Target,
    media: Media,
    sent: Arc<Sent>,
    stop: CancellationToken,
) -> Result<()> {
    let stream = connect(target.port).await?;
    stream.set_nodelay(true)?;
    let tc_url = format!("rtmp://127.0.0.1:{}/{}", target.port, target.app);
    let target = publisher::target(tc_url, &target.app, &target.key);
    let mut publisher = timeout(STEP_WITHIN, Publisher::begin(stream, target))
        .await
        .context("the relay does not let the stream begin")??;

    for piece in Media::headers() {
        publisher
            .send(piece.kind, piece.timestamp, piece.payload)
            .await?;
    }
    let began = tokio::time::Instant::now();
    for (number, piece) in media.pieces().enumerate() {
        let due = began + Duration::from_millis(u64::from(piece.timestamp));
        tokio::select! {
            () = stop.cancelled() => break,
            () = sleep_until(due) => {}
        }
        if !sent.note(number, fingerprint(&piece.payload)) {
            break;
        }
        publisher
            .send(piece.kind, piece.timestamp, piece.payload)
            .await?;
        // Acknowledgements and pings, which nobody waits for.
        let mut nothing = [0; 4096];
        while publisher
            .stream
            .try_read(&mut nothing)
            .is_ok_and(|read| read > 0)
        {}
    }
    publisher.end().await
}

async fn connect(port: u16) -> Result<TcpStream> {
    let deadline = Instant::now() + STEP_WITHIN;
    loop {
        match TcpStream::connect(("127.0.0.1", port)).await {
            Ok(stream) => return Ok(stream),
            Err(error) if Instant::now() > deadline => {
                return Err(error).context("the relay does not listen");
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

/// What takes longer is a failure, and no figure.
const STEP_WITHIN: Duration = Duration::from_secs(15);
