//! FFmpeg as a destination: it listens, takes one stream, and writes down each packet.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

use crate::process::Running;
use crate::{ports, wait};

/// An FFmpeg that waits for a stream, or has had one.
pub struct Listening {
    // First, so that it ends before its folder goes.
    ffmpeg: Running,
    port: u16,
    folder: TempDir,
}

/// What FFmpeg has read: of each elementary stream its kind, and its packets.
#[derive(Debug, PartialEq, Eq)]
pub struct Read(Vec<(String, Vec<Packet>)>);

/// Decode time from the stream's first, presentation from decode time, size, hash.
type Packet = (i64, i64, u64, String);

impl Listening {
    /// Starts `ffmpeg` for a stream of the application `live` under `key`.
    pub fn start(ffmpeg: &Path, key: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let port = ports::one()?;
        let mut command = Command::new(ffmpeg);
        command
            .args(["-hide_banner", "-nostdin", "-v", "warning", "-listen", "1"])
            .args(["-i", &format!("rtmp://127.0.0.1:{port}/live/{key}")])
            .args(PACKETS)
            .arg(folder.path().join(READ));
        let log = folder.path().join("ffmpeg.log");
        let ffmpeg = Running::start("FFmpeg, listening", &mut command, &log)?;
        // It takes one connection only, so that nobody may try whether it is there.
        wait::until("FFmpeg's port", START_WITHIN, || {
            Ok(listens(port)?.then_some(()))
        })?;
        Ok(Self {
            ffmpeg,
            port,
            folder,
        })
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What it has read, once the publisher has gone.
    pub fn read(&mut self, limit: Duration) -> Result<Read> {
        self.ffmpeg.wait(limit)?;
        let printed = self.ffmpeg.printed()?;
        Read::parse(&fs::read_to_string(self.folder.path().join(READ)).unwrap_or_default())
            .with_context(|| format!("FFmpeg said: {printed}"))
    }
}

impl Read {
    /// What `ffmpeg` reads from a file.
    pub fn file(ffmpeg: &Path, file: &Path) -> Result<Self> {
        let output = Command::new(ffmpeg)
            .args(["-hide_banner", "-nostdin", "-v", "warning", "-i"])
            .arg(file)
            .args(PACKETS)
            .arg("-")
            .output()
            .context("starting ffmpeg")?;
        let said = String::from_utf8_lossy(&output.stderr);
        Self::parse(&String::from_utf8_lossy(&output.stdout))
            .with_context(|| format!("FFmpeg said: {said}"))
    }

    /// How many packets there are.
    pub fn count(&self) -> usize {
        self.0.iter().map(|(_, packets)| packets.len()).sum()
    }

    /// Where the two differ; nothing if nowhere.
    pub fn difference(&self, other: &Self) -> Option<String> {
        let kinds =
            |read: &Self| -> Vec<_> { read.0.iter().map(|(kind, _)| kind.clone()).collect() };
        if kinds(self) != kinds(other) {
            return Some(format!("{:?} instead of {:?}", kinds(self), kinds(other)));
        }
        for ((kind, found), (_, wanted)) in self.0.iter().zip(&other.0) {
            let differs = found.iter().zip(wanted).position(|(a, b)| a != b);
            if let Some(index) = differs {
                let pair = (found.get(index), wanted.get(index));
                return Some(format!("{kind} packet {index}: {pair:?}"));
            }
            if found.len() != wanted.len() {
                let (found, wanted) = (found.len(), wanted.len());
                return Some(format!("{found} {kind} packets instead of {wanted}"));
            }
        }
        None
    }

    fn parse(text: &str) -> Result<Self> {
        let mut streams: Vec<(String, Vec<Packet>)> = Vec::new();
        for line in text.lines() {
            if let Some(kind) = line.strip_prefix("#media_type ") {
                let (_, kind) = kind.split_once(": ").context("a stream without a kind")?;
                streams.push((kind.to_owned(), Vec::new()));
            }
            if line.starts_with('#') {
                continue;
            }
            // stream, dts, pts, duration, size, hash, and then side data if there is any
            let fields: Vec<_> = line.split(',').map(str::trim).collect();
            let [stream, dts, pts, _, size, hash, ..] = fields.as_slice() else {
                bail!("not a line of framemd5: {line}");
            };
            let (dts, pts): (i64, i64) = (dts.parse()?, pts.parse()?);
            let stream = streams.get_mut(stream.parse::<usize>()?);
            let (_, packets) = stream.context("a packet of no stream")?;
            packets.push((dts, pts - dts, size.parse()?, (*hash).to_owned()));
        }
        for (_, packets) in &mut streams {
            let first = packets.first().map_or(0, |packet| packet.0);
            packets.iter_mut().for_each(|packet| packet.0 -= first);
        }
        ensure!(!streams.is_empty(), "nothing was read");
        // In the order in which they were found, which means nothing.
        streams.sort();
        Ok(Self(streams))
    }
}

/// Whether a process listens there: proc_net_tcp(5), state 0A.
fn listens(port: u16) -> Result<bool> {
    let sockets = fs::read_to_string("/proc/net/tcp")?;
    let local = format!(":{port:04X}");
    Ok(sockets.lines().any(|line| {
        let mut fields = line.split_whitespace().skip(1);
        fields
            .next()
            .is_some_and(|address| address.ends_with(&local))
            && fields.nth(1) == Some("0A")
    }))
}

/// Every stream's packets as they are.
const PACKETS: [&str; 7] = ["-map", "0", "-c", "copy", "-y", "-f", "framemd5"];

/// Where they are written.
const READ: &str = "packets.txt";

/// It listens within milliseconds; more is a busy machine.
const START_WITHIN: Duration = Duration::from_secs(10);
