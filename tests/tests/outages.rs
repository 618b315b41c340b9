//! Parts that die while a broadcast runs.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use system_tests::encoder::Source;
use system_tests::process::Process;
use system_tests::secrets::output_key;
use system_tests::shared::Shared;
use system_tests::wait;

static SHARED: Shared = Shared::new();

/// `dev` notices a death, starts the part again, and the part answers: wrangler takes seconds.
const BACK_WITHIN: Duration = Duration::from_secs(60);

/// From the start of FFmpeg until outputs publish.
const ON_AIR_WITHIN: Duration = Duration::from_secs(10);

/// What the product document promises for any change.
const PROMISED: Duration = Duration::from_secs(30);

/// The control plane dies and comes back: nothing on air notices, and the next change arrives.
#[test]
fn worker_restart() -> Result<()> {
    let house = SHARED.enter()?;
    let (dev, destination) = (&house.dev, &house.destination);
    let source = Source::new(120)?;
    let input = dev.api.create_input("worker restart")?;
    let steady = [output_key()?, output_key()?];
    dev.api
        .add_output(&input, &destination.rtmp_url(), &steady[0])?;
    dev.api
        .add_output(&input, &destination.rtmps_url(), &steady[1])?;
    let mut encoder = source.publish(&input.url, &input.key, house.ingest_authority())?;
    let deadline = Instant::now() + ON_AIR_WITHIN;
    for key in &steady {
        destination.published(key, 1, deadline)?;
        destination.receives(key, 10_000, ON_AIR_WITHIN)?;
    }

    let control = dev.line.pids.control;
    let started = Instant::now();
    let again = dev.kill("control", control, BACK_WITHIN)?;
    ensure!(again != control, "the same process");
    wait::until("the control plane's answer", BACK_WITHIN, || {
        Ok(dev.api.answers().then_some(()))
    })?;
    eprintln!("the control plane was away for {:?}", started.elapsed());

    let late = output_key()?;
    let added = dev.api.add_output(&input, &destination.rtmp_url(), &late)?;
    destination.published(&late, 1, added.at + PROMISED)?;
    // A whole group of pictures behind all that.
    destination.receives(&late, 100_000, ON_AIR_WITHIN)?;
    encoder.end(ON_AIR_WITHIN)?;

    let sent = source.packets()?;
    let [first, second] = [
        destination.recorded(&steady[0], 1)?,
        destination.recorded(&steady[1], 1)?,
    ];
    first.begin(&sent)?;
    second.same_as(&first)?;
    destination.recorded(&late, 1)?.part_of(&sent)?;
    for key in &steady {
        ensure!(destination.publishes(key) == 1, "an output reconnected");
    }
    house.pass()
}

/// The node dies and is started again: FFmpeg's next connection resumes the broadcast.
#[test]
fn node_restart() -> Result<()> {
    let house = SHARED.enter()?;
    let (dev, destination) = (&house.dev, &house.destination);
    let source = Source::new(8)?;
    let input = dev.api.create_input("node restart")?;
    let key = output_key()?;
    dev.api.add_output(&input, &destination.rtmp_url(), &key)?;
    let mut encoder = source.publish(&input.url, &input.key, house.ingest_authority())?;
    destination.published(&key, 1, Instant::now() + ON_AIR_WITHIN)?;
    destination.receives(&key, 10_000, ON_AIR_WITHIN)?;

    let relay = dev.line.pids.relay;
    let again = dev.kill("relay", relay, BACK_WITHIN)?;
    let process = Process::find(again);
    ensure!(
        process.is_some_and(|process| process.name == "relay-node"),
        "process {again} is no relay node"
    );
    ensure!(
        !encoder.wait(ON_AIR_WITHIN)?.success(),
        "FFmpeg was not cut"
    );
    destination.ended(&key, 1, Instant::now() + ON_AIR_WITHIN)?;

    let authority = house.ingest_authority();
    let mut encoder = source.publish_again(&input.url, &input.key, authority, BACK_WITHIN)?;
    destination.published(&key, 2, Instant::now() + ON_AIR_WITHIN)?;
    let status = encoder.wait(Duration::from_secs(30))?;
    ensure!(status.success(), "FFmpeg: {status}: {}", encoder.printed()?);
    let recorded = destination.recorded(&key, 2)?;
    recorded.same_as(&source.packets()?)?;
    house.pass()
}
