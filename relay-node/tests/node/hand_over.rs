//! One process of the node takes over from another, as encoders and destinations see it.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::Duration;

use rtmp::{Capabilities, CapsEx};
use tokio::time::sleep;

use crate::support::destination::Destination;
use crate::support::encoder::Encoder;
use crate::support::{Tls, group, headers, soon};

/// The program, and the process that takes over from it.
struct Processes {
    first: Child,
    address: SocketAddr,
    log: PathBuf,
    tls: Tls,
}

impl Processes {
    /// Starts the first, with an input for each of these destinations, whose keys are theirs.
    async fn start(destinations: &[&Destination]) -> Self {
        let tls = Tls::new();
        let mut inputs = String::new();
        for destination in destinations {
            let (url, key) = (&destination.url, &destination.key);
            inputs += &format!(
                "[[input]]\nstream_key = \"{key}\"\n\
                 [[input.output]]\nurl = \"{url}\"\nstream_key = \"{key}\"\n"
            );
        }
        fs::write(tls.path("inputs.toml"), inputs).unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let log = tls.path("log");
        let first = Command::new(env!("CARGO_BIN_EXE_relay-node"))
            .arg("--static")
            .arg(tls.path("inputs.toml"))
            .arg(format!("--rtmps-listen={address}"))
            .arg("--rtmps-certificate")
            .arg(tls.path("certificate.pem"))
            .arg("--rtmps-private-key")
            .arg(tls.path("key.pem"))
            .args(["--admin-listen=127.0.0.1:0", "--outputs-allow-loopback"])
            .arg("--hand-over-socket")
            .arg(tls.path("hand-over"))
            .stderr(fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let processes = Self {
            first,
            address,
            log,
            tls,
        };
        processes.says(" ready node=").await;
        processes
    }

    /// Lets another process take over, and waits until it has.
    async fn upgrade(&self) {
        kill("-USR2", self.first.id());
        self.says("another process has taken over").await;
    }

    /// Waits for that line, and returns it.
    async fn says(&self, what: &str) -> String {
        soon(async {
            loop {
                let log = fs::read_to_string(&self.log).unwrap();
                if let Some(line) = log.lines().find(|line| line.contains(what)) {
                    return line.to_owned();
                }
                sleep(Duration::from_millis(10)).await;
            }
        })
        .await
    }

    async fn encoder(&self, key: &str, caps_ex: u32) -> Encoder {
        let capabilities = Capabilities {
            caps_ex,
            ..Capabilities::default()
        };
        let connecting =
            Encoder::connect(self.address, &self.tls.connector, "live", key, capabilities);
        connecting.await.publishing().await
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        if std::thread::panicking() {
            eprintln!("{log}");
        }
        let started = log
            .lines()
            .find(|line| line.contains("a new process starts"));
        let pid = started.and_then(|line| line.rsplit_once("pid="));
        if let Some(pid) = pid.and_then(|(_, pid)| pid.trim().parse().ok()) {
            kill("-KILL", pid);
        }
        let _ = self.first.kill();
        let _ = self.first.wait();
    }
}

fn kill(signal: &str, pid: u32) {
    let killed = Command::new("kill")
        .args([signal, &pid.to_string()])
        .status();
    assert!(killed.unwrap().success());
}

#[tokio::test]
async fn an_encoder_that_obeys_is_moved_and_any_other_stays() {
    let (mut moved_to, mut stayed_at) = (Destination::plain(1).await, Destination::plain(2).await);
    let mut processes = Processes::start(&[&moved_to, &stayed_at]).await;
    let mut moves = processes.encoder(&moved_to.key, CapsEx::RECONNECT).await;
    let mut stays = processes.encoder(&stayed_at.key, CapsEx::MULTITRACK).await;
    let begin = [headers(), group(0)].concat();
    for (encoder, destination) in [(&mut moves, &mut moved_to), (&mut stays, &mut stayed_at)] {
        encoder.send(&begin).await;
        destination.publishing().await;
        assert_eq!(destination.pieces(begin.len()).await, begin);
    }
    processes.upgrade().await;

    // It sends on until the other process takes it at the same address.
    moves.asked_to_move().await;
    moves.send(&group(1)).await;
    assert_eq!(moved_to.pieces(group(1).len()).await, group(1));
    let mut moved = processes.encoder(&moved_to.key, CapsEx::RECONNECT).await;
    let again = [headers(), group(2)].concat();
    moved.send(&again).await;
    // It hangs up only now.
    moves.vanish().await;
    // The destination sees a proper end, and one new stream with all that came after it.
    assert_eq!(moved_to.rest().await, []);
    moved_to.publishing().await;
    let received = moved_to.pieces(again.len()).await;
    let bodies = |pieces: &[_]| -> Vec<_> {
        let pieces: &[crate::support::Piece] = pieces;
        let bodies = pieces
            .iter()
            .map(|(kind, _, payload)| (*kind, payload.clone()));
        bodies.collect()
    };
    assert!(
        bodies(&received) == bodies(&again),
        "something else than was sent"
    );

    // The other one, on one connection from beginning to end.
    stays.send(&group(1)).await;
    assert_eq!(stayed_at.pieces(group(1).len()).await, group(1));
    assert!(
        !stays.stop_and_hear().await,
        "it was asked though it cannot obey"
    );
    assert_eq!(stayed_at.rest().await, []);
    // With it the first process has nothing more to serve.
    let first = &mut processes.first;
    let status = soon(async {
        loop {
            if let Some(status) = first.try_wait().unwrap() {
                return status;
            }
            sleep(Duration::from_millis(10)).await;
        }
    });
    assert!(status.await.success());
    moved.stop().await;
    assert_eq!(moved_to.rest().await, []);
}
