//! Encoders that connect again until they are stopped.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rtmp::client::{ClientEvent, Login, PublishClient, PublishTarget};
use rtmp::{Capabilities, StreamName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::fanout::media::{Media, Piece};

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
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        stream.set_nodelay(true)?;
        let target = PublishTarget {
            tc_url: format!("rtmp://127.0.0.1:{}/live", self.port),
            app: "live".to_owned(),
            stream_name: StreamName::new(&self.key),
            capabilities: Capabilities::default(),
            credentials: None,
            login: Login::default(),
        };
        let mut client = PublishClient::new(target, Instant::now())?;
        let begun = timeout(STEP_WITHIN, begin(&mut stream, &mut client)).await;
        begun.context("no answer")??;
        self.sessions.fetch_add(1, Ordering::SeqCst);
        for piece in Media::headers() {
            write(&mut stream, &client, &piece).await?;
        }
        let began = tokio::time::Instant::now();
        for piece in self.media.pieces() {
            let due = began + Duration::from_millis(u64::from(piece.timestamp));
            tokio::select! {
                () = stop.cancelled() => break,
                () = sleep_until(due) => {}
            }
            timeout(STUCK_AFTER, write(&mut stream, &client, &piece)).await??;
            *sent += 1;
            // Acknowledgements and pings, which nobody waits for.
            let mut nothing = [0; 4096];
            loop {
                match stream.try_read(&mut nothing) {
                    Ok(0) => bail!("the node has closed the connection"),
                    Ok(_) => {}
                    Err(_) => break,
                }
            }
        }
        client.stop();
        while let Some(bytes) = client.poll_output() {
            stream.write_all(&bytes).await?;
        }
        stream.shutdown().await?;
        Ok(())
    }
}

async fn begin(stream: &mut TcpStream, client: &mut PublishClient) -> Result<()> {
    loop {
        while let Some(bytes) = client.poll_output() {
            stream.write_all(&bytes).await?;
        }
        match client.poll_event() {
            Some(ClientEvent::Publishing { .. }) => return Ok(()),
            Some(ClientEvent::Refused(words)) => bail!("refused: {words:?}"),
            _ => {}
        }
        if stream.read_buf(client.read_buf()).await? == 0 {
            bail!("the node closed the connection");
        }
        client.process(Instant::now())?;
    }
}

async fn write(stream: &mut TcpStream, client: &PublishClient, piece: &Piece) -> Result<()> {
    let message = client.message(piece.kind, piece.timestamp, piece.payload.clone())?;
    stream.write_all(&message.to_bytes()).await?;
    Ok(())
}

/// As OBS waits at first, and shorter.
const AGAIN_AFTER: Duration = Duration::from_millis(500);

/// An encoder that is not let in gives up, and tries again.
const STEP_WITHIN: Duration = Duration::from_secs(10);

/// Longer than any stall here.
const STUCK_AFTER: Duration = Duration::from_secs(20);
