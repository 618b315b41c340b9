//! A tap between an encoder and the node: it passes every byte on, and keeps the tags that the
//! encoder sent.

use std::net::Ipv4Addr;
use std::path::Path;

use anyhow::{Context as _, Result};
use rustls::pki_types::ServerName;
use tokio::io::{self, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::authority::Authority;
use crate::streams::{Entry, Streams};
use crate::tls;
use crate::wire::{Extended, HANDSHAKE, Reader};

/// Both taps: plain for the node's RTMP, and one that speaks TLS on either side for its RTMPS.
pub struct Tap {
    rtmp: u16,
    rtmps: u16,
    streams: Streams,
    _runtime: Runtime,
}

impl Tap {
    /// Listens before the node's ports. Encoders are shown the authority's server certificate; the
    /// node is believed by the authority in the PEM file `ingest_authority`.
    pub fn start(
        node_rtmp: u16,
        node_rtmps: u16,
        authority: &Authority,
        ingest_authority: &Path,
    ) -> Result<Self> {
        let runtime = Runtime::new()?;
        let streams = Streams::default();
        let secure = (tls::acceptor(authority)?, tls::connector(ingest_authority)?);
        let listen = || runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
        let (plain, ciphered) = (listen()?, listen()?);
        let (rtmp, rtmps) = (plain.local_addr()?.port(), ciphered.local_addr()?.port());
        runtime.spawn(serve(plain, node_rtmp, None, streams.clone()));
        runtime.spawn(serve(ciphered, node_rtmps, Some(secure), streams.clone()));
        Ok(Self {
            rtmp,
            rtmps,
            streams,
            _runtime: runtime,
        })
    }

    /// Where encoders publish, without the key and the slash before it.
    pub fn url(&self, secure: bool) -> String {
        match secure {
            true => format!("rtmps://localhost:{}/live", self.rtmps),
            false => format!("rtmp://localhost:{}/live", self.rtmp),
        }
    }

    /// What encoders have sent.
    pub fn streams(&self) -> &Streams {
        &self.streams
    }
}

async fn serve(
    listener: TcpListener,
    node: u16,
    secure: Option<(TlsAcceptor, TlsConnector)>,
    streams: Streams,
) {
    while let Ok((stream, _)) = listener.accept().await {
        let (secure, entry) = (secure.clone(), streams.open());
        tokio::spawn(async move {
            let result = pass(stream, node, secure, &entry).await;
            entry.end(result);
        });
    }
}

/// Whether the encoder closed cleanly.
async fn pass(
    encoder: TcpStream,
    node: u16,
    secure: Option<(TlsAcceptor, TlsConnector)>,
    entry: &Entry,
) -> Result<bool> {
    let to_node = TcpStream::connect((Ipv4Addr::LOCALHOST, node)).await?;
    encoder.set_nodelay(true)?;
    to_node.set_nodelay(true)?;
    match secure {
        None => pass_on(encoder, to_node, entry).await,
        Some((acceptor, connector)) => {
            let name = ServerName::try_from("localhost")?;
            let encoder = acceptor
                .accept(encoder)
                .await
                .context("the encoder's TLS")?;
            let to_node = connector.connect(name, to_node).await;
            pass_on(encoder, to_node.context("the node's TLS")?, entry).await
        }
    }
}

async fn pass_on(
    encoder: impl AsyncRead + AsyncWrite,
    node: impl AsyncRead + AsyncWrite,
    entry: &Entry,
) -> Result<bool> {
    let (mut from_encoder, mut to_encoder) = io::split(encoder);
    let (mut from_node, mut to_node) = io::split(node);
    let there = async {
        let mut listener = Listener::new(entry);
        let mut buffer = vec![0; 64 << 10];
        let clean = loop {
            match from_encoder.read(&mut buffer).await {
                Ok(0) => break true,
                // It was cut.
                Err(_) => break false,
                Ok(length) => {
                    let bytes = buffer.get(..length).unwrap_or_default();
                    listener.hear(bytes)?;
                    // The node hears no more of one that it has refused.
                    let _ = to_node.write_all(bytes).await;
                    let _ = to_node.flush().await;
                }
            }
        };
        let _ = to_node.shutdown().await;
        anyhow::Ok(clean)
    };
    let back = async {
        let mut buffer = vec![0; 16 << 10];
        while let Ok(length @ 1..) = from_node.read(&mut buffer).await {
            let bytes = buffer.get(..length).unwrap_or_default();
            if to_encoder.write_all(bytes).await.is_err() || to_encoder.flush().await.is_err() {
                break;
            }
        }
        let _ = to_encoder.shutdown().await;
    };
    tokio::join!(there, back).0
}

/// What the encoder says, behind its handshake.
struct Listener<'a> {
    entry: &'a Entry,
    handshake: usize,
    reader: Reader,
}

impl<'a> Listener<'a> {
    fn new(entry: &'a Entry) -> Self {
        Self {
            entry,
            handshake: 1 + 2 * HANDSHAKE,
            reader: Reader::new(Extended::Either),
        }
    }

    fn hear(&mut self, bytes: &[u8]) -> Result<()> {
        let handshake = self.handshake.min(bytes.len());
        self.handshake -= handshake;
        self.reader.push(bytes.get(handshake..).unwrap_or_default());
        while let Some(message) = self.reader.message()? {
            let taken = self.entry.change(|stream| stream.take(message));
            let command = taken.transpose()?.flatten();
            if let Some(command) = command.filter(|command| command.name == "publish") {
                let name = command.text(1)?.to_owned();
                self.entry.change(|stream| stream.name = name);
            }
        }
        Ok(())
    }
}
