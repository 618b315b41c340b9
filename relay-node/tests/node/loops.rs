//! Outputs that lead back to the node.

use rtmp::server::LOOP;
use shared::link::{OutputChange, OutputState, What};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

use crate::support::control::{Controlled, relay};
use crate::support::destination::Destination;

/// Why an output to that URL fails.
async fn failure(node: &mut Controlled, url: String) -> OutputChange {
    let mut back = Destination::plain(1).await;
    back.url = url;
    let encoder = node.publish(0, relay(&[&back])).await;
    let failed = node
        .until(|what| match what {
            What::Output(change) if change.state == OutputState::Failed => Some(change),
            _ => None,
        })
        .await;
    encoder.stop().await;
    failed
}

#[tokio::test]
async fn by_address_it_is_seen_before_anything_is_sent() {
    let mut node = Controlled::new().await;
    let url = format!("rtmp://{}/live", node.ingest());
    let failed = failure(&mut node, url).await;
    assert_eq!(failed.reason.as_deref(), Some("loop"));
    assert!(!failed.message.unwrap().contains(LOOP));
}

#[tokio::test]
async fn another_node_that_the_operator_names_is_not_even_connected_to() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut node =
        Controlled::with(|config| config.nodes = vec!["127.0.0.1/32".parse().unwrap()]).await;
    let failed = failure(&mut node, format!("rtmp://{address}/live")).await;
    assert_eq!(failed.reason.as_deref(), Some("loop"));
    let connected = std::pin::pin!(listener.accept());
    let nobody = tokio::time::timeout(std::time::Duration::ZERO, connected).await;
    assert!(nobody.is_err(), "it was connected to");
}

#[tokio::test]
async fn through_another_address_the_node_knows_its_own_again() {
    let mut node = Controlled::new().await;
    let ingest = node.ingest();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("rtmp://{}/live", listener.local_addr().unwrap());
    let forwarding = tokio::spawn(async move {
        let (mut from, _) = listener.accept().await.unwrap();
        let mut to = TcpStream::connect(ingest).await.unwrap();
        // Either end may close first.
        let _ = copy_bidirectional(&mut from, &mut to).await;
    });
    let failed = failure(&mut node, url).await;
    assert_eq!(failed.reason.as_deref(), Some("loop"));
    assert!(failed.message.unwrap().contains(LOOP));
    forwarding.await.unwrap();
}
