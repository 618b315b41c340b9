//! What a node logs of a broadcast at INFO, whole: `broadcast.log` is what a person reads, and a
//! change of it is to be read as one.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

#[allow(dead_code, reason = "the other tests of a node need more of it")]
#[path = "../node/support/mod.rs"]
mod support;
#[path = "../node/support/written.rs"]
mod written;

use std::fmt::Write as _;

use relay_node::config::{LogFormat, LogLevel};
use relay_node::logging;
use shared::link::{OutputState, What};
use tracing_subscriber::util::SubscriberInitExt;

use support::control::{Controlled, input, relay};
use support::destination::Destination;
use support::{Piece, group, headers, soon};
use written::Written;

/// What was logged, a chapter for each step of the broadcast.
struct Story {
    written: Written,
    told: String,
    names: Vec<(String, String)>,
}

impl Story {
    /// What was written since the last chapter, without what differs from run to run. What happens
    /// at the same time is in the order of the words.
    fn chapter(&mut self, title: &str) {
        let written = std::mem::take(&mut *self.written.0.lock().unwrap());
        let written = String::from_utf8(written).unwrap();
        let lines = written.lines().filter(|line| !is_of_a_retry(line));
        let mut lines: Vec<_> = lines.map(|line| self.plain(line)).collect();
        lines.sort_unstable();
        let space = if self.told.is_empty() { "" } else { "\n" };
        writeln!(self.told, "{space}# {title}").unwrap();
        for line in lines {
            writeln!(self.told, "{line}").unwrap();
        }
    }

    /// Waits until a line was written that holds all of this.
    async fn says(&self, words: &[&str]) {
        let is_said = || {
            let written = self.written.0.lock().unwrap();
            let mut lines = std::str::from_utf8(&written).unwrap().lines();
            lines.any(|line| words.iter().all(|word| line.contains(word)))
        };
        soon(async {
            while !is_said() {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    fn plain(&self, line: &str) -> String {
        let (_time, rest) = line.split_once(' ').unwrap();
        let mut plain = rest.trim_start().to_owned();
        for (value, name) in &self.names {
            plain = plain.replace(value, name);
        }
        let words: Vec<_> = plain.split(' ').map(word).collect();
        words.join(" ")
    }
}

/// How often something is tried again is a matter of how long it takes until the next chapter.
fn is_of_a_retry(line: &str) -> bool {
    line.contains("state=connecting attempts=")
        || line.contains("state=backoff") && !line.contains(" attempts=1 ")
}

/// Without the ports that encoders come from, and what is measured.
fn word(word: &str) -> String {
    let measured = [
        "attempts=",
        "away_ms=",
        "instance=",
        "retry_in_ms=",
        "seconds=",
        "sent_bytes=",
        "version=",
    ];
    let begins = measured.iter().find(|begins| word.starts_with(**begins));
    if let Some(begins) = begins {
        return format!("{begins}…");
    }
    match word.find("127.0.0.1:").map(|at| at + "127.0.0.1:".len()) {
        Some(at) => {
            let port = word[at..].trim_start_matches(|c: char| c.is_ascii_digit());
            format!("{}…{port}", &word[..at])
        }
        None => word.to_owned(),
    }
}

fn stream() -> Vec<Piece> {
    [headers(), group(0)].concat()
}

#[tokio::test]
async fn the_log_of_a_broadcast_is_what_a_person_wants_to_read() {
    let written = Written::default();
    let writer = written.clone();
    logging::subscriber(LogLevel::Info, LogFormat::Text, move || writer.clone()).init();
    let mut story = Story {
        written,
        told: String::new(),
        names: vec![(input().to_string(), "INPUT".to_owned())],
    };
    let mut taken = Destination::plain(1).await;
    let mut dead = Destination::plain(2).await;
    dead.url = "rtmp://127.0.0.1:1024/live".to_owned();
    let refusing = Destination::plain(3).await;
    refusing.refuse(true);
    let mut late = Destination::plain(4).await;
    for (destination, name) in [
        (&taken, "TAKEN"),
        (&dead, "DEAD"),
        (&refusing, "REFUSING"),
        (&late, "LATE"),
    ] {
        let uid = destination.wanted().uid.to_string();
        story.names.push((uid, name.to_owned()));
    }
    let state = |destination: &Destination, state| {
        let output = destination.wanted().uid;
        move |what| match what {
            What::Output(change) => {
                ((change.output, change.state) == (output, state)).then_some(())
            }
            _ => None,
        }
    };

    let mut node = Controlled::new().await;
    story.says(&["to=Connected"]).await;
    story.chapter("the node starts");

    let mut encoder = node.publish(0, relay(&[&taken, &dead, &refusing])).await;
    encoder.send(&stream()).await;
    let mut missing = 3;
    while missing > 0 {
        let ends = [
            (&taken, OutputState::Live),
            (&dead, OutputState::Backoff),
            (&refusing, OutputState::Failed),
        ];
        let what = node.happens().await.what;
        missing -= i32::from(
            ends.iter()
                .any(|(it, end)| state(it, *end)(what.clone()).is_some()),
        );
    }
    taken.publishing().await;
    taken.pieces(stream().len()).await;
    story.chapter("an encoder publishes to three destinations: one takes the stream, one is not there, one refuses");

    node.push(node.snapshot(2, relay(&[&taken, &late]))).await;
    node.until(state(&late, OutputState::Live)).await;
    for gone in [&dead, &refusing] {
        let uid = gone.wanted().uid.to_string();
        story.says(&[&uid, "state=idle"]).await;
    }
    story.chapter("a person replaces two of them by another");

    encoder.vanish().await;
    node.until(|what| matches!(what, What::Away { .. }).then_some(()))
        .await;
    story.chapter("the encoder vanishes");

    let mut encoder = node.publish(0, relay(&[&taken, &late])).await;
    node.until(|what| matches!(what, What::Connected(_)).then_some(()))
        .await;
    encoder.send(&stream()).await;
    taken.pieces(stream().len()).await;
    story.chapter("it comes back");

    encoder.stop().await;
    node.until(|what| matches!(what, What::Ended { .. }).then_some(()))
        .await;
    taken.rest().await;
    late.publishing().await;
    story.chapter("it ends its stream");

    let expected = include_str!("broadcast.log");
    assert!(story.told == expected, "it is now:\n{}", story.told);
}
