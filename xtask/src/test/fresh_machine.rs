//! The set-up on a machine on which nothing was installed by hand: an empty Debian in a folder,
//! with the Rust toolchain and Node bound in.

use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::report::Counts;
use crate::place::Place;
use crate::process;

/// The Debian that the README promises.
const RELEASE: &str = "bookworm";

/// Run inside: the clone is set up, and nothing is left to do.
const SCRIPT: &str = "set -e\ncd /clone\ncargo xtask setup\ncargo xtask setup --check\n";

/// Sets up and checks; one test.
pub(crate) fn run(place: &Place) -> Result<Counts> {
    if !rustix::process::geteuid().is_root() {
        bail!("only root can set up an empty machine (debootstrap, mount and chroot need it)");
    }
    let folder = place.worker_target.join("empty-machine");
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("removing {}", folder.display()))?;
    }
    fs::create_dir_all(&folder)?;
    process::run(
        process::command("debootstrap")
            .args([
                "--variant=minbase",
                "--include=ca-certificates,git",
                RELEASE,
            ])
            .arg(&folder),
    )?;
    process::run(
        process::command("git")
            .args(["clone", "--quiet"])
            .arg(&place.root)
            .arg(folder.join("clone")),
    )?;
    for file in ["etc/resolv.conf", "etc/apt/sources.list"] {
        copy_if_there(&Path::new("/").join(file), &folder.join(file))?;
    }

    // In a mount namespace of its own, so that the mounts end with the process.
    let mut script = String::from("set -e\n");
    for path in bound()? {
        let inside = folder.join(path.strip_prefix("/").unwrap_or(&path));
        fs::create_dir_all(&inside)?;
        script.push_str(&format!(
            "mount --rbind {} {}\n",
            quoted(&path),
            quoted(&inside)
        ));
    }
    for system in ["proc", "sys", "dev"] {
        script.push_str(&format!(
            "mount --rbind /{system} {}\n",
            quoted(&folder.join(system))
        ));
    }
    script.push_str(&format!(
        "exec chroot {} sh -c {}\n",
        quoted(&folder),
        quoted(Path::new(SCRIPT))
    ));
    let mut command: Command = process::command("unshare");
    command
        .args(["--mount", "--propagation", "private", "sh", "-c"])
        .arg(script)
        .env("XDG_CACHE_HOME", "/cache")
        .env_remove("CARGO_TARGET_DIR");
    let passed = process::run(&mut command);
    if let Err(error) = &passed {
        eprintln!("error: {error:#}");
    }
    Ok(Counts::one(passed.is_ok()))
}

/// The toolchain and Node, where they are.
fn bound() -> Result<Vec<PathBuf>> {
    let home = std::env::var_os("HOME")
        .map(PathBuf::from)
        .unwrap_or_default();
    let folder = |variable: &str, name: &str| {
        std::env::var_os(variable).map_or_else(|| home.join(name), PathBuf::from)
    };
    let node = process::output(process::command("node").args(["-p", "process.execPath"]))?;
    let prefix = Path::new(&node)
        .parent()
        .and_then(Path::parent)
        .unwrap_or_else(|| Path::new("/usr"));
    let mut paths = vec![
        folder("CARGO_HOME", ".cargo"),
        folder("RUSTUP_HOME", ".rustup"),
    ];
    if prefix == Path::new("/usr") {
        paths.push("/usr/lib/node_modules".into());
    } else {
        paths.push(prefix.to_path_buf());
    }
    Ok(paths)
}

fn copy_if_there(from: &Path, to: &Path) -> Result<()> {
    if from.is_file() {
        fs::copy(from, to).with_context(|| format!("copying {}", from.display()))?;
    }
    Ok(())
}

fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}
