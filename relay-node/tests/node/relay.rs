//! What comes in goes out, to the byte, to whoever is wanted at that moment.

use shared::link::Wish;

use crate::support::destination::Destination;
use crate::support::{KEY, Piece, Rig, Tls, group, headers, soon};

/// What a destination must receive of `sent`: everything in it, to the byte.
fn assert_same(received: &[Piece], sent: &[Piece]) {
    let shape = |pieces: &[Piece]| -> Vec<_> {
        pieces
            .iter()
            .map(|(kind, time, payload)| (*kind, *time, payload.len()))
            .collect()
    };
    assert_eq!(shape(received), shape(sent));
    assert!(received == sent, "same shape, other bytes");
}

#[tokio::test]
async fn everything_arrives_at_every_destination() {
    let tls = Tls::new();
    let mut plain = Destination::plain(1).await;
    let mut secure = Destination::secure(2, &tls.acceptor).await;
    let rig = Rig::with(tls, &[&plain, &secure]).await;

    let mut encoder = rig.encoder(KEY).await.publishing().await;
    let sent = [headers(), group(0), group(1), group(2)].concat();
    encoder.send(&sent).await;
    for destination in [&mut plain, &mut secure] {
        destination.publishing().await;
        assert_same(&destination.pieces(sent.len()).await, &sent);
    }
    let status = rig.node.registry().status();
    assert_eq!(status[0].input, rig.input);
    assert!(
        status[0]
            .outputs
            .iter()
            .all(|output| output.state == "live"),
        "{status:?}"
    );

    // The rest of a stream that ends still arrives.
    let last = group(3);
    encoder.send(&last).await;
    encoder.stop().await;
    for destination in [&mut plain, &mut secure] {
        assert_same(&destination.rest().await, &last);
    }
    soon(rig.node.stop()).await;
}

#[tokio::test]
async fn outputs_come_and_go_and_the_others_notice_nothing() {
    let tls = Tls::new();
    let mut stays = Destination::secure(1, &tls.acceptor).await;
    let mut goes = Destination::secure(2, &tls.acceptor).await;
    let mut comes = Destination::plain(3).await;
    let rig = Rig::with(tls, &[&stays, &goes]).await;

    let mut encoder = rig.encoder(KEY).await.publishing().await;
    let mut sent = [headers(), group(0)].concat();
    encoder.send(&sent).await;
    goes.publishing().await;
    assert_same(&goes.pieces(sent.len()).await, &sent);

    rig.apply(2, rig.relay(&[&stays, &comes]));
    assert_eq!(goes.rest().await, []);
    // It begins with the newest keyframe, its clock near 0.
    comes.publishing().await;
    assert_same(&comes.pieces(sent.len()).await, &sent);

    // A snapshot that was overtaken changes nothing.
    rig.apply(1, rig.relay(&[&goes]));
    // One that was repeated changes nothing either.
    rig.apply(2, rig.relay(&[&stays, &comes]));
    encoder.send(&group(1)).await;
    sent.extend(group(1));
    assert_same(&comes.pieces(group(1).len()).await, &group(1));

    rig.apply(3, rig.relay(&[&stays]));
    assert_eq!(comes.rest().await, []);
    encoder.send(&group(2)).await;
    sent.extend(group(2));
    encoder.stop().await;
    stays.publishing().await;
    assert_same(&stays.rest().await, &sent);
}

#[tokio::test]
async fn who_may_not_publish_is_told_why() {
    let rig = Rig::new(&[]).await;
    let words = rig.encoder("hunter3").await.refused().await;
    assert_eq!(words.code, "NetStream.Publish.Denied");
    assert!(
        words
            .description
            .contains("No live input has this stream key"),
        "{words:?}"
    );
    let words = rig.encoder("").await.refused().await;
    assert!(
        words.description.contains("stream key is missing"),
        "{words:?}"
    );
    assert_eq!(rig.node.registry().status().len(), 0);
}

#[tokio::test]
async fn a_broadcast_that_is_not_wanted_any_more_is_cut() {
    for (wish, says) in [
        (Wish::Deleted, "was deleted"),
        (Wish::Disabled, "is disabled"),
    ] {
        let mut destination = Destination::plain(1).await;
        let rig = Rig::new(&[&destination]).await;
        let mut encoder = rig.encoder(KEY).await.publishing().await;
        encoder.send(&headers()).await;
        encoder.send(&group(0)).await;
        destination.publishing().await;
        rig.apply(2, wish);
        let words = encoder.refused().await;
        assert!(words.description.contains(says), "{words:?}");
        destination.rest().await;
        assert_eq!(rig.node.registry().status().len(), 0);
    }
}

#[tokio::test]
async fn a_destination_that_is_not_there_hurts_nobody() {
    let mut destination = Destination::plain(1).await;
    let mut dead = Destination::plain(2).await;
    dead.url = "rtmp://127.0.0.1:1024/live".to_owned();
    let rig = Rig::new(&[&destination, &dead]).await;
    let mut encoder = rig.encoder(KEY).await.publishing().await;
    let sent = [headers(), group(0)].concat();
    encoder.send(&sent).await;
    destination.publishing().await;
    assert_same(&destination.pieces(sent.len()).await, &sent);
    let status = rig.node.registry().status();
    let output = &status[0].outputs[1];
    assert_eq!(
        (output.state, output.reason),
        ("backoff", Some("connect_refused"))
    );
    assert_eq!(output.server.as_deref(), Some("rtmp://127.0.0.1:1024"));
}

#[tokio::test]
async fn a_node_that_stops_ends_everything_cleanly() {
    let mut destination = Destination::plain(1).await;
    let rig = Rig::new(&[&destination]).await;
    let idle = rig.encoder("").await;
    let mut encoder = rig.encoder(KEY).await.publishing().await;
    let sent = [headers(), group(0)].concat();
    encoder.send(&sent).await;
    destination.publishing().await;
    assert_same(&destination.pieces(sent.len()).await, &sent);
    let stopped = tokio::spawn(rig.node.stop());
    let words = encoder.refused().await;
    assert_eq!(words.code, "NetStream.Failed");
    destination.rest().await;
    soon(stopped).await.unwrap();
    drop(idle);
}
