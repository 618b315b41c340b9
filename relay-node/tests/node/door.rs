//! Who comes in when many want to, and what it costs.

use std::fs;
use std::time::Duration;

use relay_node::config::{Config, Source};
use relay_node::ingest::{Bounds, DoorFigures};
use rtmp::client::Words;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::support::control::{Controlled, relay};
use crate::support::encoder::Encoder;
use crate::support::{KEY, Rig, Tls, config, group, headers, soon};

/// A node with one input, and with other bounds than usual.
async fn rig(change: impl FnOnce(&mut Bounds)) -> Rig {
    let tls = Tls::new();
    let inputs = tls.path("inputs.toml");
    fs::write(&inputs, format!("[[input]]\nstream_key = \"{KEY}\"\n")).unwrap();
    let mut config: Config = config(&tls, Source::File(inputs));
    change(&mut config.bounds);
    Rig::start(tls, &config).await
}

fn refused(rig: &Rig, reason: &str) -> u64 {
    let refused = rig.node.door().figures().refused;
    let count = refused.iter().find(|(counted, _)| *counted == reason);
    count.map_or(0, |(_, count)| *count)
}

/// Waits until it is so.
async fn until(rig: &Rig, is_so: impl Fn(&DoorFigures) -> bool) {
    soon(async {
        while !is_so(&rig.node.door().figures()) {
            sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

/// Waits until the node has closed a connection.
async fn closed(stream: &mut TcpStream) {
    // Closed with a FIN, or cut.
    let _ = soon(stream.read_to_end(&mut Vec::new())).await;
}

#[tokio::test]
async fn who_says_nothing_gives_way_to_an_encoder() {
    let rig = rig(|bounds| bounds.places.pending_of_origin = 8).await;
    let mut idle = Vec::new();
    for number in 0..8 {
        let listeners = [rig.node.rtmps()[0], rig.node.rtmp()[0]];
        idle.push(TcpStream::connect(listeners[number % 2]).await.unwrap());
    }
    until(&rig, |figures| figures.pending == 8).await;
    let encoder = rig.encoder(KEY).await.publishing().await;
    closed(&mut idle[0]).await;
    assert_eq!(refused(&rig, "displaced"), 1);
    // It takes no pending place any more, and nobody takes its own.
    let second = TcpStream::connect(rig.node.rtmp()[0]).await.unwrap();
    until(&rig, |figures| figures.pending == 8).await;
    assert_eq!(refused(&rig, "displaced"), 1);
    idle.push(second);
    idle.push(TcpStream::connect(rig.node.rtmp()[0]).await.unwrap());
    closed(&mut idle[1]).await;
    let figures = rig.node.door().figures();
    assert_eq!((figures.pending, figures.publishers), (8, 1));
    encoder.stop().await;
}

#[tokio::test]
async fn one_publisher_more_is_told_so() {
    for (of_origin, says, reason) in [
        (9, "has no room", "full"),
        (1, "from this address", "full_for_address"),
    ] {
        let rig = rig(|bounds| {
            bounds.places.publishers = if of_origin == 1 { 9 } else { 1 };
            bounds.places.publishers_of_origin = of_origin;
        })
        .await;
        let first = rig.encoder(KEY).await.publishing().await;
        let words = rig.encoder(KEY).await.refused().await;
        assert!(words.description.contains(says), "{words:?}");
        assert_eq!(refused(&rig, reason), 1);
        // The first one goes on, and makes room when it goes.
        first.stop().await;
        until(&rig, |figures| figures.publishers == 0).await;
        rig.encoder(KEY).await.publishing().await.stop().await;
    }
}

#[tokio::test]
async fn who_does_not_publish_in_time_is_dropped_and_counted() {
    let rig = rig(|bounds| bounds.session.request_timeout = Duration::from_millis(300)).await;
    let mut plain = TcpStream::connect(rig.node.rtmp()[0]).await.unwrap();
    let mut secure = TcpStream::connect(rig.node.rtmps()[0]).await.unwrap();
    tokio::join!(closed(&mut plain), closed(&mut secure));
    assert_eq!(refused(&rig, "publish_timed_out"), 1);
    assert_eq!(refused(&rig, "tls_timed_out"), 1);
}

#[tokio::test]
async fn who_sends_too_many_messages_is_told_and_cut() {
    let mut node = Controlled::with(|config| config.bounds.session.messages_per_second = 5).await;
    let mut encoder = node.publish(0, relay(&[])).await;
    encoder.send(&headers()).await;
    // Forty more than 25 at once.
    encoder.send(&group(0)).await;
    let words = encoder.refused().await;
    assert_eq!(words.code, "NetStream.Publish.Rejected");
    assert!(words.description.contains("messages a second"), "{words:?}");
}

/// What an encoder with this key is told, where the control plane is not asked.
async fn told(node: &mut Controlled, key: &str) -> Words {
    let encoder = node.rig().encoder(key).await;
    let refused = Encoder::refused(encoder);
    // It is refused before anybody could have asked.
    tokio::select! {
        words = refused => words,
        () = node.refuse_key() => panic!("the control plane was asked"),
    }
}

/// The same, where it is asked once and says no.
async fn asked(node: &mut Controlled, key: &str) -> Words {
    let refused = node.rig().encoder(key).await.refused();
    tokio::join!(refused, node.refuse_key()).0
}

#[tokio::test]
async fn a_wrong_key_costs_the_control_plane_one_question() {
    let mut node = Controlled::with(|config| config.bounds.wrong_keys.burst = 2).await;
    for words in [
        asked(&mut node, "wrong").await,
        told(&mut node, "wrong").await,
        told(&mut node, "wrong").await,
        asked(&mut node, "other").await,
    ] {
        assert!(words.description.contains("No live input"), "{words:?}");
    }
    let words = told(&mut node, "third").await;
    assert!(words.description.contains("Too many wrong"), "{words:?}");
    assert_eq!(refused(node.rig(), "unknown_key"), 4);
    assert_eq!(refused(node.rig(), "too_many_wrong_keys"), 1);
}

#[tokio::test]
async fn a_key_that_becomes_right_works_soon() {
    let remembered = Duration::from_millis(200);
    let mut node =
        Controlled::with(|config| config.bounds.wrong_keys.remembered = remembered).await;
    asked(&mut node, KEY).await;
    sleep(remembered).await;
    node.publish(0, relay(&[])).await.stop().await;
}
