//! A node in this process, with encoders before it and destinations behind it.

pub(crate) mod adobe;
pub(crate) mod control;
pub(crate) mod destination;
pub(crate) mod encoder;
pub(crate) mod scan;

use std::fs;
use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use relay_node::config::{Config, Gather, HandOver, LogFormat, LogLevel, RtmpsListener, Source};
use relay_node::crypto;
use relay_node::ingest::Bounds;
use relay_node::node::{Node, SetUp};
use rtmp::{Capabilities, MessageType};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use shared::address::{AddressPolicy, Network};
use shared::id::{InputUid, OutputUid};
use shared::link::{Snapshot, Target, WantedOutput, Wish};
use shared::secret::Secret;
use tempfile::TempDir;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use destination::Destination;
use encoder::Encoder;

/// The key that the node's one input is published with.
pub(crate) const KEY: &str = "hunter2";

/// Fails instead of waiting for ever: everything here happens within milliseconds.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future)
        .await
        .expect("this should have happened by now")
}

/// A certificate for `localhost` that is its own authority.
pub(crate) struct Tls {
    folder: TempDir,
    pub(crate) acceptor: TlsAcceptor,
    pub(crate) connector: TlsConnector,
}

impl Tls {
    pub(crate) fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("certificate.pem"), made.cert.pem()).unwrap();
        fs::write(
            folder.path().join("key.pem"),
            made.signing_key.serialize_pem(),
        )
        .unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let server = ServerConfig::builder_with_provider(crypto::provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        let client = ClientConfig::builder_with_provider(crypto::provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self {
            folder,
            acceptor: Arc::new(server).into(),
            connector: Arc::new(client).into(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// Of a node on free ports.
pub(crate) fn config(tls: &Tls, source: Source) -> Config {
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    Config {
        node: "test".parse().unwrap(),
        rtmps: Some(RtmpsListener {
            listen: vec![any],
            certificate: tls.path("certificate.pem"),
            private_key: tls.path("key.pem"),
        }),
        rtmp: vec![any],
        max_bitrate: None,
        state_directory: None,
        bounds: Bounds::default(),
        source,
        admin: any,
        ca_file: Some(tls.path("certificate.pem")),
        nodes: Vec::new(),
        destinations: AddressPolicy::allowing(Network::LOOPBACK),
        gather: Gather::default(),
        media_memory: broadcast::DEFAULT_BUDGET,
        hand_over: HandOver {
            socket: None,
            max: Duration::from_secs(60),
        },
        quota: broadcast::Quota::default(),
        log_level: LogLevel::Info,
        log_format: LogFormat::Text,
    }
}

/// A running node with one input.
pub(crate) struct Rig {
    pub(crate) tls: Tls,
    pub(crate) node: Node,
    pub(crate) input: InputUid,
    _watch: scan::Watch,
}

impl Rig {
    /// A node whose file sends its input to these destinations.
    pub(crate) async fn new(destinations: &[&Destination]) -> Self {
        let tls = Tls::new();
        Self::with(tls, destinations).await
    }

    pub(crate) async fn with(tls: Tls, destinations: &[&Destination]) -> Self {
        let mut inputs = format!("[[input]]\nstream_key = \"{KEY}\"\n");
        for destination in destinations {
            inputs += &format!(
                "[[input.output]]\nurl = \"{}\"\nstream_key = \"{}\"\n",
                destination.url, destination.key
            );
        }
        fs::write(tls.path("inputs.toml"), inputs).unwrap();
        let config = config(&tls, Source::File(tls.path("inputs.toml")));
        Self::start(tls, &config).await
    }

    pub(crate) async fn start(tls: Tls, config: &Config) -> Self {
        crypto::install();
        scan::know(KEY);
        let watch = scan::begin();
        let node = Node::start(SetUp::new(config).unwrap(), Vec::new())
            .await
            .unwrap();
        // The first input of a file.
        let mut id = [0; 16];
        id[3] = 1;
        Self {
            tls,
            node,
            input: InputUid::from_random(id),
            _watch: watch,
        }
    }

    /// An encoder that connects by RTMPS and publishes with `key`.
    pub(crate) async fn encoder(&self, key: &str) -> Encoder {
        self.encoder_knowing(key, Capabilities::default()).await
    }

    /// The same, one that knows of Enhanced RTMP.
    pub(crate) async fn encoder_knowing(&self, key: &str, capabilities: Capabilities) -> Encoder {
        let (address, tls) = (self.node.rtmps()[0], &self.tls.connector);
        Encoder::connect(address, tls, "live", key, capabilities).await
    }

    /// Applies a snapshot of the input, as the control plane sends it.
    pub(crate) fn apply(&self, rev: u64, wish: Wish) {
        self.node.registry().apply(Snapshot {
            input: self.input,
            rev,
            epoch: 1,
            owner: None,
            oldest_key: 0,
            account: None,
            wish,
        });
    }

    /// The first outputs of the file, as a wish.
    pub(crate) fn relay(&self, destinations: &[&Destination]) -> Wish {
        Wish::relay(
            destinations
                .iter()
                .map(|destination| destination.wanted())
                .collect(),
        )
    }
}

impl Destination {
    /// The output, numbered as in the file that names this destination first.
    pub(crate) fn wanted(&self) -> WantedOutput {
        let mut id = [0; 16];
        (id[3], id[15]) = (1, self.number);
        WantedOutput {
            uid: OutputUid::from_random(id),
            enabled: true,
            retry: 0,
            target: Target::Rtmp {
                url: Secret::new(self.url.clone()),
                stream_key: Secret::new(self.key.clone()),
            },
        }
    }
}

/// A message of a stream: type, time, payload.
pub(crate) type Piece = (MessageType, u32, Bytes);

/// What an encoder says first.
pub(crate) fn headers() -> Vec<Piece> {
    let mut metadata =
        b"\x02\x00\x0d@setDataFrame\x02\x00\x0aonMetaData\x08\x00\x00\x00\x01".to_vec();
    metadata.extend_from_slice(b"\x00\x05width\x00\x40\x94\x00\x00\x00\x00\x00\x00\x00\x00\x09");
    vec![
        (MessageType::DATA_AMF0, 0, metadata.into()),
        (
            MessageType::VIDEO,
            0,
            Bytes::from_static(b"\x17\x00\x00\x00\x00avcC"),
        ),
        (
            MessageType::AUDIO,
            0,
            Bytes::from_static(b"\xaf\x00\x12\x10"),
        ),
    ]
}

/// The group of pictures of that number, a second long: a keyframe, then audio and pictures by
/// turns; some larger than a chunk.
pub(crate) fn group(number: u32) -> Vec<Piece> {
    let start = number * 1000;
    let payload = |head: &[u8], length: usize, seed: u32| -> Bytes {
        let noise = (0..length as u32).map(|i| (i.wrapping_mul(seed + 7) >> 3) as u8);
        head.iter().copied().chain(noise).collect()
    };
    let mut pieces = vec![(
        MessageType::VIDEO,
        start,
        payload(b"\x17\x01\x00\x00\x00", 150_000, number),
    )];
    for step in 1..20 {
        let time = start + 50 * step;
        let seed = 31 * number + step;
        pieces.push((MessageType::AUDIO, time, payload(b"\xaf\x01", 300, seed)));
        let length = if step == 7 { 70_000 } else { 2000 };
        pieces.push((
            MessageType::VIDEO,
            time,
            payload(b"\x27\x01\x00\x00\x00", length, seed),
        ));
    }
    pieces
}
