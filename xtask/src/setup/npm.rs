//! The npm packages of the committed lock file: Node, wrangler with workerd, esbuild, wasm-opt, Vite.

use anyhow::{Context, Result, bail};
use std::fs;
use std::os::unix::fs::symlink;

use super::Step;
use crate::place::{Place, fill};
use crate::process;

/// What npm is told and where from; copied beside the packages in the cache.
const FILES: [&str; 3] = ["package.json", "package-lock.json", ".npmrc"];

/// The packages, in the cache.
pub(crate) struct Packages;

/// `node_modules` in the clone, leading to them: where Node looks for imports of the tests.
pub(crate) struct Link;

impl Step for Packages {
    fn name(&self) -> String {
        "the npm packages of package-lock.json (Node, wrangler, workerd, esbuild, binaryen, vite)"
            .to_owned()
    }

    fn why(&self) -> &'static str {
        "to bundle the Worker and the dashboard and to run them in the Workers runtime"
    }

    fn is_done(&self, place: &Place) -> Result<bool> {
        Ok(place.npm()?.join("node_modules").is_dir())
    }

    fn install(&self, place: &Place) -> Result<()> {
        if !process::is_program("npm") {
            bail!(
                "npm is missing; install Node 20 or newer, with npm: https://nodejs.org/en/download"
            );
        }
        fill(&place.npm()?, |part| {
            for file in FILES {
                fs::copy(place.root.join(file), part.join(file))
                    .with_context(|| format!("copying {file}"))?;
            }
            // No install script runs: none of these packages needs one.
            process::run(
                process::command("npm")
                    .args([
                        "ci",
                        "--ignore-scripts",
                        "--no-audit",
                        "--no-fund",
                        "--loglevel=error",
                    ])
                    .current_dir(part),
            )
        })
    }
}

impl Step for Link {
    fn name(&self) -> String {
        "the link node_modules".to_owned()
    }

    fn why(&self) -> &'static str {
        "for wrangler and the tests to find those packages"
    }

    fn is_done(&self, place: &Place) -> Result<bool> {
        let link = place.root.join("node_modules");
        Ok(fs::read_link(link)
            .is_ok_and(|to| place.npm().is_ok_and(|npm| to == npm.join("node_modules"))))
    }

    fn install(&self, place: &Place) -> Result<()> {
        let link = place.root.join("node_modules");
        match fs::symlink_metadata(&link) {
            Ok(found) if found.is_symlink() => fs::remove_file(&link)?,
            Ok(_) => bail!(
                "node_modules is a folder here; remove it: rm -r {}",
                link.display()
            ),
            Err(_) => {}
        }
        symlink(place.npm()?.join("node_modules"), &link)
            .with_context(|| format!("making {}", link.display()))
    }
}
