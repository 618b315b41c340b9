//! `cargo xtask bench NAME`: measurements against peers and against the floor of the machine.

mod api;
mod destination;
mod reaction;
mod spread;

use std::process::ExitCode;

use anyhow::{Result, bail};

fn main() -> ExitCode {
    match run(std::env::args().nth(1).as_deref()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(name: Option<&str>) -> Result<()> {
    match name {
        Some("api") => api::run(),
        Some("reaction") => reaction::run(),
        _ => bail!("name a measurement: `cargo xtask bench api`, or `reaction`"),
    }
}
