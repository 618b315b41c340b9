//! The text form of OpenMetrics 1.0.

use std::fmt::{self, Display, Write};

use rtmp::flv::Codec;
use shared::id::{AccountId, InputUid, OutputUid};

/// The text form's content type.
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Writes families of metrics, one after the other.
#[derive(Debug, Default)]
pub(super) struct Text(String);

/// Metrics that differ in their labels only.
#[derive(Clone, Copy, Debug)]
pub(super) struct Family {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) help: &'static str,
}

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Only rises.
    Counter,
    /// Rises and falls.
    Gauge,
    /// What there is to know, in its labels.
    Info,
}

/// A label: every one there is, so that no text of a peer can become one, and none needs escaping.
#[derive(Clone, Copy, Debug)]
pub(super) enum Label {
    Account(AccountId),
    Input(InputUid),
    Output(OutputUid),
    /// A stable code of a warning.
    Code(&'static str),
    /// A stable code of a failure.
    Reason(&'static str),
    State(&'static str),
    Protocol(&'static str),
    VideoCodec(Codec),
    AudioCodec(Codec),
    Width(u32),
    Height(u32),
    SampleRate(u32),
    Channels(u32),
}

impl Text {
    /// A family, with all of its samples.
    pub(super) fn family<V: Display>(
        &mut self,
        family: Family,
        samples: impl IntoIterator<Item = (Vec<Label>, V)>,
    ) {
        // Writing to a string does not fail.
        let _ = self.write(family, samples);
    }

    /// All of it, with the mark that nothing is cut off.
    pub(super) fn finish(mut self) -> String {
        self.0.push_str("# EOF\n");
        self.0
    }

    fn write<V: Display>(
        &mut self,
        family: Family,
        samples: impl IntoIterator<Item = (Vec<Label>, V)>,
    ) -> fmt::Result {
        let Self(out) = self;
        let Family { name, kind, help } = family;
        writeln!(out, "# TYPE {name} {}", kind.name())?;
        if let Some(unit) = UNITS.iter().find(|unit| name.ends_with(*unit)) {
            writeln!(out, "# UNIT {name} {}", &unit[1..])?;
        }
        writeln!(out, "# HELP {name} {help}")?;
        for (labels, value) in samples {
            write!(out, "{name}{}", kind.suffix())?;
            for (index, label) in labels.iter().enumerate() {
                let before = if index == 0 { '{' } else { ',' };
                write!(out, "{before}{label}")?;
            }
            let after = if labels.is_empty() { "" } else { "}" };
            writeln!(out, "{after} {value}")?;
        }
        Ok(())
    }
}

/// The units that a family's name ends with.
const UNITS: [&str; 2] = ["_bytes", "_seconds"];

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Info => "info",
        }
    }

    fn suffix(self) -> &'static str {
        match self {
            Self::Counter => "_total",
            Self::Gauge => "",
            Self::Info => "_info",
        }
    }
}

impl Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(account) => write!(f, "account=\"{account}\""),
            Self::Input(input) => write!(f, "input=\"{input}\""),
            Self::Output(output) => write!(f, "output=\"{output}\""),
            Self::Code(code) => write!(f, "code=\"{code}\""),
            Self::Reason(reason) => write!(f, "reason=\"{reason}\""),
            Self::State(state) => write!(f, "state=\"{state}\""),
            Self::Protocol(protocol) => write!(f, "protocol=\"{protocol}\""),
            Self::VideoCodec(codec) => write!(f, "video_codec=\"{codec}\""),
            Self::AudioCodec(codec) => write!(f, "audio_codec=\"{codec}\""),
            Self::Width(width) => write!(f, "width=\"{width}\""),
            Self::Height(height) => write!(f, "height=\"{height}\""),
            Self::SampleRate(rate) => write!(f, "sample_rate=\"{rate}\""),
            Self::Channels(channels) => write!(f, "channels=\"{channels}\""),
        }
    }
}
