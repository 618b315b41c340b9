//! Which profile things are built in, and the native binaries that other commands start.

use anyhow::Result;
use std::path::PathBuf;

use crate::place::Place;
use crate::process;

/// Chooses the profile of what `dev` starts; `bench` sets it to `release`.
pub(crate) const PROFILE_VARIABLE: &str = "STREAM_CONNECT_PROFILE";

/// Set by `test` and `bench` for the programs they start: set-up and build are done.
pub(crate) const BUILT_VARIABLE: &str = "STREAM_CONNECT_BUILT";

/// A cargo profile.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// What is developed and tested.
    Dev,
    /// What is deployed and measured.
    Release,
}

impl Profile {
    /// The profile of what `dev` starts.
    pub(crate) fn of_environment() -> Self {
        match std::env::var_os(PROFILE_VARIABLE) {
            Some(name) if name == "release" => Self::Release,
            _ => Self::Dev,
        }
    }

    /// The folder that cargo puts its output in.
    pub(crate) fn folder(self) -> &'static str {
        match self {
            Self::Dev => "debug",
            Self::Release => "release",
        }
    }

    /// The name as the profile variables have it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Release => "release",
        }
    }
}

/// Whether whoever started this program has done set-up and build.
pub(crate) fn is_built() -> bool {
    std::env::var_os(BUILT_VARIABLE).is_some()
}

/// The relay node's program, built unless that is done.
pub(crate) fn relay_node(place: &Place, profile: Profile) -> Result<PathBuf> {
    if !is_built() {
        let mut cargo = process::command("cargo");
        cargo.args(["build", "--package", "relay-node"]);
        if profile == Profile::Release {
            cargo.arg("--release");
        }
        process::run(
            cargo
                .env("CARGO_TARGET_DIR", &place.target)
                .current_dir(&place.root),
        )?;
    }
    Ok(relay_node_path(place, profile))
}

/// Where cargo puts the relay node's program.
pub(crate) fn relay_node_path(place: &Place, profile: Profile) -> PathBuf {
    place.target.join(profile.folder()).join("relay-node")
}
