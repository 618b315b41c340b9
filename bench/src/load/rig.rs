//! A node, what it is loaded with, and what that costs.

use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use system_tests::ports;
use system_tests::process::Running;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::idle::Idle;
use super::sinks::Sinks;
use crate::fanout::media::{Media, Sent};
use crate::fanout::sink::key;
use crate::fanout::source::{self, Target};
use crate::fanout::usage;

/// As many as an input may have.
const OUTPUTS: usize = 50;

const MEDIA: Media = Media {
    bits_per_second: 1_000_000,
};

/// How a key of the measured broadcast's outputs begins.
const MEASURED: &str = "s0-";

/// How long a step's encoders and outputs have to begin.
const BEGIN_WITHIN: Duration = Duration::from_secs(30);

/// Between their beginning and the measurement: what each output gets at first is more than later.
const SETTLE: Duration = Duration::from_secs(3);

/// For what is on its way when the measurement ends.
const DRAIN: Duration = Duration::from_secs(1);

/// Between the beginnings of two encoders: none has its pictures or keyframes at the time of others.
const APART: Duration = Duration::from_millis(13);

/// Longer than all steps take.
const LENGTH: Duration = Duration::from_secs(240);

/// What there is more and more of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Broadcasts with fifty outputs each.
    Outputs,
    /// Encoders on air that send next to nothing, beside one broadcast with fifty outputs.
    Idle,
}

impl Kind {
    pub(super) fn heading(self) -> &'static str {
        match self {
            Self::Outputs => "outputs at 1 Mbps, 50 of each encoder",
            Self::Idle => "idle encoders, beside one with 50 outputs",
        }
    }

    /// What a step's number stands for.
    pub(super) fn shown(self, count: usize) -> usize {
        match self {
            Self::Outputs => count * OUTPUTS,
            Self::Idle => count,
        }
    }

    pub(super) fn name(self, count: usize) -> String {
        let noun = match self {
            Self::Outputs => "outputs",
            Self::Idle => "idle encoders",
        };
        format!("{} {noun}", self.shown(count))
    }
}

/// What a step showed. Shares are of all cores together.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) count: usize,
    pub(super) p50: Duration,
    pub(super) p99: Duration,
    /// Messages of the measured broadcast that did not come, of all of its outputs.
    pub(super) lost: usize,
    /// The node's share of the CPU.
    pub(super) node: f64,
    /// That of the encoders and destinations.
    pub(super) others: f64,
    /// What the kernel spent on packets, for all of them.
    pub(super) packets: f64,
    /// What nobody used.
    pub(super) idle: f64,
    /// Resident, of the node, in bytes.
    pub(super) memory: u64,
    /// Of the node.
    pub(super) files: usize,
}

/// A node with its load.
pub(super) struct Rig {
    kind: Kind,
    node: Running,
    target: u16,
    /// The first is the measured broadcast's.
    broadcasts: Vec<Broadcast>,
    measured: Arc<Sent>,
    idle: Idle,
    sinks: Sinks,
    encoders: Runtime,
    _destinations: Runtime,
    _folder: tempfile::TempDir,
}

struct Broadcast {
    stop: CancellationToken,
    publishing: JoinHandle<Result<()>>,
}

impl Rig {
    /// A node that nothing is loaded on yet, for steps up to `most`.
    pub(super) fn start(kind: Kind, most: usize) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let runtime = || {
            let mut builder = Builder::new_multi_thread();
            builder.worker_threads(1).enable_all().build()
        };
        let (encoders, destinations) = (runtime()?, runtime()?);
        let measured = Arc::new(Sent::new(Instant::now(), LENGTH));
        let (broadcasts, idle) = match kind {
            Kind::Outputs => (most, 0),
            Kind::Idle => (1, most),
        };
        let (addresses, sinks) = destinations.block_on(async {
            let (mut listeners, mut addresses) = (Vec::new(), Vec::new());
            for number in 0..broadcasts {
                // An address of its own: a node connects to one and the same only so fast.
                let [.., high, low] = number.to_be_bytes();
                let listener = TcpListener::bind((Ipv4Addr::new(127, 1, high, low), 0)).await?;
                addresses.push(listener.local_addr()?);
                listeners.push(listener);
            }
            let sinks = Sinks::start(listeners, Arc::clone(&measured), MEASURED);
            anyhow::Ok((addresses, sinks))
        })?;
        let target = ports::one()?;
        let node = start(folder.path(), target, &addresses, idle)?;
        Ok(Self {
            kind,
            node,
            target,
            broadcasts: Vec::new(),
            measured,
            idle: Idle::new(target),
            sinks,
            encoders,
            _destinations: destinations,
            _folder: folder,
        })
    }

    /// Loads the node with `count`, and measures for as long as `window`.
    pub(super) fn step(&mut self, count: usize, window: Duration) -> Result<Step> {
        let (broadcasts, idle) = match self.kind {
            Kind::Outputs => (count, 0),
            Kind::Idle => (1, count),
        };
        self.broadcast(broadcasts)?;
        {
            let _entered = self.encoders.enter();
            self.idle.grow(idle);
        }
        let wanted = (OUTPUTS, (broadcasts - 1) * OUTPUTS, idle);
        let there = || {
            let (measured, others) = self.sinks.published();
            (measured, others, self.idle.on_air())
        };
        let deadline = Instant::now() + BEGIN_WITHIN;
        while there() != wanted {
            if Instant::now() > deadline {
                let (measured, others, idle) = there();
                bail!(
                    "only {} outputs and {idle} idle encoders are there after {} s",
                    measured + others,
                    BEGIN_WITHIN.as_secs()
                );
            }
            thread::sleep(Duration::from_millis(20));
        }
        thread::sleep(SETTLE);
        let step = self.measure(count, window)?;
        // Who was cut meanwhile has saved the node its work.
        if there() != wanted {
            bail!("outputs or encoders were cut");
        }
        Ok(step)
    }

    /// Lets so many broadcasts be on air.
    fn broadcast(&mut self, count: usize) -> Result<()> {
        while self.broadcasts.len() < count {
            let number = self.broadcasts.len();
            let sent = match number {
                0 => Arc::clone(&self.measured),
                _ => Arc::new(Sent::new(Instant::now(), LENGTH)),
            };
            let target = Target {
                port: self.target,
                app: "live".to_owned(),
                key: format!("in{number}"),
            };
            let stop = CancellationToken::new();
            let publishing = source::publish(target, MEDIA, sent, stop.clone());
            let publishing = self.encoders.spawn(publishing);
            thread::sleep(APART);
            self.broadcasts.push(Broadcast { stop, publishing });
        }
        for broadcast in self.broadcasts.drain(count..) {
            broadcast.stop.cancel();
            self.encoders.block_on(broadcast.publishing)??;
        }
        Ok(())
    }

    fn measure(&self, count: usize, window: Duration) -> Result<Step> {
        let pid = self.node.pid();
        let own = std::process::id();
        self.sinks.take_arrived();
        let before = (usage::cpu(&[pid])?, usage::cpu(&[own])?, Machine::now()?);
        let (from, began) = (self.measured.count(), Instant::now());
        thread::sleep(window);
        let (to, took) = (self.measured.count(), began.elapsed());
        let after = (usage::cpu(&[pid])?, usage::cpu(&[own])?, Machine::now()?);
        let memory = usage::memory(&[pid])?;
        let files = fs::read_dir(format!("/proc/{pid}/fd"))?.count();
        thread::sleep(DRAIN);

        let arrived = self.sinks.take_arrived().into_iter();
        let mut micros: Vec<_> = arrived
            .filter(|(number, _)| (from..to).contains(number))
            .map(|(_, micros)| micros)
            .collect();
        micros.sort_unstable();
        let percentile = |percent: usize| {
            let rank = (micros.len() * percent).div_ceil(100).max(1);
            let micros = micros.get(rank - 1);
            micros.map(|micros| Duration::from_micros(u64::from(*micros)))
        };
        let cores = thread::available_parallelism()?.get();
        let share = |after: Duration, before: Duration| {
            after.saturating_sub(before).as_secs_f64() / took.as_secs_f64() / cores as f64
        };
        Ok(Step {
            count,
            p50: percentile(50).context("nothing came")?,
            p99: percentile(99).context("nothing came")?,
            lost: ((to - from) * OUTPUTS).saturating_sub(micros.len()),
            node: share(after.0, before.0),
            others: share(after.1, before.1),
            packets: share(after.2.packets, before.2.packets),
            idle: share(after.2.idle, before.2.idle),
            memory,
            files,
        })
    }
}

/// What the cores together did since the machine started.
struct Machine {
    idle: Duration,
    packets: Duration,
}

impl Machine {
    fn now() -> Result<Self> {
        let text = fs::read_to_string("/proc/stat")?;
        let first = text.lines().next().unwrap_or_default();
        let column = |index: usize| -> Result<Duration> {
            let ticks = first.split_whitespace().nth(index);
            let ticks: u32 = ticks
                .context("/proc/stat has a line for all cores")?
                .parse()?;
            // USER_HZ, which is 100 on every architecture that this runs on.
            Ok(Duration::from_millis(10) * ticks)
        };
        Ok(Self {
            idle: column(4)?,
            packets: column(7)?,
        })
    }
}

fn start(folder: &Path, port: u16, broadcasts: &[SocketAddr], idle: usize) -> Result<Running> {
    let mut inputs = String::new();
    for (number, sink) in broadcasts.iter().enumerate() {
        writeln!(inputs, "[[input]]\nstream_key = \"in{number}\"")?;
        for output in 0..OUTPUTS {
            writeln!(
                inputs,
                "[[input.output]]\nurl = \"rtmp://{sink}/live\"\nstream_key = \"{}\"",
                key(number, output)
            )?;
        }
    }
    for number in 0..idle {
        writeln!(inputs, "[[input]]\nstream_key = \"{}\"", Idle::key(number))?;
    }
    let file = folder.join("inputs.toml");
    fs::write(&file, inputs)?;
    let publishers = broadcasts.len() + idle;
    // It lies beside this program.
    let program = std::env::current_exe()?.with_file_name("relay-node");
    let mut command = Command::new(program);
    command
        .arg("--static")
        .arg(&file)
        .arg(format!("--rtmp-listen=127.0.0.1:{port}"))
        .arg(format!("--ingest-max-publishers={publishers}"))
        .arg(format!("--ingest-max-publishers-per-address={publishers}"))
        .arg("--admin-listen=127.0.0.1:0")
        .arg("--outputs-allow-loopback")
        .arg("--log-level=warn");
    let log = folder.join("relay-node.log");
    let node = Running::start("relay-node", &mut command, &log)?;
    Ok(node)
}
