//! The Wasm target: from rustup, or, on a machine that cannot download from there, from Debian's
//! source packages.

use anyhow::{Context, Result, anyhow, bail};
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::{Step, debian};
use crate::place::{Place, fill, path_with};
use crate::process;

/// The Worker's target.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

/// Set to `debian`, rustup is not tried: for testing the other way where both are open.
const ROUTE_VARIABLE: &str = "STREAM_CONNECT_WASM";

/// A component is some 20 MB; where downloads are blocked rustup may hang instead of failing.
const RUSTUP_LIMIT: Duration = Duration::from_secs(180);

/// A compiler, cargo, and the source of exactly that compiler's standard library.
const DEBIAN_PACKAGES: &[&str] = &["rustc-web", "cargo-web", "rust-web-src"];
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_CARGO: &str = "/usr/bin/cargo";
const DEBIAN_RUSTLIB: &str = "/usr/lib/rustlib";
const HOST: &str = "x86_64-unknown-linux-gnu";

/// A compiler with a standard library for Wasm.
pub(crate) struct Target;

/// Which compiler builds the Worker.
pub(crate) enum Toolchain {
    /// The one that builds everything else.
    Rustup,
    /// Debian's, with a sysroot of our own that holds the Wasm standard library.
    Debian {
        /// Holds `bin/rustc`, `bin/cargo` and `sysroot/`.
        folder: PathBuf,
    },
}

impl Toolchain {
    /// The one that is ready, if any.
    pub(crate) fn find(place: &Place) -> Result<Option<Self>> {
        if rustup_is_open() && rustup_has_target()? {
            return Ok(Some(Self::Rustup));
        }
        let folder = debian_folder(place)?;
        Ok(folder
            .filter(|folder| folder.is_dir())
            .map(|folder| Self::Debian { folder }))
    }

    /// Makes a command build for Wasm with this compiler.
    pub(crate) fn apply(&self, command: &mut Command) -> Result<()> {
        if let Self::Debian { folder } = self {
            command
                .env("PATH", path_with([folder.join("bin")])?)
                .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", rust_lld()?)
                .env_remove("LD_LIBRARY_PATH")
                .env_remove("RUSTUP_TOOLCHAIN");
        }
        Ok(())
    }
}

impl Step for Target {
    fn name(&self) -> String {
        format!("the {TARGET} standard library")
    }

    fn why(&self) -> &'static str {
        "to compile the Worker"
    }

    fn is_done(&self, place: &Place) -> Result<bool> {
        Ok(Toolchain::find(place)?.is_some())
    }

    fn install(&self, place: &Place) -> Result<()> {
        if rustup_is_open() && process::is_program("rustup") {
            let added = process::succeeds_within(
                process::command("rustup").args(["target", "add", TARGET]),
                RUSTUP_LIMIT,
            )?;
            if added && rustup_has_target()? {
                return Ok(());
            }
            eprintln!(
                "set-up: rustup could not add the target; taking Debian's compiler and source"
            );
        }
        let missing = debian::missing(DEBIAN_PACKAGES)?;
        if !missing.is_empty() {
            eprintln!("set-up: installing Debian's {}", missing.join(", "));
            debian::install(DEBIAN_PACKAGES)?;
        }
        let folder =
            debian_folder(place)?.ok_or_else(|| anyhow!("dpkg names no version of rustc-web"))?;
        fill(&folder, build_std)
    }
}

fn rustup_is_open() -> bool {
    std::env::var_os(ROUTE_VARIABLE).is_none_or(|route| route != "debian")
}

fn rustup_has_target() -> Result<bool> {
    let folder = process::output(process::command("rustc").args([
        "--print",
        "target-libdir",
        "--target",
        TARGET,
    ]))?;
    Ok(Path::new(&folder).is_dir())
}

/// Named after the compiler, since the standard library fits no other.
fn debian_folder(place: &Place) -> Result<Option<PathBuf>> {
    if !process::is_program("dpkg-query") || !debian::missing(DEBIAN_PACKAGES)?.is_empty() {
        return Ok(None);
    }
    let version =
        process::output(process::command("dpkg-query").args(["-W", "-f=${Version}", "rustc-web"]))?;
    Ok(Some(
        place
            .cache
            .join("wasm")
            .join(format!("rustc-web-{version}")),
    ))
}

/// The linker of the rustup toolchain: Debian's `lld` is older than this compiler's LLVM.
fn rust_lld() -> Result<OsString> {
    let sysroot = process::output(process::command("rustc").args(["--print", "sysroot"]))?;
    let lld = Path::new(&sysroot)
        .join("lib/rustlib")
        .join(HOST)
        .join("bin/rust-lld");
    if lld.is_file() {
        return Ok(lld.into_os_string());
    }
    bail!(
        "{} is missing, needed to link Wasm; run: rustup component add rustc",
        lld.display()
    )
}

/// Builds the standard library from Debian's source, and makes a sysroot of it beside links to
/// Debian's own, so that nothing under `/usr` is changed.
///
/// `worker-build` asks `rustc` for the folder of the target's libraries and refuses to start when
/// it is not there: passing `-Z build-std` on each build would not be enough.
fn build_std(part: &Path) -> Result<()> {
    let package = part.join("build");
    fs::create_dir_all(package.join("src"))?;
    fs::write(package.join("src/lib.rs"), "")?;
    fs::write(
        package.join("Cargo.toml"),
        "[package]\nname = \"empty\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n",
    )?;
    process::run(
        process::command(DEBIAN_CARGO)
            .args([
                "build",
                "--release",
                "-Z",
                "build-std=std,panic_abort",
                "--target",
                TARGET,
            ])
            .current_dir(&package)
            .env("RUSTC_BOOTSTRAP", "1")
            .env("RUSTC", DEBIAN_RUSTC)
            .env("PATH", path_with(["/usr/bin".into()])?)
            .env("CARGO_TARGET_DIR", package.join("target"))
            .env_remove("LD_LIBRARY_PATH")
            .env_remove("RUSTUP_TOOLCHAIN"),
    )?;

    let rustlib = part.join("sysroot/lib/rustlib");
    let libraries = rustlib.join(TARGET).join("lib");
    fs::create_dir_all(&libraries)?;
    symlink(Path::new(DEBIAN_RUSTLIB).join(HOST), rustlib.join(HOST))?;
    let built = package.join("target").join(TARGET).join("release/deps");
    for file in fs::read_dir(&built).with_context(|| format!("reading {}", built.display()))? {
        let file = file?;
        let name = file.file_name().to_string_lossy().into_owned();
        if name.starts_with("lib") && name.ends_with(".rlib") && !name.starts_with("libempty") {
            fs::copy(file.path(), libraries.join(name))?;
        }
    }
    fs::remove_dir_all(&package)?;

    let programs = part.join("bin");
    fs::create_dir_all(&programs)?;
    symlink(DEBIAN_CARGO, programs.join("cargo"))?;
    // It finds its sysroot beside itself, so that the folder can be renamed.
    let wrapper = programs.join("rustc");
    fs::write(
        &wrapper,
        format!(
            "#!/bin/sh\nexec {DEBIAN_RUSTC} --sysroot \"$(dirname \"$0\")/../sysroot\" \"$@\"\n"
        ),
    )?;
    fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755))?;
    Ok(())
}
