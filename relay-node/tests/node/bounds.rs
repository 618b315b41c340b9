//! What happens where something runs full.

use std::time::Duration;

use rtmp::MessageType;
use tokio::time::{sleep, timeout};

use crate::support::destination::Destination;
use crate::support::{KEY, Piece, Rig, group, headers};

/// Seconds of media that come while a destination does not read: more than an output may lag.
const MISSED: u32 = 40;

#[tokio::test]
async fn a_destination_that_reads_too_late_skips_pictures_and_the_others_get_all() {
    let mut steady = Destination::plain(1).await;
    let mut late = Destination::plain(2).await;
    let rig = Rig::new(&[&steady, &late]).await;
    let mut encoder = rig.encoder(KEY).await.publishing().await;
    let begun = [headers(), group(0)].concat();
    encoder.send(&begun).await;
    for destination in [&mut steady, &mut late] {
        destination.publishing().await;
        assert!(destination.pieces(begun.len()).await == begun);
    }

    late.read(false);
    for number in 1..=MISSED {
        encoder.send(&group(number)).await;
        // Faster than real time, but not so fast that a steady one lags.
        assert!(steady.pieces(group(number).len()).await == group(number));
    }
    late.read(true);
    until(&rig, |outputs| outputs[1].skipped_ms > 0).await;
    let last = group(MISSED + 1);
    let (keyframe, after) = last.split_at(1);
    encoder.send(keyframe).await;
    let mut came = Vec::new();
    while !came.ends_with(keyframe) {
        came.extend(late.pieces(1).await);
    }
    encoder.send(after).await;
    encoder.stop().await;
    assert!(steady.rest().await == last);
    assert!(late.rest().await == after);

    let sent: Vec<Piece> = (1..=MISSED + 1).flat_map(group).collect();
    let mut sent = sent.iter();
    assert!(
        came.iter().all(|piece| sent.any(|sent| sent == piece)),
        "something else than was sent, or not in that order"
    );
    // What lay in buffers came; then no picture until one that is new.
    let old = 10_000..1000 * MISSED;
    let is_old = |(kind, time, _): &&Piece| *kind == MessageType::VIDEO && old.contains(time);
    assert_eq!(came.iter().filter(is_old).count(), 0);
}

#[tokio::test]
async fn a_destination_that_reads_no_more_is_given_up_and_the_others_get_all() {
    let mut steady = Destination::plain(1).await;
    let mut stuck = Destination::plain(2).await;
    let rig = Rig::new(&[&steady, &stuck]).await;
    let mut encoder = rig.encoder(KEY).await.publishing().await;
    let begun = [headers(), group(0)].concat();
    encoder.send(&begun).await;
    for destination in [&mut steady, &mut stuck] {
        destination.publishing().await;
        assert!(destination.pieces(begun.len()).await == begun);
    }

    stuck.read(false);
    for number in 1..=MISSED {
        encoder.send(&group(number)).await;
        // Faster than real time, but not so fast that a steady one lags.
        assert!(steady.pieces(group(number).len()).await == group(number));
    }
    until(&rig, |outputs| outputs[1].state == "stalled").await;
    until(&rig, |outputs| {
        (outputs[1].state, outputs[1].reason) == ("backoff", Some("stalled"))
    })
    .await;

    encoder.send(&group(MISSED + 1)).await;
    assert!(steady.pieces(group(0).len()).await == group(MISSED + 1));
    assert_eq!(rig.node.registry().status()[0].outputs[0].state, "live");
}

/// Waits until the outputs of the one broadcast are so.
async fn until(rig: &Rig, is_so: impl Fn(&[relay_node::registry::OutputStatus]) -> bool) {
    let wait = async {
        while !is_so(&rig.node.registry().status()[0].outputs) {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, wait).await.expect("no such status");
}

/// A stalled destination is given up after 10 s.
const PATIENCE: Duration = Duration::from_secs(60);
