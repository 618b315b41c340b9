//! What there is to count. Everything is read off the broadcasts when it is asked for: what is gone
//! leaves no sample behind.

use std::iter::once;

use broadcast::Usage;
use shared::id::AccountId;
use shared::link::Protocol;

use super::openmetrics::{Family, Kind, Label, Text};
use crate::control::LinkState;
use crate::ingest::DoorFigures;
use crate::panics;
use crate::registry::{BroadcastStatus, OutputStatus, Totals};

/// Every metric of the node, of its inputs on air and of their outputs.
pub(super) fn text(
    link: LinkState,
    totals: Totals,
    door: &DoorFigures,
    accounts: &[(AccountId, Usage)],
    broadcasts: &[BroadcastStatus],
) -> String {
    let mut text = Text::default();
    of_node(&mut text, link, totals, broadcasts.len());
    of_door(&mut text, door);
    of_accounts(&mut text, accounts);
    of_inputs(&mut text, broadcasts);
    of_outputs(&mut text, broadcasts);
    text.finish()
}

fn of_node(text: &mut Text, link: LinkState, totals: Totals, broadcasts: usize) {
    let up = match link {
        LinkState::Connected | LinkState::Static => 1.0,
        LinkState::Polling => 0.5,
        LinkState::Down => 0.0,
    };
    let alone = |value: f64| once((Vec::new(), value));
    let help = "Whether changes reach the node: 1 over the socket or from a file, 0.5 by polls.";
    text.family(gauge("relay_control_link_up", help), alone(up));
    let help = "Broadcasts on air.";
    text.family(gauge("relay_broadcasts", help), alone(broadcasts as f64));
    for (name, help, value) in [
        (
            "relay_broadcasts_started",
            "Broadcasts begun.",
            totals.broadcasts,
        ),
        (
            "relay_received_bytes",
            "Bytes of payload received from encoders.",
            totals.received,
        ),
        (
            "relay_sent_bytes",
            "Bytes written to destinations.",
            totals.sent,
        ),
        (
            "relay_connects",
            "Times a destination took a stream.",
            totals.connects,
        ),
        (
            "relay_panics",
            "Bugs of the node, each of which has ended a connection.",
            panics::count(),
        ),
    ] {
        text.family(counter(name, help), once((Vec::new(), value)));
    }
    let help = "Bytes of media held for outputs that lag.";
    text.family(
        gauge("relay_media_held_bytes", help),
        alone(totals.held as f64),
    );
}

fn of_door(text: &mut Text, door: &DoorFigures) {
    let alone = |value: usize| once((Vec::new(), value));
    let help = "Connections of encoders that have not begun to publish.";
    text.family(
        gauge("relay_connections_pending", help),
        alone(door.pending),
    );
    let help = "Encoders that publish, or have asked to.";
    text.family(gauge("relay_publishers", help), alone(door.publishers));
    let help = "Connections that were turned away before they published, by reason.";
    let refused = door.refused.iter();
    text.family(
        counter("relay_connections_refused", help),
        refused.map(|(reason, count)| (vec![Label::Reason(reason)], *count)),
    );
}

fn of_accounts(text: &mut Text, accounts: &[(AccountId, Usage)]) {
    type Measure = fn(&Usage) -> u64;
    let gauges: [(&'static str, &'static str, Measure); 3] = [
        (
            "relay_account_broadcasts",
            "Broadcasts of the account that are on air.",
            |usage| usage.inputs.into(),
        ),
        (
            "relay_account_outputs",
            "Outputs of the account that are connected, or connecting.",
            |usage| usage.outputs.into(),
        ),
        (
            "relay_account_bitrate_bps",
            "Bits a second that the account's outputs wrote lately.",
            |usage| usage.bits,
        ),
    ];
    let samples = |measure: Measure| {
        let samples = accounts.iter();
        samples.map(move |(id, usage)| (vec![Label::Account(*id)], measure(usage)))
    };
    for (name, help, measure) in gauges {
        text.family(gauge(name, help), samples(measure));
    }
    let help =
        "Times something of the account was refused because of its bounds, while it was on air.";
    text.family(
        counter("relay_account_refusals", help),
        samples(|usage| usage.refused),
    );
}

fn of_inputs(text: &mut Text, broadcasts: &[BroadcastStatus]) {
    text.family(
        Family {
            name: "relay_broadcast",
            kind: Kind::Info,
            help: "How the encoder is connected, and what it sends.",
        },
        broadcasts.iter().map(|broadcast| (facts(broadcast), 1)),
    );
    text.family(
        counter(
            "relay_broadcast_received_bytes",
            "Bytes of payload received.",
        ),
        broadcasts.iter().map(|b| (input(b), b.bytes)),
    );
    text.family(
        gauge(
            "relay_broadcast_bitrate_bps",
            "Bits of payload a second received lately.",
        ),
        broadcasts.iter().map(|b| (input(b), b.bitrate_bps)),
    );
    type Measure = fn(&BroadcastStatus) -> Option<f64>;
    let measures: [(&'static str, &'static str, Measure); 4] = [
        (
            "relay_broadcast_frame_rate",
            "Frames a second lately.",
            |b| b.facts.video?.frame_rate,
        ),
        (
            "relay_broadcast_keyframe_interval_seconds",
            "Time between the last two keyframes.",
            |b| Some(b.facts.video?.keyframe_interval?.as_secs_f64()),
        ),
        (
            "relay_broadcast_audio_ahead_seconds",
            "By how much audio is ahead of video.",
            |b| Some(b.facts.audio_ahead_ms? as f64 / 1000.0),
        ),
        (
            "relay_broadcast_idle_seconds",
            "Time since the last byte of the encoder.",
            |b| Some(b.facts.idle.as_secs_f64()),
        ),
    ];
    for (name, help, measure) in measures {
        let samples = broadcasts
            .iter()
            .filter_map(|b| measure(b).map(|value| (input(b), value)));
        text.family(gauge(name, help), samples);
    }
    text.family(
        gauge(
            "relay_broadcast_warning",
            "1 for each thing that should be changed at the encoder.",
        ),
        broadcasts.iter().flat_map(|broadcast| {
            let warnings = broadcast.facts.warnings.iter();
            warnings.map(|warning| {
                let code = Label::Code(warning.code());
                (vec![Label::Input(broadcast.input), code], 1)
            })
        }),
    );
}

fn of_outputs(text: &mut Text, broadcasts: &[BroadcastStatus]) {
    let outputs = || {
        broadcasts
            .iter()
            .flat_map(|b| b.outputs.iter().map(|output| (labels(b, output), output)))
    };
    text.family(
        gauge(
            "relay_output_state",
            "1 for the state that the output is in.",
        ),
        outputs().map(|(mut labels, output)| {
            labels.push(Label::State(output.state));
            (labels, 1)
        }),
    );
    text.family(
        gauge(
            "relay_output_failing",
            "1 for why the output failed last, while it is not live again.",
        ),
        outputs().filter_map(|(mut labels, output)| {
            labels.push(Label::Reason(output.reason?));
            (!is_live(output)).then_some((labels, 1))
        }),
    );
    text.family(
        gauge("relay_output_attempts", "Failures in a row."),
        outputs().map(|(labels, output)| (labels, output.attempts)),
    );
    text.family(
        gauge(
            "relay_output_bitrate_bps",
            "Bits a second written to the destination lately.",
        ),
        outputs().map(|(labels, output)| (labels, output.bitrate_bps)),
    );
    for (name, help, value) in [
        (
            "relay_output_sent_bytes",
            "Bytes written to the destination.",
            (|output| output.bytes) as fn(&OutputStatus) -> u64,
        ),
        (
            "relay_output_connects",
            "Times the destination took the stream.",
            |output| output.connects,
        ),
    ] {
        let samples = outputs().map(|(labels, output)| (labels, value(output)));
        text.family(counter(name, help), samples);
    }
    text.family(
        counter(
            "relay_output_skipped_seconds",
            "Media without a picture, because the output lagged.",
        ),
        outputs().map(|(labels, output)| (labels, output.skipped_ms as f64 / 1000.0)),
    );
}

fn facts(broadcast: &BroadcastStatus) -> Vec<Label> {
    let (video, audio) = (broadcast.facts.video, broadcast.facts.audio);
    let size = video.and_then(|video| video.size);
    let format = audio.and_then(|audio| audio.format);
    let protocol = match broadcast.protocol {
        Protocol::Rtmp => "rtmp",
        Protocol::Rtmps => "rtmps",
        Protocol::Unknown => "unknown",
    };
    let known = [
        video.and_then(|video| video.codec).map(Label::VideoCodec),
        size.map(|size| Label::Width(size.width)),
        size.map(|size| Label::Height(size.height)),
        audio.and_then(|audio| audio.codec).map(Label::AudioCodec),
        format.map(|format| Label::SampleRate(format.sample_rate)),
        format.map(|format| Label::Channels(format.channels)),
    ];
    [Label::Input(broadcast.input), Label::Protocol(protocol)]
        .into_iter()
        .chain(known.into_iter().flatten())
        .collect()
}

fn input(broadcast: &BroadcastStatus) -> Vec<Label> {
    vec![Label::Input(broadcast.input)]
}

fn labels(broadcast: &BroadcastStatus, output: &OutputStatus) -> Vec<Label> {
    vec![Label::Input(broadcast.input), Label::Output(output.output)]
}

fn is_live(output: &OutputStatus) -> bool {
    matches!(output.state, "live" | "stalled")
}

fn counter(name: &'static str, help: &'static str) -> Family {
    let kind = Kind::Counter;
    Family { name, kind, help }
}

fn gauge(name: &'static str, help: &'static str) -> Family {
    let kind = Kind::Gauge;
    Family { name, kind, help }
}

#[cfg(test)]
mod tests;
