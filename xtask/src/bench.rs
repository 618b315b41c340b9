//! `cargo xtask bench`: measurements, with everything built for release.

use anyhow::Result;

use crate::build::{self, BUILT_VARIABLE, PROFILE_VARIABLE, Profile};
use crate::place::{Place, XTASK_VARIABLE};
use crate::process;
use crate::setup::{self, Purpose};
use crate::worker;

/// Arguments of `cargo xtask bench`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Which measurement.
    name: String,
    /// What it is told.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

/// Builds, then hands over to the package `bench`.
pub(crate) fn run(place: &Place, arguments: &Arguments) -> Result<()> {
    setup::ensure(place, Purpose::Demo)?;
    // Relaying is measured without a control plane, and the control plane without a node.
    if !matches!(arguments.name.as_str(), "fanout" | "hostile" | "load") {
        worker::build(place, Profile::Release)?;
    }
    if arguments.name != "api" {
        build::relay_node(place, Profile::Release)?;
    }
    process::run(
        process::command("cargo")
            .args([
                "run",
                "--release",
                "--package",
                "bench",
                "--",
                &arguments.name,
            ])
            .args(&arguments.rest)
            .stdout(std::process::Stdio::inherit())
            .env("CARGO_TARGET_DIR", &place.target)
            .env(PROFILE_VARIABLE, Profile::Release.name())
            .env(BUILT_VARIABLE, "1")
            .env(XTASK_VARIABLE, &place.program)
            .env("PATH", place.path_with_node()?)
            .current_dir(&place.root),
    )
}

/// Arguments of `cargo xtask soak`.
#[derive(clap::Args)]
pub(crate) struct SoakArguments {
    /// How long.
    #[arg(long, value_name = "N", default_value_t = 60)]
    minutes: u64,
    /// Chooses the faults of the run that printed this number.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Put the report into docs/reliability.md.
    #[arg(long)]
    write: bool,
}

/// The same, for ten inputs that are hurt at random.
pub(crate) fn soak(place: &Place, arguments: &SoakArguments) -> Result<()> {
    let mut rest = vec!["--minutes".to_owned(), arguments.minutes.to_string()];
    if let Some(seed) = arguments.seed {
        rest.extend(["--seed".to_owned(), seed.to_string()]);
    }
    if arguments.write {
        rest.push("--write".to_owned());
    }
    let name = "soak".to_owned();
    run(place, &Arguments { name, rest })
}
