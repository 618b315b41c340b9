//! Publishers, each a task that sends its stream when it is due.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rtmp::client::{ClientEvent, Login, PublishClient, PublishTarget};
use rtmp::{Capabilities, StreamName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::media::{Media, Piece, Sent, fingerprint};

/// Where a publisher publishes.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) port: u16,
    pub(super) app: String,
    pub(super) key: String,
}

/// Publishes until `stop`, and then says goodbye.
pub(super) async fn publish(
    target: Target,
    media: Media,
    sent: Arc<Sent>,
    stop: CancellationToken,
) -> Result<()> {
    let mut stream = connect(target.port).await?;
    stream.set_nodelay(true)?;
    let mut client = PublishClient::new(
        PublishTarget {
            tc_url: format!("rtmp://127.0.0.1:{}/{}", target.port, target.app),
            app: target.app,
            stream_name: StreamName::new(&target.key),
            capabilities: Capabilities::default(),
            credentials: None,
            login: Login::default(),
        },
        Instant::now(),
    )?;
    timeout(STEP_WITHIN, begin(&mut stream, &mut client))
        .await
        .context("the relay does not let the stream begin")??;

    for piece in Media::headers() {
        write(&mut stream, &client, &piece).await?;
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
        write(&mut stream, &client, &piece).await?;
        // Acknowledgements and pings, which nobody waits for.
        let mut nothing = [0; 4096];
        while stream.try_read(&mut nothing).is_ok_and(|read| read > 0) {}
    }
    client.stop();
    while let Some(bytes) = client.poll_output() {
        stream.write_all(&bytes).await?;
    }
    stream.shutdown().await?;
    Ok(())
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
            bail!("the relay closed the connection");
        }
        client.process(Instant::now())?;
    }
}

async fn write(stream: &mut TcpStream, client: &PublishClient, piece: &Piece) -> Result<()> {
    let message = client.message(piece.kind, piece.timestamp, piece.payload.clone())?;
    stream.write_all(&message.to_bytes()).await?;
    Ok(())
}

/// What takes longer is a failure, and no figure.
const STEP_WITHIN: Duration = Duration::from_secs(15);
