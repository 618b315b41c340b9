//! A control plane for tests: whatever reaches it is handed to the test, which answers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use shared::id::Instance;
use shared::link::{PING, PONG, ToControl, ToNode};
use shared::secret::Secret;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, accept_async};

use super::{Config, KeyCache};

/// The relay token of [`config`].
pub(crate) const TOKEN: &str = "hunter2";

/// The configuration of the node `fra-1` for the control plane at `control`.
pub(crate) fn config(control: &str) -> Config {
    Config {
        control: control.parse().unwrap(),
        token: Secret::new(TOKEN),
        node: "fra-1".parse().unwrap(),
        instance: Instance::from_random([7; 16]),
        tls: trusting(RootCertStore::empty()),
        cache: KeyCache::open(None, Duration::from_secs(60), &Secret::new(TOKEN)),
    }
}

fn trusting(roots: RootCertStore) -> Arc<ClientConfig> {
    let tls = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(tls)
}

/// A control plane on a port of its own.
pub(crate) struct Fake {
    address: SocketAddr,
    refusal: Arc<AtomicU16>,
    calls: mpsc::UnboundedReceiver<Call>,
}

impl Fake {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let refusal = Arc::new(AtomicU16::new(0));
        let (sender, calls) = mpsc::unbounded_channel();
        let status = Arc::clone(&refusal);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&status), sender.clone()));
            }
        });
        Self {
            address,
            refusal,
            calls,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Puts TLS in front, as `localhost`; the configuration to reach it.
    pub(crate) async fn tls_front(&self) -> Config {
        let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(certified.cert.der().clone()).unwrap();
        let server = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certified.cert.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(server));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let behind = self.address;
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let mut front = acceptor.accept(stream).await?;
                    let mut back = TcpStream::connect(behind).await?;
                    copy_bidirectional(&mut front, &mut back).await
                });
            }
        });
        let mut config = config(&format!("https://localhost:{port}"));
        config.tls = trusting(roots);
        config
    }

    /// Answers upgrades with this status from here on; 0 accepts them.
    pub(crate) fn refuse_upgrades(&self, status: u16) {
        self.refusal.store(status, Ordering::SeqCst);
    }

    pub(crate) async fn next(&mut self) -> Call {
        self.calls.recv().await.unwrap()
    }

    /// The next socket; refused upgrades are passed over.
    pub(crate) async fn socket(&mut self) -> Peer {
        loop {
            match self.next().await {
                Call::Socket(socket) => return Peer(socket),
                Call::RefusedUpgrade => {}
                Call::Post(post) => panic!("POST {} instead of a socket", post.path),
            }
        }
    }

    /// The next request; refused upgrades are passed over.
    pub(crate) async fn post(&mut self) -> Post {
        loop {
            match self.next().await {
                Call::Post(post) => return post,
                Call::RefusedUpgrade => {}
                Call::Socket(_) => panic!("a socket instead of a POST"),
            }
        }
    }
}

/// What reached the control plane.
pub(crate) enum Call {
    Post(Post),
    RefusedUpgrade,
    Socket(Box<WebSocketStream<TcpStream>>),
}

/// A request that waits for its answer.
pub(crate) struct Post {
    pub(crate) path: String,
    pub(crate) authorization: String,
    pub(crate) body: serde_json::Value,
    answer: oneshot::Sender<(u16, String)>,
}

impl Post {
    pub(crate) fn answer(self, status: u16, body: &impl serde::Serialize) {
        let body = serde_json::to_string(body).unwrap();
        // The asker may have given up: that is what some tests want.
        let _ = self.answer.send((status, body));
    }
}

/// The control plane's end of a socket.
pub(crate) struct Peer(pub(crate) Box<WebSocketStream<TcpStream>>);

impl Peer {
    pub(crate) async fn send(&mut self, frame: &ToNode) {
        self.send_text(&serde_json::to_string(frame).unwrap()).await;
    }

    pub(crate) async fn send_text(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.unwrap();
    }

    /// The next frame; pings are answered. `None` when the node has gone.
    pub(crate) async fn receive(&mut self) -> Option<ToControl> {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Text(text))) if text.as_str() == PING => {
                    self.send_text(PONG).await;
                }
                Some(Ok(Message::Text(text))) => return Some(serde_json::from_str(&text).unwrap()),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return None,
            }
        }
    }
}

async fn serve(
    mut stream: TcpStream,
    refusal: Arc<AtomicU16>,
    calls: mpsc::UnboundedSender<Call>,
) -> Option<()> {
    // Peeked, because the upgrade is left to tungstenite.
    let mut head = vec![0; 16 * 1024];
    loop {
        let length = stream.peek(&mut head).await.ok()?;
        if length == 0 {
            return None;
        }
        let text = String::from_utf8_lossy(&head[..length]).into_owned();
        let Some((text, _)) = text.split_once("\r\n\r\n") else {
            tokio::task::yield_now().await;
            continue;
        };
        let field = |name: &str| {
            text.lines()
                .filter_map(|line| line.split_once(": "))
                .find(|(key, _)| key.eq_ignore_ascii_case(name))
                .map_or("", |(_, value)| value)
                .to_owned()
        };
        if field("upgrade").eq_ignore_ascii_case("websocket") {
            let status = refusal.load(Ordering::SeqCst);
            if status == 0 {
                assert!(text.starts_with("GET /relay/v1/nodes/fra-1/link "));
                assert_eq!(field("authorization"), format!("Bearer {TOKEN}"));
                let socket = accept_async(stream).await.ok()?;
                calls.send(Call::Socket(Box::new(socket))).ok()?;
            } else {
                calls.send(Call::RefusedUpgrade).ok()?;
                answer(&mut stream, status, "").await?;
            }
            return None;
        }
        let path = text.split(' ').nth(1)?.to_owned();
        let authorization = field("authorization");
        let mut request = vec![0; text.len() + 4];
        stream.read_exact(&mut request).await.ok()?;
        let mut body = vec![0; field("content-length").parse().ok()?];
        stream.read_exact(&mut body).await.ok()?;
        let (sender, reply) = oneshot::channel();
        let post = Post {
            path,
            authorization,
            body: serde_json::from_slice(&body).ok()?,
            answer: sender,
        };
        calls.send(Call::Post(post)).ok()?;
        // A dropped request is a dropped connection.
        let (status, body) = reply.await.ok()?;
        answer(&mut stream, status, &body).await?;
    }
}

async fn answer(stream: &mut TcpStream, status: u16, body: &str) -> Option<()> {
    let head = format!(
        "HTTP/1.1 {status} Status\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.ok()?;
    stream.write_all(body.as_bytes()).await.ok()
}
