//! An encoder that sends what no encoder on this machine sends, written from the specification.

mod enhanced;
mod scripts;

use std::net::Ipv4Addr;
use std::path::Path;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use rustls::pki_types::ServerName;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};

pub use scripts::{Script, scripts};

use crate::streams::Stream;
use crate::tls;
use crate::wire::{Extended, HANDSHAKE, Reader, Tag, Writer, command};

/// A script on its way.
pub struct Publishing(JoinHandle<Result<()>>);

impl Publishing {
    /// Publishes the script's tags in their own time to `url`, trusting the authority in the PEM
    /// file `authority`.
    pub fn start(script: Script, url: &str, key: &str, authority: &Path) -> Result<Self> {
        let (scheme, rest) = url.split_once("://localhost:").context("no such URL")?;
        let (port, _) = rest.split_once('/').context("no application")?;
        let port: u16 = port.parse()?;
        let connector = (scheme == "rtmps")
            .then(|| tls::connector(authority))
            .transpose()?;
        let (url, key) = (url.to_owned(), key.to_owned());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        Ok(Self(thread::spawn(move || {
            runtime.block_on(async {
                let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
                match connector {
                    None => publish(stream, &script, &url, &key).await,
                    Some(connector) => {
                        let name = ServerName::try_from("localhost")?;
                        let stream = connector.connect(name, stream).await?;
                        publish(stream, &script, &url, &key).await
                    }
                }
            })
        })))
    }

    /// Waits until it has said goodbye.
    pub fn wait(self) -> Result<()> {
        let ended = self.0.join();
        ended.map_err(|_| anyhow!("the generator panicked"))?
    }
}

async fn publish(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    script: &Script,
    url: &str,
    key: &str,
) -> Result<()> {
    let mut peer = Peer {
        stream,
        reader: Reader::new(Extended::Repeated),
        writer: Writer::new(script.extended),
    };
    peer.shake_hands().await?;
    let (_, app) = url.rsplit_once('/').context("no application")?;
    let application = json!({
        "app": app, "tcUrl": url, "type": "nonprivate", "flashVer": "FMLE/3.0 (compatible; tags)",
        // What the enhanced specification has publishers say.
        "capsEx": 0x0F, "videoFourCcInfoMap": {"*": 2}, "audioFourCcInfoMap": {"*": 2},
    });
    peer.call(0, &[json!("connect"), json!(1), application])
        .await?;
    peer.answer("_result").await?;
    for (number, name) in [(2, "releaseStream"), (3, "FCPublish")] {
        peer.call(0, &[json!(name), json!(number), Value::Null, json!(key)])
            .await?;
    }
    peer.call(0, &[json!("createStream"), json!(4), Value::Null])
        .await?;
    let created = loop {
        let answer = peer.answer("_result").await?;
        if answer.get(1) == Some(&json!(4.0)) {
            break answer.get(3).and_then(Value::as_f64).context("no stream")?;
        }
    };
    let publish = [
        json!("publish"),
        json!(5),
        Value::Null,
        json!(key),
        json!("live"),
    ];
    // Small numbers of streams.
    let id = created as u32;
    peer.call(id, &publish).await?;
    let status = peer.answer("onStatus").await?;
    let code = status.get(3).and_then(|status| status.get("code"));
    ensure!(
        code == Some(&json!("NetStream.Publish.Start")),
        "{status:?}"
    );

    let size = peer.writer.set_chunk_size(script.chunk_size);
    peer.write(&size).await?;
    let began = Instant::now();
    let first = script.tags.first().map_or(0, |tag| tag.time);
    for Tag { kind, time, body } in &script.tags {
        let since = Duration::from_millis(time.wrapping_sub(first).into());
        sleep_until(began + since).await;
        let message = peer.writer.message(*kind, id, *time, body);
        peer.write(&message).await?;
    }
    peer.call(
        0,
        &[json!("FCUnpublish"), json!(6), Value::Null, json!(key)],
    )
    .await?;
    peer.call(
        0,
        &[json!("deleteStream"), json!(7), Value::Null, json!(created)],
    )
    .await?;
    peer.stream.shutdown().await?;
    Ok(())
}

struct Peer<S> {
    stream: S,
    reader: Reader,
    writer: Writer,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Peer<S> {
    async fn shake_hands(&mut self) -> Result<()> {
        // No time and no version: the plain scheme.
        let mut ours = [0xA5; HANDSHAKE];
        ours.iter_mut().take(8).for_each(|byte| *byte = 0);
        self.write(&[&[3][..], &ours].concat()).await?;
        let mut theirs = [0; 1 + 2 * HANDSHAKE];
        timeout(ANSWER_WITHIN, self.stream.read_exact(&mut theirs)).await??;
        let (hello, echo) = theirs.split_at(1 + HANDSHAKE);
        ensure!(echo.get(8..) == ours.get(8..), "our words do not come back");
        self.write(hello.get(1..).unwrap_or_default()).await
    }

    async fn call(&mut self, stream: u32, values: &[Value]) -> Result<()> {
        let message = self.writer.message(20, stream, 0, &command(values));
        self.write(&message).await
    }

    /// The values of the next command of that name.
    async fn answer(&mut self, name: &str) -> Result<Vec<Value>> {
        let mut buffer = vec![0; 4096];
        loop {
            while let Some(message) = self.reader.message()? {
                let body = message.body.clone();
                if let Some(command) = Stream::default().take(message)? {
                    ensure!(command.name != "_error", "{command:?}");
                    if command.name == name {
                        return crate::wire::values(&body);
                    }
                }
            }
            let read = timeout(ANSWER_WITHIN, self.stream.read(&mut buffer)).await;
            let length = read.with_context(|| format!("no {name}"))??;
            ensure!(length > 0, "closed before {name}");
            self.reader.push(buffer.get(..length).unwrap_or_default());
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write_all(bytes).await?;
        Ok(self.stream.flush().await?)
    }
}

/// The node answers within milliseconds.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
