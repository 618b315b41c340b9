//! The set-up on a machine on which nothing was installed by hand: an empty Debian in a folder,
//! with nothing but the Rust toolchain and Node bound in.

use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};

use super::report::Counts;
use crate::place::Place;
use crate::process;

/// The Debian that the README promises.
const RELEASE: &str = "bookworm";

/// git comes with the promise, and a linker with every Rust toolchain.
const INCLUDED: &str = "ca-certificates,git,gcc,libc6-dev";

/// Run inside, with the clone as its folder: a second set-up finds nothing left to do.
const SCRIPT: &str = "cd /clone && cargo xtask setup && cargo xtask setup --check";

/// Sets up and checks; one test.
pub(crate) fn run(place: &Place) -> Result<Counts> {
    if !rustix::process::geteuid().is_root() {
        bail!("only root can set up an empty machine (debootstrap, mount and chroot need it)");
    }
    let folder = place.worker_target.join("empty-machine");
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("removing {}", folder.display()))?;
    }
    fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    process::run(
        process::command("debootstrap")
            .arg("--variant=minbase")
            .arg(format!("--include={INCLUDED}"))
            .arg(RELEASE)
            .arg(&folder)
            .arg(mirror()?),
    )?;
    process::run(
        process::command("git")
            .args(["clone", "--quiet"])
            .arg(&place.root)
            .arg(folder.join("clone")),
    )?;

    // The mounts live in a namespace of this process and end with it.
    let mut command = process::command("unshare");
    command
        .args(["--mount", "--propagation", "private", "sh", "-ec"])
        .arg(script(&folder)?)
        .env("XDG_CACHE_HOME", "/cache")
        .env_remove("CARGO_TARGET_DIR");
    let passed = process::run(&mut command);
    if let Err(error) = &passed {
        eprintln!("error: {error:#}");
    }
    fs::remove_dir_all(&folder).with_context(|| format!("removing {}", folder.display()))?;
    Ok(Counts::one(passed.is_ok()))
}

/// The mirror that this machine takes the release from.
fn mirror() -> Result<String> {
    let targets = process::output(process::command("apt-get").args([
        "indextargets",
        "--format",
        "$(REPO_URI)",
        "Created-By: Packages",
        &format!("Codename: {RELEASE}"),
    ]))?;
    let first = targets.lines().next().filter(|mirror| !mirror.is_empty());
    first
        .map(str::to_owned)
        .context("apt-get knows no mirror: add one to /etc/apt/sources.list")
}

/// Binds the toolchain and Node where they are outside, copies how packages are reached from here,
/// and goes inside.
fn script(folder: &Path) -> Result<String> {
    let home = std::env::var_os("HOME")
        .map(PathBuf::from)
        .unwrap_or_default();
    let of_toolchain = |variable: &str, name: &str| {
        std::env::var_os(variable).map_or_else(|| home.join(name), PathBuf::from)
    };
    let node = process::output(process::command("node").args(["-p", "process.execPath"]))?;
    let modules = Path::new(&node)
        .with_file_name("../lib/node_modules")
        .canonicalize()?;
    let inside = |path: &Path| folder.join(path.strip_prefix("/").unwrap_or(path));
    let mut script = String::new();
    let mut line = |words: &[&str], paths: &[&Path]| {
        let paths = paths.iter().map(|path| quoted(&path.display().to_string()));
        let words = words.iter().map(|word| (*word).to_owned());
        script.push_str(&words.chain(paths).collect::<Vec<_>>().join(" "));
        script.push('\n');
    };

    let toolchain = [
        of_toolchain("CARGO_HOME", ".cargo"),
        of_toolchain("RUSTUP_HOME", ".rustup"),
        modules.clone(),
        "/proc".into(),
        "/sys".into(),
        "/dev".into(),
    ];
    for path in &toolchain {
        line(&["mkdir", "-p"], &[&inside(path)]);
        line(&["mount", "--rbind"], &[path, &inside(path)]);
    }
    let programs = folder.join("usr/local/bin");
    line(&["cp"], &[Path::new(&node), &programs.join("node")]);
    line(
        &["ln", "-s"],
        &[&modules.join("npm/bin/npm-cli.js"), &programs.join("npm")],
    );
    let reach = [
        "/etc/apt",
        "/etc/pip.conf",
        "/etc/resolv.conf",
        "/etc/hosts",
        "/etc/ssl/certs/ca-certificates.crt",
    ];
    for path in reach
        .map(PathBuf::from)
        .into_iter()
        .chain([home.join(".npmrc")])
    {
        if let Some(parent) = inside(&path).parent().filter(|_| path.exists()) {
            line(&["mkdir", "-p"], &[parent]);
            line(&["cp", "-rL"], &[&path, parent]);
        }
    }
    line(
        &["exec", "chroot"],
        &[folder, Path::new("sh"), Path::new("-c"), Path::new(SCRIPT)],
    );
    Ok(script)
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
