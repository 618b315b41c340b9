//! FFmpeg as the encoder.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::packets::Packets;
use crate::process::Running;

/// A file of media to be published as it is, so that what must arrive is known beforehand.
pub struct Source {
    file: PathBuf,
    folder: TempDir,
}

impl Source {
    /// Encodes so many seconds: H.264 with B-frames and a keyframe each second, and AAC.
    pub fn new(seconds: u32) -> Result<Self> {
        Self::with_bitrate(seconds, None)
    }

    /// The same, at a constant bitrate of the picture where one is given, in kilobits a second.
    pub fn with_bitrate(seconds: u32, kbps: Option<u32>) -> Result<Self> {
        let bitrate = format!("{}k", kbps.unwrap_or(400));
        let constant = kbps.map(|_| {
            let filled = ["-x264-params", "nal-hrd=cbr:filler=1"];
            [&["-maxrate", &bitrate, "-bufsize", &bitrate], &filled[..]].concat()
        });
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("source.flv");
        let output = Command::new("ffmpeg")
            .args(["-v", "error", "-y"])
            .args(["-f", "lavfi", "-i", "testsrc2=size=320x240:rate=30"])
            .args(["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000"])
            .args(["-t", &seconds.to_string()])
            .args(["-c:v", "libx264", "-preset", "veryfast", "-bf", "2"])
            .args(["-g", "30", "-pix_fmt", "yuv420p", "-b:v", &bitrate])
            .args(constant.unwrap_or_default())
            .args(["-c:a", "aac", "-b:a", "64k"])
            .arg(&file)
            .output()
            .context("starting ffmpeg")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "encoding: {said}");
        Ok(Self { file, folder })
    }

    /// The file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// What it holds.
    pub fn packets(&self) -> Result<Packets> {
        Packets::read(&self.file)
    }

    /// Publishes it in real time to `url` (which ends in the application and a slash), trusting
    /// the certificate authority in `authority`.
    pub fn publish(&self, url: &str, key: &str, authority: &Path) -> Result<Running> {
        let mut command = Command::new("ffmpeg");
        command
            .args(["-hide_banner", "-nostats", "-re", "-i"])
            .arg(&self.file)
            .args(["-map", "0", "-c", "copy"])
            .args(["-tls_verify", "1", "-ca_file"])
            .arg(authority)
            .args(["-f", "flv"])
            .arg(format!("{url}{key}"));
        let name = format!("encoder-{}.log", key.len() + self.publishes());
        let log = self.folder.path().join(name);
        Running::start("ffmpeg", &mut command, &log)
    }

    /// Publishes until an attempt lives for [`SETTLED`], for `limit` at most: as an encoder does
    /// that reconnects.
    pub fn publish_again(
        &self,
        url: &str,
        key: &str,
        authority: &Path,
        limit: Duration,
    ) -> Result<Running> {
        let deadline = Instant::now() + limit;
        loop {
            let mut encoder = self.publish(url, key, authority)?;
            if encoder.wait(SETTLED).is_err() {
                return Ok(encoder);
            }
            ensure!(Instant::now() < deadline, "no attempt to publish succeeds");
        }
    }

    /// Logs are numbered by what is there.
    fn publishes(&self) -> usize {
        std::fs::read_dir(self.folder.path()).map_or(0, Iterator::count)
    }
}

/// An FFmpeg that was refused has ended by then.
const SETTLED: Duration = Duration::from_secs(2);
