//! New versions of the node, one after the other, while it works. Each is the same program here: what
//! matters is that one process goes and another comes.

use std::fs::OpenOptions;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use system_tests::api;
use system_tests::destination::Destination;
use system_tests::encoder::Source;
use system_tests::node::{Input, Node};
use system_tests::process::{self, Process, Signal, signal};
use system_tests::secrets::output_key;
use system_tests::shared::Shared;
use system_tests::wait;

static SHARED: Shared = Shared::new();

/// From the start of FFmpeg until outputs publish.
const ON_AIR_WITHIN: Duration = Duration::from_secs(10);

/// A clean end reaches a destination within this.
const ENDED_WITHIN: Duration = Duration::from_secs(5);

/// Until a node has started and opened its socket to the control plane.
const LINKED_WITHIN: Duration = Duration::from_secs(30);

/// How many upgrades in a row, how many connections meanwhile at least, and for how many seconds one
/// encoder goes on through all of it.
fn length() -> (usize, usize, u32) {
    match std::env::var_os("STREAM_CONNECT_FULL") {
        Some(_) => (10, 1000, 60),
        None => (3, 150, 20),
    }
}

#[test]
fn upgrades_in_a_row_refuse_nobody_and_lose_nothing() -> Result<()> {
    let (upgrades, connects, seconds) = length();
    let destination = Destination::start()?;
    let (source, short) = (Source::new(seconds)?, Source::new(1)?);
    let inputs = (0..=upgrades).map(|_| input(&destination));
    let inputs = inputs.collect::<Result<Vec<_>>>()?;
    let (steady, others) = inputs.split_first().context("no input")?;
    let mut node = Node::start(&inputs, destination.certificates())?;
    let url = format!("rtmps://localhost:{}/live/", node.rtmps());
    let authority = destination.authority();
    let mut encoder = source.publish(&url, &steady.key, authority)?;
    destination.published(key(steady), 1, Instant::now() + ON_AIR_WITHIN)?;

    let (enough, made) = (AtomicBool::new(false), AtomicUsize::new(0));
    let port = node.rtmp();
    thread::scope(|scope| -> Result<()> {
        let knocking: Vec<_> = (0..KNOCKERS)
            .map(|_| scope.spawn(|| knock(port, connects, &enough, &made)))
            .collect();
        let upgraded = others.iter().try_for_each(|input| -> Result<()> {
            node.upgrade()?;
            let mut encoder = short.publish(&url, &input.key, authority)?;
            let status = encoder.wait(ON_AIR_WITHIN)?;
            ensure!(status.success(), "FFmpeg: {status}: {}", encoder.printed()?);
            destination.ended(key(input), 1, Instant::now() + ENDED_WITHIN)?;
            destination
                .recorded(key(input), 1)?
                .same_as(&short.packets()?)
        });
        enough.store(true, Ordering::Relaxed);
        for knocker in knocking {
            knocker.join().ok().context("a knocker panicked")??;
        }
        upgraded
    })?;
    let made = made.load(Ordering::Relaxed);
    ensure!(made >= connects, "only {made} connections");

    ensure!(
        encoder.ended()?.is_none(),
        "the encoder was to outlast the upgrades"
    );
    let status = encoder.wait(Duration::from_secs(u64::from(seconds)))?;
    ensure!(status.success(), "FFmpeg: {status}: {}", encoder.printed()?);
    destination.ended(key(steady), 1, Instant::now() + ENDED_WITHIN)?;
    ensure!(
        destination.publishes(key(steady)) == 1,
        "an output reconnected"
    );
    destination
        .recorded(key(steady), 1)?
        .same_as(&source.packets()?)?;
    // It had nothing else to serve.
    let status = node.first_ended(ENDED_WITHIN)?;
    ensure!(status.success(), "the first process: {status}");
    eprintln!("{upgrades} upgrades, {made} connections, none refused");
    Ok(())
}

#[test]
fn two_processes_never_send_to_one_output() -> Result<()> {
    let destination = Destination::start()?;
    let (source, short) = (Source::new(60)?, Source::new(2)?);
    let inputs = [input(&destination)?];
    let [input] = &inputs;
    let mut node = Node::start(&inputs, destination.certificates())?;
    let url = format!("rtmps://localhost:{}/live/", node.rtmps());
    let authority = destination.authority();
    let mut former = source.publish(&url, &input.key, authority)?;
    destination.published(key(input), 1, Instant::now() + ON_AIR_WITHIN)?;
    destination.receives(key(input), 10_000, ON_AIR_WITHIN)?;
    destination.next_recording()?;
    node.upgrade()?;

    // It comes to the new process, which takes the broadcast from the old one.
    let mut encoder = short.publish(&url, &input.key, authority)?;
    let status = encoder.wait(ON_AIR_WITHIN)?;
    ensure!(status.success(), "FFmpeg: {status}: {}", encoder.printed()?);
    let soon = Instant::now() + ENDED_WITHIN;
    let ended = destination.ended(key(input), 1, soon)?;
    let published = destination.published(key(input), 2, soon)?;
    ensure!(ended <= published, "both published at once");
    destination.ended(key(input), 2, soon)?;
    ensure!(
        !former.wait(ENDED_WITHIN)?.success(),
        "the first FFmpeg was not cut"
    );
    destination
        .recorded(key(input), 1)?
        .begin(&source.packets()?)?;
    destination
        .recorded(key(input), 2)?
        .same_as(&short.packets()?)?;
    ensure!(node.first_ended(ENDED_WITHIN)?.success());
    Ok(())
}

/// The same under the real control plane, which knows both: what changes reaches the process that has
/// the broadcast, and the other one leaves it alone until the encoder comes to it.
#[test]
fn two_processes_under_the_control_plane_never_send_to_one_output() -> Result<()> {
    let house = SHARED.enter()?;
    let (dev, destination) = (&house.dev, &house.destination);
    let mut configuration = OpenOptions::new()
        .append(true)
        .open(dev.relay_configuration())?;
    configuration.write_all(b"\n[hand_over]\nsocket = \"hand-over\"\n")?;
    let former = dev.kill("relay", dev.line.pids.relay, LINKED_WITHIN)?;

    let (source, short) = (Source::new(120)?, Source::new(3)?);
    let authority = house.ingest_authority();
    let input = dev.api.create_input("upgraded")?;
    let [first, added] = [output_key()?, output_key()?];
    dev.api
        .add_output(&input, &destination.rtmp_url(), &first)?;
    let mut encoder = source.publish_again(&input.url, &input.key, authority, LINKED_WITHIN)?;
    destination.published(&first, 1, Instant::now() + ON_AIR_WITHIN)?;
    destination.receives(&first, 10_000, ON_AIR_WITHIN)?;
    // The former process has this to the very end: `dev` ends all when that one ends.
    let kept = dev.api.create_input("kept")?;
    let kept_key = output_key()?;
    dev.api
        .add_output(&kept, &destination.rtmp_url(), &kept_key)?;
    let mut keeper = source.publish(&kept.url, &kept.key, authority)?;
    destination.published(&kept_key, 1, Instant::now() + ON_AIR_WITHIN)?;

    signal(former, Signal::USR2)?;
    let successor = wait::until("the take-over", LINKED_WITHIN, || {
        if !dev.relay_log()?.contains("another process has taken over") {
            return Ok(None);
        }
        let nodes = process::descendants(former)?;
        Ok(nodes.into_iter().find(|node| node.name == "relay-node"))
    })?;
    let other = dev.api.create_input("another")?;
    let other_key = output_key()?;
    dev.api
        .add_output(&other, &destination.rtmp_url(), &other_key)?;
    let mut beside = short.publish(&other.url, &other.key, authority)?;
    ensure!(beside.wait(ON_AIR_WITHIN)?.success(), "the new process");
    destination.ended(&other_key, 1, Instant::now() + ENDED_WITHIN)?;

    // Both are linked by now; the older one has the broadcast.
    dev.api
        .add_output(&input, &destination.rtmp_url(), &added)?;
    destination.published(&added, 1, Instant::now() + ON_AIR_WITHIN)?;
    destination.receives(&added, 100_000, ON_AIR_WITHIN)?;
    for key in [&first, &added] {
        ensure!(destination.publishes(key) == 1, "published by two");
    }
    // Both know the same file of keys, and the newer one has it.
    wait::until("the cache's new keeper", ON_AIR_WITHIN, || {
        let left = "a newer process of this node keeps it now";
        Ok(dev.relay_log()?.contains(left).then_some(()))
    })?;

    // An encoder that is not to be replaced is not, though the second one comes to another process.
    dev.api.treat_input(&kept, &json!({"takeover": "reject"}))?;
    let mut refused = short.publish(&kept.url, &kept.key, authority)?;
    ensure!(!refused.wait(ON_AIR_WITHIN)?.success(), "it was let in");
    ensure!(
        dev.relay_log()?.contains("reason=\"occupied\""),
        "refused for another reason"
    );
    // The newer process shows what the older one has.
    let status: Value =
        serde_json::from_str(&api::get(&format!("{}/status", dev.line.relay_admin))?)?;
    let broadcasts = status.pointer("/draining/0/broadcasts");
    let broadcasts = broadcasts.and_then(Value::as_array).context("none shown")?;
    let shown: Vec<_> = broadcasts
        .iter()
        .filter_map(|broadcast| broadcast.get("input")?.as_str())
        .collect();
    for uid in [&input.uid, &kept.uid] {
        ensure!(
            shown.contains(&uid.as_str()),
            "{uid} is not among {shown:?}"
        );
    }
    ensure!(status.get("broadcasts") == Some(&json!([])), "{status}");

    destination.next_recording()?;
    let mut again = short.publish(&input.url, &input.key, authority)?;
    let status = again.wait(ON_AIR_WITHIN)?;
    ensure!(status.success(), "FFmpeg: {status}: {}", again.printed()?);
    ensure!(!encoder.wait(ENDED_WITHIN)?.success(), "it was not cut");
    let soon = Instant::now() + ENDED_WITHIN;
    for key in [&first, &added] {
        let ended = destination.ended(key, 1, soon)?;
        let published = destination.published(key, 2, soon)?;
        ensure!(ended <= published, "both published at once");
        destination.ended(key, 2, soon)?;
        ensure!(destination.publishes(key) == 2, "published once more");
        destination.recorded(key, 2)?.same_as(&short.packets()?)?;
    }
    let sent = source.packets()?;
    destination.recorded(&first, 1)?.begin(&sent)?;
    destination.recorded(&added, 1)?.part_of(&sent)?;

    keeper.end(ON_AIR_WITHIN)?;
    destination.ended(&kept_key, 1, Instant::now() + ENDED_WITHIN)?;
    ensure!(destination.publishes(&kept_key) == 1, "it was moved");
    destination.recorded(&kept_key, 1)?.begin(&sent)?;
    wait::until("both processes' end", LINKED_WITHIN, || {
        let gone = Process::find(former).is_none() && !successor.lives();
        let back = dev.said()?.matches("relay runs again").count() == 2;
        Ok((gone && back).then_some(()))
    })?;
    house.pass()
}

fn input(destination: &Destination) -> Result<Input> {
    Ok(Input {
        key: output_key()?,
        outputs: vec![(destination.rtmp_url(), output_key()?)],
    })
}

/// The key of its one output.
fn key(input: &Input) -> &str {
    input.outputs.first().map_or("", |(_, key)| key)
}

/// Connects again and again, until it is `enough` and so many were made by all. The answer to a
/// handshake's first bytes says that a node has the connection.
fn knock(port: u16, connects: usize, enough: &AtomicBool, made: &AtomicUsize) -> Result<()> {
    while !enough.load(Ordering::Relaxed) || made.load(Ordering::Relaxed) < connects {
        let nth = made.fetch_add(1, Ordering::Relaxed);
        let answered = || -> Result<[u8; 1]> {
            let mut stream = TcpStream::connect(("127.0.0.1", port))?;
            stream.set_read_timeout(Some(ON_AIR_WITHIN))?;
            stream.write_all(&[3; 1537])?;
            let mut version = [0];
            stream.read_exact(&mut version)?;
            Ok(version)
        };
        let version = answered().with_context(|| format!("connection {nth}"))?;
        ensure!(version == [3], "connection {nth}: {version:?}");
    }
    Ok(())
}

/// Threads that connect at the same time.
const KNOCKERS: usize = 2;
