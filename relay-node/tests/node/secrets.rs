//! No key in any log line at any level, nor in anything that the node shows.

use std::io;
use std::sync::{Arc, Mutex};

use relay_node::config::{LogFormat, LogLevel};
use relay_node::logging;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tracing_subscriber::util::SubscriberInitExt;

use crate::support::destination::Destination;
use crate::support::{KEY, Rig, Tls, group, headers};

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

async fn get(rig: &Rig, path: &str) -> String {
    let mut stream = TcpStream::connect(rig.node.admin()).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn keys_are_nowhere_to_be_read() {
    let written = Written::default();
    let writer = written.clone();
    logging::subscriber(LogLevel::Trace, LogFormat::Json, move || writer.clone()).init();

    let tls = Tls::new();
    let mut taken = Destination::secure(1, &tls.acceptor).await;
    let mut dead = Destination::plain(2).await;
    dead.url = "rtmp://127.0.0.1:1/live?token=hunter4".to_owned();
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
        status.contains(&input) && status.contains("rtmp://127.0.0.1:1\""),
        "{status}"
    );
    assert!(metrics.contains(&format!(
        "relay_broadcast_received_bytes_total{{input=\"{input}\"}}"
    )));
    encoder.stop().await;
    taken.rest().await;
    rig.node.stop().await;

    let log = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
    assert!(
        log.contains("broadcast ends") && log.contains("\"DEBUG\""),
        "{log}"
    );
    for shown in [log, status, metrics] {
        for key in [KEY, "hunter3", "hunter4", &taken.key, &dead.key] {
            assert!(!shown.contains(key), "{key} in {shown}");
        }
    }
}
