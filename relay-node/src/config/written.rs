//! Settings as they are written, in a file or on the command line.
//!
//! Every one is optional here, so that what is absent on the command line never overrides what
//! stands in the file: defaults are filled in afterwards, by [`Config`](super::Config).

use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroU64};
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Deserialize;
use shared::id::NodeName;
use url::Url;

use super::values::{Addresses, Count, Gather, LogFormat, LogLevel, Networks, PortRanges};

/// All settings. The flag for `key` in `[table]` is `--table-key`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Written {
    /// This node's name, as the control plane knows it
    #[arg(long, value_name = "NAME")]
    pub node: Option<NodeName>,
    #[command(flatten)]
    #[expect(
        missing_docs,
        reason = "the type says it; clap would take a text here for its own"
    )]
    pub rtmps: Rtmps,
    #[command(flatten)]
    #[expect(missing_docs, reason = "as above")]
    pub rtmp: Rtmp,
    #[command(flatten)]
    #[expect(missing_docs, reason = "as above")]
    pub ingest: Ingest,
    #[command(flatten)]
    #[expect(missing_docs, reason = "as above")]
    pub control: Control,
    #[command(flatten)]
    #[expect(missing_docs, reason = "as above")]
    pub state: State,
    #[command(flatten)]
    #[expect(missing_docs, reason = "as above")]
    pub admin: Admin,
    #[command(flatten)]
    #[expect(missing_docs, reason = "as above")]
    pub outputs: Outputs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "as above")]
    pub media: Media,
    #[command(flatten)]
    #[expect(missing_docs, reason = "as above")]
    pub hand_over: HandOver,
    #[command(flatten)]
    #[expect(missing_docs, reason = "as above")]
    pub accounts: Accounts,
    #[command(flatten)]
    #[expect(missing_docs, reason = "as above")]
    pub log: Log,
}

impl Written {
    /// These settings, and those of `below` where these say nothing.
    #[must_use]
    pub fn over(self, below: Self) -> Self {
        Self {
            node: self.node.or(below.node),
            rtmps: self.rtmps.over(below.rtmps),
            rtmp: self.rtmp.over(below.rtmp),
            ingest: self.ingest.over(below.ingest),
            control: self.control.over(below.control),
            state: self.state.over(below.state),
            admin: self.admin.over(below.admin),
            outputs: self.outputs.over(below.outputs),
            media: self.media.over(below.media),
            hand_over: self.hand_over.over(below.hand_over),
            accounts: self.accounts.over(below.accounts),
            log: self.log.over(below.log),
        }
    }

    /// The same with every relative path seen from `folder`.
    #[must_use]
    pub fn relative_to(mut self, folder: &Path) -> Self {
        for path in [
            &mut self.rtmps.certificate,
            &mut self.rtmps.private_key,
            &mut self.control.token_file,
            &mut self.state.directory,
            &mut self.outputs.ca_file,
            &mut self.hand_over.socket,
        ]
        .into_iter()
        .flatten()
        {
            *path = folder.join(&*path);
        }
        self
    }
}

/// `[rtmps]`: where encoders connect.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rtmps {
    /// Where to accept RTMPS; several separated by commas (in the file: a string or an array)
    #[arg(
        id = "rtmps-listen",
        long = "rtmps-listen",
        value_name = "ADDRESS:PORT"
    )]
    pub listen: Option<Addresses>,
    /// The certificate chain shown to encoders, as a PEM file
    #[arg(
        id = "rtmps-certificate",
        long = "rtmps-certificate",
        value_name = "FILE"
    )]
    pub certificate: Option<PathBuf>,
    /// The certificate's private key, as a PEM file
    #[arg(
        id = "rtmps-private-key",
        long = "rtmps-private-key",
        value_name = "FILE"
    )]
    pub private_key: Option<PathBuf>,
}

/// `[rtmp]`: the same without encryption; stream keys can be read on the way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rtmp {
    /// Where to accept plain RTMP; not accepted at all without this
    #[arg(id = "rtmp-listen", long = "rtmp-listen", value_name = "ADDRESS:PORT")]
    // Without serde's leniency towards `Option`s: the table alone would switch on nothing.
    #[serde(deserialize_with = "some_addresses")]
    pub listen: Option<Addresses>,
}

/// `[ingest]`: what encoders may send.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ingest {
    /// The most kilobits a second that an encoder may send; without it, any
    #[arg(
        id = "ingest-max-bitrate-kbps",
        long = "ingest-max-bitrate-kbps",
        value_name = "KBPS"
    )]
    pub max_bitrate_kbps: Option<NonZeroU32>,
    /// How many connections may be open that have not begun to publish, 1 to 65536
    #[arg(
        id = "ingest-max-pending",
        long = "ingest-max-pending",
        value_name = "COUNT"
    )]
    pub max_pending: Option<Count<1, 65_536>>,
    /// The same from one address, or one /64 of IPv6
    #[arg(
        id = "ingest-max-pending-per-address",
        long = "ingest-max-pending-per-address",
        value_name = "COUNT"
    )]
    pub max_pending_per_address: Option<Count<1, 65_536>>,
    /// How many encoders may publish at a time, 1 to 65536
    #[arg(
        id = "ingest-max-publishers",
        long = "ingest-max-publishers",
        value_name = "COUNT"
    )]
    pub max_publishers: Option<Count<1, 65_536>>,
    /// The same from one address, or one /64 of IPv6
    #[arg(
        id = "ingest-max-publishers-per-address",
        long = "ingest-max-publishers-per-address",
        value_name = "COUNT"
    )]
    pub max_publishers_per_address: Option<Count<1, 65_536>>,
    /// How many seconds an encoder has from its connection to its publish, 1 to 60
    #[arg(
        id = "ingest-publish-within-s",
        long = "ingest-publish-within-s",
        value_name = "SECONDS"
    )]
    pub publish_within_s: Option<Count<1, 60>>,
    /// After how many seconds without a byte a publisher is given up, 1 to 300
    #[arg(id = "ingest-idle-s", long = "ingest-idle-s", value_name = "SECONDS")]
    pub idle_s: Option<Count<1, 300>>,
    /// The longest message of a publisher in KiB, 64 to 16383
    #[arg(
        id = "ingest-max-message-kib",
        long = "ingest-max-message-kib",
        value_name = "KIB"
    )]
    pub max_message_kib: Option<Count<64, 16_383>>,
    /// How much of unfinished messages a publisher may leave, in KiB, 128 to 65536
    #[arg(
        id = "ingest-max-unfinished-kib",
        long = "ingest-max-unfinished-kib",
        value_name = "KIB"
    )]
    pub max_unfinished_kib: Option<Count<128, 65_536>>,
    /// How many chunk streams an encoder may use, 8 to 65536
    #[arg(
        id = "ingest-max-chunk-streams",
        long = "ingest-max-chunk-streams",
        value_name = "COUNT"
    )]
    pub max_chunk_streams: Option<Count<8, 65_536>>,
    /// How deep values may lie in one another in an encoder's command, 4 to 16
    #[arg(
        id = "ingest-max-amf-depth",
        long = "ingest-max-amf-depth",
        value_name = "COUNT"
    )]
    pub max_amf_depth: Option<Count<4, 16>>,
    /// How many values a command may hold, 64 to 65536
    #[arg(
        id = "ingest-max-amf-values",
        long = "ingest-max-amf-values",
        value_name = "COUNT"
    )]
    pub max_amf_values: Option<Count<64, 65_536>>,
    /// How many messages a second a publisher may send, 100 to 1000000
    #[arg(
        id = "ingest-max-messages-per-second",
        long = "ingest-max-messages-per-second",
        value_name = "COUNT"
    )]
    pub max_messages_per_second: Option<Count<100, 1_000_000>>,
    /// How many different wrong keys an address may try at once, 1 to 10000
    #[arg(
        id = "ingest-wrong-keys-at-once",
        long = "ingest-wrong-keys-at-once",
        value_name = "COUNT"
    )]
    pub wrong_keys_at_once: Option<Count<1, 10_000>>,
    /// After that, how many seconds pass until it may try another, 1 to 3600
    #[arg(
        id = "ingest-wrong-key-every-s",
        long = "ingest-wrong-key-every-s",
        value_name = "SECONDS"
    )]
    pub wrong_key_every_s: Option<Count<1, 3600>>,
    /// For how many seconds a wrong key is refused without asking again, 1 to 60
    #[arg(
        id = "ingest-wrong-key-remembered-s",
        long = "ingest-wrong-key-remembered-s",
        value_name = "SECONDS"
    )]
    pub wrong_key_remembered_s: Option<Count<1, 60>>,
}

/// `[control]`: the control plane.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Control {
    /// The control plane's URL
    #[arg(id = "control-url", long = "control-url", value_name = "URL")]
    #[serde(deserialize_with = "url")]
    pub url: Option<Url>,
    /// The file that holds this node's token (or set STREAM_CONNECT_TOKEN)
    #[arg(
        id = "control-token-file",
        long = "control-token-file",
        value_name = "FILE"
    )]
    pub token_file: Option<PathBuf>,
    /// For how many hours a stream key is honoured that the control plane has taken, while it
    /// cannot be asked; 0 for never
    #[arg(
        id = "control-key-cache-hours",
        long = "control-key-cache-hours",
        value_name = "HOURS"
    )]
    pub key_cache_hours: Option<u32>,
}

/// `[state]`: what outlives the process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct State {
    /// The directory for what must outlive a restart (systemd's StateDirectory= names it too)
    #[arg(
        id = "state-directory",
        long = "state-directory",
        value_name = "DIRECTORY"
    )]
    pub directory: Option<PathBuf>,
}

/// `[admin]`: health, status and metrics over HTTP, for the operator.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Admin {
    /// Where to answer /health, /status and /metrics
    #[arg(
        id = "admin-listen",
        long = "admin-listen",
        value_name = "ADDRESS:PORT"
    )]
    pub listen: Option<SocketAddr>,
}

/// `[outputs]`: how destinations are connected to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Outputs {
    /// Certificate authorities trusted at destinations beside the public ones, as a PEM file
    #[arg(id = "outputs-ca-file", long = "outputs-ca-file", value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// Networks that destinations may be in beside what is public
    #[arg(id = "outputs-allow", long = "outputs-allow", value_name = "NETWORK")]
    pub allow: Option<Networks>,
    /// Whether destinations may be on this machine's loopback addresses (development only)
    #[arg(
        id = "outputs-allow-loopback",
        long = "outputs-allow-loopback",
        value_name = "BOOL",
        num_args = 0..=1,
        default_missing_value = "true",
        require_equals = true
    )]
    pub allow_loopback: Option<bool>,
    /// Ports of other services that destinations may have, as 25 or 6000-6063
    #[arg(
        id = "outputs-allow-ports",
        long = "outputs-allow-ports",
        value_name = "PORTS"
    )]
    pub allow_ports: Option<PortRanges>,
    /// Where this system's other relay nodes are: destinations are never there
    #[arg(id = "outputs-nodes", long = "outputs-nodes", value_name = "NETWORK")]
    pub nodes: Option<Networks>,
    /// How many milliseconds messages may wait to be written together, 0 to 100
    #[arg(
        id = "outputs-gather",
        long = "outputs-gather",
        value_name = "MILLISECONDS"
    )]
    pub gather: Option<Gather>,
}

/// `[media]`: what broadcasts hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Media {
    /// How much media all broadcasts may hold together for outputs that lag, in MiB
    #[arg(id = "media-memory-mib", long = "media-memory-mib", value_name = "MIB")]
    pub memory_mib: Option<NonZeroU64>,
}

/// `[hand_over]`: how another process of the node takes over, for an upgrade without a break.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HandOver {
    /// The socket by which a new process finds the running one, in a folder that nobody else may
    /// enter; without it none takes over
    #[arg(
        id = "hand-over-socket",
        long = "hand-over-socket",
        value_name = "FILE"
    )]
    pub socket: Option<PathBuf>,
    /// For how many minutes the former process goes on to serve what is on air
    #[arg(
        id = "hand-over-max-minutes",
        long = "hand-over-max-minutes",
        value_name = "MINUTES"
    )]
    pub max_minutes: Option<u32>,
}

/// `[accounts]`: what each account may do at this node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Accounts {
    /// How many live inputs of an account may be on air at this node
    #[arg(
        id = "accounts-inputs",
        long = "accounts-inputs",
        value_name = "NUMBER"
    )]
    pub inputs: Option<NonZeroU32>,
    /// How many outputs of an account may be connected
    #[arg(
        id = "accounts-outputs",
        long = "accounts-outputs",
        value_name = "NUMBER"
    )]
    pub outputs: Option<NonZeroU32>,
    /// How many megabits a second an account may send
    #[arg(id = "accounts-mbps", long = "accounts-mbps", value_name = "MBPS")]
    pub mbps: Option<NonZeroU32>,
}

/// `[log]`: what goes to standard error.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// How much to tell
    #[arg(id = "log-level", long = "log-level", value_name = "LEVEL")]
    pub level: Option<LogLevel>,
    /// How to write it
    #[arg(id = "log-format", long = "log-format", value_name = "FORMAT")]
    pub format: Option<LogFormat>,
}

/// The way to lay a table over another: its fields, and where one says nothing, that of `below`. A field
/// that is left out here does not compile.
macro_rules! overlaid {
    ($table:ident { $($field:ident),+ }) => {
        impl $table {
            fn over(self, below: Self) -> Self {
                Self { $($field: self.$field.or(below.$field)),+ }
            }
        }
    };
}

overlaid!(Rtmps {
    listen,
    certificate,
    private_key
});
overlaid!(Rtmp { listen });
overlaid!(Ingest {
    max_bitrate_kbps,
    max_pending,
    max_pending_per_address,
    max_publishers,
    max_publishers_per_address,
    publish_within_s,
    idle_s,
    max_message_kib,
    max_unfinished_kib,
    max_chunk_streams,
    max_amf_depth,
    max_amf_values,
    max_messages_per_second,
    wrong_keys_at_once,
    wrong_key_every_s,
    wrong_key_remembered_s
});
overlaid!(Control {
    url,
    token_file,
    key_cache_hours
});
overlaid!(State { directory });
overlaid!(Admin { listen });
overlaid!(Outputs {
    ca_file,
    allow,
    allow_loopback,
    allow_ports,
    nodes,
    gather
});
overlaid!(Media { memory_mib });
overlaid!(HandOver {
    socket,
    max_minutes
});
overlaid!(Accounts {
    inputs,
    outputs,
    mbps
});
overlaid!(Log { level, format });

fn some_addresses<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Addresses>, D::Error> {
    Addresses::deserialize(deserializer).map(Some)
}

fn url<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Url>, D::Error> {
    let text = String::deserialize(deserializer)?;
    // The parser's reasons never repeat the text, which may hold a password.
    Url::parse(&text)
        .map(Some)
        .map_err(serde::de::Error::custom)
}
