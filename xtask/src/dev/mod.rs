//! `cargo xtask dev`: the whole system on this machine, in the foreground, until a signal.

mod announce;
mod child;
mod control;
mod demo;
mod http;
mod live;
mod node;
mod ports;
mod procfs;
mod state;
mod tls;

use anyhow::{Context, Result, bail};
use std::io::{Write as _, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, Instant};

use self::announce::Announcement;
use self::child::Supervised;
use self::control::Control;
use self::demo::Demo;
use self::live::Live;
use self::node::Node;
use self::ports::Ports;
use self::state::State;
use self::tls::Certificates;
use crate::build::{self, Profile};
use crate::place::Place;
use crate::process;
use crate::setup::{self, Purpose};
use crate::time::readable;
use crate::worker;

/// How long the parts may take to answer; wrangler on a busy machine needs most of it.
const START_LIMIT: Duration = Duration::from_secs(120);

/// Arguments of `cargo xtask dev`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Also start a test picture as encoder, and two RTMP servers as its destinations.
    #[arg(long)]
    demo: bool,
    /// Start from empty state; only the certificate authority is kept.
    #[arg(long)]
    fresh: bool,
    /// Take the ten ports from N on, and a state folder of their own.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1024..=65526))]
    port_base: Option<u16>,
    /// Also trust the certificate authorities in this PEM file at destinations.
    #[arg(long, value_name = "FILE")]
    output_ca: Option<PathBuf>,
    /// When everything answers, print one line of JSON on standard output.
    #[arg(long)]
    json: bool,
}

/// Runs until a signal; success is having been asked to stop.
pub(crate) fn run(place: &Place, arguments: &Arguments) -> Result<ExitCode> {
    let profile = Profile::of_environment();
    // What may stand in the way, before what takes minutes.
    let ports = Ports::new(arguments.port_base);
    let state = State::open(&place.root, arguments.port_base)?;
    ports.check(arguments.demo)?;
    let output_ca = arguments.output_ca.as_deref().map(absolute).transpose()?;

    let mut phases = Phases::default();
    if !build::is_built() {
        let purpose = if arguments.demo {
            Purpose::Demo
        } else {
            Purpose::Run
        };
        phases.time("set-up", || setup::ensure(place, purpose))?;
        phases.time("the Worker", || worker::build(place, profile))?;
    }
    let program = phases.time("the relay node", || build::relay_node(place, profile))?;

    let starting = Instant::now();
    if arguments.fresh {
        state.empty()?;
    }
    let certificates = Certificates::ensure(&state.folder("tls")?)?;
    let seed = state.seed()?;
    let control = Control {
        place,
        state: &state,
        ports: &ports,
        seed: &seed,
        profile,
    };
    control.prepare()?;
    let node = Node {
        program,
        state: &state,
        ports: &ports,
        seed: &seed,
    };
    node.configure(&certificates, output_ca.as_deref())?;

    let mut children = Children {
        control: Supervised::workerd("control", ports.control, || control.command())?,
        relay: Supervised::new("relay", || node.command())?,
        demo: None,
    };
    let outcome = children.attend(|children| {
        let Some(pids) = wait_until_ready(&control, &node, children)? else {
            return Ok(());
        };
        phases.add("start", starting.elapsed());
        eprintln!("dev: everything answers: {}", phases.line());
        let announcement = Announcement {
            ports: &ports,
            seed: &seed,
            state: &state,
            certificates: &certificates,
            pids,
        };
        let text = if arguments.json {
            announcement.json()?
        } else {
            announcement.text()
        };
        writeln!(stdout(), "{text}").context("writing to standard output")?;
        if arguments.demo {
            let demo = Demo::start(&ports, &seed, &state, &certificates)?;
            children.demo = Some(demo);
        }
        watch(children, &ports)
    });
    outcome.map(|()| ExitCode::SUCCESS)
}

/// How long each phase took.
#[derive(Default)]
struct Phases(Vec<String>);

impl Phases {
    fn time<T>(&mut self, name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let started = Instant::now();
        let done = work()?;
        self.add(name, started.elapsed());
        Ok(done)
    }

    fn add(&mut self, name: &str, took: Duration) {
        self.0.push(format!("{name} {}", readable(took)));
    }

    fn line(&self) -> String {
        self.0.join(", ")
    }
}

/// The processes that `dev` keeps alive.
struct Children<'a> {
    control: Supervised<'a>,
    relay: Supervised<'a>,
    demo: Option<Demo>,
}

/// Process ids for who wants to signal or watch them.
#[derive(Clone, Copy, serde::Serialize)]
struct Pids {
    control: u32,
    relay: u32,
}

impl Children<'_> {
    /// Does something while they run, and ends them whatever comes of it.
    fn attend(&mut self, work: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        let outcome = work(self);
        let mut running = vec![self.control.process(), self.relay.process()];
        running.extend(self.demo.iter_mut().flat_map(Demo::processes));
        let ended = process::end_all(&mut running);
        outcome.and(ended)
    }

    /// Starts again what died.
    fn revive(&mut self) -> Result<()> {
        let now = Instant::now();
        self.control.revive(now)?;
        self.relay.revive(now)
    }
}

/// Waits until control plane and node answer; none when a signal came first.
fn wait_until_ready(
    control: &Control<'_>,
    node: &Node<'_>,
    children: &mut Children<'_>,
) -> Result<Option<Pids>> {
    let deadline = Instant::now() + START_LIMIT;
    let mut told = false;
    while !process::stopped() {
        children.revive()?;
        let answers = control.answers();
        if answers && !told {
            eprintln!("dev: the control plane answers");
            told = true;
        }
        if let (true, Some(pid)) = (answers && node.is_ready(), children.control.pid()) {
            let relay = children
                .relay
                .pid()
                .context("the relay node has no process")?;
            return Ok(Some(Pids {
                control: pid,
                relay,
            }));
        }
        if Instant::now() >= deadline {
            let silent = if answers {
                "the relay node"
            } else {
                "the control plane"
            };
            bail!(
                "{silent} did not get ready in {}; see {}",
                readable(START_LIMIT),
                node.logs()?
            );
        }
        sleep(process::POLL);
    }
    Ok(None)
}

/// Keeps everything alive and shows what is on air.
fn watch(children: &mut Children<'_>, ports: &Ports) -> Result<()> {
    let mut live = Live::new(ports);
    while !process::stopped() {
        children.revive()?;
        let received = children.demo.as_mut().map(Demo::tick).transpose()?;
        live.tick(received.as_deref());
        sleep(process::POLL);
    }
    live.finish();
    eprintln!("dev: stopping");
    Ok(())
}

fn absolute(path: &Path) -> Result<PathBuf> {
    path.canonicalize()
        .with_context(|| format!("--output-ca {}", path.display()))
}
