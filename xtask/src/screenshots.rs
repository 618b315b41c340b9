//! `cargo xtask screenshots`: pictures of the dashboard, to look at and for the documentation.

use anyhow::{Context, Result};
use std::fs;

use crate::build::{self, Profile};
use crate::place::Place;
use crate::process;
use crate::setup::{self, Purpose};
use crate::test::for_parts;
use crate::worker;

/// Where all of them are put, in the clone; nothing of it is committed.
const FOLDER: &str = "target/pictures";

/// Where those are kept that the documentation shows.
const DOCS: &str = "docs/pictures";

/// What the documentation shows, in both schemes.
const IN_DOCS: [&str; 3] = ["broadcast", "inputs", "broadcast-phone"];

/// Builds everything, puts a broadcast on air and photographs each page in both schemes.
pub(crate) fn run(place: &Place) -> Result<()> {
    setup::ensure(place, Purpose::Test)?;
    worker::build(place, Profile::Dev)?;
    build::relay_node(place, Profile::Dev)?;
    let folder = place.root.join(FOLDER);
    let mut node = process::command("node");
    for_parts(&mut node, place);
    process::run(
        node.args(["--no-warnings", "tests/dashboard/screenshots.mjs"])
            .arg(&folder)
            .env("PATH", place.path_with_node()?)
            .current_dir(&place.root),
    )?;
    let docs = place.root.join(DOCS);
    fs::create_dir_all(&docs).with_context(|| format!("creating {}", docs.display()))?;
    for page in IN_DOCS {
        for scheme in ["light", "dark"] {
            let name = format!("{page}-{scheme}.webp");
            fs::copy(folder.join(&name), docs.join(&name))
                .with_context(|| format!("copying {name} to {}", docs.display()))?;
        }
    }
    eprintln!("pictures: all in {FOLDER}, those of the documentation in {DOCS}");
    Ok(())
}
