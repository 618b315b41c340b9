//! An encoder that is killed and comes back, as a destination sees it.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use system_tests::encoder::Source;
use system_tests::packets::{Packet, Packets, decode_times};
use system_tests::process::{Signal, signal};
use system_tests::secrets::output_key;
use system_tests::shared::Shared;

static SHARED: Shared = Shared::new();

/// From the start of FFmpeg until outputs publish.
const ON_AIR_WITHIN: Duration = Duration::from_secs(10);

/// A clean end reaches a destination within this.
const ENDED_WITHIN: Duration = Duration::from_secs(2);

/// How many packets of audio at the beginning of a stream may be heard before its first picture.
const EARLY_AUDIO: usize = 8;

#[test]
fn an_encoder_that_is_killed_and_comes_back_is_one_stream() -> Result<()> {
    let house = SHARED.enter()?;
    let destination = &house.destination;
    let source = Source::new(6)?;
    let input = house.dev.api.create_input("killed and back")?;
    let keys = [output_key()?, output_key()?];
    let urls = [destination.rtmp_url(), destination.rtmps_url()];
    for (url, key) in urls.iter().zip(&keys) {
        house.dev.api.add_output(&input, url, key)?;
    }

    let authority = house.ingest_authority();
    let mut killed = source.publish(&input.url, &input.key, authority)?;
    for key in &keys {
        destination.published(key, 1, Instant::now() + ON_AIR_WITHIN)?;
        destination.receives(key, 50_000, ON_AIR_WITHIN)?;
    }
    signal(killed.pid(), Signal::KILL)?;
    ensure!(!killed.wait(ON_AIR_WITHIN)?.success(), "FFmpeg was killed");

    let mut encoder = source.publish(&input.url, &input.key, authority)?;
    let status = encoder.wait(Duration::from_secs(30))?;
    let ended = Instant::now();
    ensure!(status.success(), "FFmpeg: {status}: {}", encoder.printed()?);
    let sent = source.packets()?;
    for key in &keys {
        // FFmpeg says goodbye, so nobody is waited for.
        destination.ended(key, 1, ended + ENDED_WITHIN)?;
        ensure!(destination.publishes(key) == 1, "an output reconnected");
        let recording = destination.recording(key, 1)?;
        follows(&Packets::read(&recording)?, &sent)?;
        let (video, audio) = decode_times(&recording)?;
        ensure!(video.is_sorted(), "video steps back: {video:?}");
        ensure!(audio.is_sorted(), "audio steps back: {audio:?}");
    }
    house.pass()
}

/// Fails unless this is the beginning of the source, and then all of it.
fn follows(recorded: &Packets, source: &Packets) -> Result<()> {
    let (began, video) = last(&recorded.video, source.video.len())?;
    let mut ends = None;
    for early in 0..EARLY_AUDIO {
        let (_, heard) = source.audio.split_at_checked(early).context("no audio")?;
        let (before, audio) = last(&recorded.audio, heard.len())?;
        if audio == heard {
            ends = Some((before, audio, heard));
            break;
        }
    }
    let (before, audio, heard) = ends.context("the audio does not end as it was sent")?;
    let packets = |video: &[Packet], audio: &[Packet]| Packets {
        video: video.to_vec(),
        audio: audio.to_vec(),
    };
    packets(video, audio).same_as(&packets(&source.video, heard))?;
    packets(began, before).begin(source)
}

/// What comes before the last so many packets, and those.
fn last(packets: &[Packet], count: usize) -> Result<(&[Packet], &[Packet])> {
    let at = packets.len().checked_sub(count);
    at.and_then(|at| packets.split_at_checked(at))
        .context("less than was sent")
}
