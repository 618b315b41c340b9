//! Building the Worker: Rust to Wasm to the bundle that `wrangler.toml` names.

use anyhow::{Context, Result, anyhow};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::build::{Profile, is_built};
use crate::place::{Place, hex};
use crate::process;
use crate::setup::tools::{WasmBindgen, WorkerBuild};
use crate::setup::wasm::{TARGET, Toolchain};
use crate::setup::{self, Purpose};
use crate::time::readable;

/// Chooses the profile of the Worker when wrangler starts the build; `dev` and `test` set it.
pub(crate) const PROFILE_VARIABLE: &str = "STREAM_CONNECT_WORKER_PROFILE";

/// Arguments of `cargo xtask build-worker`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The profile; `release` is optimised for size, which takes longer.
    #[arg(long, value_enum, env = PROFILE_VARIABLE, default_value = "release")]
    profile: ProfileArgument,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum ProfileArgument {
    Dev,
    Release,
}

/// Sets up, then builds.
pub(crate) fn run(place: &Place, arguments: &Arguments) -> Result<()> {
    let profile = match arguments.profile {
        ProfileArgument::Dev => Profile::Dev,
        ProfileArgument::Release => Profile::Release,
    };
    if is_built() {
        return Ok(());
    }
    setup::ensure(place, Purpose::Run)?;
    build(place, profile)
}

/// Builds the Worker into `control-worker/build/`; quick when nothing changed.
///
/// Compiling alone finds out whether anything changed. The steps behind it (bindings, wasm-opt,
/// bundling) take seconds each time, so they are left out when the Wasm is the one they last ran
/// on.
pub(crate) fn build(place: &Place, profile: Profile) -> Result<()> {
    let started = Instant::now();
    let toolchain = Toolchain::find(place)?.ok_or_else(|| anyhow!("no compiler for {TARGET}"))?;
    let folder = place.root.join("control-worker");
    fs::create_dir_all(&place.worker_target)?;
    let lock = File::create(place.worker_target.join("build-worker.lock"))?;
    lock.lock()
        .context("waiting for another build of the Worker")?;

    let mut cargo = process::command("cargo");
    cargo.args([
        "build",
        "--lib",
        "--target",
        TARGET,
        "--package",
        "control-worker",
    ]);
    if profile == Profile::Release {
        cargo.arg("--release");
    }
    prepare(place, &toolchain, &mut cargo)?;
    process::run(cargo.current_dir(&folder))?;

    let output = folder.join("build");
    let stamp = output.join("built-from");
    let wanted = stamp_of(place, profile)?;
    if output.join("index.js").is_file()
        && fs::read_to_string(&stamp).is_ok_and(|old| old == wanted)
    {
        return Ok(());
    }
    // Its lock, left behind by a build that was killed, would stop this one; ours is held.
    let _ = fs::remove_dir_all(output.join(".tmp"));
    let mut bundle = process::command(WorkerBuild::program(place)?);
    bundle.arg(if profile == Profile::Release {
        "--release"
    } else {
        "--dev"
    });
    prepare(place, &toolchain, &mut bundle)?;
    process::run(bundle.current_dir(&folder))?;
    fs::write(&stamp, wanted)?;

    let size = gzipped(&output.join("index_bg.wasm"))?;
    eprintln!(
        "worker: built ({}), {} kB gzipped, after {}",
        profile.name(),
        size.div_ceil(1000),
        readable(started.elapsed())
    );
    Ok(())
}

fn prepare(place: &Place, toolchain: &Toolchain, command: &mut Command) -> Result<()> {
    let modules = place.npm()?.join("node_modules");
    toolchain.apply(command)?;
    command
        .env("CARGO_TARGET_DIR", &place.worker_target)
        .env("WASM_BINDGEN_BIN", WasmBindgen::program(place)?)
        .env("WASM_OPT_BIN", modules.join("binaryen/bin/wasm-opt"))
        .env(
            "ESBUILD_BIN",
            modules.join("@esbuild/linux-x64/bin/esbuild"),
        );
    Ok(())
}

/// Names the Wasm and everything that turns it into the bundle.
fn stamp_of(place: &Place, profile: Profile) -> Result<String> {
    let wasm = place
        .worker_target
        .join(TARGET)
        .join(profile.folder())
        .join("control_worker.wasm");
    let wasm = fs::read(&wasm).with_context(|| format!("reading {}", wasm.display()))?;
    let tools = [
        WorkerBuild::program(place)?,
        WasmBindgen::program(place)?,
        place.npm()?,
    ];
    let tools: Vec<_> = tools
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    Ok(format!(
        "{}\n{}\n{}\n",
        profile.name(),
        hex(&Sha256::digest(&wasm)),
        tools.join("\n")
    ))
}

/// What counts against the platform's limit on a Worker's size.
fn gzipped(path: &PathBuf) -> Result<usize> {
    let output = process::command("gzip")
        .args(["--stdout", "--best"])
        .stdin(File::open(path).with_context(|| format!("opening {}", path.display()))?)
        .stdout(Stdio::piped())
        .output()
        .context("starting gzip")?;
    Ok(output.stdout.len())
}
