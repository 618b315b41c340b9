//! Debian packages: the programs that only the distribution carries.

use anyhow::{Context, Result, bail};
use std::fs;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Stdio;

use super::Step;
use crate::place::Place;
use crate::process;

/// A group of packages that serve one end.
pub(crate) struct Packages {
    why: &'static str,
    packages: &'static [&'static str],
}

/// What publishes and what receives in `dev --demo` and in the system tests.
pub(crate) const ENCODER_AND_SERVERS: Packages = Packages {
    why: "as encoder and as destinations by `dev --demo` and the system tests",
    packages: &[
        "ffmpeg",
        "nginx-light",
        "libnginx-mod-rtmp",
        "libnginx-mod-stream",
    ],
};

/// What shows the dashboard.
pub(crate) const BROWSER: Packages = Packages {
    why: "by the tests of the dashboard, which look at it in a browser",
    packages: &["chromium"],
};

/// libFuzzer is C++.
pub(crate) const FUZZ: Packages = Packages {
    why: "to compile libFuzzer",
    packages: &["g++"],
};

/// Another encoder that logs in to destinations.
pub(crate) const TEST: Packages = Packages {
    why: "by the tests, as an encoder that is not FFmpeg and as what starts the relay node, \
          and to have packets vanish and clocks step",
    packages: &[
        "gstreamer1.0-tools",
        "gstreamer1.0-plugins-good",
        "gstreamer1.0-plugins-bad",
        "iproute2",
        "iptables",
        "libfaketime",
        // Its systemd-analyze and systemd-socket-activate; nothing of it runs.
        "systemd",
        // For the /bin/kill that the unit names.
        "procps",
    ],
};

/// A real OBS without a screen, what GStreamer lacks to publish a stream in the matrix, and an empty
/// machine.
pub(crate) const FULL_TEST: Packages = Packages {
    why: "by `test --full`, which streams from OBS Studio and GStreamer and sets up an empty machine",
    packages: &[
        "obs-studio",
        "xvfb",
        // Its test sources, its x264enc, and TLS for its rtmp2sink.
        "gstreamer1.0-plugins-base",
        "gstreamer1.0-plugins-ugly",
        "glib-networking",
        "debootstrap",
    ],
};

impl Step for Packages {
    fn name(&self) -> String {
        format!("Debian's {}", self.packages.join(", "))
    }

    fn why(&self) -> &'static str {
        self.why
    }

    fn is_done(&self, _: &Place) -> Result<bool> {
        Ok(missing(self.packages)?.is_empty())
    }

    fn install(&self, _: &Place) -> Result<()> {
        install(self.packages)
    }
}

/// Those of the packages that dpkg does not have installed.
pub(crate) fn missing<'a>(packages: &[&'a str]) -> Result<Vec<&'a str>> {
    if !process::is_program("dpkg-query") {
        bail!(
            "this is no Debian; install by hand what its packages {} hold",
            packages.join(", ")
        );
    }
    // It fails when one of several is unknown, and still lists the others.
    let output = process::command("dpkg-query")
        .args(["-W", "-f=${Package} ${db:Status-Status}\n"])
        .args(packages)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .output()
        .context("starting dpkg-query")?;
    let listed = String::from_utf8_lossy(&output.stdout);
    Ok(not_installed(packages, &listed))
}

/// Installs those of the packages that are missing.
pub(crate) fn install(packages: &[&str]) -> Result<()> {
    let packages = missing(packages)?;
    let by_hand = format!(
        "apt-get install -y --no-install-recommends {}",
        packages.join(" ")
    );
    if !rustix::process::geteuid().is_root() {
        bail!("only root may install packages; run: sudo {by_hand}");
    }
    let _services = NoServices::start()?;
    apt(&["update"]).with_context(|| format!("run by hand: apt-get update && {by_hand}"))?;
    let mut arguments = vec!["install", "-y", "--no-install-recommends"];
    arguments.extend(packages);
    apt(&arguments).with_context(|| format!("run by hand: {by_hand}"))
}

fn apt(arguments: &[&str]) -> Result<()> {
    process::run(
        process::command("apt-get")
            .args(["-o", "Dpkg::Use-Pty=0", "-o", "DPkg::Lock::Timeout=300"])
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive"),
    )
}

fn not_installed<'a>(packages: &[&'a str], listed: &str) -> Vec<&'a str> {
    let installed = |package: &str| {
        listed
            .lines()
            .any(|line| line.split_once(' ') == Some((package, "installed")))
    };
    packages
        .iter()
        .copied()
        .filter(|package| !installed(package))
        .collect()
}

/// As long as this lives, no package starts a service (Debian's `policy-rc.d`): the tests start
/// their own servers, and nginx on port 80 is nothing that anybody asked for.
struct NoServices {
    ours: bool,
}

impl NoServices {
    const POLICY: &'static str = "/usr/sbin/policy-rc.d";

    fn start() -> Result<Self> {
        let ours = !Path::new(Self::POLICY).exists();
        if ours {
            let script = "#!/bin/sh\n# Made by `cargo xtask setup` for as long as it installs packages.\nexit 101\n";
            let mut options = fs::OpenOptions::new();
            options.write(true).create_new(true).mode(0o755);
            std::io::Write::write_all(&mut options.open(Self::POLICY)?, script.as_bytes())?;
            fs::set_permissions(Self::POLICY, fs::Permissions::from_mode(0o755))?;
        }
        Ok(Self { ours })
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if self.ours {
            // Nothing can be done about a failure here, and the file says whose it is.
            let _ = fs::remove_file(Self::POLICY);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_dpkg_calls_installed_is_installed() {
        let listed = "ffmpeg installed\nnginx-light config-files\n";
        let wanted = ["ffmpeg", "nginx-light", "xvfb"];
        assert_eq!(not_installed(&wanted, listed), ["nginx-light", "xvfb"]);
    }
}
