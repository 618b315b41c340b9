//! OBS Studio as the encoder.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use system_tests::destination::Destination;
use system_tests::obs::Obs;
use system_tests::packets::{Packets, decode_times};
use system_tests::secrets::output_key;
use system_tests::shared::Shared;

static SHARED: Shared = Shared::new();

#[test]
#[ignore = "starts OBS Studio"]
fn obs_publishes_over_rtmps() -> Result<()> {
    let house = SHARED.enter()?;
    let destination = &house.destination;
    let input = house.dev.api.create_input("OBS")?;
    let key = output_key()?;
    let api = &house.dev.api;
    api.add_output(&input, &destination.rtmp_url(), &key)?;

    let obs = Obs::start(&input.url, &input.key, house.ingest_authority())?;
    on_air(&obs, destination, &key)?;
    obs.stop_streaming()?;

    // Its Stop is a goodbye, so nobody is waited for.
    let ended = destination.ended(&key, 1, Instant::now() + ENDED_WITHIN);
    ended.with_context(|| format!("OBS said: {}", obs.said().unwrap_or_default()))?;
    let recorded = destination.recorded(&key, 1)?;
    some_of_both(&recorded)?;
    house.pass()
}

#[test]
#[ignore = "starts OBS Studio"]
fn obs_that_is_killed_and_comes_back_is_one_stream() -> Result<()> {
    let house = SHARED.enter()?;
    let destination = &house.destination;
    let input = house.dev.api.create_input("OBS, killed and back")?;
    let key = output_key()?;
    let api = &house.dev.api;
    api.add_output(&input, &destination.rtmp_url(), &key)?;

    let obs = Obs::start(&input.url, &input.key, house.ingest_authority())?;
    on_air(&obs, destination, &key)?;
    obs.kill()?;

    let obs = Obs::start(&input.url, &input.key, house.ingest_authority())?;
    destination.receives(&key, SOME_BYTES, ON_AIR_WITHIN)?;
    obs.stop_streaming()?;
    destination.ended(&key, 1, Instant::now() + ENDED_WITHIN)?;
    ensure!(destination.publishes(&key) == 1, "the output reconnected");
    let recording = destination.recording(&key, 1)?;
    some_of_both(&Packets::read(&recording)?)?;
    let (video, audio) = decode_times(&recording)?;
    ensure!(video.is_sorted(), "video steps back: {video:?}");
    ensure!(audio.is_sorted(), "audio steps back: {audio:?}");
    house.pass()
}

/// Waits until what OBS sends has come.
fn on_air(obs: &Obs, destination: &Destination, key: &str) -> Result<()> {
    let published = destination.published(key, 1, Instant::now() + ON_AIR_WITHIN);
    published.with_context(|| format!("OBS said: {}", obs.said().unwrap_or_default()))?;
    destination.receives(key, SOME_BYTES, Duration::from_secs(15))
}

fn some_of_both(recorded: &Packets) -> Result<()> {
    let (video, audio) = (recorded.video.len(), recorded.audio.len());
    ensure!(video > 30, "{video} pictures");
    ensure!(audio > 30, "{audio} audio frames");
    Ok(())
}

/// OBS draws by the processor here, and takes seconds to start.
const ON_AIR_WITHIN: Duration = Duration::from_secs(60);

/// OBS sends what it has buffered, and its goodbye.
const ENDED_WITHIN: Duration = Duration::from_secs(5);

/// More than headers and a first picture.
const SOME_BYTES: u64 = 100_000;
