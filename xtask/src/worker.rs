//! Building the Worker: Rust to Wasm to the bundle that `wrangler.toml` names.

use anyhow::{Context, Result, anyhow};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::build::{BUILT_VARIABLE, Profile, is_built};
use crate::dashboard;
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
    /// The profile; `release` is optimised, which takes longer.
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

/// Builds the Worker into `control-worker/build/`, and the dashboard that it serves; quick when
/// nothing changed.
///
/// Compiling alone finds out whether anything changed. The steps behind it (bindings, wasm-opt,
/// bundling) take seconds each time, so they are left out when the Wasm is the one they last ran
/// on.
pub(crate) fn build(place: &Place, profile: Profile) -> Result<()> {
    dashboard::build(place)?;
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
    put_entry_before(place, &folder.join(ENTRY), &output)?;
    fs::write(&stamp, wanted)?;

    let start_up = match profile {
        // What is deployed; wrangler takes seconds to find it out.
        Profile::Release => format!(", start-up {}", start_up(place)?),
        Profile::Dev => String::new(),
    };
    eprintln!(
        "worker: built ({}), {} kB gzipped{start_up}, after {}",
        profile.name(),
        size(place)?.div_ceil(1000),
        readable(started.elapsed())
    );
    Ok(())
}

/// What is in front of the module that the build makes.
const ENTRY: &str = "src/entry.js";

/// Makes one module of the entry and what the build made, which stays beside it as `worker.js`.
fn put_entry_before(place: &Place, entry: &Path, output: &Path) -> Result<()> {
    fs::rename(output.join("index.js"), output.join("worker.js"))?;
    fs::copy(entry, output.join("entry.js"))?;
    process::run(
        process::command(esbuild(place)?)
            .args(["entry.js", "--bundle", "--format=esm", "--minify"])
            .args([
                "--external:./index_bg.wasm",
                "--external:cloudflare:workers",
            ])
            .args(["--outfile=index.js", "--log-level=warning"])
            .current_dir(output),
    )?;
    Ok(())
}

fn esbuild(place: &Place) -> Result<PathBuf> {
    Ok(place
        .npm()?
        .join("node_modules/@esbuild/linux-x64/bin/esbuild"))
}

/// Whether the Worker that would be deployed is as small as it must be.
pub(crate) fn is_small(place: &Place) -> Result<bool> {
    build(place, Profile::Release)?;
    let size = size(place)?;
    eprintln!("worker: {size} of at most {MAX_BYTES} bytes gzipped");
    Ok(size <= MAX_BYTES)
}

/// Bytes, gzipped: a third of the platform's limit, and what the start-up grows with.
const MAX_BYTES: usize = 1_000_000;

fn prepare(place: &Place, toolchain: &Toolchain, command: &mut Command) -> Result<()> {
    let modules = place.npm()?.join("node_modules");
    toolchain.apply(command)?;
    command
        .env("CARGO_TARGET_DIR", &place.worker_target)
        // Its size is bounded: the names of functions are a tenth of it, and a panic says its line.
        .env("CARGO_PROFILE_RELEASE_STRIP", "symbols")
        .env("CARGO_PROFILE_RELEASE_LTO", "fat")
        .env("WASM_BINDGEN_BIN", WasmBindgen::program(place)?)
        .env("WASM_OPT_BIN", modules.join("binaryen/bin/wasm-opt"))
        .env("ESBUILD_BIN", esbuild(place)?);
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
    let entry = fs::read(place.root.join("control-worker").join(ENTRY))?;
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
        "{}\n{}\n{}\n{}\n",
        profile.name(),
        hex(&Sha256::digest(&wasm)),
        hex(&Sha256::digest(&entry)),
        tools.join("\n")
    ))
}

/// The time that the Worker takes to start here, as wrangler says it.
fn start_up(place: &Place) -> Result<String> {
    let profile = place.worker_target.join("start-up.cpuprofile");
    let said = process::output(
        process::command("node")
            .arg(place.wrangler()?)
            .args(["check", "startup", "--outfile"])
            .arg(&profile)
            // wrangler starts the build that wrangler.toml names, which is this one.
            .env(BUILT_VARIABLE, "1")
            .env("CI", "1")
            .env("WRANGLER_SEND_METRICS", "false")
            .env("PATH", place.path_with_node()?)
            .current_dir(&place.root),
    )?;
    profile_window(&said)
        .map(str::to_owned)
        .context("`wrangler check startup` names no profile window")
}

fn profile_window(said: &str) -> Option<&str> {
    let (_, after) = said.split_once("Profile window: ")?;
    Some(after.lines().next()?.trim_end())
}

/// What counts against the platform's limit on a Worker's size.
fn size(place: &Place) -> Result<usize> {
    let output = place.root.join("control-worker/build");
    Ok(gzipped(&output.join("index.js"))? + gzipped(&output.join("index_bg.wasm"))?)
}

/// Bytes of a file, gzipped.
pub(crate) fn gzipped(path: &Path) -> Result<usize> {
    let output = process::command("gzip")
        .args(["--stdout", "--best"])
        .stdin(File::open(path).with_context(|| format!("opening {}", path.display()))?)
        .stdout(Stdio::piped())
        .output()
        .context("starting gzip")?;
    Ok(output.stdout.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_up_is_read_from_what_wrangler_says() {
        let said =
            "│ Local startup profile:\n│   Profile window: 16.0 ms\n│   Sampled time: 15.9 ms\n";
        assert_eq!(profile_window(said), Some("16.0 ms"));
        assert_eq!(profile_window("│ Startup phase analysed"), None);
    }
}
