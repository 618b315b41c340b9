//! Keys that change on air: those of encoders, and those of destinations.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use system_tests::dev::left;
use system_tests::encoder::Source;
use system_tests::packets::begins_with_keyframe;
use system_tests::secrets::output_key;
use system_tests::shared::Shared;
use system_tests::wait;

static SHARED: Shared = Shared::new();

/// The time in which a change reaches a broadcast.
const CHANGED_WITHIN: Duration = Duration::from_secs(1);

/// From the start of FFmpeg until outputs publish.
const ON_AIR_WITHIN: Duration = Duration::from_secs(10);

/// For how long an old key is good beside the new one.
const GRACE: Duration = Duration::from_secs(4);

#[test]
fn a_replaced_key_ends_its_publisher_at_once_or_after_its_grace() -> Result<()> {
    let house = SHARED.enter()?;
    let (api, destination) = (&house.dev.api, &house.destination);
    let authority = house.ingest_authority();
    let source = Source::new(30)?;
    let mut input = api.create_input("replaced keys")?;
    let key = output_key()?;
    api.add_output(&input, &destination.rtmp_url(), &key)?;

    // Without a grace period.
    let mut encoder = source.publish(&input.url, &input.key, authority)?;
    destination.published(&key, 1, Instant::now() + ON_AIR_WITHIN)?;
    destination.receives(&key, 10_000, ON_AIR_WITHIN)?;
    let old = input.key.clone();
    let rotated = api.rotate_key(&mut input, 0)?;
    let status = encoder.wait(left(rotated, CHANGED_WITHIN))?;
    ensure!(!status.success(), "FFmpeg was not cut");
    wait::until("why it was cut", ON_AIR_WITHIN, || {
        let read = api.input(&input.uid)?;
        let reason = read.pointer("/result/status/current/reason");
        Ok(reason
            .is_some_and(|reason| reason == "key_rotated")
            .then_some(()))
    })?;
    let mut refused = source.publish(&input.url, &old, authority)?;
    ensure!(!refused.wait(ON_AIR_WITHIN)?.success(), "FFmpeg was let in");
    let printed = refused.printed()?;
    ensure!(
        printed.contains("No live input has this stream key"),
        "{printed}"
    );

    // With one: the publisher goes on until its end, and is cut then.
    let mut encoder = source.publish(&input.url, &input.key, authority)?;
    destination.published(&key, 2, Instant::now() + ON_AIR_WITHIN)?;
    let asked = Instant::now();
    let rotated = api.rotate_key(&mut input, GRACE.as_secs())?;
    destination.receives(&key, 10_000, left(asked, GRACE))?;
    let early = encoder.wait(left(asked, GRACE));
    ensure!(early.is_err(), "FFmpeg was cut within the grace period");
    let status = encoder.wait(left(rotated, GRACE + CHANGED_WITHIN))?;
    ensure!(!status.success(), "FFmpeg was not cut");

    // The new key is as good as any.
    let _encoder = source.publish(&input.url, &input.key, authority)?;
    destination.published(&key, 3, Instant::now() + ON_AIR_WITHIN)?;
    destination.receives(&key, 10_000, ON_AIR_WITHIN)?;
    house.pass()
}

#[test]
fn an_output_moves_on_air() -> Result<()> {
    let house = SHARED.enter()?;
    let (api, destination) = (&house.dev.api, &house.destination);
    let source = Source::new(10)?;
    let input = api.create_input("moves")?;
    let steady = [output_key()?, output_key()?];
    let [first, second, third] = [output_key()?, output_key()?, output_key()?];
    api.add_output(&input, &destination.rtmp_url(), &steady[0])?;
    api.add_output(&input, &destination.rtmps_url(), &steady[1])?;
    let moving = api.add_output(&input, &destination.rtmp_url(), &first)?;

    let mut encoder = source.publish(&input.url, &input.key, house.ingest_authority())?;
    let deadline = Instant::now() + ON_AIR_WITHIN;
    for key in steady.iter().chain([&first]) {
        destination.published(key, 1, deadline)?;
    }
    destination.receives(&first, 10_000, ON_AIR_WITHIN)?;

    // To another place and key, then to another key in the same place.
    let elsewhere = destination.rtmps_url();
    let moves = [
        (&first, &second, Some(elsewhere.as_str())),
        (&second, &third, None),
    ];
    for (from, to, url) in moves {
        let moved = api.move_output(&input, &moving, url, to)?;
        destination.ended(from, 1, moved + CHANGED_WITHIN)?;
        destination.published(to, 1, moved + CHANGED_WITHIN)?;
        destination.receives(to, 10_000, ON_AIR_WITHIN)?;
    }

    let status = encoder.wait(Duration::from_secs(30))?;
    ensure!(status.success(), "FFmpeg: {status}: {}", encoder.printed()?);
    let sent = source.packets()?;
    destination.recorded(&first, 1)?.begin(&sent)?;
    for key in [&second, &third] {
        let recording = destination.recording(key, 1)?;
        ensure!(begins_with_keyframe(&recording)?, "no keyframe first");
    }
    destination.recorded(&second, 1)?.part_of(&sent)?;
    let last = destination.recorded(&third, 1)?;
    let begin = last.part_of(&sent)?;
    ensure!(
        begin + last.video.len() == sent.video.len(),
        "it ends early"
    );
    for key in &steady {
        destination.recorded(key, 1)?.same_as(&sent)?;
    }
    for key in steady.iter().chain([&first, &second, &third]) {
        ensure!(destination.publishes(key) == 1, "an output reconnected");
    }
    house.pass()
}
