//! New versions of the node, one after the other, while it works. Each is the same program here: what
//! matters is that one process goes and another comes.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use system_tests::destination::Destination;
use system_tests::encoder::Source;
use system_tests::node::{Input, Node};
use system_tests::secrets::output_key;

/// From the start of FFmpeg until outputs publish.
const ON_AIR_WITHIN: Duration = Duration::from_secs(10);

/// A clean end reaches a destination within this.
const ENDED_WITHIN: Duration = Duration::from_secs(5);

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
