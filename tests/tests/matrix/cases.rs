//! The encoders.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use system_tests::encoder::Source;
use system_tests::generator::{Publishing, Script, scripts};
use system_tests::gstreamer::Sink;
use system_tests::obs::Obs;
use system_tests::process::Running;
use system_tests::streams::Streams;
use system_tests::wire::read_flv;
use tempfile::TempDir;

/// An encoder with what it sends.
pub(crate) struct Case {
    pub(crate) encoder: String,
    pub(crate) sends: String,
    how: How,
}

enum How {
    Ffmpeg {
        program: PathBuf,
        file: PathBuf,
        _folder: Arc<TempDir>,
    },
    GStreamer(Sink),
    Obs,
    Generator(Script),
}

/// An encoder that publishes.
pub(crate) enum Started {
    Program(Running),
    Obs(Obs),
    Generator(Publishing),
}

/// What Debian's FFmpeg can send, and the generator's scripts.
pub(crate) fn quick() -> Result<Vec<Case>> {
    let program = Path::new(super::DEBIANS_FFMPEG);
    let mut cases = ffmpeg(
        program,
        &[
            ("H.264 and AAC", &[H264, AAC]),
            ("H.264 and MP3", &[H264, MP3]),
            ("H.264 alone", &[H264]),
            ("AAC alone", &[AAC]),
        ],
    )?;
    let source = Source::new(SECONDS)?;
    for script in scripts(&read_flv(source.file())?) {
        cases.push(Case {
            encoder: "generator".to_owned(),
            sends: script.name.to_owned(),
            how: How::Generator(script),
        });
    }
    Ok(cases)
}

/// What only `ffmpeg` can send, which is newer, and the other encoders.
pub(crate) fn full(program: &Path) -> Result<Vec<Case>> {
    let mut cases = ffmpeg(
        program,
        &[
            ("H.264 and AAC", &[H264, AAC]),
            ("HEVC and AAC", &[HEVC, AAC]),
            ("AV1 and Opus", &[AV1, OPUS]),
            ("VP9 and Opus", &[VP9, OPUS]),
            ("H.264 and AC-3", &[H264, AC3]),
            ("H.264 and E-AC-3", &[H264, EAC3]),
            ("H.264 and FLAC", &[H264, FLAC]),
            ("H.264 and three audio tracks", &[H264, AAC, AAC, OPUS]),
            ("two pictures, H.264 and HEVC, and AAC", &[H264, HEVC, AAC]),
        ],
    )?;
    cases.extend(gstreamer()?);
    cases.push(Case {
        encoder: "OBS Studio".to_owned(),
        sends: "H.264 and AAC".to_owned(),
        how: How::Obs,
    });
    Ok(cases)
}

/// One of each that brings TLS of its own (OBS has a test of its own).
pub(crate) fn direct(program: &Path) -> Result<Vec<Case>> {
    let mut cases = ffmpeg(program, &[("H.264 and AAC", &[H264, AAC])])?;
    cases.extend(gstreamer()?);
    Ok(cases)
}

/// Both of its sinks.
fn gstreamer() -> Result<Vec<Case>> {
    let printed = Command::new("gst-launch-1.0").arg("--version").output()?;
    let printed = String::from_utf8_lossy(&printed.stdout);
    // "gst-launch-1.0 version 1.22.0"
    let version = printed.split_whitespace().nth(2).context("no version")?;
    let sinks = [
        (Sink::Rtmp2, "rtmp2sink"),
        (Sink::Librtmp, "rtmpsink (librtmp)"),
    ];
    let case = |(sink, name)| Case {
        encoder: format!("GStreamer {version} {name}"),
        sends: "H.264 and AAC".to_owned(),
        how: How::GStreamer(sink),
    };
    Ok(sinks.map(case).into())
}

/// How long everything is that has a length.
const SECONDS: u32 = 3;

type Codec = &'static [&'static str];

const H264: Codec = &[
    "v", "libx264", "-preset", "veryfast", "-bf", "2", "-b:v", "400k",
];
const HEVC: Codec = &[
    "v",
    "libx265",
    "-preset",
    "ultrafast",
    "-x265-params",
    "bframes=2:log-level=error",
];
const AV1: Codec = &["v", "libsvtav1", "-preset", "12"];
const VP9: Codec = &["v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8"];
const AAC: Codec = &["a", "aac", "-b:a", "64k"];
const MP3: Codec = &["a", "libmp3lame", "-ar", "44100"];
const OPUS: Codec = &["a", "libopus", "-b:a", "64k"];
const AC3: Codec = &["a", "ac3", "-b:a", "96k"];
const EAC3: Codec = &["a", "eac3", "-b:a", "96k"];
const FLAC: Codec = &["a", "flac"];

/// Encodes with `program` what it is then to publish.
fn ffmpeg(program: &Path, all: &[(&str, &[Codec])]) -> Result<Vec<Case>> {
    let folder = Arc::new(tempfile::tempdir()?);
    let version = Command::new(program).arg("-version").output()?;
    let version = String::from_utf8_lossy(&version.stdout);
    // "ffmpeg version 5.1.9-0+deb12u1 …", "ffmpeg version n9.0.2-17-g2a571b6068 …"
    let version = version.split_whitespace().nth(2).context("no version")?;
    let version = version.trim_start_matches('n').split('-').next();
    let encoder = format!("FFmpeg {}", version.unwrap_or_default());
    let mut cases = Vec::new();
    for (index, (sends, codecs)) in all.iter().enumerate() {
        let file = folder.path().join(format!("{index}.mkv"));
        let mut command = Command::new(program);
        command.args(["-nostdin", "-v", "error", "-y"]);
        for (track, codec) in codecs.iter().enumerate() {
            let input = match codec.first() {
                Some(&"v") => "testsrc2=size=320x240:rate=30".to_owned(),
                _ => format!("sine=frequency={}:sample_rate=48000", 440 + 110 * track),
            };
            command.args(["-f", "lavfi", "-i", &input]);
        }
        for (track, codec) in codecs.iter().enumerate() {
            let [kind, name, options @ ..] = codec else {
                continue;
            };
            let nth = codecs
                .iter()
                .take(track)
                .filter(|before| before.first() == Some(kind));
            let nth = nth.count();
            command.args([
                "-map",
                &track.to_string(),
                &format!("-c:{kind}:{nth}"),
                name,
            ]);
            for option in options {
                // An option of this track, and not of all of its kind.
                let suffix = match option.strip_prefix('-') {
                    Some(_) => format!(":{kind}:{nth}"),
                    None => String::new(),
                };
                let option = option.trim_end_matches(&format!(":{kind}"));
                command.arg(format!("{option}{suffix}"));
            }
        }
        let output = command
            .args([
                "-g",
                "30",
                "-pix_fmt",
                "yuv420p",
                "-t",
                &SECONDS.to_string(),
            ])
            .arg(&file)
            .output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{sends}: {said}");
        let folder = Arc::clone(&folder);
        cases.push(Case {
            encoder: encoder.clone(),
            sends: (*sends).to_owned(),
            how: How::Ffmpeg {
                program: program.to_owned(),
                file,
                _folder: folder,
            },
        });
    }
    Ok(cases)
}

impl Case {
    /// Begins to publish to `url` with `key`, trusting the authority in the PEM file `authority`;
    /// what it prints goes to `log`.
    pub(crate) fn start(
        &self,
        url: &str,
        key: &str,
        authority: &Path,
        log: &Path,
    ) -> Result<Started> {
        Ok(match &self.how {
            How::Ffmpeg { program, file, .. } => {
                let mut command = Command::new(program);
                command
                    .args(["-hide_banner", "-nostdin", "-nostats", "-re", "-i"])
                    .arg(file)
                    .args(["-map", "0", "-c", "copy", "-tls_verify", "1", "-ca_file"])
                    .arg(authority)
                    .args(["-f", "flv", &format!("{url}/{key}")]);
                Started::Program(Running::start("FFmpeg", &mut command, log)?)
            }
            How::GStreamer(sink) => Started::Program(sink.publish(&format!("{url}/{key}"), log)?),
            How::Obs => Started::Obs(Obs::start(url, key, authority)?),
            How::Generator(script) => {
                Started::Generator(Publishing::start(script.clone(), url, key, authority)?)
            }
        })
    }
}

impl Started {
    /// Waits until it has ended by itself, or ends it where it would not.
    pub(crate) fn end(self, streams: &Streams, key: &str) -> Result<()> {
        match self {
            Self::Program(mut running) => {
                let status = running.wait(ENDED_WITHIN)?;
                ensure!(status.success(), "{status}: {}", running.printed()?);
            }
            Self::Generator(publishing) => publishing.wait()?,
            Self::Obs(obs) => {
                let told = || format!("OBS: {}", obs.said().unwrap_or_default());
                let deadline = Instant::now() + OBS_SENDS_WITHIN;
                streams
                    .wait(key, deadline, |stream| stream.tags.len() > OBS_TAGS)
                    .with_context(told)?;
                obs.stop_streaming()?;
                let deadline = Instant::now() + OBS_STOPS_WITHIN;
                streams.ended(key, deadline).with_context(told)?;
            }
        }
        Ok(())
    }
}

/// What is three seconds long has begun and ended by then.
const ENDED_WITHIN: Duration = Duration::from_secs(30);

/// OBS draws by the processor here, and takes seconds to start.
const OBS_SENDS_WITHIN: Duration = Duration::from_secs(60);

/// It sends what it has buffered, and its goodbye.
const OBS_STOPS_WITHIN: Duration = Duration::from_secs(5);

/// Three seconds of OBS: thirty pictures a second, and about as many sounds.
const OBS_TAGS: usize = 220;
