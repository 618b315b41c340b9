//! The configuration: a TOML file, flags of the same names above it, defaults below.

mod values;
mod written;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs, io};

use broadcast::{DEFAULT_BUDGET, Quota};
use shared::address::{AddressPolicy, Network};
use shared::id::NodeName;
use shared::secret::Secret;
use url::Url;

pub use values::{
    Addresses, Count, Gather, InvalidCount, InvalidGather, LogFormat, LogLevel, Networks,
    PortRanges,
};
pub use written::{
    Accounts, Admin, Control, HandOver as WrittenHandOver, Ingest, Log, Media, Outputs, Rtmp,
    Rtmps, State, Written,
};

use crate::ingest::Bounds;
use crate::toml_error::TomlError;

/// What the node runs with: complete and consistent, files not read yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The node's name.
    pub node: NodeName,
    /// Where encoders connect by RTMPS.
    pub rtmps: Option<RtmpsListener>,
    /// Where they connect by plain RTMP; empty if they cannot.
    pub rtmp: Vec<SocketAddr>,
    /// The most bits a second that an encoder may send, if there is a bound.
    pub max_bitrate: Option<u64>,
    /// What else an encoder may have.
    pub bounds: Bounds,
    /// Who decides what is relayed.
    pub source: Source,
    /// What outlives the process is kept here, if it was told.
    pub state_directory: Option<PathBuf>,
    /// Where health, status and metrics are served.
    pub admin: SocketAddr,
    /// Certificate authorities trusted at destinations beside the public ones.
    pub ca_file: Option<PathBuf>,
    /// Which addresses and ports destinations may have.
    pub destinations: AddressPolicy,
    /// Where the system's other nodes are, to which no output is sent.
    pub nodes: Vec<Network>,
    /// How long messages may wait to be written together.
    pub gather: Gather,
    /// How much media all broadcasts may hold together, in bytes.
    pub media_memory: usize,
    /// How another process of the node takes over.
    pub hand_over: HandOver,
    /// What each account may do.
    pub quota: Quota,
    /// How much to log.
    pub log_level: LogLevel,
    /// How to write the log.
    pub log_format: LogFormat,
}

impl Config {
    /// Reads `file`, lays `flags` over it, and fills in the defaults. With `inputs`, these come
    /// from that file instead of a control plane.
    pub fn load(
        file: Option<&Path>,
        flags: Written,
        inputs: Option<PathBuf>,
    ) -> Result<Self, ConfigError> {
        let written = match file {
            Some(path) => flags.over(read(path)?),
            None => flags,
        };
        Ok(Self::complete(written, inputs)?)
    }

    /// Fills in the defaults.
    pub fn complete(written: Written, inputs: Option<PathBuf>) -> Result<Self, Incomplete> {
        let rtmps = match written.rtmps {
            Rtmps {
                listen: None,
                certificate: None,
                private_key: None,
            } => None,
            Rtmps {
                certificate: None, ..
            } => return Err(Incomplete::Certificate),
            Rtmps {
                private_key: None, ..
            } => return Err(Incomplete::PrivateKey),
            Rtmps {
                listen,
                certificate: Some(certificate),
                private_key: Some(private_key),
            } => Some(RtmpsListener {
                listen: listen.map_or_else(|| vec![DEFAULT_RTMPS_LISTEN], |listen| listen.0),
                certificate,
                private_key,
            }),
        };
        let rtmp = written.rtmp.listen.map_or_else(Vec::new, |listen| listen.0);
        if rtmps.is_none() && rtmp.is_empty() {
            return Err(Incomplete::Listener);
        }
        let source = match (inputs, written.control.url) {
            (Some(path), _) => Source::File(path),
            (None, None) => return Err(Incomplete::Control),
            (None, Some(url)) if !matches!(url.scheme(), "http" | "https") => {
                return Err(Incomplete::ControlScheme);
            }
            (None, Some(url)) => Source::ControlPlane {
                url,
                token_file: written.control.token_file,
                keys_honoured_for: written
                    .control
                    .key_cache_hours
                    .map_or(DEFAULT_KEYS_HONOURED_FOR, |hours| HOUR * hours),
            },
        };
        let node = match (written.node, &source) {
            (Some(node), _) => node,
            (None, Source::File(_)) => DEFAULT_STATIC_NODE.parse().map_err(|_| Incomplete::Node)?,
            (None, Source::ControlPlane { .. }) => return Err(Incomplete::Node),
        };
        let loopback = written.outputs.allow_loopback.unwrap_or(false);
        Ok(Self {
            node,
            rtmps,
            rtmp,
            max_bitrate: written
                .ingest
                .max_bitrate_kbps
                .map(|kbps| 1000 * u64::from(kbps.get())),
            bounds: bounds(&written.ingest),
            source,
            state_directory: written.state.directory,
            admin: written.admin.listen.unwrap_or(DEFAULT_ADMIN_LISTEN),
            ca_file: written.outputs.ca_file,
            destinations: destinations(
                written.outputs.allow,
                loopback,
                written.outputs.allow_ports,
            ),
            nodes: written.outputs.nodes.unwrap_or_default().0,
            gather: written.outputs.gather.unwrap_or_default(),
            media_memory: match written.media.memory_mib {
                Some(mib) => usize::try_from(mib.get())
                    .unwrap_or(usize::MAX)
                    .saturating_mul(MIB),
                None => DEFAULT_BUDGET,
            },
            hand_over: HandOver {
                socket: written.hand_over.socket,
                max: match written.hand_over.max_minutes {
                    Some(minutes) => Duration::from_secs(60 * u64::from(minutes)),
                    None => DEFAULT_HAND_OVER_MAX,
                },
            },
            quota: quota(&written.accounts),
            log_level: written.log.level.unwrap_or_default(),
            log_format: written.log.format.unwrap_or_default(),
        })
    }
}

fn bounds(written: &Ingest) -> Bounds {
    fn set<const LEAST: u32, const MOST: u32>(
        to: &mut usize,
        written: Option<Count<LEAST, MOST>>,
        unit: usize,
    ) {
        if let Some(count) = written {
            *to = (count.get() as usize).saturating_mul(unit);
        }
    }
    fn set_seconds<const LEAST: u32, const MOST: u32>(
        to: &mut Duration,
        written: Option<Count<LEAST, MOST>>,
    ) {
        if let Some(count) = written {
            *to = Duration::from_secs(count.get().into());
        }
    }
    let mut bounds = Bounds::default();
    let places = &mut bounds.places;
    set(&mut places.pending, written.max_pending, 1);
    let per_address = written.max_pending_per_address;
    set(&mut places.pending_of_origin, per_address, 1);
    set(&mut places.publishers, written.max_publishers, 1);
    let per_address = written.max_publishers_per_address;
    set(&mut places.publishers_of_origin, per_address, 1);
    let session = &mut bounds.session;
    set_seconds(&mut session.request_timeout, written.publish_within_s);
    set_seconds(&mut session.idle_timeout, written.idle_s);
    let limits = &mut session.limits;
    set(&mut limits.max_message, written.max_message_kib, KIB);
    set(
        &mut limits.max_partial_bytes,
        written.max_unfinished_kib,
        KIB,
    );
    // The longest message may take as long as it likes to come.
    limits.max_partial_bytes = limits.max_partial_bytes.max(limits.max_message);
    set(&mut limits.max_chunk_streams, written.max_chunk_streams, 1);
    set(&mut session.amf0.depth, written.max_amf_depth, 1);
    set(&mut session.amf0.values, written.max_amf_values, 1);
    if let Some(count) = written.max_messages_per_second {
        session.messages_per_second = count.get();
    }
    let wrong_keys = &mut bounds.wrong_keys;
    if let Some(count) = written.wrong_keys_at_once {
        wrong_keys.burst = count.get();
    }
    set_seconds(&mut wrong_keys.every, written.wrong_key_every_s);
    set_seconds(&mut wrong_keys.remembered, written.wrong_key_remembered_s);
    bounds
}

fn quota(written: &Accounts) -> Quota {
    let default = Quota::default();
    let mbps = written.mbps.map(|mbps| u64::from(mbps.get()) * 1_000_000);
    Quota {
        inputs: written.inputs.map_or(default.inputs, NonZeroU32::get),
        outputs: written.outputs.map_or(default.outputs, NonZeroU32::get),
        bits: mbps.unwrap_or(default.bits),
    }
}

fn destinations(
    allow: Option<Networks>,
    loopback: bool,
    ports: Option<PortRanges>,
) -> AddressPolicy {
    let networks = allow.map_or_else(Vec::new, |networks| networks.0);
    let loopback = Network::LOOPBACK.into_iter().filter(|_| loopback);
    AddressPolicy::allowing(networks.into_iter().chain(loopback))
        .with_ports(ports.map_or_else(Vec::new, |ports| ports.0))
}

/// `[hand_over]`, complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandOver {
    /// The socket by which a process finds the one that it takes over from, if any ever does.
    pub socket: Option<PathBuf>,
    /// How long the one that was taken over from goes on to serve what is on air.
    pub max: Duration,
}

/// `[rtmps]`, complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RtmpsListener {
    /// Where to accept.
    pub listen: Vec<SocketAddr>,
    /// The certificate chain's PEM file.
    pub certificate: PathBuf,
    /// The private key's PEM file.
    pub private_key: PathBuf,
}

/// Who decides what is relayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The control plane.
    ControlPlane {
        /// Where it is.
        url: Url,
        /// The file that holds the node's token, unless the environment does.
        token_file: Option<PathBuf>,
        /// How long its answers about keys count while it cannot be asked.
        keys_honoured_for: Duration,
    },
    /// A file of inputs.
    File(PathBuf),
}

/// The directory that systemd's `StateDirectory=` has made, if there is one; the first of several.
pub fn systemd_state_directory() -> Option<PathBuf> {
    let directories = env::var_os("STATE_DIRECTORY")?;
    env::split_paths(&directories)
        .next()
        .filter(|path| path.is_absolute())
}

/// The node's token for the control plane, from [`TOKEN_VARIABLE`] or else from `token_file`.
pub fn token(token_file: Option<&Path>) -> Result<Secret, TokenError> {
    let text = match (env::var(TOKEN_VARIABLE), token_file) {
        (Ok(text), _) => text,
        (Err(_), Some(path)) => fs::read_to_string(path).map_err(|source| TokenError::Read {
            path: path.to_owned(),
            source,
        })?,
        (Err(_), None) => return Err(TokenError::Missing),
    };
    let token = text.trim();
    if token.is_empty() {
        return Err(TokenError::Empty);
    }
    Ok(Secret::new(token))
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// Only white space where it should be.
    #[error("the node's token is empty")]
    Empty,
    /// Neither place is given.
    #[error("no token for the control plane: set {TOKEN_VARIABLE}, or control.token_file")]
    Missing,
    /// The file cannot be read.
    #[error("cannot read the token file {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Something that has no default is missing, or does not fit the rest.
    #[error(transparent)]
    Incomplete(#[from] Incomplete),
    /// The file is not right.
    #[error("{}: {error}", path.display())]
    Mistake {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and where.
        error: TomlError,
    },
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// What is missing, or does not fit the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Incomplete {
    /// RTMPS without its certificate.
    #[error("[rtmps] has no certificate: name the PEM file of the certificate chain")]
    Certificate,
    /// No control plane, and no file of inputs.
    #[error("[control] has no url: name the control plane, or run with --static FILE")]
    Control,
    /// A control plane that is not on the web.
    #[error("control.url must begin with https:// or http://")]
    ControlScheme,
    /// Nothing to listen on.
    #[error("there is no listener: configure [rtmps], or [rtmp] for plain RTMP")]
    Listener,
    /// No name.
    #[error("node is missing: give the name by which the control plane knows this node")]
    Node,
    /// RTMPS without its private key.
    #[error("[rtmps] has no private_key: name the PEM file of the certificate's private key")]
    PrivateKey,
}

/// The environment variable that may hold the node's token.
pub const TOKEN_VARIABLE: &str = "STREAM_CONNECT_TOKEN";

fn read(path: &Path) -> Result<Written, ConfigError> {
    let text = fs::read_to_string(path).map_err(|source| ConfigError::Read {
        path: path.to_owned(),
        source,
    })?;
    let written: Written = toml::from_str(&text).map_err(|error| ConfigError::Mistake {
        path: path.to_owned(),
        error: TomlError::new(&text, &error),
    })?;
    Ok(written.relative_to(path.parent().unwrap_or_else(|| Path::new(""))))
}

const HOUR: Duration = Duration::from_secs(3600);

/// Over a night and the day after it: by then somebody has seen to it. As long, a key that was
/// revoked in the outage may publish.
const DEFAULT_KEYS_HONOURED_FOR: Duration = Duration::from_secs(24 * 3600);

/// A day: long enough for nearly every broadcast to end by itself, and short enough that a forgotten
/// process does not live for ever. At its end encoders are told that the node stops, and find the new
/// process when they connect again.
const DEFAULT_HAND_OVER_MAX: Duration = Duration::from_secs(24 * 60 * 60);

const KIB: usize = 1024;

const MIB: usize = 1024 * KIB;

/// Every address of the machine, IPv4 and IPv6, on the port that encoders expect.
const DEFAULT_RTMPS_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 443);

/// Loopback: status tells where inputs send to.
const DEFAULT_ADMIN_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8781);

/// A node without a control plane is known to nobody by its name.
const DEFAULT_STATIC_NODE: &str = "static";

#[cfg(test)]
mod tests;
