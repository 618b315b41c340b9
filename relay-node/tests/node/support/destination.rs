//! An RTMP or RTMPS server that takes one stream after the other.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Instant;

use rtmp::Message;
use rtmp::server::{Refusal, ServerConfig, ServerEvent, ServerSession};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::sync::{mpsc, watch};
use tokio_rustls::TlsAcceptor;

use super::{Piece, scan, soon};

pub(crate) struct Destination {
    pub(crate) url: String,
    pub(crate) key: String,
    /// Its place in the file of inputs.
    pub(crate) number: u8,
    seen: mpsc::UnboundedReceiver<Seen>,
    reading: watch::Sender<bool>,
    refusing: watch::Sender<bool>,
}

/// What a destination sees of a stream.
#[derive(Debug)]
pub(crate) enum Seen {
    Publishing(String),
    Media(Message),
    Goodbye,
    /// The connection is over: properly, or cut.
    Closed {
        clean: bool,
    },
}

impl Destination {
    pub(crate) async fn plain(number: u8) -> Self {
        Self::new(Ipv4Addr::LOCALHOST, number, None).await
    }

    /// The same at another address of this machine.
    pub(crate) async fn at(address: Ipv4Addr, number: u8) -> Self {
        Self::new(address, number, None).await
    }

    pub(crate) async fn secure(number: u8, tls: &TlsAcceptor) -> Self {
        Self::new(Ipv4Addr::LOCALHOST, number, Some(tls.clone())).await
    }

    async fn new(host: Ipv4Addr, number: u8, tls: Option<TlsAcceptor>) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        // So little that one that stops reading is noticed at once.
        socket.set_recv_buffer_size(RECEIVE_BUFFER).unwrap();
        socket.bind((host, 0).into()).unwrap();
        let listener = socket.listen(8).unwrap();
        let address: SocketAddr = listener.local_addr().unwrap();
        let (see, seen) = mpsc::unbounded_channel();
        let (reading, read_on) = watch::channel(true);
        let (refusing, refuses) = watch::channel(false);
        let secure = tls.is_some();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                match &tls {
                    Some(tls) => match tls.accept(stream).await {
                        Ok(stream) => serve(stream, &see, read_on.clone(), &refuses).await,
                        Err(_) => continue,
                    },
                    None => serve(stream, &see, read_on.clone(), &refuses).await,
                }
            }
        });
        let url = match secure {
            true => format!("rtmps://localhost:{}/live", address.port()),
            false => format!("rtmp://{address}/live"),
        };
        let key = format!("key-{number}");
        scan::know(&key);
        Self {
            url,
            key,
            number,
            seen,
            reading,
            refusing,
        }
    }

    /// Refuses every stream, or takes them again.
    pub(crate) fn refuse(&self, refusing: bool) {
        self.refusing.send(refusing).unwrap();
    }

    /// Takes nothing more off its sockets, or goes on with it.
    pub(crate) fn read(&self, reading: bool) {
        self.reading.send(reading).unwrap();
    }

    pub(crate) async fn next(&mut self) -> Seen {
        soon(self.seen.recv()).await.unwrap()
    }

    /// What it sees next, however long that takes.
    pub(crate) async fn anything(&mut self) -> Seen {
        self.seen.recv().await.unwrap()
    }

    /// Waits until a stream begins, and checks its key.
    pub(crate) async fn publishing(&mut self) {
        match self.next().await {
            Seen::Publishing(key) => assert_eq!(key, self.key),
            other => panic!("{other:?}"),
        }
    }

    /// The next messages, with their times from the first one's.
    pub(crate) async fn pieces(&mut self, count: usize) -> Vec<Piece> {
        let mut pieces = Vec::with_capacity(count);
        while pieces.len() < count {
            match self.next().await {
                Seen::Media(message) => {
                    pieces.push((message.kind, message.timestamp, message.payload));
                }
                other => panic!("{other:?} after {} messages", pieces.len()),
            }
        }
        pieces
    }

    /// Everything up to a proper end: goodbye, and a clean close.
    pub(crate) async fn rest(&mut self) -> Vec<Piece> {
        let mut pieces = Vec::new();
        loop {
            match self.next().await {
                Seen::Media(message) => {
                    pieces.push((message.kind, message.timestamp, message.payload));
                }
                Seen::Goodbye => break,
                other => panic!("{other:?}"),
            }
        }
        loop {
            match self.next().await {
                Seen::Goodbye => {}
                Seen::Closed { clean } => {
                    assert!(clean, "the connection was cut");
                    return pieces;
                }
                other => panic!("{other:?} after the goodbye"),
            }
        }
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    see: &mpsc::UnboundedSender<Seen>,
    mut read_on: watch::Receiver<bool>,
    refuses: &watch::Receiver<bool>,
) {
    let mut session = ServerSession::new(ServerConfig::default(), Instant::now());
    let clean = loop {
        while let Some(event) = session.poll_event() {
            let seen = match event {
                ServerEvent::PublishRequested(_) if *refuses.borrow() => {
                    session.refuse(Refusal::UnknownKey);
                    continue;
                }
                ServerEvent::PublishRequested(request) => {
                    session.accept(Instant::now()).unwrap();
                    Seen::Publishing(request.key.expose().to_owned())
                }
                ServerEvent::Media(message) => Seen::Media(message),
                ServerEvent::Goodbye => Seen::Goodbye,
                _ => continue,
            };
            let _ = see.send(seen);
        }
        while let Some(bytes) = session.poll_output() {
            if stream.write_all(&bytes).await.is_err() {
                break;
            }
        }
        let _ = stream.flush().await;
        if session.is_closed() {
            return;
        }
        if read_on.wait_for(|reading| *reading).await.is_err() {
            return;
        }
        // An end without close_notify is an error under TLS.
        match stream.read_buf(session.read_buf()).await {
            Ok(0) => break true,
            Ok(_) => session.process(Instant::now()).unwrap(),
            Err(_) => break false,
        }
    };
    let _ = see.send(Seen::Closed { clean });
}

/// Of a destination's socket, in bytes.
const RECEIVE_BUFFER: u32 = 16 * 1024;
