//! Networks and destinations that fail under a node, row by row of the fault matrix
//! (docs/reliability.md). An output that nothing happens to stands beside each.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use system_tests::destination::Destination;
use system_tests::dev::left;
use system_tests::encoder::Source;
use system_tests::fault_proxy::{Cut, FaultProxy, RECEIVE_BUFFER};
use system_tests::namespace::Namespace;
use system_tests::node::{Input, Node};
use system_tests::process::Running;
use system_tests::secrets::output_key;
use system_tests::wait;

/// From the start of FFmpeg until outputs publish.
const ON_AIR_WITHIN: Duration = Duration::from_secs(10);

/// A dead connection ends within this, and is shown before: what lies in buffers takes a second.
const DEAD_WITHIN: Duration = Duration::from_secs(12);

/// An output whose connection ends is back after its first wait, which is below a second.
const BACK_WITHIN: Duration = Duration::from_secs(5);

/// An encoder that sends, and two outputs: the first goes straight to its destination, the second
/// through a proxy.
struct Ground {
    // First, so that they end before what they use.
    encoder: Running,
    node: Node,
    proxy: FaultProxy,
    destination: Destination,
    source: Source,
    steady: String,
    other: String,
}

/// One of its outputs.
enum Output {
    Steady,
    Other,
}

impl Ground {
    /// Outputs to that proxy are by RTMPS where `secure` says so.
    fn start(secure: bool, proxy: impl FnOnce(SocketAddr) -> Result<FaultProxy>) -> Result<Self> {
        Self::start_with(secure, proxy, |_| {})
    }

    /// The same, and more said of the node's process.
    fn start_with(
        secure: bool,
        proxy: impl FnOnce(SocketAddr) -> Result<FaultProxy>,
        more: impl FnOnce(&mut Command),
    ) -> Result<Self> {
        Self::start_from(Source::new(90)?, secure, proxy, more)
    }

    /// The same, with that before the encoder.
    fn start_from(
        source: Source,
        secure: bool,
        proxy: impl FnOnce(SocketAddr) -> Result<FaultProxy>,
        more: impl FnOnce(&mut Command),
    ) -> Result<Self> {
        let destination = Destination::start()?;
        let port = |url: String| -> Result<u16> {
            let port = url
                .rsplit_once(':')
                .and_then(|(_, rest)| rest.split_once('/'));
            Ok(port.context("the destination's port")?.0.parse()?)
        };
        let target = match secure {
            true => port(destination.rtmps_url())?,
            false => port(destination.rtmp_url())?,
        };
        let proxy = proxy(SocketAddr::from((Ipv4Addr::LOCALHOST, target)))?;
        let url = match secure {
            // The name that the certificate is for.
            true => format!("rtmps://localhost:{}/live", proxy.address().port()),
            false => format!("rtmp://{}/live", proxy.address()),
        };
        let [key, steady, other] = [output_key()?, output_key()?, output_key()?];
        let input = Input {
            key: key.clone(),
            outputs: vec![
                (destination.rtmps_url(), steady.clone()),
                (url, other.clone()),
            ],
        };
        let authority = destination.certificates();
        let node = Node::start_with(&[input], authority, more)?;
        let url = format!("rtmp://localhost:{}/live/", node.rtmp());
        let encoder = source.publish(&url, &key, &authority.certificate)?;
        for key in [&steady, &other] {
            destination.published(key, 1, Instant::now() + ON_AIR_WITHIN)?;
            destination.receives(key, 20_000, ON_AIR_WITHIN)?;
        }
        Ok(Self {
            encoder,
            node,
            proxy,
            destination,
            source,
            steady,
            other,
        })
    }

    /// How the second output stands: its state, why it last failed, how often it was taken.
    fn other(&self) -> Result<(String, Option<String>, u64)> {
        let status = self.node.status()?;
        let outputs = status.pointer("/broadcasts/0/outputs");
        let outputs = outputs.and_then(Value::as_array).context("outputs")?;
        let text = |output: &Value, name: &str| {
            let text = output.get(name).and_then(Value::as_str);
            text.map(str::to_owned)
        };
        // In the order of their ids, which is that of the file.
        let output = outputs.get(1).context("the second output")?;
        Ok((
            text(output, "state").context("its state")?,
            text(output, "reason"),
            output.get("connects").and_then(Value::as_u64).unwrap_or(0),
        ))
    }

    /// Waits until it stands so; how long after `since` that is.
    fn until(
        &self,
        what: &str,
        since: Instant,
        limit: Duration,
        is: impl Fn(&str, Option<&str>, u64) -> bool,
    ) -> Result<Duration> {
        wait::until(what, left(since, limit), || {
            let (state, reason, connects) = self.other()?;
            Ok(is(&state, reason.as_deref(), connects).then_some(()))
        })?;
        let took = since.elapsed();
        eprintln!("{what}: after {took:?}");
        Ok(took)
    }

    /// Ends it: the steady output has everything, on one connection.
    fn finish(self) -> Result<()> {
        self.finish_all(&[Output::Steady])
    }

    /// The same of each of these outputs.
    fn finish_all(mut self, steady: &[Output]) -> Result<()> {
        let keys = steady.iter().map(|output| match output {
            Output::Steady => &self.steady,
            Output::Other => &self.other,
        });
        let keys: Vec<_> = keys.collect();
        for key in &keys {
            self.destination.receives(key, 20_000, ON_AIR_WITHIN)?;
        }
        self.encoder.end(ON_AIR_WITHIN)?;
        let sent = self.source.packets()?;
        for key in keys {
            self.destination.recorded(key, 1)?.begin(&sent)?;
            ensure!(
                self.destination.publishes(key) == 1,
                "an output reconnected"
            );
        }
        Ok(())
    }
}

/// With this a log that keeps more than it may passes the bound of row 2 within the test: 8 s are 4 MB,
/// the 20 s and more that the test takes over 10 MB.
const KEPT_KBPS: u32 = 4000;

/// Row 2.
#[test]
fn a_destination_that_stops_reading_is_given_up_and_memory_stays_flat() -> Result<()> {
    // Fast enough that whatever is kept for too long shows.
    let source = Source::with_bitrate(90, Some(KEPT_KBPS))?;
    let ground = Ground::start_from(source, false, FaultProxy::start, |_| {})?;
    let before = resident(ground.node.pid())?;
    ground.proxy.stall(true);
    let since = Instant::now();
    ground.until("shown as stalled", since, DEAD_WITHIN, |state, _, _| {
        state == "stalled"
    })?;
    ground.until(
        "given up as stalled",
        since,
        DEAD_WITHIN + Duration::from_secs(2),
        |state, reason, _| (state, reason) == ("backoff", Some("stalled")),
    )?;
    // Once more: it connects, and nobody answers.
    ground.until(
        "the next attempt",
        Instant::now(),
        DEAD_WITHIN + Duration::from_secs(2),
        |state, reason, _| (state, reason) == ("backoff", Some("handshake_timeout")),
    )?;
    let grown = resident(ground.node.pid())?.saturating_sub(before);
    let sent = u64::from(KEPT_KBPS) * 1000 / 8 * since.elapsed().as_secs();
    eprintln!("memory has grown by {} KiB", grown / 1024);
    ensure!(sent > 10 << 20, "too little was sent to tell: {sent} bytes");
    ensure!(grown < 8 << 20, "memory has grown by {grown} bytes");
    // It comes back when the destination does.
    ground.proxy.restore();
    ground.proxy.cut(Cut::Reset);
    ground.until(
        "back",
        Instant::now(),
        Duration::from_secs(30),
        |state, _, connects| state == "live" && connects == 2,
    )?;
    ground.finish()
}

/// Row 4, the ends that show: FIN and RST.
#[test]
fn a_connection_that_ends_is_back_at_once() -> Result<()> {
    let ground = Ground::start(false, FaultProxy::start)?;
    for (turn, how) in [(1, Cut::Finish), (2, Cut::Reset)] {
        ground.proxy.cut(how);
        let what = format!("{how:?}: back");
        ground.until(&what, Instant::now(), BACK_WITHIN, |state, _, connects| {
            state == "live" && connects == turn + 1
        })?;
        ground
            .destination
            .receives(&ground.other, 20_000, ON_AIR_WITHIN)?;
    }
    ground.finish()
}

/// Row 4, an end that does not show: the packets vanish, in both directions, for good.
#[test]
fn a_connection_whose_packets_vanish_is_given_up_in_time() -> Result<()> {
    let namespace = Namespace::start()?;
    let ground = Ground::start(false, |target| {
        FaultProxy::of(namespace.listen(RECEIVE_BUFFER)?, target)
    })?;
    namespace.drop_packets(ground.proxy.address().port())?;
    let since = Instant::now();
    ground.until("vanished: shown", since, DEAD_WITHIN, |state, _, _| {
        state == "stalled"
    })?;
    ground.until(
        "vanished: given up",
        since,
        DEAD_WITHIN,
        |state, reason, _| (state, reason) == ("backoff", Some("stalled")),
    )?;
    // Nobody answers the next attempt.
    ground.until(
        "vanished: the next attempt",
        Instant::now(),
        Duration::from_secs(15),
        |state, reason, _| (state, reason) == ("backoff", Some("connect_timeout")),
    )?;
    ground.finish()
}

/// A byte that changes on the way costs a connection by TLS, and no more.
#[test]
fn what_is_corrupted_on_the_way_is_noticed_and_sent_anew() -> Result<()> {
    let ground = Ground::start(true, FaultProxy::start)?;
    ground.proxy.corrupt();
    ground.until(
        "corrupted: back",
        Instant::now(),
        BACK_WITHIN,
        |state, _, connects| state == "live" && connects == 2,
    )?;
    ground.finish()
}

/// A link with half a second of delay changes nothing but the delay.
#[test]
fn a_slow_link_loses_nothing() -> Result<()> {
    let ground = Ground::start(false, FaultProxy::start)?;
    ground.proxy.delay(Duration::from_millis(250));
    for _ in 0..5 {
        ground
            .destination
            .receives(&ground.other, 20_000, ON_AIR_WITHIN)?;
    }
    let (state, _, connects) = ground.other()?;
    ensure!(
        (state.as_str(), connects) == ("live", 1),
        "{state}, {connects}"
    );
    ground.finish_all(&[Output::Steady, Output::Other])
}

/// Row 12.
#[test]
fn a_clock_that_steps_by_an_hour_changes_nothing() -> Result<()> {
    let clock = tempfile::NamedTempFile::new()?;
    fs::write(clock.path(), "+0")?;
    let faketime = faketime()?;
    let ground = Ground::start_with(false, FaultProxy::start, |command| {
        // The monotonic clock stays as it is: no step moves that.
        command
            .env("LD_PRELOAD", faketime)
            .env("DONT_FAKE_MONOTONIC", "1")
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_TIMESTAMP_FILE", clock.path());
    })?;
    for step in ["+3600", "-3600"] {
        fs::write(clock.path(), step)?;
        // Its log has the time of day: the step is there.
        let now = time_of_last_line(&ground.node.log()?);
        ground.proxy.cut(Cut::Reset);
        ground.until("back", Instant::now(), BACK_WITHIN, |state, _, _| {
            state == "live"
        })?;
        let later = time_of_last_line(&ground.node.log()?);
        ensure!(
            now != later,
            "the clock of the log has not stepped: {later}"
        );
        ground
            .destination
            .receives(&ground.other, 20_000, ON_AIR_WITHIN)?;
    }
    ground.finish()
}

/// Date and hour.
fn time_of_last_line(log: &str) -> String {
    let line = log.lines().next_back().unwrap_or_default();
    line.chars().take("2026-01-01T00".len()).collect()
}

/// Debian's libfaketime, whatever the machine.
fn faketime() -> Result<PathBuf> {
    let folders = fs::read_dir("/usr/lib")?.filter_map(Result::ok);
    let mut files = folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"));
    files.find(|file| file.exists()).context("no libfaketime")
}

/// Bytes of memory that a process has.
fn resident(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    Ok(1024 * kib.context("no VmRSS")?.trim().parse::<u64>()?)
}
