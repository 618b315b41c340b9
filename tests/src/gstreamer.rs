//! GStreamer as the encoder.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::process::Running;

/// Its two ways to publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sink {
    /// Its own.
    Rtmp2,
    /// librtmp.
    Librtmp,
}

impl Sink {
    /// Encodes a test picture and a tone in real time for three seconds, and publishes them to
    /// `url`, which ends in the key.
    pub fn publish(self, url: &str, log: &Path) -> Result<Running> {
        let (sink, location) = match self {
            // Whom it trusts is the system's affair, and nothing that is looked at here.
            Self::Rtmp2 if url.starts_with("rtmps:") => {
                ("rtmp2sink tls-validation-flags=0", url.to_owned())
            }
            Self::Rtmp2 => ("rtmp2sink", url.to_owned()),
            Self::Librtmp => ("rtmpsink", format!("{url} live=1")),
        };
        let mut command = Command::new("gst-launch-1.0");
        command
            .args(["-e", "flvmux", "name=mux", "streamable=true", "!"])
            .args(sink.split(' '))
            .arg(format!("location={location}"))
            .args("videotestsrc is-live=true num-buffers=90 !".split(' '))
            .arg("video/x-raw,width=320,height=240,framerate=30/1")
            .args("! x264enc key-int-max=30 bframes=2 speed-preset=veryfast bitrate=400".split(' '))
            .args("! h264parse ! mux. audiotestsrc is-live=true num-buffers=141".split(' '))
            .args("samplesperbuffer=1024 ! audio/x-raw,rate=48000,channels=2".split(' '))
            .args("! voaacenc bitrate=64000 ! aacparse ! mux.".split(' '));
        Running::start("GStreamer", &mut command, log)
    }
}
