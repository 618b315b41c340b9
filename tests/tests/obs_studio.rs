//! OBS Studio as the encoder.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use system_tests::obs::Obs;
use system_tests::secrets::output_key;
use system_tests::shared::Shared;

static SHARED: Shared = Shared::new();

#[test]
#[ignore = "starts OBS Studio"]
fn obs_publishes_over_rtmps() -> Result<()> {
    let house = SHARED.enter()?;
    let input = house.dev.api.create_input("OBS")?;
    let key = output_key()?;
    let destination = &house.destination;
    house
        .dev
        .api
        .add_output(&input, &destination.rtmp_url(), &key)?;

    let obs = Obs::start(&input.url, &input.key, house.ingest_authority())?;
    destination
        .published(&key, 1, Instant::now() + ON_AIR_WITHIN)
        .with_context(|| format!("OBS said: {}", obs.said().unwrap_or_default()))?;
    destination.receives(&key, SOME_BYTES, Duration::from_secs(15))?;
    drop(obs);

    let recorded = destination.recorded(&key, 1)?;
    ensure!(
        recorded.video.len() > 30,
        "{} pictures",
        recorded.video.len()
    );
    ensure!(
        recorded.audio.len() > 30,
        "{} audio frames",
        recorded.audio.len()
    );
    house.pass()
}

/// OBS draws by the processor here, and takes seconds to start.
const ON_AIR_WITHIN: Duration = Duration::from_secs(60);

/// More than headers and a first picture.
const SOME_BYTES: u64 = 100_000;
