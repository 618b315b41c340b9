//! What the node tells its control plane, and how it obeys it, over real sockets.

use bytes::Bytes;
use rtmp::{Capabilities, MessageType};
use shared::id::OutputUid;
use shared::link::{
    Departure, Event, InputSettings, OutputChange, OutputState, Protocol, Publisher, Snapshot,
    Target, What, Wish,
};
use shared::secret::Secret;

use crate::support::adobe::Adobe;
use crate::support::control::{Controlled, input, relay};
use crate::support::destination::Destination;
use crate::support::encoder::Encoder;
use crate::support::{group, headers, soon};

fn output(destination: &Destination) -> OutputUid {
    destination.wanted().uid
}

/// What an output tells, if it is that one and in that state.
fn change(destination: &Destination, state: OutputState) -> impl Fn(What) -> Option<OutputChange> {
    let output = output(destination);
    move |what| match what {
        What::Output(change) if (change.output, change.state) == (output, state) => Some(change),
        _ => None,
    }
}

fn ended(what: What) -> Option<Departure> {
    match what {
        What::Ended { reason } => Some(reason),
        _ => None,
    }
}

#[tokio::test]
async fn a_broadcast_is_told_as_it_goes() {
    let taken = Destination::plain(1).await;
    let mut dead = Destination::plain(2).await;
    dead.url = "rtmp://127.0.0.1:1024/live".to_owned();
    let mut off = dead.wanted();
    (off.uid, off.enabled) = (OutputUid::from_random([9; 16]), false);
    let mut node = Controlled::new().await;
    let Wish::Relay {
        mut outputs,
        settings,
    } = relay(&[&taken, &dead])
    else {
        panic!("not a relay wish");
    };
    outputs.push(off.clone());
    let encoder = node.publish(0, Wish::Relay { outputs, settings }).await;

    let first = node.happens().await;
    assert_eq!((first.sequence, first.input, first.epoch), (1, input(), 1));
    let year_2026 = 1_767_225_600_000_000;
    assert!(first.at.as_micros() > year_2026, "{first:?}");
    let expected = Publisher {
        protocol: Protocol::Rtmps,
        encoder: "FMLE/3.0 (compatible; StreamConnect)".to_owned(),
        returned: false,
    };
    assert_eq!(first.what, What::Connected(expected));

    let mut told = Vec::new();
    let is_told = |told: &[Event], is_it: &dyn Fn(What) -> bool| {
        told.iter().any(|event| is_it(event.what.clone()))
    };
    let live = change(&taken, OutputState::Live);
    let backoff = change(&dead, OutputState::Backoff);
    while !is_told(&told, &|what| live(what).is_some())
        || !is_told(&told, &|what| backoff(what).is_some())
    {
        told.push(node.happens().await);
    }
    for pair in told.windows(2) {
        assert_eq!(pair[0].sequence + 1, pair[1].sequence);
    }
    let of = |output| {
        told.iter().filter_map(move |event| match &event.what {
            What::Output(change) if change.output == output => Some((event, change)),
            _ => None,
        })
    };
    let states: Vec<_> = of(output(&taken)).map(|(_, change)| change.state).collect();
    assert_eq!(states, [OutputState::Connecting, OutputState::Live]);
    let (_, live) = of(output(&taken)).next_back().unwrap();
    assert_eq!((live.attempts, live.connects, &live.reason), (0, 1, &None));
    let (at, backoff) = of(output(&dead))
        .find(|(_, change)| change.state == OutputState::Backoff)
        .unwrap();
    assert_eq!(backoff.reason.as_deref(), Some("connect_refused"));
    assert!(backoff.message.is_some() && backoff.attempts == 1);
    // The first wait.
    let wait = backoff.next_retry.unwrap().as_micros() - at.at.as_micros();
    assert!((500_000..1_000_000).contains(&wait), "{wait}");
    let (_, disabled) = of(off.uid).next().unwrap();
    assert_eq!(disabled.state, OutputState::Disabled);

    encoder.stop().await;
    assert_eq!(node.until(ended).await, Departure::Goodbye);
}

#[tokio::test]
async fn a_codec_that_a_destination_has_not_named_is_warned_of() {
    // It repeats what the encoder says of itself.
    let mut named = Destination::plain(1).await;
    // It says nothing at all.
    let mut mute = Adobe::new().await;
    let mut wanted = vec![named.wanted(), named.wanted()];
    wanted[1].uid = OutputUid::from_random([9; 16]);
    wanted[1].target = Target::Rtmp {
        url: Secret::new(mute.url("somebody:pa%25ss@")),
        stream_key: Secret::new("key"),
    };
    let mut node = Controlled::new().await;
    let knows = Capabilities {
        four_ccs: vec!["hvc1".to_owned()],
        ..Capabilities::default()
    };
    let mut encoder = node.publish_knowing(0, Wish::relay(wanted), knows).await;
    named.publishing().await;
    mute.logs_in("key").await;
    let hevc = Bytes::from_static(b"\x90hvc1\x01configuration");
    encoder.send(&[(MessageType::VIDEO, 0, hevc)]).await;
    let warned = node
        .until(|what| match what {
            What::Output(change) => Some(change).filter(|change| !change.warnings.is_empty()),
            _ => None,
        })
        .await;
    assert_eq!(
        (warned.output, warned.state),
        (OutputUid::from_random([9; 16]), OutputState::Live)
    );
    assert_eq!(warned.warnings[0].code, "codec_not_announced");
    assert!(warned.warnings[0].message.contains("takes HEVC"));
    // For longer than it takes to look at the other one.
    let other = soon(async {
        loop {
            let outputs = node.status().outputs;
            let other = outputs.into_iter().find(|it| it.output != warned.output);
            match other {
                Some(other) if other.since_ms > 1500 => break other,
                _ => tokio::task::yield_now().await,
            }
        }
    });
    assert_eq!(other.await.warnings, []);
}

#[tokio::test]
async fn an_encoder_that_is_gone_is_told_with_its_reason() {
    let mut node = Controlled::new().await;
    node.publish(0, relay(&[])).await.stop().await;
    assert_eq!(node.until(ended).await, Departure::Goodbye);
    // Nobody is waited for.
    let at_once = || Wish::Relay {
        outputs: Vec::new(),
        settings: InputSettings {
            reconnect_window: 0,
            ..InputSettings::default()
        },
    };
    node.publish(0, at_once()).await.vanish().await;
    assert_eq!(node.until(ended).await, Departure::Lost);
    let mut wild = node.publish(0, at_once()).await;
    wild.misbehave().await;
    assert_eq!(node.until(ended).await, Departure::Misbehaved);

    let deleted = |snapshot: &mut Snapshot| snapshot.wish = Wish::Deleted;
    let disabled = |snapshot: &mut Snapshot| snapshot.wish = Wish::Disabled;
    let rotated = |snapshot: &mut Snapshot| snapshot.oldest_key = 8;
    let fenced = |snapshot: &mut Snapshot| snapshot.epoch += 1;
    for (change, says, departure) in [
        (
            &deleted as &dyn Fn(&mut Snapshot),
            "was deleted",
            Departure::Deleted,
        ),
        (&disabled, "is disabled", Departure::Disabled),
        (
            &rotated,
            "This stream key was replaced: copy the new one",
            Departure::KeyRotated,
        ),
        (&fenced, "Another encoder", Departure::Replaced),
    ] {
        let encoder = node.publish(7, relay(&[])).await;
        let mut snapshot = node.snapshot(2, relay(&[]));
        change(&mut snapshot);
        node.push(snapshot).await;
        let words = encoder.refused().await;
        assert!(words.description.contains(says), "{words:?}");
        assert_eq!(node.until(ended).await, departure);
    }

    let first = node.publish(7, relay(&[])).await;
    let second = node.publish(7, relay(&[])).await;
    first.refused().await;
    let stopping = node.stopping();
    second.refused().await;
    assert_eq!(node.until(ended).await, Departure::ShuttingDown);
    soon(stopping).await.unwrap();
}

#[tokio::test]
async fn a_key_that_is_good_still_keeps_its_publisher() {
    let mut node = Controlled::new().await;
    let mut encoder: Encoder = node.publish(7, relay(&[])).await;
    let mut snapshot = node.snapshot(2, relay(&[]));
    snapshot.oldest_key = 7;
    node.push(snapshot).await;
    encoder.send(&[headers(), group(0)].concat()).await;
    encoder.stop().await;
    assert_eq!(node.until(ended).await, Departure::Goodbye);
}

#[tokio::test]
async fn outputs_that_are_switched_are_told() {
    let mut destination = Destination::plain(1).await;
    let mut node = Controlled::new().await;
    let mut encoder = node.publish(0, relay(&[&destination])).await;
    node.until(change(&destination, OutputState::Live)).await;
    destination.publishing().await;

    let mut off = destination.wanted();
    off.enabled = false;
    let snapshot = node.snapshot(2, Wish::relay(vec![off]));
    node.push(snapshot).await;
    node.until(change(&destination, OutputState::Disabled))
        .await;
    destination.rest().await;
    // Nothing is told of it after that, not even its end, until it is switched on.
    let snapshot = node.snapshot(3, relay(&[&destination]));
    node.push(snapshot).await;
    let What::Output(next) = node.happens().await.what else {
        panic!("not of an output");
    };
    assert_eq!(next.state, OutputState::Connecting);
    node.until(change(&destination, OutputState::Live)).await;
    encoder.send(&headers()).await;
    encoder.stop().await;
    node.until(ended).await;
}

#[tokio::test]
async fn an_output_that_waits_connects_at_once_when_asked() {
    let mut steady = Destination::plain(1).await;
    let mut late = Destination::plain(2).await;
    // It refuses, which is tried again slowly.
    late.refuse(true);
    let mut node = Controlled::new().await;
    let encoder = node.publish(0, relay(&[&steady, &late])).await;
    steady.publishing().await;
    node.until(change(&late, OutputState::Failed)).await;

    late.refuse(false);
    let mut asked = late.wanted();
    asked.retry = 1;
    let wish = || Wish::relay(vec![steady.wanted(), asked.clone()]);
    let snapshot = node.snapshot(2, wish());
    node.push(snapshot).await;
    let asked_at = std::time::Instant::now();
    late.publishing().await;
    // Without it, ten seconds at least.
    assert!(asked_at.elapsed() < std::time::Duration::from_secs(1));
    let live = node.until(change(&late, OutputState::Live)).await;
    assert_eq!((live.attempts, live.connects), (1, 1));

    // Neither a repetition nor a wish for one that is live does anything.
    let mut all = vec![steady.wanted(), asked.clone()];
    all[0].retry = 5;
    all[1].retry = 2;
    for (rev, outputs) in [
        (2, vec![steady.wanted(), asked.clone()]),
        (3, vec![steady.wanted(), asked.clone()]),
        (4, all),
    ] {
        let snapshot = node.snapshot(rev, Wish::relay(outputs));
        node.push(snapshot).await;
        node.applied(rev).await;
    }
    encoder.stop().await;
    assert_eq!(ended(node.happens().await.what), Some(Departure::Goodbye));
    for destination in [&mut steady, &mut late] {
        assert_eq!(destination.rest().await, []);
    }
}

/// A sequence header as x264 writes it: 640 by 360.
const PICTURES: &[u8] =
    b"\x17\0\0\0\0\x01\x42\xc0\x1e\xff\xe1\0\x19\x67\x42\xc0\x1e\xd9\0\xa0\x2f\xf9\x70\x11\0\0\x03\0\
      \x01\0\0\x03\0\x32\x0f\x16\x2e\x48";

#[tokio::test]
async fn figures_tell_what_comes_in_and_what_goes_out() {
    let mut destination = Destination::plain(1).await;
    let mut node = Controlled::new().await;
    let mut encoder = node.publish(0, relay(&[&destination])).await;
    node.until(change(&destination, OutputState::Live)).await;
    destination.publishing().await;
    let mut first = headers();
    first[1].2 = PICTURES.into();
    let sent = [first, group(0), group(1), group(2)].concat();
    encoder.send(&sent).await;
    destination.pieces(sent.len()).await;

    node.watch(60).await;
    let payload: usize = sent.iter().map(|(_, _, payload)| payload.len()).sum();
    let mut figures = node.figures().await;
    // What arrived a moment ago may not have been counted yet where it was sent.
    if figures
        .outputs
        .iter()
        .all(|output| output.bytes <= payload as u64)
    {
        figures = node.figures().await;
    }
    assert_eq!((figures.input, figures.epoch), (input(), 1));
    let ingest = &figures.ingest;
    assert_eq!(ingest.bytes, payload as u64);
    assert!(ingest.bitrate > 0 && ingest.idle_ms < 3000);
    let video = ingest.video.as_ref().unwrap();
    assert_eq!(video.codec, "h264");
    assert_eq!((video.width, video.height), (Some(640), Some(360)));
    assert_eq!(video.keyframe_interval_ms, Some(1000));
    let rate = video.frame_rate.unwrap();
    assert!((rate - 20.0).abs() < 1.0, "{rate}");
    let audio = ingest.audio.as_ref().unwrap();
    assert_eq!(audio.codec, "aac");
    assert_eq!((audio.sample_rate, audio.channels), (Some(44_100), Some(2)));
    assert!(ingest.audio_ahead_ms.is_some());
    let [outgoing] = &figures.outputs[..] else {
        panic!("not one output: {figures:?}");
    };
    assert_eq!(outgoing.output, output(&destination));
    assert!(outgoing.bytes > payload as u64 && outgoing.bitrate > 0);
    assert_eq!((outgoing.connects, outgoing.skipped_ms), (1, 0));

    // An encoder that goes silent is told once, and its figures say so for as long as it is.
    let fault = |what| match what {
        What::Faulted(fault) => Some(fault),
        _ => None,
    };
    let fault = node.until(fault).await;
    assert_eq!(fault.code, "silent");
    assert!(
        fault
            .message
            .starts_with("Nothing has come from the encoder for 3 s: ")
    );
    assert_eq!((&*fault.video_codec, &*fault.audio_codec), ("h264", "aac"));
    while node.figures().await.ingest.idle_ms < 5000 {}
    let warnings = node.figures().await.ingest.warnings;
    assert_eq!(warnings.len(), 1);
    assert_eq!(warnings[0].code, "silent");
    encoder.stop().await;
    assert_eq!(ended(node.happens().await.what), Some(Departure::Goodbye));
}

#[tokio::test]
async fn an_encoder_that_sends_too_much_is_told_and_cut() {
    let mut node = Controlled::with_max_bitrate(Some(100_000)).await;
    let mut encoder = node.publish(0, relay(&[])).await;
    encoder.send(&headers()).await;
    // 250 kB in the five seconds that are looked at.
    encoder.send(&group(0)).await;
    let fault = |what| match what {
        What::Faulted(fault) if fault.code == "bitrate_refused" => Some(fault),
        _ => None,
    };
    let looked_at = tokio::time::sleep(std::time::Duration::from_millis(4500));
    tokio::select! {
        () = looked_at => {}
        early = node.until(fault) => panic!("before it was measured: {early:?}"),
    }
    encoder.send(&group(1)).await;
    let fault = node.until(fault).await;
    assert!(fault.message.contains("takes at most 100:"), "{fault:?}");
    let words = encoder.refused().await;
    assert_eq!(words.code, "NetStream.Publish.Rejected");
    assert!(words.description.contains("more bitrate than"), "{words:?}");
    assert_eq!(node.until(ended).await, Departure::Misbehaved);
}
