//! A broadcast as its viewers see it: what arrives, and what changes while it runs.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use system_tests::api::get;
use system_tests::dev::left;
use system_tests::encoder::Source;
use system_tests::packets::begins_with_keyframe;
use system_tests::ports;
use system_tests::secrets::output_key;
use system_tests::shared::Shared;
use system_tests::wait;

static SHARED: Shared = Shared::new();

/// The time in which a change reaches a broadcast.
const CHANGED_WITHIN: Duration = Duration::from_secs(1);

/// From the start of FFmpeg until outputs publish: encoder, ingest, destination and a keyframe.
const ON_AIR_WITHIN: Duration = Duration::from_secs(10);

/// What an encoder is told whose key belongs to no live input.
const UNKNOWN_KEY: &str = "No live input has this stream key";

#[test]
fn bit_exact() -> Result<()> {
    let house = SHARED.enter()?;
    let source = Source::new(8)?;
    let input = house.dev.api.create_input("bit exact")?;
    let (plain, tls) = (output_key()?, output_key()?);
    let destination = &house.destination;
    house
        .dev
        .api
        .add_output(&input, &destination.rtmp_url(), &plain)?;
    house
        .dev
        .api
        .add_output(&input, &destination.rtmps_url(), &tls)?;

    let mut encoder = source.publish(&input.url, &input.key, house.ingest_authority())?;
    let status = encoder.wait(Duration::from_secs(30))?;
    ensure!(status.success(), "FFmpeg: {status}: {}", encoder.printed()?);

    let sent = source.packets()?;
    ensure!(sent.video.len() == 240, "{} frames", sent.video.len());
    destination.recorded(&plain, 1)?.same_as(&sent)?;
    destination.recorded(&tls, 1)?.same_as(&sent)?;
    house.pass()
}

#[test]
fn changes_on_air() -> Result<()> {
    let house = SHARED.enter()?;
    let (api, destination) = (&house.dev.api, &house.destination);
    let source = Source::new(12)?;
    let input = api.create_input("changes on air")?;
    let (steady, leaving) = (output_key()?, output_key()?);
    api.add_output(&input, &destination.rtmp_url(), &steady)?;
    let to_leave = api.add_output(&input, &destination.rtmps_url(), &leaving)?;

    let mut encoder = source.publish(&input.url, &input.key, house.ingest_authority())?;
    let deadline = Instant::now() + ON_AIR_WITHIN;
    destination.published(&steady, 1, deadline)?;
    destination.published(&leaving, 1, deadline)?;

    // Added: connected within a second, over RTMP and over RTMPS.
    let late = [output_key()?, output_key()?];
    let urls = [destination.rtmp_url(), destination.rtmps_url()];
    for (key, url) in late.iter().zip(urls) {
        let added = api.add_output(&input, &url, key)?;
        destination.published(key, 1, added.at + CHANGED_WITHIN)?;
    }

    // Deleted: disconnected within a second.
    let deleted = api.delete_output(&input, &to_leave)?;
    destination.ended(&leaving, 1, deleted + CHANGED_WITHIN)?;

    // Disabled and enabled: the same.
    let blinking = output_key()?;
    let to_blink = api.add_output(&input, &destination.rtmps_url(), &blinking)?;
    destination.published(&blinking, 1, to_blink.at + CHANGED_WITHIN)?;
    let disabled = api.enable_output(&input, &to_blink, false)?;
    destination.ended(&blinking, 1, disabled + CHANGED_WITHIN)?;
    let enabled = api.enable_output(&input, &to_blink, true)?;
    destination.published(&blinking, 2, enabled + CHANGED_WITHIN)?;

    let status = encoder.wait(Duration::from_secs(30))?;
    ensure!(status.success(), "FFmpeg: {status}: {}", encoder.printed()?);
    let sent = source.packets()?;
    destination.recorded(&steady, 1)?.same_as(&sent)?;
    destination.recorded(&leaving, 1)?.begin(&sent)?;
    for (key, nth) in [(&late[0], 1), (&late[1], 1), (&blinking, 2)] {
        let recording = destination.recording(key, nth)?;
        ensure!(begins_with_keyframe(&recording)?, "no keyframe first");
        let recorded = destination.recorded(key, nth)?;
        let begin = recorded.part_of(&sent)?;
        let end = begin + recorded.video.len();
        ensure!(end == sent.video.len(), "ends at {end}");
    }
    for key in [&steady, &leaving, &late[0], &late[1]] {
        ensure!(destination.publishes(key) == 1, "an output reconnected");
    }
    house.pass()
}

/// What FFmpeg sends, as the node measures it.
#[test]
fn a_real_encoder_is_measured() -> Result<()> {
    let house = SHARED.enter()?;
    let source = Source::new(10)?;
    let input = house.dev.api.create_input("measured")?;
    let mut encoder = source.publish(&input.url, &input.key, house.ingest_authority())?;
    // Long enough for every warning that is not about minutes.
    let broadcast = wait::until("seven seconds of media", Duration::from_secs(15), || {
        let status = get(&format!("{}/status", house.dev.line.relay_admin))?;
        let status: Value = serde_json::from_str(&status)?;
        let broadcasts = status["broadcasts"].as_array().cloned();
        Ok(broadcasts.into_iter().flatten().find(|broadcast| {
            broadcast["input"] == input.uid.as_str() && broadcast["since_ms"].as_u64() > Some(7000)
        }))
    })?;
    let ingest = &broadcast["ingest"];
    let (video, audio) = (&ingest["video"], &ingest["audio"]);
    ensure!(broadcast["protocol"] == "rtmps", "{broadcast}");
    ensure!(
        video["codec"] == "h264" && audio["codec"] == "aac",
        "{ingest}"
    );
    ensure!(
        video["width"] == 320 && video["height"] == 240 && video["keyframe_interval_ms"] == 1000,
        "{video}"
    );
    let rate = video["frame_rate"].as_f64().unwrap_or_default();
    ensure!((29.9..30.1).contains(&rate), "{rate} frames a second");
    ensure!(
        audio["sample_rate"] == 48_000 && audio["channels"] == 1,
        "{audio}"
    );
    let ahead = ingest["audio_ahead_ms"].as_i64().unwrap_or(i64::MAX);
    ensure!(ahead.abs() < 200, "{ahead} ms apart");
    ensure!(ingest["warnings"] == json!([]), "{ingest}");
    let status = encoder.wait(Duration::from_secs(30))?;
    ensure!(status.success(), "FFmpeg: {status}: {}", encoder.printed()?);
    house.pass()
}

#[test]
fn disabling_or_deleting_the_input_cuts_its_publisher() -> Result<()> {
    let house = SHARED.enter()?;
    let (api, destination) = (&house.dev.api, &house.destination);
    let source = Source::new(20)?;
    let input = api.create_input("to be cut")?;
    let key = output_key()?;
    api.add_output(&input, &destination.rtmp_url(), &key)?;
    for (nth, told) in [(1, "disabled"), (2, UNKNOWN_KEY)] {
        let authority = house.ingest_authority();
        let mut encoder = source.publish(&input.url, &input.key, authority)?;
        destination.published(&key, nth, Instant::now() + ON_AIR_WITHIN)?;
        destination.receives(&key, 10_000, ON_AIR_WITHIN)?;

        let cut = if nth == 1 {
            api.enable_input(&input, false)?
        } else {
            api.delete_input(&input)?
        };
        destination.ended(&key, nth, cut + CHANGED_WITHIN)?;
        let status = encoder.wait(left(cut, CHANGED_WITHIN))?;
        ensure!(!status.success(), "FFmpeg was not cut");

        // From here on its key lets nobody in.
        let mut encoder = source.publish(&input.url, &input.key, authority)?;
        ensure!(!encoder.wait(ON_AIR_WITHIN)?.success(), "FFmpeg was let in");
        let printed = encoder.printed()?;
        ensure!(printed.contains(told), "FFmpeg was told: {printed}");
        if nth == 1 {
            api.enable_input(&input, true)?;
        }
    }
    house.pass()
}

#[test]
fn a_refused_encoder_is_told_why() -> Result<()> {
    let house = SHARED.enter()?;
    let source = Source::new(2)?;
    let input = house.dev.api.create_input("refusals")?;
    let other = house.dev.api.create_input("another")?;
    // The secret of one input with the id of another.
    let wrong = input.key.replace(&input.uid, &other.uid);
    let unknown = format!("{}k{}", "0".repeat(32), "0".repeat(32));
    let application = input.url.replace("/live/", "/elsewhere/");
    for (url, key, told) in [
        (&input.url, wrong.as_str(), UNKNOWN_KEY),
        (&input.url, &unknown, UNKNOWN_KEY),
        (&input.url, "hunter2", UNKNOWN_KEY),
        (&application, &input.key, "live"),
    ] {
        let mut encoder = source.publish(url, key, house.ingest_authority())?;
        let status = encoder.wait(ON_AIR_WITHIN)?;
        ensure!(!status.success(), "FFmpeg was let in");
        let printed = encoder.printed()?;
        let told_so = printed
            .lines()
            .any(|line| line.contains("Server error") && line.contains(told));
        ensure!(told_so, "FFmpeg was told: {printed}");
    }
    house.pass()
}

/// Everything that goes wrong is logged somewhere: none of it with a secret.
#[test]
fn secrets_scan() -> Result<()> {
    let house = SHARED.enter()?;
    let (api, destination) = (&house.dev.api, &house.destination);
    let secrets = house.dev.secrets();
    let input = api.create_input("secrets")?;
    let query = output_key()?;
    secrets.add_unlogged("a query in an output's URL", &query);
    let nobody = ports::one()?;
    let tls_to_plain = destination.rtmp_url().replace("rtmp://", "rtmps://");
    let (good, refused) = (output_key()?, output_key()?);
    api.add_output(&input, &destination.rtmp_url(), &good)?;
    for url in [
        format!("rtmp://localhost:{nobody}/live?token={query}"),
        format!("rtmp://nowhere.invalid/live?token={query}"),
        format!("rtmps://localhost:{nobody}/live"),
        tls_to_plain,
        destination.rtmps_url().replace("localhost", "127.0.0.1"),
        destination
            .rtmp_url()
            .replace("/live", "/no-such-application"),
        house.dev.line.relay_admin.replace("http://", "rtmp://") + "/live",
    ] {
        api.add_output(&input, &url, &refused)?;
    }

    let wrong_token = output_key()?;
    secrets.add("a token that is not valid", &wrong_token);
    for (token, path, body) in [
        (wrong_token.as_str(), "/live_inputs", json!({})),
        (
            &house.dev.line.token,
            "/live_inputs",
            json!({"meta": [&good]}),
        ),
        (
            &house.dev.line.token,
            &format!("/live_inputs/{}/outputs", input.uid),
            json!({"url": format!("http://{query}/"), "streamKey": &refused}),
        ),
        (
            &house.dev.line.token,
            &format!("/live_inputs/{}/outputs", input.uid),
            json!({"url": 1, "streamKey": [&refused]}),
        ),
    ] {
        let answer = api.request_as(token, Method::POST, path, Some(&body))?;
        ensure!(answer.status >= 400, "{path}: status {}", answer.status);
    }

    let source = Source::new(5)?;
    let mut encoder = source.publish(&input.url, &input.key, house.ingest_authority())?;
    destination.published(&good, 1, Instant::now() + ON_AIR_WITHIN)?;
    house.dev.scan()?;
    let status = encoder.wait(Duration::from_secs(30))?;
    ensure!(status.success(), "FFmpeg: {status}: {}", encoder.printed()?);
    destination
        .recorded(&good, 1)?
        .same_as(&source.packets()?)?;
    let log = house.dev.relay_log()?;
    ensure!(log.contains(" DEBUG "), "the node does not log everything");
    house.pass()
}
