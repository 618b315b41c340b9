//! One quiet line per broadcast: rewritten in place on a terminal, and elsewhere only printed when
//! something else than the bitrate changed.

use serde::Deserialize;
use std::io::{IsTerminal as _, stderr};
use std::time::{Duration, Instant};

use super::http;
use super::ports::Ports;

/// How often the node is asked; the bitrate is a mean over about as long.
const INTERVAL: Duration = Duration::from_secs(1);

/// The lines, and what they last said.
pub(crate) struct Live {
    admin: u16,
    next: Instant,
    terminal: bool,
    drawn: usize,
    said: Vec<(String, usize, usize)>,
}

/// What is used of the node's status.
#[derive(Deserialize)]
struct Status {
    broadcasts: Vec<Broadcast>,
}

#[derive(Deserialize)]
struct Broadcast {
    input: String,
    #[serde(default)]
    bitrate_bps: u64,
    #[serde(default)]
    outputs: Vec<Output>,
}

#[derive(Deserialize)]
struct Output {
    state: String,
    #[serde(default)]
    bytes: u64,
}

impl Live {
    /// Nothing on air yet.
    pub(crate) fn new(ports: &Ports) -> Self {
        Self {
            admin: ports.admin,
            next: Instant::now(),
            terminal: stderr().is_terminal(),
            drawn: 0,
            said: Vec::new(),
        }
    }

    /// Brings the lines up to date when it is time; `received` are the bytes that each server of
    /// the demo has received.
    pub(crate) fn tick(&mut self, received: Option<&[u64]>) {
        let now = Instant::now();
        if now < self.next {
            return;
        }
        self.next = now + INTERVAL;
        // A node that is just being started again does not answer; its lines stay meanwhile.
        let Ok(answer) = http::get(self.admin, "/status", None) else {
            return;
        };
        let Ok(status) = serde_json::from_str::<Status>(&answer.body) else {
            return;
        };
        let said: Vec<_> = status
            .broadcasts
            .iter()
            .map(|broadcast| {
                (
                    broadcast.input.clone(),
                    broadcast.up(),
                    broadcast.outputs.len(),
                )
            })
            .collect();
        if !self.terminal && said == self.said && received.is_none() {
            return;
        }
        if self.terminal && self.drawn > 0 {
            // Up over the old lines, and away with them.
            eprint!("\x1b[{}A\x1b[J", self.drawn);
        }
        for broadcast in &status.broadcasts {
            eprintln!("{}", broadcast.line(received));
        }
        for (input, ..) in &self.said {
            if status
                .broadcasts
                .iter()
                .all(|broadcast| broadcast.input != *input)
            {
                eprintln!("off air  {input}");
            }
        }
        self.drawn = status.broadcasts.len();
        self.said = said;
    }

    /// What is printed next stands below.
    pub(crate) fn finish(&mut self) {
        self.drawn = 0;
    }
}

impl Broadcast {
    fn up(&self) -> usize {
        self.outputs
            .iter()
            .filter(|output| output.state == "live")
            .count()
    }

    fn line(&self, received: Option<&[u64]>) -> String {
        let mut line = format!(
            "on air   {}  {:.2} Mbit/s  {}/{} outputs up",
            self.input,
            self.bitrate_bps as f64 / 1e6,
            self.up(),
            self.outputs.len()
        );
        if let Some(received) = received {
            let sent = self.outputs.iter().map(|output| output.bytes);
            line.push_str(&format!("  sent {}", megabytes(sent)));
            line.push_str(&format!(
                "  received {}",
                megabytes(received.iter().copied())
            ));
        }
        line
    }
}

fn megabytes(bytes: impl Iterator<Item = u64>) -> String {
    let each: Vec<_> = bytes
        .map(|bytes| format!("{:.1}", bytes as f64 / 1e6))
        .collect();
    format!("{} MB", each.join(" + "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_counts_the_outputs_that_are_up() {
        let status: Status = serde_json::from_str(
            r#"{"node":"dev","broadcasts":[{"input":"ab","since_ms":5,"bitrate_bps":2500000,"outputs":
                [{"output":"x","state":"live","bytes":1500000},{"output":"y","state":"backoff","bytes":0}]}]}"#,
        )
        .unwrap();
        let broadcast = status.broadcasts.first().unwrap();
        assert_eq!(
            broadcast.line(None),
            "on air   ab  2.50 Mbit/s  1/2 outputs up"
        );
        assert!(
            broadcast
                .line(Some(&[1_400_000, 0]))
                .ends_with("sent 1.5 + 0.0 MB  received 1.4 + 0.0 MB")
        );
    }
}
