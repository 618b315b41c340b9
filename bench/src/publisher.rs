//! An encoder's session, on whatever connection carries it.

use std::time::Instant;

use anyhow::{Result, bail};
use bytes::Bytes;
use rtmp::client::{ClientEvent, Login, PublishClient, PublishTarget};
use rtmp::{Capabilities, MessageType, StreamName};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// A stream that was let in.
pub(crate) struct Publisher<S> {
    pub(crate) stream: S,
    client: PublishClient,
}

/// What is asked for: the stream `key` of an application, by nobody in particular.
pub(crate) fn target(tc_url: String, app: &str, key: &str) -> PublishTarget {
    PublishTarget {
        tc_url,
        app: app.to_owned(),
        stream_name: StreamName::new(key),
        capabilities: Capabilities::default(),
        credentials: None,
        login: Login::default(),
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Publisher<S> {
    /// Asks for the stream, until it may begin.
    pub(crate) async fn begin(mut stream: S, target: PublishTarget) -> Result<Self> {
        let mut client = PublishClient::new(target, Instant::now())?;
        loop {
            while let Some(bytes) = client.poll_output() {
                stream.write_all(&bytes).await?;
            }
            stream.flush().await?;
            match client.poll_event() {
                Some(ClientEvent::Publishing { .. }) => return Ok(Self { stream, client }),
                Some(ClientEvent::Refused(words)) => bail!("refused: {words:?}"),
                _ => {}
            }
            if stream.read_buf(client.read_buf()).await? == 0 {
                bail!("the relay closed the connection");
            }
            client.process(Instant::now())?;
        }
    }

    /// Sends a message at once.
    pub(crate) async fn send(
        &mut self,
        kind: MessageType,
        timestamp: u32,
        payload: Bytes,
    ) -> Result<()> {
        let message = self.client.message(kind, timestamp, payload)?;
        self.stream.write_all(&message.to_bytes()).await?;
        Ok(self.stream.flush().await?)
    }

    /// Says goodbye, and that nothing more comes.
    pub(crate) async fn end(&mut self) -> Result<()> {
        self.client.stop();
        while let Some(bytes) = self.client.poll_output() {
            self.stream.write_all(&bytes).await?;
        }
        Ok(self.stream.shutdown().await?)
    }
}
