//! An encoder that publishes to the node by RTMPS.

use std::net::SocketAddr;
use std::time::Instant;

use rtmp::client::{ClientEvent, Login, PublishClient, PublishTarget, Words};
use rtmp::{Capabilities, StreamName};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{Piece, scan, soon};

pub(crate) struct Encoder {
    stream: TlsStream<TcpStream>,
    client: PublishClient,
}

impl Encoder {
    /// Connects, and asks to publish.
    pub(crate) async fn connect(
        address: SocketAddr,
        tls: &TlsConnector,
        app: &str,
        key: &str,
        capabilities: Capabilities,
    ) -> Self {
        scan::know(key);
        let stream = TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let stream = soon(tls.connect(name, stream)).await.unwrap();
        let target = PublishTarget {
            app: app.to_owned(),
            tc_url: format!("rtmps://localhost:{}/{app}", address.port()),
            stream_name: StreamName::new(key),
            capabilities,
            credentials: None,
            login: Login::default(),
        };
        let client = PublishClient::new(target, Instant::now()).unwrap();
        Self { stream, client }
    }

    /// Waits until the node lets it publish.
    pub(crate) async fn publishing(mut self) -> Self {
        match self.event().await {
            ClientEvent::Publishing { confirmed } => assert!(confirmed),
            other => panic!("{other:?}"),
        }
        self
    }

    /// Waits until the node says no, and for a clean close after that.
    pub(crate) async fn refused(mut self) -> Words {
        let words = match self.event().await {
            ClientEvent::Refused(words) => words,
            other => panic!("{other:?}"),
        };
        while soon(self.stream.read_buf(self.client.read_buf()))
            .await
            .unwrap()
            > 0
        {
            self.client.read_buf().clear();
        }
        words
    }

    pub(crate) async fn send(&mut self, pieces: &[Piece]) {
        for (kind, timestamp, payload) in pieces {
            let message = self
                .client
                .message(*kind, *timestamp, payload.clone())
                .unwrap();
            soon(self.stream.write_all(&message.to_bytes()))
                .await
                .unwrap();
        }
        soon(self.stream.flush()).await.unwrap();
    }

    /// Waits until the node asks it to connect again.
    pub(crate) async fn asked_to_move(&mut self) {
        while !self.hear().await {}
    }

    /// Does as [`stop`](Self::stop); whether it was asked to connect again in all that was said
    /// since it began to publish.
    pub(crate) async fn stop_and_hear(mut self) -> bool {
        self.client.stop();
        self.write().await;
        soon(self.stream.shutdown()).await.unwrap();
        let mut asked = false;
        loop {
            let read = soon(self.stream.read_buf(self.client.read_buf())).await;
            if read.unwrap_or_default() == 0 {
                return asked;
            }
            asked |= asks_to_move(self.client.read_buf());
        }
    }

    /// Reads once; whether it asks to connect again.
    async fn hear(&mut self) -> bool {
        let read = soon(self.stream.read_buf(self.client.read_buf()));
        assert_ne!(read.await.unwrap(), 0, "the node closed without a word");
        let asks = asks_to_move(self.client.read_buf());
        self.client.process(Instant::now()).unwrap();
        asks
    }

    /// Ends the connection without a word.
    pub(crate) async fn vanish(self) {
        let (tcp, _) = self.stream.into_inner();
        tcp.set_zero_linger().unwrap();
    }

    /// Sends what no encoder sends: a chunk without a beginning.
    pub(crate) async fn misbehave(&mut self) {
        soon(self.stream.write_all(&[0xFF; 16])).await.unwrap();
        soon(self.stream.flush()).await.unwrap();
    }

    /// Ends the stream properly, and waits until the node closes: who closes a socket with
    /// acknowledgements unread resets the connection, and may take back its goodbye.
    pub(crate) async fn stop(self) {
        self.stop_and_hear().await;
    }

    async fn event(&mut self) -> ClientEvent {
        loop {
            self.write().await;
            if let Some(event) = self.client.poll_event() {
                return event;
            }
            let read = soon(self.stream.read_buf(self.client.read_buf()))
                .await
                .unwrap();
            assert_ne!(read, 0, "the node closed without a word");
            self.client.process(Instant::now()).unwrap();
        }
    }

    async fn write(&mut self) {
        while let Some(bytes) = self.client.poll_output() {
            soon(self.stream.write_all(&bytes)).await.unwrap();
        }
        soon(self.stream.flush()).await.unwrap();
    }
}

/// Whether the bytes hold the request of Enhanced RTMP, which fits a chunk.
fn asks_to_move(bytes: &[u8]) -> bool {
    let code = b"NetConnection.Connect.ReconnectRequest";
    bytes.windows(code.len()).any(|window| window == code)
}
