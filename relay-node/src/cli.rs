//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::{error, fmt};

use clap::{Args, Parser, Subcommand};

use crate::config::{Config, Written};
use crate::node::{self, Node, SetUp};
use crate::{crypto, logging, shutdown};

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
        None => load(line.what).and_then(serve),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("relay-node: {}", Chain(&*error));
            ExitCode::FAILURE
        }
    }
}

/// The exit code for a command line that makes no sense, as clap's.
const USAGE: u8 = 2;

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

#[derive(Debug, Args)]
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

type Error = Box<dyn error::Error + Send + Sync>;

fn load(what: What) -> Result<Config, Error> {
    Ok(Config::load(what.file.as_deref(), what.flags, what.inputs)?)
}

fn check(what: What) -> Result<(), Error> {
    let config = load(what)?;
    node::check(&config)?;
    println!("the configuration is right");
    Ok(())
}

fn serve(config: Config) -> Result<(), Error> {
    logging::init(config.log_level, config.log_format);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let stop = shutdown::on_signal()?;
        let node = Node::start(SetUp::new(&config)?).await?;
        shutdown::notify_ready();
        stop.cancelled().await;
        shutdown::notify_stopping();
        node.stop().await;
        Ok(())
    })
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
