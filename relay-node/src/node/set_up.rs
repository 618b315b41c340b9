//! What a node is started with.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use broadcast::Budget;
use shared::id::{Instance, NodeName};
use shared::link::Snapshot;
use tokio::sync::mpsc;

use crate::config::{self, Config, Source, TokenError};
use crate::control::{Control, Revs};
use crate::egress::Dialler;
use crate::egress::tls::{self, CaFileError};
use crate::ingest::Door;
use crate::ingest::tls::{Certificate, CertificateError, server_config};
use crate::registry::MediaRules;
use crate::shards::Shards;
use crate::static_control;
use crate::system;
use crate::uplink::{self, KeyCache, Uplink};

/// Everything that a node is started with: files read, nothing opened.
pub struct SetUp {
    pub(super) node: NodeName,
    pub(super) instance: Instance,
    pub(super) rtmps: Option<(Vec<SocketAddr>, Arc<Certificate>)>,
    pub(super) rtmp: Vec<SocketAddr>,
    pub(super) admin: SocketAddr,
    pub(super) dialler: Dialler,
    pub(super) system: Arc<str>,
    pub(super) media: MediaRules,
    pub(super) door: Arc<Door>,
    pub(super) control: Control,
    pub(super) revs: Arc<Revs>,
    pub(super) snapshots: mpsc::Receiver<Snapshot>,
    pub(super) uplink: Option<Uplink>,
    pub(super) hand_over: Option<PathBuf>,
    pub(super) draining: Vec<Instance>,
}

impl SetUp {
    /// Reads the files that the configuration names.
    pub fn new(config: &Config) -> Result<Self, SetUpError> {
        let rtmps = match &config.rtmps {
            Some(rtmps) => Some((rtmps.listen.clone(), Arc::new(Certificate::new(rtmps)?))),
            None => None,
        };
        let tls = tls::client_config(config.ca_file.as_deref())?;
        let policy = config.destinations.clone();
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(SetUpError::Random)?;
        let instance = Instance::from_random(random);
        let mut salt = [0; 32];
        getrandom::fill(&mut salt).map_err(SetUpError::Random)?;
        let revs = Arc::new(Revs::default());
        let (control, snapshots, uplink) = match &config.source {
            Source::File(path) => {
                let handle = inputs(path)?;
                for (input, name) in handle.names() {
                    tracing::info!(%input, name, "input of the file");
                }
                // A file never changes its mind: the sender is dropped.
                (Control::Static(handle), mpsc::channel(1).1, None)
            }
            Source::ControlPlane {
                url,
                token_file,
                keys_honoured_for,
            } => {
                let token = config::token(token_file.as_deref())?;
                let state = config.state_directory.clone();
                let state = state.or_else(config::systemd_state_directory);
                let config = uplink::Config {
                    control: url.clone(),
                    cache: KeyCache::open(state.as_deref(), *keys_honoured_for, &token),
                    token,
                    node: config.node.clone(),
                    instance,
                    tls: tls::client_config(None)?,
                };
                let (uplink, handle, snapshots) = Uplink::new(config, Arc::clone(&revs))?;
                (Control::Uplink(handle), snapshots, Some(uplink))
            }
        };
        Ok(Self {
            node: config.node.clone(),
            instance,
            rtmps,
            rtmp: config.rtmp.clone(),
            admin: config.admin,
            dialler: Dialler::new(policy, tls).beside(config.nodes.iter().copied()),
            system: system::name(&config.source, instance),
            media: MediaRules {
                max_bitrate: config.max_bitrate,
                gather: config.gather.duration(),
                budget: Budget::new(config.media_memory),
                shards: Shards::start(cores()).map_err(SetUpError::Threads)?,
                quota: config.quota,
            },
            door: Door::new(config.bounds.clone(), salt),
            control,
            revs,
            snapshots,
            uplink,
            hand_over: config.hand_over.socket.clone(),
            draining: Vec::new(),
        })
    }

    /// These processes of the node may still have broadcasts when this one begins.
    #[must_use]
    pub fn beside(mut self, draining: Vec<Instance>) -> Self {
        self.draining = draining;
        self
    }
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

/// Reads every file that the configuration names, as a start would, but for the token: whoever
/// checks need not be allowed to read that.
pub fn check(config: &Config) -> Result<(), SetUpError> {
    if let Some(rtmps) = &config.rtmps {
        server_config(rtmps)?;
    }
    tls::client_config(config.ca_file.as_deref())?;
    if let Source::File(path) = &config.source {
        inputs(path)?;
    }
    Ok(())
}

fn inputs(path: &Path) -> Result<static_control::Handle, SetUpError> {
    let text = fs::read_to_string(path).map_err(|source| SetUpError::Read {
        path: path.to_owned(),
        source,
    })?;
    static_control::Handle::parse(&text).map_err(|why| SetUpError::Inputs {
        path: path.to_owned(),
        why,
    })
}

/// Why a node cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetUpError {
    /// The destinations' certificate authorities cannot be used.
    #[error(transparent)]
    CaFile(#[from] CaFileError),
    /// The certificate cannot be used.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The file of inputs is not right.
    #[error("{}: {why}", path.display())]
    Inputs {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: static_control::Invalid,
    },
    /// The system gives no randomness.
    #[error("the system gives no randomness")]
    Random(#[source] getrandom::Error),
    /// The file of inputs cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The threads for media cannot be started.
    #[error("the system gives no threads")]
    Threads(#[source] io::Error),
    /// There is no token.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The control plane cannot be connected to with this configuration.
    #[error(transparent)]
    Uplink(#[from] uplink::InvalidConfig),
}
