use std::collections::BTreeSet;
use std::time::Duration;

use broadcast::{AudioFacts, IngestFacts, VideoFacts, Warning};
use rtmp::flv::Codec;
use shared::id::{InputUid, OutputUid};
use shared::link::IngestFigures;

use super::*;

fn output(number: u8, state: &'static str) -> OutputStatus {
    OutputStatus {
        output: OutputUid::from_random([number; 16]),
        server: None,
        state,
        step: None,
        reason: Some("rejected"),
        message: None,
        since_ms: 0,
        attempts: 2,
        next_retry_ms: None,
        connects: 3,
        bytes: 1000,
        bitrate_bps: 80,
        skipped_ms: 1500,
        warnings: Vec::new(),
    }
}

/// A broadcast of which everything is known.
fn broadcast() -> BroadcastStatus {
    let payload = b"\x91vp09\x82\x49\x83\x42\x00\x4f\xf0\x2c\xf6";
    BroadcastStatus {
        input: InputUid::from_random([1; 16]),
        epoch: 1,
        rev: 1,
        confirmed: true,
        since_ms: 0,
        bytes: 5000,
        bitrate_bps: 400,
        encoder: "a \"name\" of its own\n".to_owned(),
        protocol: Protocol::Rtmps,
        away_ms: None,
        ingest: IngestFigures::default(),
        outputs: vec![output(2, "live"), output(3, "failed")],
        facts: IngestFacts {
            bytes: 5000,
            bitrate: 400,
            idle: Duration::from_millis(40),
            video: Some(VideoFacts {
                codec: Some(Codec::Vp9),
                size: rtmp::flv::picture_size(payload),
                frame_rate: Some(29.97),
                keyframe_interval: Some(Duration::from_secs(2)),
            }),
            audio: Some(AudioFacts {
                codec: Some(Codec::Opus),
                format: rtmp::flv::sound_format(b"\x90OpusOpusHead\x01\x02"),
            }),
            audio_ahead_ms: Some(-40),
            warnings: vec![Warning::NoAudio],
        },
    }
}

fn door() -> DoorFigures {
    DoorFigures {
        pending: 7,
        publishers: 2,
        refused: vec![("displaced", 4), ("unknown_key", 9)],
    }
}

fn accounts() -> [(AccountId, Usage); 1] {
    let usage = Usage {
        inputs: 2,
        outputs: 7,
        bits: 4_000_000,
        refused: 3,
        ..Usage::default()
    };
    [(AccountId::from_random([4; 16]), usage)]
}

fn full() -> String {
    text(
        LinkState::Polling,
        Totals::default(),
        &door(),
        &accounts(),
        &[broadcast()],
    )
}

/// The names of the families that have samples.
fn names(text: &str) -> BTreeSet<&str> {
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    samples
        .map(|line| line.split(['{', ' ']).next().unwrap())
        .collect()
}

#[test]
fn every_fact_has_its_sample() {
    let text = full();
    let input = InputUid::from_random([1; 16]);
    let account = AccountId::from_random([4; 16]);
    let (live, failed) = (
        OutputUid::from_random([2; 16]),
        OutputUid::from_random([3; 16]),
    );
    for sample in [
        "relay_control_link_up 0.5".to_owned(),
        "relay_broadcasts 1".to_owned(),
        "relay_connections_pending 7".to_owned(),
        "relay_publishers 2".to_owned(),
        "relay_connections_refused_total{reason=\"displaced\"} 4".to_owned(),
        "relay_connections_refused_total{reason=\"unknown_key\"} 9".to_owned(),
        format!(
            "relay_broadcast_info{{input=\"{input}\",protocol=\"rtmps\",video_codec=\"vp9\",\
             width=\"1280\",height=\"720\",audio_codec=\"opus\",sample_rate=\"48000\",\
             channels=\"2\"}} 1"
        ),
        format!("relay_account_broadcasts{{account=\"{account}\"}} 2"),
        format!("relay_account_outputs{{account=\"{account}\"}} 7"),
        format!("relay_account_bitrate_bps{{account=\"{account}\"}} 4000000"),
        format!("relay_account_refusals_total{{account=\"{account}\"}} 3"),
        format!("relay_broadcast_received_bytes_total{{input=\"{input}\"}} 5000"),
        format!("relay_broadcast_frame_rate{{input=\"{input}\"}} 29.97"),
        format!("relay_broadcast_keyframe_interval_seconds{{input=\"{input}\"}} 2"),
        format!("relay_broadcast_audio_ahead_seconds{{input=\"{input}\"}} -0.04"),
        format!("relay_broadcast_idle_seconds{{input=\"{input}\"}} 0.04"),
        format!("relay_broadcast_warning{{input=\"{input}\",code=\"no_audio\"}} 1"),
        format!("relay_output_state{{input=\"{input}\",output=\"{live}\",state=\"live\"}} 1"),
        format!(
            "relay_output_failing{{input=\"{input}\",output=\"{failed}\",reason=\"rejected\"}} 1"
        ),
        format!("relay_output_bitrate_bps{{input=\"{input}\",output=\"{live}\"}} 80"),
        format!("relay_output_skipped_seconds_total{{input=\"{input}\",output=\"{live}\"}} 1.5"),
    ] {
        assert!(text.lines().any(|line| line == sample), "{sample}\n{text}");
    }
    // What it was that failed once does not matter of one that is live, and nobody's own words are
    // anywhere.
    assert_eq!(text.matches("relay_output_failing{").count(), 1);
    assert!(!text.contains("of its own"));
}

#[test]
fn the_text_is_open_metrics() {
    for text in [
        full(),
        text(
            LinkState::Static,
            Totals::default(),
            &DoorFigures::default(),
            &[],
            &[],
        ),
        text(
            LinkState::Down,
            Totals::default(),
            &door(),
            &[],
            &[broadcast(), broadcast()],
        ),
    ] {
        let (body, end) = text.split_at(text.len() - 6);
        assert_eq!(end, "# EOF\n");
        let mut families = BTreeSet::new();
        let (mut family, mut suffix) = ("", "");
        for line in body.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                assert!(families.insert(name), "{name} twice");
                family = name;
                suffix = match kind {
                    "counter" => "_total",
                    "gauge" => "",
                    "info" => "_info",
                    other => panic!("{other}"),
                };
            } else if let Some(rest) = line.strip_prefix("# UNIT ") {
                let (name, unit) = rest.split_once(' ').unwrap();
                assert!(
                    name == family && name.ends_with(&format!("_{unit}")),
                    "{line}"
                );
            } else if let Some(rest) = line.strip_prefix("# HELP ") {
                assert!(rest.starts_with(&format!("{family} ")), "{line}");
            } else {
                let name = line.split(['{', ' ']).next().unwrap();
                assert_eq!(name, format!("{family}{suffix}"), "{line}");
                let value = line.rsplit(' ').next().unwrap();
                assert!(value.parse::<f64>().unwrap().is_finite(), "{line}");
            }
        }
    }
}

#[test]
fn what_is_not_known_has_no_sample() {
    let mut unknown = broadcast();
    unknown.facts.video = None;
    unknown.facts.audio = None;
    unknown.facts.audio_ahead_ms = None;
    unknown.facts.warnings.clear();
    let text = text(
        LinkState::Static,
        Totals::default(),
        &door(),
        &accounts(),
        &[unknown],
    );
    let missing: Vec<_> = names(&full())
        .difference(&names(&text))
        .copied()
        .map(str::to_owned)
        .collect();
    assert_eq!(
        missing,
        [
            "relay_broadcast_audio_ahead_seconds",
            "relay_broadcast_frame_rate",
            "relay_broadcast_keyframe_interval_seconds",
            "relay_broadcast_warning"
        ]
    );
}

#[test]
fn the_dashboard_shows_what_there_is() {
    let dashboard = include_str!("../../../../deploy/grafana-dashboard.json");
    let read: serde_json::Value = serde_json::from_str(dashboard).unwrap();
    let mut shown = BTreeSet::new();
    for panel in read["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let query = target["expr"].as_str().unwrap();
            let words = query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            shown.extend(words.filter(|word| word.starts_with("relay_")));
        }
    }
    let text = full();
    assert_eq!(shown, names(&text));
}
