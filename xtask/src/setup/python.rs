//! The Python packages of the committed lock file: Cloudflare's client, schemathesis, pytest.

use anyhow::{Context as _, Result};
use std::fs;

use super::{Step, debian};
use crate::place::{DEBIAN_PYTHON, Place, fill};
use crate::process;

/// With it come the interpreter and what makes an environment of packages.
const DEBIAN_PACKAGES: &[&str] = &["python3-venv"];

/// The packages, in the cache.
pub(crate) struct Packages;

impl Step for Packages {
    fn name(&self) -> String {
        "the Python packages of tests/requirements.txt (cloudflare, schemathesis)".to_owned()
    }

    fn why(&self) -> &'static str {
        "to test the API with Cloudflare's own client, and against its description"
    }

    fn is_done(&self, place: &Place) -> Result<bool> {
        Ok(place.python()?.is_some_and(|python| python.is_file()))
    }

    fn install(&self, place: &Place) -> Result<()> {
        let missing = debian::missing(DEBIAN_PACKAGES)?;
        if !missing.is_empty() {
            eprintln!("set-up: installing Debian's {}", missing.join(", "));
            debian::install(DEBIAN_PACKAGES)?;
        }
        let folder = place
            .python_folder()?
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
                    .arg(place.python_lock()),
            )?;
            // The scripts beside the interpreter name a folder that is about to be renamed.
            for script in fs::read_dir(part.join("bin"))? {
                let script = script?;
                if script.file_type()?.is_file() {
                    fs::remove_file(script.path())?;
                }
            }
            Ok(())
        })
    }
}
