//! Programs built from the crate registry: those that turn the Worker's Wasm into what wrangler
//! deploys, at exactly the versions that `Cargo.lock` asks for, and cargo-fuzz.

use anyhow::Result;
use std::fs;
use std::path::PathBuf;

use super::{Step, debian};
use crate::place::{Place, fill};
use crate::process;

/// Bundles the Worker; the same version as the `worker` crate.
pub(crate) struct WorkerBuild;

/// Generates the JavaScript side; the same version as the `wasm-bindgen` crate, or it refuses.
pub(crate) struct WasmBindgen;

/// Builds fuzz targets for libFuzzer.
pub(crate) struct CargoFuzz;

/// Newer ones may be taken at any time: nothing depends on it but `cargo xtask fuzz`.
const CARGO_FUZZ_VERSION: &str = "0.13.2";

/// What `worker-build`'s HTTP client is compiled against.
pub(crate) struct OpensslHeaders;

const OPENSSL_PACKAGES: &[&str] = &["libssl-dev", "pkg-config"];

impl WorkerBuild {
    /// The program itself.
    pub(crate) fn program(place: &Place) -> Result<PathBuf> {
        Ok(Self::folder(place)?.join("bin/worker-build"))
    }

    fn folder(place: &Place) -> Result<PathBuf> {
        Ok(place.tool("worker-build", &place.locked("worker")?))
    }
}

impl Step for WorkerBuild {
    fn name(&self) -> String {
        "worker-build (compiled here)".to_owned()
    }

    fn why(&self) -> &'static str {
        "to bundle the Worker"
    }

    fn is_done(&self, place: &Place) -> Result<bool> {
        Ok(Self::program(place)?.is_file())
    }

    fn install(&self, place: &Place) -> Result<()> {
        cargo_install(place, "worker-build", &place.locked("worker")?, true)
    }
}

impl WasmBindgen {
    /// The program itself.
    pub(crate) fn program(place: &Place) -> Result<PathBuf> {
        let folder = place.tool("wasm-bindgen-cli", &place.locked("wasm-bindgen")?);
        Ok(folder.join("bin/wasm-bindgen"))
    }
}

impl Step for WasmBindgen {
    fn name(&self) -> String {
        "wasm-bindgen-cli (compiled here)".to_owned()
    }

    fn why(&self) -> &'static str {
        "to give the Worker's Wasm its JavaScript side"
    }

    fn is_done(&self, place: &Place) -> Result<bool> {
        Ok(Self::program(place)?.is_file())
    }

    fn install(&self, place: &Place) -> Result<()> {
        // Its own lock file (0.2.130) names a crate version that the registry has withdrawn.
        cargo_install(
            place,
            "wasm-bindgen-cli",
            &place.locked("wasm-bindgen")?,
            false,
        )?;
        // What the tools were compiled from is of no use once all are there.
        let _ = fs::remove_dir_all(build_folder(place));
        Ok(())
    }
}

impl CargoFuzz {
    /// The program itself.
    pub(crate) fn program(place: &Place) -> PathBuf {
        let folder = place.tool("cargo-fuzz", CARGO_FUZZ_VERSION);
        folder.join("bin/cargo-fuzz")
    }
}

impl Step for CargoFuzz {
    fn name(&self) -> String {
        format!("cargo-fuzz {CARGO_FUZZ_VERSION} (compiled here)")
    }

    fn why(&self) -> &'static str {
        "to build the fuzz targets"
    }

    fn is_done(&self, place: &Place) -> Result<bool> {
        Ok(Self::program(place).is_file())
    }

    fn install(&self, place: &Place) -> Result<()> {
        cargo_install(place, "cargo-fuzz", CARGO_FUZZ_VERSION, true)?;
        let _ = fs::remove_dir_all(build_folder(place));
        Ok(())
    }
}

impl Step for OpensslHeaders {
    fn name(&self) -> String {
        format!("Debian's {}", OPENSSL_PACKAGES.join(", "))
    }

    fn why(&self) -> &'static str {
        "to compile worker-build"
    }

    fn is_done(&self, place: &Place) -> Result<bool> {
        Ok(WorkerBuild.is_done(place)? || debian::missing(OPENSSL_PACKAGES)?.is_empty())
    }

    fn install(&self, _: &Place) -> Result<()> {
        debian::install(OPENSSL_PACKAGES)
    }
}

/// Not optimised: that would treble the minutes that a first set-up takes, and save seconds.
fn cargo_install(place: &Place, name: &str, version: &str, locked: bool) -> Result<()> {
    fill(&place.tool(name, version), |part| {
        let mut cargo = process::command("cargo");
        cargo
            .arg("install")
            .arg(format!("{name}@{version}"))
            .arg("--debug");
        if locked {
            cargo.arg("--locked");
        }
        cargo
            .arg("--root")
            .arg(part)
            .env("CARGO_TARGET_DIR", build_folder(place))
            .env("CARGO_PROFILE_DEV_DEBUG", "0")
            // The folder is not on PATH, and need not be.
            .current_dir(&place.root);
        process::run(&mut cargo)
    })
}

fn build_folder(place: &Place) -> PathBuf {
    place.cache.join("tools/build")
}
