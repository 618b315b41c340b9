//! The state folder of one copy: git-ignored, private to its owner, used by one `dev` at a time.

use anyhow::{Context, Result, bail};
use std::fs::{self, DirBuilder, File, TryLockError};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use crate::secrets::Seed;

/// Held, and so locked, as long as `dev` runs.
pub(crate) struct State {
    folder: PathBuf,
    _lock: File,
}

/// Kept by `--fresh`: people have made their system trust what is in it.
const CERTIFICATES: &str = "tls";
const LOCK: &str = "lock";

impl State {
    /// Opens the folder of this copy, making it when it is not there.
    pub(crate) fn open(root: &Path, port_base: Option<u16>) -> Result<Self> {
        let name = port_base.map_or_else(
            || ".stream-connect".to_owned(),
            |base| format!(".stream-connect-{base}"),
        );
        let folder = root.join(name);
        make_private(&folder)?;
        let lock =
            File::create(folder.join(LOCK)).context("making the lock of the state folder")?;
        match lock.try_lock() {
            Ok(()) => Ok(Self {
                folder,
                _lock: lock,
            }),
            Err(TryLockError::WouldBlock) => bail!(
                "another `cargo xtask dev` uses {}; stop it, or take other ports with --port-base",
                folder.display()
            ),
            Err(TryLockError::Error(error)) => Err(error).context("locking the state folder"),
        }
    }

    /// Forgets accounts, inputs and logs.
    pub(crate) fn empty(&self) -> Result<()> {
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            if entry.file_name() == CERTIFICATES || entry.file_name() == LOCK {
                continue;
            }
            let path = entry.path();
            let removed = if entry.file_type()?.is_dir() {
                fs::remove_dir_all(&path)
            } else {
                fs::remove_file(&path)
            };
            removed.with_context(|| format!("removing {}", path.display()))?;
        }
        Ok(())
    }

    /// The folder itself; absolute.
    pub(crate) fn path(&self) -> &Path {
        &self.folder
    }

    /// A folder in it, made when it is not there.
    pub(crate) fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.folder.join(name);
        make_private(&folder)?;
        Ok(folder)
    }

    /// What every secret of this copy follows from.
    pub(crate) fn seed(&self) -> Result<Seed> {
        Seed::at(&self.folder.join("seed"))
    }

    /// The log of a part.
    pub(crate) fn log(&self, part: &str) -> Result<PathBuf> {
        Ok(self.folder("logs")?.join(format!("{part}.log")))
    }
}

fn make_private(folder: &Path) -> Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.with_context(|| format!("making {}", folder.display()))
}
