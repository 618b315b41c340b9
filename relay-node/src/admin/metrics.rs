//! The metrics in Prometheus's text form.

use std::fmt::{self, Display, Write};

use crate::control::LinkState;
use crate::registry::{BroadcastStatus, Totals};

/// The text form's content type.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Everything that there is to count.
pub(super) fn text(link: LinkState, totals: Totals, broadcasts: &[BroadcastStatus]) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write_all(&mut text, link, totals, broadcasts);
    text
}

fn write_all(
    out: &mut String,
    link: LinkState,
    totals: Totals,
    broadcasts: &[BroadcastStatus],
) -> fmt::Result {
    let mut metrics = Metrics(out);
    metrics.family(
        "relay_control_link_up",
        "gauge",
        "Whether changes reach the node: 1 over the socket or from a file, 0.5 by polls.",
    )?;
    let up = match link {
        LinkState::Connected | LinkState::Static => "1",
        LinkState::Polling => "0.5",
        LinkState::Down => "0",
    };
    metrics.sample("relay_control_link_up", &[], up)?;

    for (name, help, value) in [
        (
            "relay_broadcasts_started_total",
            "Broadcasts begun.",
            totals.broadcasts,
        ),
        (
            "relay_received_bytes_total",
            "Bytes of payload received from encoders.",
            totals.received,
        ),
        (
            "relay_sent_bytes_total",
            "Bytes written to destinations.",
            totals.sent,
        ),
        (
            "relay_output_connects_total",
            "Times a destination took a stream.",
            totals.connects,
        ),
    ] {
        metrics.family(name, "counter", help)?;
        metrics.sample(name, &[], value)?;
    }
    metrics.family("relay_broadcasts", "gauge", "Broadcasts on air.")?;
    metrics.sample("relay_broadcasts", &[], broadcasts.len())?;

    metrics.family(
        "relay_broadcast_received_bytes_total",
        "counter",
        "Bytes of payload received.",
    )?;
    for broadcast in broadcasts {
        let labels = [("input", broadcast.input.to_string())];
        metrics.sample(
            "relay_broadcast_received_bytes_total",
            &labels,
            broadcast.bytes,
        )?;
    }
    metrics.family(
        "relay_broadcast_bitrate_bps",
        "gauge",
        "Bits a second received lately.",
    )?;
    for broadcast in broadcasts {
        let labels = [("input", broadcast.input.to_string())];
        metrics.sample(
            "relay_broadcast_bitrate_bps",
            &labels,
            broadcast.bitrate_bps,
        )?;
    }
    metrics.family(
        "relay_output_state",
        "gauge",
        "1 for the state that the output is in.",
    )?;
    for (broadcast, output) in outputs(broadcasts) {
        let labels = [
            ("input", broadcast.input.to_string()),
            ("output", output.output.to_string()),
            ("state", output.state.to_owned()),
        ];
        metrics.sample("relay_output_state", &labels, 1)?;
    }
    for (name, help, value) in [
        (
            "relay_output_sent_bytes_total",
            "Bytes written to the destination.",
            (|output| output.bytes) as fn(&crate::registry::OutputStatus) -> u64,
        ),
        (
            "relay_output_skipped_ms_total",
            "Milliseconds of media without a picture, because the output lagged.",
            |output| output.skipped_ms,
        ),
    ] {
        metrics.family(name, "counter", help)?;
        for (broadcast, output) in outputs(broadcasts) {
            let labels = [
                ("input", broadcast.input.to_string()),
                ("output", output.output.to_string()),
            ];
            metrics.sample(name, &labels, value(output))?;
        }
    }
    Ok(())
}

fn outputs(
    broadcasts: &[BroadcastStatus],
) -> impl Iterator<Item = (&BroadcastStatus, &crate::registry::OutputStatus)> {
    broadcasts.iter().flat_map(|broadcast| {
        broadcast
            .outputs
            .iter()
            .map(move |output| (broadcast, output))
    })
}

struct Metrics<'o>(&'o mut String);

impl Metrics<'_> {
    fn family(&mut self, name: &str, kind: &str, help: &str) -> fmt::Result {
        writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}")
    }

    /// Label values here are ids and the names of states: nothing to escape.
    fn sample(
        &mut self,
        name: &str,
        labels: &[(&str, String)],
        value: impl Display,
    ) -> fmt::Result {
        write!(self.0, "{name}")?;
        for (index, (label, text)) in labels.iter().enumerate() {
            let before = if index == 0 { '{' } else { ',' };
            write!(self.0, "{before}{label}=\"{text}\"")?;
        }
        let after = if labels.is_empty() { "" } else { "}" };
        writeln!(self.0, "{after} {value}")
    }
}
