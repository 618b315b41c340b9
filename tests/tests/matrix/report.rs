//! What came out, as a page.

use std::fmt;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use system_tests::streams::Stream;

use crate::cases::Case;

/// All rows.
#[derive(Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
}

/// One stream, and what each destination made of it.
pub(crate) struct Row {
    encoder: String,
    sends: String,
    secure: bool,
    sent: Result<Sent>,
    cells: Vec<Cell>,
}

struct Sent {
    tags: usize,
    end: String,
}

/// What a destination got by RTMP and by RTMPS.
struct Cell {
    destination: &'static str,
    outcomes: [Result<String>; 2],
}

impl Row {
    /// Nothing is compared yet; an error is an encoder that did not publish as it should.
    pub(crate) fn new(case: &Case, secure: bool, sent: Result<&Stream>) -> Self {
        let sent = sent.map(|sent| {
            let mut end = sent.goodbyes();
            end.push(match sent.end {
                Some(end) if end.clean => "close",
                _ => "cut",
            });
            Sent {
                tags: sent.tags.len(),
                end: end.join(", "),
            }
        });
        Self {
            encoder: case.encoder.clone(),
            sends: case.sends.clone(),
            secure,
            sent,
            cells: Vec::new(),
        }
    }

    /// Adds a destination with what was compared there, by RTMP and by RTMPS.
    pub(crate) fn add(&mut self, destination: &'static str, outcomes: [Result<String>; 2]) {
        self.cells.push(Cell {
            destination,
            outcomes,
        });
    }

    /// Whether anything in it is not as it should be.
    pub(crate) fn is_failed(&self) -> bool {
        !self.failures().is_empty()
    }

    fn by(&self) -> &'static str {
        transport(self.secure)
    }

    fn failures(&self) -> Vec<String> {
        let what = format!("{}, {}, by {}", self.encoder, self.sends, self.by());
        let mut failures = Vec::new();
        if let Err(error) = &self.sent {
            failures.push(format!("{what}: {error:#}"));
        }
        for cell in &self.cells {
            for (outcome, secure) in cell.outcomes.iter().zip([false, true]) {
                if let Err(error) = outcome {
                    let (to, by) = (cell.destination, transport(secure));
                    failures.push(format!("{what}, to {to} by {by}: {error:#}"));
                }
            }
        }
        failures
    }
}

fn transport(secure: bool) -> &'static str {
    if secure { "RTMPS" } else { "RTMP" }
}

impl Report {
    /// Adds a row.
    pub(crate) fn add(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// What went wrong, a line for each.
    pub(crate) fn failures(&self) -> Vec<String> {
        self.rows.iter().flat_map(Row::failures).collect()
    }

    /// Writes the page.
    pub(crate) fn write(&self) -> Result<()> {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/matrix.md");
        fs::write(&file, self.to_string()).context("writing the report")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(ABOUT)?;
        let failures = self.failures();
        let streams = self.rows.len();
        let cells = self.rows.iter().flat_map(|row| &row.cells);
        let comparisons = cells.map(|cell| cell.outcomes.len()).sum::<usize>();
        writeln!(
            f,
            "\n{streams} streams, {comparisons} comparisons, {} failures.\n",
            failures.len()
        )?;
        for failure in &failures {
            writeln!(f, "- {}", failure.replace('\n', " "))?;
        }
        if !failures.is_empty() {
            writeln!(f)?;
        }
        write!(f, "| encoder | sends | by | tags | ends by |")?;
        let destinations = self.rows.iter().find(|row| !row.cells.is_empty());
        let destinations = destinations.map(|row| row.cells.as_slice());
        let destinations = destinations.unwrap_or_default();
        for cell in destinations {
            write!(f, " {} |", cell.destination)?;
        }
        writeln!(f, "\n|{}", " --- |".repeat(5 + destinations.len()))?;
        for row in &self.rows {
            let (tags, end) = match &row.sent {
                Ok(sent) => (sent.tags.to_string(), sent.end.as_str()),
                Err(_) => ("failed".to_owned(), ""),
            };
            let (encoder, sends, by) = (&row.encoder, &row.sends, row.by());
            write!(f, "| {encoder} | {sends} | {by} | {tags} | {end} |")?;
            for cell in &row.cells {
                let [plain, secure] = cell.outcomes.each_ref().map(|outcome| match outcome {
                    Ok(outcome) => outcome.as_str(),
                    Err(_) => "**differs**",
                });
                match plain == secure {
                    true => write!(f, " {plain} |")?,
                    false => write!(f, " {plain} / {secure} |")?,
                }
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

const ABOUT: &str = "# Encoders and destinations

The last report of `cargo xtask test --full`, which writes this page. Each encoder publishes three
seconds to a relay node, by RTMP and by RTMPS, through a tap that keeps the tags that it sent. The node
sends them to every destination by RTMP and by RTMPS at the same time, and what came there is compared
with what was sent: kind, time since the tag before, and every byte of the body.

An output begins with the newest metadata, headers (video's before audio's) and the first picture that
can be decoded. What the encoder sent before that picture in another order comes in this one, and sound from
before it is left out: the numbers are \"so many of so many\" then. From there on everything has to come as
it was sent.

- *strict* is a server of the tests' own, written from the specification: it keeps every tag, and takes
  nothing that is against the rules. `releaseStream` and `FCPublish` are answered with silence, with
  `_error`, or with AMF0's undefined. A number is a number of tags: every one was as it was sent, none was
  missing, and the stream was ended by `FCUnpublish`, `deleteStream` and a proper close within two
  seconds of the encoder's end.
- *nginx-rtmp* records no data tags and no empty ones, no picture before one that it takes for a keyframe
  (those of Enhanced RTMP are none to it), and some headers twice. What it records of the rest is
  compared tag by tag.
- *FFmpeg* listens, and lists the packets that it reads. The list is compared with what the same FFmpeg
  reads from a file of the tags that were sent: decode time, presentation time, size, hash. Where it can
  make nothing of such a file, it says so for both.

Two numbers in a cell are those by RTMP and by RTMPS; one stands for both. The generator puts a real
recording of H.264 and AAC in other words, so that under the name of another codec there is none of it.
Adobe's authentication is not part of this: it has tests of its own.
";
