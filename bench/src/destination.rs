//! A destination inside the measuring process, which notes when what arrives.

use std::net::SocketAddr;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rtmp::MessageType;
use rtmp::server::{ServerConfig, ServerEvent, ServerSession};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

/// What happened at a destination, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    /// When.
    pub(crate) at: Instant,
    /// What.
    pub(crate) what: What,
}

/// Steps of a connection's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// The connection was accepted.
    Accepted,
    /// The first byte of audio or video came.
    FirstMedia,
    /// The peer closed, or said goodbye and then closed.
    Closed,
}

/// An RTMP server on a free loopback port that takes every key.
pub(crate) struct Destination {
    address: SocketAddr,
    seen: mpsc::Receiver<Seen>,
    _runtime: Runtime,
}

impl Destination {
    /// Listens.
    pub(crate) fn start() -> Result<Self> {
        let runtime = Runtime::new()?;
        let listener = runtime
            .block_on(TcpListener::bind("127.0.0.1:0"))
            .context("listening for the relay node")?;
        let address = listener.local_addr()?;
        let (tell, seen) = mpsc::channel();
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, tell.clone()));
            }
        });
        Ok(Self {
            address,
            seen,
            _runtime: runtime,
        })
    }

    /// What an output's `url` has to be.
    pub(crate) fn url(&self) -> String {
        format!("rtmp://{}/live", self.address)
    }

    /// When the next such step was, passing over others.
    pub(crate) fn wait_for(&self, what: What) -> Result<Instant> {
        loop {
            let seen = self.seen.recv_timeout(STEP_WITHIN);
            let seen = seen.with_context(|| format!("{what:?} is not to be seen"))?;
            if seen.what == what {
                return Ok(seen.at);
            }
        }
    }
}

/// What takes longer is a failure, and no figure: the product promises 30 s at the worst.
const STEP_WITHIN: Duration = Duration::from_secs(30);

async fn serve(mut stream: TcpStream, tell: mpsc::Sender<Seen>) {
    let note = |what| {
        // Nobody listens any more when the measurement is over.
        let _ = tell.send(Seen {
            at: Instant::now(),
            what,
        });
    };
    note(What::Accepted);
    // A connection that breaks is a closed one: the measurement says so by its time.
    let _ = converse(&mut stream, &note).await;
    note(What::Closed);
}

async fn converse(stream: &mut TcpStream, note: &impl Fn(What)) -> Result<()> {
    // Answers held back until the peer acknowledges would be measured as the node's slowness.
    stream.set_nodelay(true)?;
    let mut session = ServerSession::new(ServerConfig::default(), Instant::now());
    let mut media = false;
    loop {
        while let Some(bytes) = session.poll_output() {
            stream.write_all(&bytes).await?;
        }
        if session.is_closed() || stream.read_buf(session.read_buf()).await? == 0 {
            return Ok(());
        }
        session.process(Instant::now())?;
        while let Some(event) = session.poll_event() {
            match event {
                ServerEvent::PublishRequested(_) => session.accept(Instant::now())?,
                ServerEvent::Media(message)
                    if !media
                        && matches!(message.kind, MessageType::AUDIO | MessageType::VIDEO) =>
                {
                    media = true;
                    note(What::FirstMedia);
                }
                _ => {}
            }
        }
    }
}
