//! `cargo xtask …`: set-up, dev, test, bench. Every step is safe to repeat.

mod account;
mod bench;
mod build;
mod dashboard;
mod dependencies;
mod dev;
mod fuzz;
mod place;
mod process;
mod screenshots;
mod secrets;
mod setup;
mod test;
mod time;
mod worker;
mod wrangler;

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::process::ExitCode;

use crate::place::Place;
use crate::setup::Purpose;

/// Sets up, runs, tests and measures Stream Connect.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Installs what building, running and testing need, and is missing.
    Setup(SetupArguments),
    /// Runs the whole system here: Worker, relay node, and if wanted encoder and destinations.
    Dev(dev::Arguments),
    /// Runs the tests.
    Test(test::Arguments),
    /// Runs a measurement, everything built for release.
    Bench(bench::Arguments),
    /// Checks licences, duplicates and sources of the crates that we use, and known weaknesses.
    Dependencies,
    /// Gives any bytes to every parser that a peer reaches, by libFuzzer.
    Fuzz(fuzz::Arguments),
    /// Hurts ten broadcasts at random, everything built for release, and tells what was lost.
    Soak(bench::SoakArguments),
    /// Makes pictures of every page of the dashboard, of a real broadcast; docs/pictures has some.
    Screenshots,
    /// Compiles the control Worker to Wasm and builds the dashboard, ready for wrangler.
    BuildWorker(worker::Arguments),
    /// Runs the pinned wrangler on the pinned Node: `cargo xtask wrangler deploy`.
    Wrangler(wrangler::Arguments),
    /// Makes an account of the control plane and its first API token.
    Account(account::AccountArguments),
    /// Makes the token with which a relay node signs in to the control plane.
    RelayToken(account::RelayTokenArguments),
}

#[derive(clap::Args)]
struct SetupArguments {
    /// Install nothing: name what is missing, and exit with 0 only when that is nothing.
    #[arg(long)]
    check: bool,
    /// Also what `test --full` needs.
    #[arg(long)]
    full: bool,
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<ExitCode> {
    process::catch_signals()?;
    let place = Place::find()?;
    match command {
        Command::Setup(SetupArguments { check, full }) => {
            let purpose = if full {
                Purpose::FullTest
            } else {
                Purpose::Test
            };
            if check {
                return setup::check(&place, purpose);
            }
            setup::ensure(&place, purpose)?;
        }
        Command::Dev(arguments) => return dev::run(&place, &arguments),
        Command::Test(arguments) => return test::run(&place, &arguments),
        Command::Bench(arguments) => bench::run(&place, &arguments)?,
        Command::Soak(arguments) => bench::soak(&place, &arguments)?,
        Command::Dependencies => dependencies::run(&place)?,
        Command::Fuzz(arguments) => fuzz::run(&place, &arguments)?,
        Command::Screenshots => screenshots::run(&place)?,
        Command::BuildWorker(arguments) => worker::run(&place, &arguments)?,
        Command::Wrangler(arguments) => wrangler::run(&place, &arguments)?,
        Command::Account(arguments) => account::account(&arguments)?,
        Command::RelayToken(arguments) => account::relay_token(&arguments)?,
    }
    Ok(ExitCode::SUCCESS)
}
