//! `cargo xtask wrangler`: the pinned wrangler on the pinned Node, whatever the system has.

use anyhow::{Context as _, Result};
use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use crate::place::Place;
use crate::setup::{self, Purpose};

/// Arguments of `cargo xtask wrangler`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// What wrangler is told.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

/// Becomes wrangler, which may ask questions on the terminal; returns only when that fails.
pub(crate) fn run(place: &Place, arguments: &Arguments) -> Result<()> {
    setup::ensure(place, Purpose::Run)?;
    let error = Command::new("node")
        .arg(place.wrangler()?)
        .args(&arguments.arguments)
        .env("PATH", place.path_with_node()?)
        .current_dir(&place.root)
        .exec();
    Err(error).context("starting wrangler")
}
