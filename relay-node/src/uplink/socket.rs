//! The one WebSocket: bytes only, no decisions.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use shared::limits::MAX_LINK_FRAME_BYTES;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::header::AUTHORIZATION;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message, Utf8Bytes};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};
use tokio_util::task::AbortOnDropHandle;

use super::endpoint::Endpoint;
use super::failure::Failure;

/// An open socket, driven by a task of its own so that a peer that does not read holds up nothing
/// else. Dropping it ends the connection.
pub(super) struct Socket {
    outgoing: mpsc::Sender<Utf8Bytes>,
    incoming: mpsc::Receiver<Utf8Bytes>,
    _task: AbortOnDropHandle<()>,
}

impl Socket {
    /// Opens the socket: TCP, TLS where the URL says so, and the upgrade.
    pub(super) async fn open(endpoint: &Endpoint, tls: Arc<ClientConfig>) -> Result<Self, Failure> {
        time::timeout(OPEN_WITHIN, Self::open_unbounded(endpoint, tls))
            .await
            .unwrap_or(Err(Failure::TimedOut(OPEN_WITHIN)))
    }

    /// Sends a text frame. Fails if the socket is gone, or if the peer has not read for so long
    /// that [`QUEUED_FRAMES`] wait.
    pub(super) fn send(&self, text: Utf8Bytes) -> Result<(), Failure> {
        self.outgoing.try_send(text).map_err(|_| Failure::Closed)
    }

    /// The next text frame; `None` when the socket is gone.
    pub(super) async fn receive(&mut self) -> Option<Utf8Bytes> {
        self.incoming.recv().await
    }

    /// Says goodbye, in vain after [`CLOSE_WITHIN`].
    pub(super) async fn close(self) {
        let Self {
            outgoing,
            incoming,
            _task: task,
        } = self;
        drop((outgoing, incoming));
        // An elapsed limit drops the handle, and with it the task.
        let _ = time::timeout(CLOSE_WITHIN, task).await;
    }

    async fn open_unbounded(endpoint: &Endpoint, tls: Arc<ClientConfig>) -> Result<Self, Failure> {
        let transport = |error: io::Error| Failure::of_transport(&error);
        let tcp = TcpStream::connect((endpoint.host(), endpoint.port()))
            .await
            .map_err(transport)?;
        tcp.set_nodelay(true).map_err(transport)?;
        let stream: Box<dyn Transport> = if endpoint.tls() {
            let name = ServerName::try_from(endpoint.host().to_owned())
                .map_err(|error| Failure::of_transport(&error))?;
            let connector = TlsConnector::from(tls);
            Box::new(connector.connect(name, tcp).await.map_err(transport)?)
        } else {
            Box::new(tcp)
        };
        let mut request = endpoint
            .socket_url()
            .into_client_request()
            .map_err(|error| of_websocket(&error))?;
        request
            .headers_mut()
            .insert(AUTHORIZATION, endpoint.authorization());
        let config = WebSocketConfig::default()
            .max_message_size(Some(MAX_LINK_FRAME_BYTES))
            .max_frame_size(Some(MAX_LINK_FRAME_BYTES));
        let (websocket, _) = client_async_with_config(request, stream, Some(config))
            .await
            .map_err(|error| of_websocket(&error))?;
        Ok(Self::over(websocket))
    }

    fn over(websocket: WebSocketStream<Box<dyn Transport>>) -> Self {
        let (outgoing, to_send) = mpsc::channel(QUEUED_FRAMES);
        let (received, incoming) = mpsc::channel(QUEUED_FRAMES);
        let task = tokio::spawn(drive(websocket, to_send, received));
        Self {
            outgoing,
            incoming,
            _task: AbortOnDropHandle::new(task),
        }
    }
}

/// Anything that a WebSocket can run over.
trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

async fn drive(
    mut websocket: WebSocketStream<Box<dyn Transport>>,
    mut to_send: mpsc::Receiver<Utf8Bytes>,
    received: mpsc::Sender<Utf8Bytes>,
) {
    loop {
        tokio::select! {
            message = websocket.next() => match message {
                Some(Ok(Message::Text(text))) => {
                    if received.send(text).await.is_err() {
                        break;
                    }
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return,
            },
            text = to_send.recv() => match text {
                Some(text) => {
                    if websocket.send(Message::Text(text)).await.is_err() {
                        return;
                    }
                }
                None => break,
            },
        }
    }
    // Whoever is gone on the other side does not hear it; nothing is left to do about that.
    let _ = websocket.close(None).await;
}

fn of_websocket(error: &tungstenite::Error) -> Failure {
    match error {
        tungstenite::Error::Http(response) => Failure::of_status(response.status().as_u16()),
        error => Failure::of_transport(error),
    }
}

/// TCP, TLS and upgrade in all. A node that waits longer is better off polling and trying again.
const OPEN_WITHIN: Duration = Duration::from_secs(10);

/// The goodbye: the node's own shutdown has 5 s in all.
const CLOSE_WITHIN: Duration = Duration::from_millis(500);

/// Frames that wait in either direction. Towards the control plane more than these mean a peer that
/// does not read; towards the node they hold the socket back.
const QUEUED_FRAMES: usize = 64;

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, duplex};
    use tokio::net::TcpListener;
    use tokio::task::yield_now;
    use tokio::time::Instant;
    use tokio_tungstenite::tungstenite::protocol::Role;

    use super::super::fake;
    use super::*;

    #[tokio::test]
    async fn a_control_plane_that_never_upgrades_is_given_up_in_time() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let config = fake::config(&format!("http://{}", listener.local_addr().unwrap()));
        let endpoint = Endpoint::new(&config).unwrap();
        let opening = tokio::spawn(async move { Socket::open(&endpoint, config.tls).await });
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_u8().await.unwrap();
        time::pause();
        let began = Instant::now();
        let failure = opening.await.unwrap().err();
        assert_eq!(failure, Some(Failure::TimedOut(OPEN_WITHIN)));
        // It began a little before the clock was stopped.
        assert!(began.elapsed().abs_diff(OPEN_WITHIN) < Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_does_not_read_costs_the_socket_and_no_more_time_than_that() {
        let (transport, _peer) = duplex(1);
        let transport: Box<dyn Transport> = Box::new(transport);
        let socket = WebSocketStream::from_raw_socket(transport, Role::Client, None).await;
        let socket = Socket::over(socket);
        let frame = Utf8Bytes::from_static("frame");
        // One is being written for ever.
        socket.send(frame.clone()).unwrap();
        while socket.outgoing.capacity() < QUEUED_FRAMES {
            yield_now().await;
        }
        for _ in 0..QUEUED_FRAMES {
            socket.send(frame.clone()).unwrap();
        }
        assert_eq!(socket.send(frame), Err(Failure::Closed));
        let began = Instant::now();
        socket.close().await;
        assert_eq!(began.elapsed(), CLOSE_WITHIN);
    }
}
