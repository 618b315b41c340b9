//! Settings as they are written, in a file or on the command line.
//!
//! Every one is optional here, so that what is absent on the command line never overrides what
//! stands in the file: defaults are filled in afterwards, by [`Config`](super::Config).

use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroU64};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde::Deserialize;
use shared::address::{InvalidNetwork, InvalidPorts, Network, Ports};
use shared::id::NodeName;
use url::Url;

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
            rtmps: Rtmps {
                listen: self.rtmps.listen.or(below.rtmps.listen),
                certificate: self.rtmps.certificate.or(below.rtmps.certificate),
                private_key: self.rtmps.private_key.or(below.rtmps.private_key),
            },
            rtmp: Rtmp {
                listen: self.rtmp.listen.or(below.rtmp.listen),
            },
            ingest: Ingest {
                max_bitrate_kbps: self
                    .ingest
                    .max_bitrate_kbps
                    .or(below.ingest.max_bitrate_kbps),
                max_pending: self.ingest.max_pending.or(below.ingest.max_pending),
                max_pending_per_address: self
                    .ingest
                    .max_pending_per_address
                    .or(below.ingest.max_pending_per_address),
                max_publishers: self.ingest.max_publishers.or(below.ingest.max_publishers),
                max_publishers_per_address: self
                    .ingest
                    .max_publishers_per_address
                    .or(below.ingest.max_publishers_per_address),
                publish_within_s: self
                    .ingest
                    .publish_within_s
                    .or(below.ingest.publish_within_s),
                idle_s: self.ingest.idle_s.or(below.ingest.idle_s),
                max_message_kib: self.ingest.max_message_kib.or(below.ingest.max_message_kib),
                max_unfinished_kib: self
                    .ingest
                    .max_unfinished_kib
                    .or(below.ingest.max_unfinished_kib),
                max_chunk_streams: self
                    .ingest
                    .max_chunk_streams
                    .or(below.ingest.max_chunk_streams),
                max_amf_depth: self.ingest.max_amf_depth.or(below.ingest.max_amf_depth),
                max_amf_values: self.ingest.max_amf_values.or(below.ingest.max_amf_values),
                max_messages_per_second: self
                    .ingest
                    .max_messages_per_second
                    .or(below.ingest.max_messages_per_second),
                wrong_keys_at_once: self
                    .ingest
                    .wrong_keys_at_once
                    .or(below.ingest.wrong_keys_at_once),
                wrong_key_every_s: self
                    .ingest
                    .wrong_key_every_s
                    .or(below.ingest.wrong_key_every_s),
                wrong_key_remembered_s: self
                    .ingest
                    .wrong_key_remembered_s
                    .or(below.ingest.wrong_key_remembered_s),
            },
            control: Control {
                url: self.control.url.or(below.control.url),
                token_file: self.control.token_file.or(below.control.token_file),
                key_cache_hours: self
                    .control
                    .key_cache_hours
                    .or(below.control.key_cache_hours),
            },
            state: State {
                directory: self.state.directory.or(below.state.directory),
            },
            admin: Admin {
                listen: self.admin.listen.or(below.admin.listen),
            },
            outputs: Outputs {
                ca_file: self.outputs.ca_file.or(below.outputs.ca_file),
                allow: self.outputs.allow.or(below.outputs.allow),
                allow_loopback: self.outputs.allow_loopback.or(below.outputs.allow_loopback),
                allow_ports: self.outputs.allow_ports.or(below.outputs.allow_ports),
                nodes: self.outputs.nodes.or(below.outputs.nodes),
                gather: self.outputs.gather.or(below.outputs.gather),
            },
            media: Media {
                memory_mib: self.media.memory_mib.or(below.media.memory_mib),
            },
            hand_over: HandOver {
                socket: self.hand_over.socket.or(below.hand_over.socket),
                max_minutes: self.hand_over.max_minutes.or(below.hand_over.max_minutes),
            },
            accounts: Accounts {
                inputs: self.accounts.inputs.or(below.accounts.inputs),
                outputs: self.accounts.outputs.or(below.accounts.outputs),
                mbps: self.accounts.mbps.or(below.accounts.mbps),
            },
            log: Log {
                level: self.log.level.or(below.log.level),
                format: self.log.format.or(below.log.format),
            },
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
    #[arg(id = "rtmps-listen", long = "rtmps-listen", value_name = "ADDRESS:PORT", value_parser = addresses)]
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
    #[arg(id = "rtmp-listen", long = "rtmp-listen", value_name = "ADDRESS:PORT", value_parser = addresses)]
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
    #[arg(
        id = "outputs-allow",
        long = "outputs-allow",
        value_name = "NETWORK",
        value_parser = networks
    )]
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
        value_name = "PORTS",
        value_parser = ports
    )]
    pub allow_ports: Option<PortRanges>,
    /// Where this system's other relay nodes are: destinations are never there
    #[arg(
        id = "outputs-nodes",
        long = "outputs-nodes",
        value_name = "NETWORK",
        value_parser = networks
    )]
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

/// A whole number within bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u32")]
pub struct Count<const LEAST: u32, const MOST: u32>(u32);

impl<const LEAST: u32, const MOST: u32> Count<LEAST, MOST> {
    /// The number.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl<const LEAST: u32, const MOST: u32> TryFrom<u32> for Count<LEAST, MOST> {
    type Error = InvalidCount;

    fn try_from(number: u32) -> Result<Self, InvalidCount> {
        match (LEAST..=MOST).contains(&number) {
            true => Ok(Self(number)),
            false => Err(InvalidCount(LEAST, MOST)),
        }
    }
}

impl<const LEAST: u32, const MOST: u32> FromStr for Count<LEAST, MOST> {
    type Err = InvalidCount;

    fn from_str(text: &str) -> Result<Self, InvalidCount> {
        let number: u32 = text.parse().map_err(|_| InvalidCount(LEAST, MOST))?;
        number.try_into()
    }
}

/// Not a number within the bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a whole number from {0} to {1} is wanted")]
pub struct InvalidCount(u32, u32);

/// How long messages of a broadcast may wait for more to be written with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u64")]
pub struct Gather(Duration);

impl Gather {
    /// The longest: what viewers wait anyway, destinations transcode in steps of seconds.
    pub const MAX: Self = Self(Duration::from_millis(100));

    /// The time itself.
    pub fn duration(self) -> Duration {
        self.0
    }
}

impl Default for Gather {
    /// Two thirds of the writes at a picture's delay.
    fn default() -> Self {
        Self(Duration::from_millis(20))
    }
}

impl TryFrom<u64> for Gather {
    type Error = InvalidGather;

    fn try_from(milliseconds: u64) -> Result<Self, InvalidGather> {
        let gather = Self(Duration::from_millis(milliseconds));
        match gather.0 <= Self::MAX.0 {
            true => Ok(gather),
            false => Err(InvalidGather),
        }
    }
}

impl FromStr for Gather {
    type Err = InvalidGather;

    fn from_str(text: &str) -> Result<Self, InvalidGather> {
        let milliseconds: u64 = text.parse().map_err(|_| InvalidGather)?;
        milliseconds.try_into()
    }
}

/// Not a time that messages may be gathered for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`gather` is a number of milliseconds from 0 to {}", Gather::MAX.0.as_millis())]
pub struct InvalidGather;

/// How much the log tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Broken, and the process has to stop.
    Error,
    /// Very unusual, but everything still works.
    Warn,
    /// Changes that users may notice.
    #[default]
    Info,
    /// Departures from the happy path.
    Debug,
    /// Every step.
    Trace,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Addresses to listen on, at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses(pub Vec<SocketAddr>);

impl<'de> Deserialize<'de> for Addresses {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMore;

        impl<'de> serde::de::Visitor<'de> for OneOrMore {
            type Value = Addresses;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an address with its port, as \"[::]:443\", or an array of them")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Addresses, E> {
                let wrong = || E::invalid_value(serde::de::Unexpected::Str(text), &self);
                Ok(Addresses(vec![text.parse().map_err(|_| wrong())?]))
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(
                self,
                mut sequence: A,
            ) -> Result<Addresses, A::Error> {
                let mut addresses = Vec::new();
                while let Some(address) = sequence.next_element()? {
                    addresses.push(address);
                }
                if addresses.is_empty() {
                    return Err(serde::de::Error::invalid_length(0, &self));
                }
                Ok(Addresses(addresses))
            }
        }

        deserializer.deserialize_any(OneOrMore)
    }
}

fn some_addresses<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Addresses>, D::Error> {
    Addresses::deserialize(deserializer).map(Some)
}

fn addresses(text: &str) -> Result<Addresses, std::net::AddrParseError> {
    let addresses: Result<_, _> = text.split(',').map(|one| one.trim().parse()).collect();
    addresses.map(Addresses)
}

/// Networks, in the file an array of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub struct Networks(pub Vec<Network>);

impl TryFrom<Vec<String>> for Networks {
    type Error = InvalidNetwork;

    fn try_from(texts: Vec<String>) -> Result<Self, InvalidNetwork> {
        let networks: Result<_, _> = texts.iter().map(|text| text.parse()).collect();
        networks.map(Self)
    }
}

/// Ranges of ports: in the file an array of strings.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub struct PortRanges(pub Vec<Ports>);

impl TryFrom<Vec<String>> for PortRanges {
    type Error = InvalidPorts;

    fn try_from(texts: Vec<String>) -> Result<Self, InvalidPorts> {
        let ports: Result<_, _> = texts.iter().map(|text| text.parse()).collect();
        ports.map(Self)
    }
}

fn ports(text: &str) -> Result<PortRanges, InvalidPorts> {
    Ports::parse(text).map(PortRanges)
}

fn networks(text: &str) -> Result<Networks, InvalidNetwork> {
    let networks: Result<_, _> = text.split(',').map(|one| one.trim().parse()).collect();
    networks.map(Networks)
}

fn url<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Url>, D::Error> {
    let text = String::deserialize(deserializer)?;
    // The parser's reasons never repeat the text, which may hold a password.
    Url::parse(&text)
        .map(Some)
        .map_err(serde::de::Error::custom)
}
