//! What a file of media holds, packet by packet, as FFmpeg reads it.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

/// The packets of one file, each as its size and hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packets {
    /// Video, in order.
    pub video: Vec<Packet>,
    /// Audio, in order.
    pub audio: Vec<Packet>,
}

/// A packet's size in bytes and the hash of its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    size: u32,
    hash: String,
}

impl Packets {
    /// Reads a file by `ffmpeg -c copy -f framemd5`.
    pub fn read(file: &Path) -> Result<Self> {
        let output = Command::new("ffmpeg")
            .args(["-v", "error", "-i"])
            .arg(file)
            .args(["-map", "0", "-c", "copy", "-f", "framemd5", "-"])
            .output()
            .context("starting ffmpeg")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{}: {said}", file.display());
        Self::parse(&String::from_utf8_lossy(&output.stdout))
    }

    /// Fails unless both hold the same packets in the same order.
    pub fn same_as(&self, source: &Self) -> Result<()> {
        same("video", &self.video, &source.video)?;
        same("audio", &self.audio, &source.audio)
    }

    /// Fails unless these are the source's first packets, without a gap.
    pub fn begin(&self, source: &Self) -> Result<()> {
        ensure!(!self.video.is_empty(), "no video");
        let head = |all: &[Packet], length: usize| all.get(..length).unwrap_or(all).to_vec();
        same("video", &self.video, &head(&source.video, self.video.len()))?;
        same("audio", &self.audio, &head(&source.audio, self.audio.len()))
    }

    /// Fails unless these are packets of the source that follow each other, without a gap; where
    /// the video begins in the source.
    pub fn part_of(&self, source: &Self) -> Result<usize> {
        part("audio", &self.audio, &source.audio)?;
        part("video", &self.video, &source.video)
    }

    fn parse(text: &str) -> Result<Self> {
        let mut packets = Self {
            video: Vec::new(),
            audio: Vec::new(),
        };
        let mut video_stream = None;
        for line in text.lines() {
            if let Some(stream) = line
                .strip_prefix("#media_type ")
                .and_then(|rest| rest.strip_suffix(": video"))
            {
                video_stream = Some(stream.to_owned());
            }
            if line.starts_with('#') {
                continue;
            }
            // stream, dts, pts, duration, size, hash, and then side data if there is any
            let fields: Vec<_> = line.split(',').map(str::trim).collect();
            let [stream, _, _, _, size, hash, ..] = fields.as_slice() else {
                bail!("not a line of framemd5: {line}");
            };
            let packet = Packet {
                size: size.parse()?,
                hash: (*hash).to_owned(),
            };
            if video_stream.as_deref() == Some(stream) {
                packets.video.push(packet);
            } else {
                packets.audio.push(packet);
            }
        }
        Ok(packets)
    }
}

/// Whether the first video packet of a file is a keyframe.
pub fn begins_with_keyframe(file: &Path) -> Result<bool> {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", "v:0", "-read_intervals"])
        .args(["%+#1", "-show_entries", "packet=flags", "-of", "csv=p=0"])
        .arg(file)
        .output()
        .context("starting ffprobe")?;
    Ok(output.stdout.starts_with(b"K"))
}

/// The decode times of a file's video and of its audio, in milliseconds, in the order of the file.
pub fn decode_times(file: &Path) -> Result<(Vec<i64>, Vec<i64>)> {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-show_entries", "packet=codec_type,dts"])
        .args(["-of", "csv=p=0"])
        .arg(file)
        .output()
        .context("starting ffprobe")?;
    let (mut video, mut audio) = (Vec::new(), Vec::new());
    let printed = String::from_utf8_lossy(&output.stdout);
    // A packet with side data is followed by an empty line.
    for line in printed.lines().filter(|line| !line.is_empty()) {
        let mut fields = line.split(',');
        let (Some(kind), Some(time)) = (fields.next(), fields.next()) else {
            bail!("not a packet: {line}");
        };
        match kind {
            "video" => video.push(time.parse()?),
            "audio" => audio.push(time.parse()?),
            _ => {}
        }
    }
    ensure!(!video.is_empty() && !audio.is_empty(), "nothing to time");
    Ok((video, audio))
}

fn same(kind: &str, found: &[Packet], wanted: &[Packet]) -> Result<()> {
    let differs = found.iter().zip(wanted).position(|(a, b)| a != b);
    if let Some(index) = differs {
        let elsewhere = found
            .get(index)
            .and_then(|packet| wanted.iter().position(|other| other == packet));
        bail!("{kind} packet {index} differs; in the source it stands at {elsewhere:?}");
    }
    ensure!(
        found.len() == wanted.len(),
        "{} {kind} packets instead of {}",
        found.len(),
        wanted.len()
    );
    Ok(())
}

fn part(kind: &str, found: &[Packet], whole: &[Packet]) -> Result<usize> {
    let first = found.first().with_context(|| format!("no {kind}"))?;
    // Several packets may be alike (silence): any place where all of them fit is right.
    let places = whole
        .iter()
        .enumerate()
        .filter(|(_, packet)| *packet == first)
        .map(|(place, _)| place);
    let mut problem = None;
    for place in places {
        let rest = whole.get(place..place + found.len()).unwrap_or_default();
        match same(kind, found, rest) {
            Ok(()) => return Ok(place),
            Err(error) => problem = Some(error),
        }
    }
    Err(problem.unwrap_or_else(|| anyhow::anyhow!("the first {kind} packet is not the source's")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packets(video: &str, audio: &str) -> Packets {
        let list = |names: &str| {
            let packet = |name: char| Packet {
                size: 1,
                hash: name.to_string(),
            };
            names.chars().map(packet).collect()
        };
        Packets {
            video: list(video),
            audio: list(audio),
        }
    }

    #[test]
    fn reads_what_ffmpeg_writes() {
        let text = "#format: frame checksums\n#media_type 0: audio\n#media_type 1: video\n\
                    1,        -46,         21,       33,     3833, 36f9\n\
                    0,          0,          0,       21,      192, c186, S=1,        5, bac8\n";
        let packets = Packets::parse(text).unwrap();
        assert_eq!(packets.video[0].size, 3833);
        assert_eq!(packets.audio[0].hash, "c186");
    }

    #[test]
    fn a_lost_repeated_or_moved_packet_is_noticed() {
        let source = packets("abcdef", "12345");
        assert!(source.same_as(&source).is_ok());
        for (video, audio) in [
            ("abcde", "12345"),
            ("abcdef", "1234"),
            ("abbcdef", "12345"),
            ("abdef", "12345"),
            ("abdcef", "12345"),
        ] {
            assert!(packets(video, audio).same_as(&source).is_err());
        }
    }

    #[test]
    fn a_beginning_or_a_part_has_no_gaps() {
        let source = packets("abcabdef", "12345");
        assert!(packets("abc", "12").begin(&source).is_ok());
        assert!(packets("bc", "12").begin(&source).is_err());
        assert!(packets("", "").begin(&source).is_err());
        assert_eq!(packets("abd", "34").part_of(&source).unwrap(), 3);
        assert!(packets("abe", "34").part_of(&source).is_err());
        assert!(packets("abd", "35").part_of(&source).is_err());
        assert!(packets("efg", "34").part_of(&source).is_err());
    }
}
