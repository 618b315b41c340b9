//! Encoders × destinations × RTMP and RTMPS, compared tag by tag with what each encoder sent.

mod beginning;
mod cases;
mod ground;
mod report;

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::{Context, Result, ensure};

use crate::cases::Case;
use crate::ground::Ground;
use crate::report::Report;

/// Debian's FFmpeg and the generator, with every destination.
#[test]
fn every_tag_arrives_as_it_was_sent() -> Result<()> {
    let cases = cases::quick()?;
    let report = matrix(&cases, Path::new(DEBIANS_FFMPEG))?;
    passed(&report)
}

/// All of it; leaves its report in `docs/`.
#[test]
#[ignore = "needs FFmpeg 9, GStreamer and OBS Studio"]
fn the_whole_matrix() -> Result<()> {
    let ffmpeg = newer_ffmpeg()?;
    let mut cases = cases::quick()?;
    cases.extend(cases::full(&ffmpeg)?);
    let report = matrix(&cases, &ffmpeg)?;
    report.write()?;
    passed(&report)
}

/// In the matrix, TLS is the tap's. Here encoders speak it with the node itself.
#[test]
#[ignore = "needs FFmpeg 9 and GStreamer"]
fn encoders_publish_over_rtmps_and_end_at_once() -> Result<()> {
    let _turn = TURN.lock();
    let ground = Ground::new(&newer_ffmpeg()?)?;
    for case in cases::direct(&newer_ffmpeg()?)? {
        ground
            .run_directly(&case)
            .with_context(|| case.encoder.clone())?;
    }
    Ok(())
}

fn newer_ffmpeg() -> Result<PathBuf> {
    let ffmpeg = std::env::var_os(FFMPEG_VARIABLE).map(PathBuf::from);
    ffmpeg.with_context(|| format!("{FFMPEG_VARIABLE} is not set"))
}

fn passed(report: &Report) -> Result<()> {
    let failures = report.failures();
    ensure!(failures.is_empty(), "{}", failures.join("\n"));
    Ok(())
}

/// Where FFmpeg 9 is, as `cargo xtask test --full` tells.
const FFMPEG_VARIABLE: &str = "STREAM_CONNECT_FFMPEG";

/// FFmpeg 5.1.
const DEBIANS_FFMPEG: &str = "/usr/bin/ffmpeg";

/// All goes in real time, so that two tests at once would have too little of the processors.
static TURN: Mutex<()> = Mutex::new(());

/// Runs every case; `listening` is the FFmpeg that is a destination.
fn matrix(cases: &[Case], listening: &Path) -> Result<Report> {
    let _turn = TURN.lock();
    let ground = Ground::new(listening)?;
    let mut report = Report::default();
    // As many at a time as two processors carry in real time.
    for cases in cases.chunks(AT_A_TIME) {
        for row in ground.run(cases)? {
            report.add(row);
        }
    }
    Ok(report)
}

/// Each publishes twice, to sixteen destinations in all.
const AT_A_TIME: usize = 6;
