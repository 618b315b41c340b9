//! No key in any log line at any level, nor in anything that the node shows.

use shared::link::What;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::control::{Controlled, relay};
use crate::support::destination::Destination;
use crate::support::{KEY, Rig, Tls, group, headers, scan};

async fn get(rig: &Rig, path: &str) -> String {
    let mut stream = TcpStream::connect(rig.node.admin()[0]).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn keys_are_in_nothing_that_the_control_plane_is_told() {
    let mut taken = Destination::plain(1).await;
    let mut dead = Destination::plain(2).await;
    dead.url = "rtmp://127.0.0.1:1024/live?token=hunter4".to_owned();
    let refusing = Destination::plain(3).await;
    refusing.refuse(true);
    let mut node = Controlled::new().await;
    let wish = relay(&[&taken, &dead, &refusing]);
    let mut encoder = node.publish(0, wish).await;
    let sent = [headers(), group(0)].concat();
    encoder.send(&sent).await;
    taken.publishing().await;
    taken.pieces(sent.len()).await;
    let waiting = std::cell::Cell::new(0);
    node.until(|what| match what {
        What::Output(change) if change.reason.is_some() => {
            waiting.set(waiting.get() + 1);
            (waiting.get() == 2).then_some(())
        }
        _ => None,
    })
    .await;
    node.watch(1).await;
    node.figures().await;
    encoder.stop().await;
    node.until(|what| matches!(what, What::Ended { .. }).then_some(()))
        .await;
    for told in ["connect_refused", "rejected", "bitrate", "ended"] {
        assert!(node.said.contains(told), "{told} in {}", node.said);
    }
    for key in [KEY, "hunter4", &taken.key, &dead.key, &refusing.key] {
        assert!(!node.said.contains(key), "{key} in {}", node.said);
    }
}

#[tokio::test]
async fn keys_are_nowhere_to_be_read() {
    scan::know("hunter4");
    let tls = Tls::new();
    let mut taken = Destination::secure(1, &tls.acceptor).await;
    let mut dead = Destination::plain(2).await;
    dead.url = "rtmp://127.0.0.1:1024/live?token=hunter4".to_owned();
    let rig = Rig::with(tls, &[&taken, &dead]).await;
    rig.encoder("hunter3").await.refused().await;
    let mut encoder = rig.encoder(KEY).await.publishing().await;
    let sent = [headers(), group(0)].concat();
    encoder.send(&sent).await;
    taken.publishing().await;
    taken.pieces(sent.len()).await;

    let health = get(&rig, "/health").await;
    assert!(
        health.ends_with("{\"ready\":true,\"control\":\"static\"}"),
        "{health}"
    );
    let (status, metrics) = (get(&rig, "/status").await, get(&rig, "/metrics").await);
    let input = rig.input.to_string();
    assert!(
        status.contains(&input) && status.contains("rtmp://127.0.0.1:1024\""),
        "{status}"
    );
    let of_input = |metrics: &str| metrics.contains(&format!("{{input=\"{input}\""));
    assert!(of_input(&metrics), "{metrics}");
    encoder.stop().await;
    taken.rest().await;
    // What is gone leaves nothing behind.
    let after = get(&rig, "/metrics").await;
    assert!(after.contains("relay_broadcasts 0\n"), "{after}");
    assert!(!of_input(&after), "{after}");
    rig.node.stop().await;

    // Each of a broadcast's steps is in the log.
    assert!(scan::lines() > 20);
    for shown in [status, metrics] {
        for key in [KEY, "hunter3", "hunter4", &taken.key, &dead.key] {
            assert!(!shown.contains(key), "{key} in {shown}");
        }
    }
}
