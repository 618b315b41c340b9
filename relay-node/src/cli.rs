//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use std::{error, fmt, io};

use clap::{Args, Parser, Subcommand};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::interval;

use crate::config::{Config, ConfigError, Written};
use crate::hand_over::{self, Former};
use crate::listeners::{self, InvalidSocket, Kind, ListenError, Listener};
use crate::node::{self, Node, SetUp, SetUpError};
use crate::registry::Registry;
use crate::{crypto, logging, process, shutdown, succession, supervisor};

/// Runs the program with the arguments of this process.
pub fn main() -> ExitCode {
    run(std::env::args_os())
}

fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let line = match CommandLine::try_parse_from(arguments) {
        Ok(line) => line,
        Err(error) => {
            // Help and version come this way too. Nobody is left to tell if printing fails.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(USAGE));
        }
    };
    crypto::install();
    let result = match line.command {
        Some(Command::Check(what)) => check(what),
        None => serve(&line.what),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("relay-node: {}", Chain(&error));
            ExitCode::from(error.exit_code())
        }
    }
}

/// The exit code for a command line that makes no sense, as clap's.
const USAGE: u8 = 2;

/// Why the program ends without having done what it was asked to.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error("cannot make the socket that successors find this process by")]
    Offer(#[source] io::Error),
    #[error(transparent)]
    SetUp(#[from] SetUpError),
    #[error(transparent)]
    Socket(#[from] InvalidSocket),
    #[error("the system does not let the node run")]
    System(#[from] io::Error),
}

impl Failure {
    /// Tells a supervisor whether it helps to start the program again. The numbers are those of
    /// `sysexits.h`, which systemd knows by name.
    fn exit_code(&self) -> u8 {
        const UNAVAILABLE: u8 = 69;
        const OPERATING_SYSTEM: u8 = 71;
        const CONFIGURATION: u8 = 78;
        match self {
            Self::SetUp(SetUpError::Random(_) | SetUpError::Threads(_)) | Self::System(_) => {
                OPERATING_SYSTEM
            }
            Self::Config(_) | Self::Offer(_) | Self::SetUp(_) | Self::Socket(_) => CONFIGURATION,
            // Another process may let the address go.
            Self::Listen(_) => UNAVAILABLE,
        }
    }
}

/// A relay node of Stream Connect: takes RTMPS feeds in, and sends each to all its outputs.
#[derive(Debug, Parser)]
#[command(
    name = "relay-node",
    version,
    args_conflicts_with_subcommands = true,
    after_help = "Every flag that sets something is also a key of the TOML file: --log-level is \
                  level in [log]. A flag wins over the file."
)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Tell what is wrong in a configuration, without running it
    Check(What),
}

#[derive(Clone, Debug, Args)]
struct What {
    /// The configuration, a TOML file
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Take inputs and outputs from this TOML file instead of the control plane
    #[arg(long = "static", value_name = "INPUTS")]
    inputs: Option<PathBuf>,
    #[command(flatten, next_help_heading = "Settings")]
    flags: Written,
}

fn load(what: What) -> Result<Config, Failure> {
    Ok(Config::load(what.file.as_deref(), what.flags, what.inputs)?)
}

fn check(what: What) -> Result<(), Failure> {
    let config = load(what)?;
    node::check(&config)?;
    println!("the configuration is right");
    Ok(())
}

fn serve(what: &What) -> Result<(), Failure> {
    let config = load(what.clone())?;
    // While there is one thread only.
    let open = listeners::from_systemd()?;
    let level = logging::init(config.log_level, config.log_format);
    prepare(&config);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(run_node(what, &config, open, &level))
}

async fn run_node(
    what: &What,
    config: &Config,
    mut open: Vec<Listener>,
    level: &logging::Level,
) -> Result<(), Failure> {
    let stop = shutdown::on_signal()?;
    let upgrade = signal(SignalKind::user_defined2())?;
    let hangup = signal(SignalKind::hangup())?;
    let mut set_up = SetUp::new(config)?;
    let mut former = former(config);
    if let Some(former) = &mut former {
        set_up = set_up.beside(former.draining.clone());
        // A supervisor's own sockets come first.
        let own: Vec<_> = open.iter().map(|listener| listener.kind).collect();
        let taken = std::mem::take(&mut former.listeners).into_iter();
        open.extend(taken.filter(|listener| !own.contains(&listener.kind)));
    }
    let admin = listeners::addresses_of(Kind::Admin, &open);
    let mut node = Node::start(set_up, open).await?;
    if let Some(former) = former {
        let admin = admin.iter().any(|address| node.admin().contains(address));
        let told = tokio::task::spawn_blocking(move || former.accepting(admin));
        match told.await {
            Ok(Ok(life)) => {
                let rivals = Arc::clone(node.registry().rivals());
                tokio::spawn(async move { life.ended(&rivals).await });
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, "the former process may go on to accept connections");
            }
            Err(_) => {}
        }
    }
    let offer = node.offer().map_err(Failure::Offer)?;
    supervisor::ready();
    let watched = watch(Arc::clone(node.registry()));
    let drained = async {
        let successor = succession::wait(offer, upgrade, node.registry()).await;
        node.drain(successor).await;
        node.drained(config.hand_over.max).await;
    };
    let over = async {
        tokio::select! {
            () = drained => {}
            () = watched => {}
            () = follow_files(what, hangup, level, &node) => {}
        }
    };
    stop.run_until_cancelled(over).await;
    supervisor::stopping();
    node.stop().await;
    Ok(())
}

/// Follows what changes in files while the node runs: the certificate by itself and by SIGHUP, the
/// level of the log by SIGHUP.
async fn follow_files(what: &What, mut hangup: Signal, level: &logging::Level, node: &Node) {
    let mut ticks = interval(LOOK_EVERY);
    loop {
        tokio::select! {
            _ = ticks.tick() => node.renew_certificate(false),
            _ = hangup.recv() => {
                match load(what.clone()) {
                    Ok(config) => level.set(config.log_level),
                    Err(error) => tracing::error!(
                        error = %Chain(&error),
                        "the configuration is wrong now: the level of the log stays"
                    ),
                }
                node.renew_certificate(true);
            }
        }
    }
}

/// Certificates are renewed weeks before they end, and a look at two files costs nothing.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// The running process of this node, if there is one to take over from.
fn former(config: &Config) -> Option<Former> {
    let path = config.hand_over.socket.as_deref()?;
    match hand_over::take_over(path) {
        Ok(former) => former,
        Err(error) => {
            tracing::warn!(error = %Chain(&error), "nothing is taken over");
            None
        }
    }
}

/// Settles with the kernel what the process may do. Nothing of it keeps the node from running.
fn prepare(config: &Config) {
    if let Err(error) = process::forbid_core_dumps() {
        tracing::warn!(%error, "core dumps cannot be switched off: one would hold stream keys");
    }
    match process::raise_open_files() {
        Ok(limit) => {
            if let Err(too_few) = process::check_open_files(limit, config.bounds.places) {
                tracing::warn!("{too_few}");
            }
        }
        Err(error) => tracing::warn!(%error, "the bound on open files cannot be raised"),
    }
}

/// Lets the supervisor see that the node is not stuck, for as long as it runs.
async fn watch(registry: Arc<Registry>) {
    match supervisor::watchdog_interval() {
        Some(every) => {
            supervisor::watch(every, async || registry.respond().await, supervisor::alive).await;
        }
        None => std::future::pending().await,
    }
}

/// An error with its causes, in one line.
struct Chain<'e>(&'e dyn error::Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn files_and_flags_are_told_apart() {
        let line = CommandLine::try_parse_from(["relay-node", "relay.toml", "--log-level=debug"]);
        let line = line.unwrap();
        assert!(line.command.is_none());
        assert_eq!(line.what.file, Some("relay.toml".into()));
        let line = CommandLine::try_parse_from(["relay-node", "check", "relay.toml"]).unwrap();
        let Some(Command::Check(what)) = line.command else {
            panic!("not a check");
        };
        assert_eq!((what.file, what.inputs), (Some("relay.toml".into()), None));
        let line = CommandLine::try_parse_from(["relay-node", "--static", "inputs.toml"]).unwrap();
        assert_eq!(
            (line.what.file, line.what.inputs),
            (None, Some("inputs.toml".into()))
        );
        assert!(CommandLine::try_parse_from(["relay-node", "--log-levle=debug"]).is_err());
    }
}
