//! Publishers that vanish, come back and take over, as destinations see it.

use shared::link::{Departure, InputSettings, OutputState, What, Wish};

use crate::support::control::{Controlled, relay};
use crate::support::destination::Destination;
use crate::support::{KEY, Piece, Rig, group, headers};

/// The types and payloads, whatever the times.
fn bodies(pieces: &[Piece]) -> Vec<(u8, &[u8])> {
    pieces
        .iter()
        .map(|(kind, _, payload)| (kind.0, payload.as_ref()))
        .collect()
}

/// Checks what came after a seam: what was sent, at its times after one that is not before
/// `earliest`. Gives the last time.
fn assert_follows(received: &[Piece], sent: &[Piece], earliest: u32) -> u32 {
    assert!(
        bodies(received) == bodies(sent),
        "something else than was sent"
    );
    let (seam, start) = (received[0].1, sent[0].1);
    assert!(seam >= earliest, "{seam} is before {earliest}");
    for (received, sent) in received.iter().zip(sent) {
        assert_eq!(received.1 - seam, sent.1 - start);
    }
    received[received.len() - 1].1
}

fn stream() -> Vec<Piece> {
    [headers(), group(0)].concat()
}

#[tokio::test]
async fn one_that_vanishes_and_returns_goes_on_where_it_left() {
    let mut destination = Destination::plain(1).await;
    let rig = Rig::new(&[&destination]).await;
    let mut last = 0;
    for turn in 0..3 {
        let mut encoder = rig.encoder(KEY).await.publishing().await;
        encoder.send(&stream()).await;
        if turn == 0 {
            destination.publishing().await;
        }
        // On the one connection, headers and all.
        let received = destination.pieces(stream().len()).await;
        let earliest = if turn == 0 { 0 } else { last + 50 };
        last = assert_follows(&received, &stream(), earliest);
        match turn {
            2 => encoder.stop().await,
            _ => encoder.vanish().await,
        }
    }
    assert_eq!(destination.rest().await, []);
    assert_eq!(rig.node.registry().totals().broadcasts, 1);
}

#[tokio::test]
async fn the_newest_publisher_takes_over_without_a_break() {
    let mut destination = Destination::plain(1).await;
    let rig = Rig::new(&[&destination]).await;
    let mut first = rig.encoder(KEY).await.publishing().await;
    first.send(&stream()).await;
    destination.publishing().await;
    let received = destination.pieces(stream().len()).await;
    let last = assert_follows(&received, &stream(), 0);

    let mut second = rig.encoder(KEY).await.publishing().await;
    let words = first.refused().await;
    assert_eq!(words.code, "NetStream.Publish.Rejected");
    second.send(&stream()).await;
    let received = destination.pieces(stream().len()).await;
    assert_follows(&received, &stream(), last + 50);
    assert_eq!(rig.node.registry().status()[0].epoch, 2);
    second.stop().await;
    assert_eq!(destination.rest().await, []);
}

#[tokio::test]
async fn another_audio_rate_is_another_connection() {
    let mut destination = Destination::plain(1).await;
    let rig = Rig::new(&[&destination]).await;
    let mut encoder = rig.encoder(KEY).await.publishing().await;
    encoder.send(&stream()).await;
    destination.publishing().await;
    destination.pieces(stream().len()).await;
    encoder.vanish().await;

    let mut other = stream();
    // 48 kHz.
    other[2].2 = bytes::Bytes::from_static(b"\xaf\x00\x11\x90");
    let mut encoder = rig.encoder(KEY).await.publishing().await;
    encoder.send(&other).await;
    assert_eq!(destination.rest().await, [], "a clean end of the old one");
    destination.publishing().await;
    let received = destination.pieces(other.len()).await;
    assert_follows(&received, &other, 0);
    assert_eq!(received[0].1, 0);
    encoder.stop().await;
    destination.rest().await;
}

#[tokio::test]
async fn what_happens_is_told_and_outputs_have_nothing_to_tell() {
    let mut destination = Destination::plain(1).await;
    let mut node = Controlled::new().await;
    let mut encoder = node.publish(0, relay(&[&destination])).await;
    destination.publishing().await;
    encoder.send(&stream()).await;
    destination.pieces(stream().len()).await;
    node.until(|what| match what {
        What::Output(change) => (change.state == OutputState::Live).then_some(()),
        _ => None,
    })
    .await;
    encoder.vanish().await;
    let away = node.happens().await;
    let reason = Departure::Lost;
    assert_eq!((away.epoch, away.what), (1, What::Away { reason }));

    let mut encoder = node.publish(0, relay(&[&destination])).await;
    let back = node.happens().await;
    assert_eq!(back.epoch, 2);
    let What::Connected(publisher) = back.what else {
        panic!("{back:?}");
    };
    assert!(publisher.returned);
    encoder.send(&stream()).await;
    destination.pieces(stream().len()).await;
    encoder.stop().await;
    let over = node.happens().await;
    let reason = Departure::Goodbye;
    assert_eq!((over.epoch, over.what), (2, What::Ended { reason }));
    assert_eq!(destination.rest().await, []);
}

#[tokio::test]
async fn an_output_that_was_refused_meanwhile_begins_with_what_is_new() {
    let mut late = Destination::plain(1).await;
    late.refuse(true);
    let mut node = Controlled::new().await;
    let encoder = node.publish(0, relay(&[&late])).await;
    let failed = |what| match what {
        What::Output(change) => (change.state == OutputState::Failed).then_some(()),
        _ => None,
    };
    node.until(failed).await;
    encoder.vanish().await;
    late.refuse(false);
    let mut asked = late.wanted();
    asked.retry = 1;
    let mut encoder = node.publish(0, Wish::relay(vec![asked])).await;
    encoder.send(&stream()).await;
    late.publishing().await;
    let received = late.pieces(stream().len()).await;
    assert_follows(&received, &stream(), 0);
    assert_eq!(received[0].1, 0);
    encoder.stop().await;
    late.rest().await;
}

#[tokio::test]
async fn outputs_end_cleanly_when_nobody_comes_back() {
    let mut destination = Destination::plain(1).await;
    let mut node = Controlled::new().await;
    let outputs = vec![destination.wanted()];
    let settings = InputSettings {
        reconnect_window: 1,
        ..InputSettings::default()
    };
    let mut encoder = node.publish(0, Wish::Relay { outputs, settings }).await;
    encoder.send(&stream()).await;
    destination.publishing().await;
    destination.pieces(stream().len()).await;
    encoder.vanish().await;
    let ended = |what| match what {
        What::Ended { reason } => Some(reason),
        _ => None,
    };
    assert_eq!(node.until(ended).await, Departure::Lost);
    assert_eq!(destination.rest().await, []);
}
