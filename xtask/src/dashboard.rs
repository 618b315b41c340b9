//! Building the dashboard: TypeScript to the static assets that `wrangler.toml` names.

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::place::{Place, hex};
use crate::process;
use crate::time::readable;
use crate::worker::gzipped;

/// Bytes of script, gzipped, that the browser fetches before it shows anything: what a slow mobile
/// line brings in a second.
pub(crate) const MAX_FIRST_VIEW: usize = 60_000;

/// Where Vite puts what is served, in the dashboard's folder.
const OUTPUT: &str = "build";

/// Checks the types and builds into `dashboard/build/`; nothing is done when nothing changed.
pub(crate) fn build(place: &Place) -> Result<()> {
    let started = Instant::now();
    let folder = place.root.join("dashboard");
    fs::create_dir_all(&place.worker_target)?;
    let lock = File::create(place.worker_target.join("build-dashboard.lock"))?;
    lock.lock()
        .context("waiting for another build of the dashboard")?;

    // Not in the output: what lies there is served.
    let stamp = place.worker_target.join("dashboard-built-from");
    let wanted = digest(place, &folder)?;
    let document = folder.join(OUTPUT).join("index.html");
    if document.is_file() && fs::read_to_string(&stamp).is_ok_and(|old| old == wanted) {
        return Ok(());
    }
    let modules = place.npm()?.join("node_modules");
    for (program, arguments) in [
        ("typescript/bin/tsc", &["--project"][..]),
        ("vite/bin/vite.js", &["build", "--logLevel=warn"][..]),
    ] {
        process::run(
            process::command("node")
                .arg(modules.join(program))
                .args(arguments)
                .arg(&folder)
                .env("PATH", place.path_with_node()?)
                .current_dir(&place.root),
        )?;
    }
    let size = first_view(&folder.join(OUTPUT))?;
    eprintln!(
        "dashboard: built, {size} of at most {MAX_FIRST_VIEW} bytes of script gzipped at first view, \
         after {}",
        readable(started.elapsed())
    );
    if size > MAX_FIRST_VIEW {
        bail!("the dashboard's first view has too much script");
    }
    fs::write(&stamp, wanted).with_context(|| format!("writing {}", stamp.display()))
}

/// Bytes, gzipped, of the scripts that the document names.
fn first_view(output: &Path) -> Result<usize> {
    let document = fs::read_to_string(output.join("index.html"))?;
    let scripts = scripts(&document);
    if scripts.is_empty() {
        bail!("the dashboard's document names no script");
    }
    scripts
        .into_iter()
        .map(|path| gzipped(&output.join(path)))
        .sum()
}

/// Paths of the scripts that a document names, those to be fetched ahead included.
fn scripts(document: &str) -> Vec<&str> {
    document
        .split('"')
        .filter_map(|part| part.strip_prefix('/'))
        .filter(|part| part.ends_with(".js"))
        .collect()
}

/// Names everything that the build reads.
fn digest(place: &Place, folder: &Path) -> Result<String> {
    let mut files = Vec::new();
    read_folder(folder, &mut files)?;
    files.sort();
    files.push(place.root.join("package-lock.json"));
    let mut digest = Sha256::new();
    for file in files {
        let bytes = fs::read(&file).with_context(|| format!("reading {}", file.display()))?;
        digest.update(file.display().to_string());
        digest.update(Sha256::digest(&bytes));
    }
    Ok(hex(&digest.finalize()))
}

fn read_folder(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        if !entry.file_type()?.is_dir() {
            files.push(entry.path());
        } else if entry.file_name() != OUTPUT {
            read_folder(&entry.path(), files)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scripts_of_a_document_are_found() {
        let document = r#"<link rel="icon" href="/favicon.svg"><script type="module" crossorigin
            src="/assets/index-1.js"></script><link rel="modulepreload" href="/assets/page-2.js">"#;
        assert_eq!(scripts(document), ["assets/index-1.js", "assets/page-2.js"]);
    }
}
