//! The cache's file: written whole or not at all, and by the newest process of the node alone.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// A file that is replaced, never changed.
pub(super) struct CacheFile {
    path: PathBuf,
    /// Where what is to replace it is written: a name of this process's own, as another one may write
    /// at the same time. A process id would not do, which two containers may share.
    new: PathBuf,
    /// What this process wrote last.
    written: Option<Mark>,
}

/// What tells one file from another in its place. An inode's number alone is used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    inode: u64,
    seconds: i64,
    nanoseconds: i64,
}

/// Why a file was not written.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotWritten {
    /// Another process has written it since: a newer one of this node, which knows more.
    #[error("a newer process of this node keeps it now")]
    Replaced,
    /// The system says no.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl CacheFile {
    /// The file in `folder`, which need not be there yet. `number` is random, and this process's own.
    /// What processes have left that ended while they wrote is removed; one that writes in this very
    /// moment fails, and writes anew or finds itself replaced.
    pub(super) fn new(folder: &Path, number: u64) -> Self {
        for left in fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = left.file_name();
            let name = name.to_string_lossy();
            if name.starts_with(NEW_BEGINS) && name.ends_with(NEW_ENDS) {
                // Somebody else may remove it, too.
                let _ = fs::remove_file(left.path());
            }
        }
        Self {
            path: folder.join(NAME),
            new: folder.join(format!("{NEW_BEGINS}{number:016x}{NEW_ENDS}")),
            written: None,
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What is in it, if it is there.
    pub(super) fn read(&self) -> io::Result<Option<Vec<u8>>> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut bytes = Vec::new();
        file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(Some(bytes))
    }

    /// Puts `bytes` in its place.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), NotWritten> {
        let found = fs::metadata(&self.path).ok().map(|found| Mark::of(&found));
        if let (Some(written), Some(found)) = (self.written, found)
            && written != found
        {
            return Err(NotWritten::Replaced);
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&self.new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&self.new, &self.path)?;
        self.written = Some(Mark::of(&file.metadata()?));
        // So that the new name outlives a loss of power; the old one would do no harm.
        if let Some(folder) = self.path.parent() {
            File::open(folder)?.sync_all()?;
        }
        Ok(())
    }

    /// Moves it out of the way; where to.
    pub(super) fn set_aside(&self) -> io::Result<PathBuf> {
        let aside = self.path.with_extension("unreadable");
        fs::rename(&self.path, &aside)?;
        Ok(aside)
    }
}

impl Mark {
    fn of(file: &fs::Metadata) -> Self {
        Self {
            inode: file.ino(),
            seconds: file.mtime(),
            nanoseconds: file.mtime_nsec(),
        }
    }
}

/// In the state folder.
const NAME: &str = "key-cache.sealed";

/// How the names of what is being written begin.
const NEW_BEGINS: &str = "key-cache.";

/// And how they end.
const NEW_ENDS: &str = ".new";

/// Twice what the largest book takes.
const MAX_FILE_BYTES: u64 = 40 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn is_replaced_whole_and_readable_by_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        // Left by a process that was killed while it wrote.
        let left = folder.path().join("key-cache.0123456789abcdef.new");
        fs::write(left, "half of something longer").unwrap();
        let mut file = CacheFile::new(folder.path(), 1);
        assert!(file.read().unwrap().is_none());
        for text in ["first", "second"] {
            file.write(text.as_bytes()).unwrap();
            assert_eq!(file.read().unwrap().unwrap(), text.as_bytes());
        }
        let mode = fs::metadata(file.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn the_newest_process_keeps_it() {
        let folder = tempfile::tempdir().unwrap();
        let [mut old, mut new] = [1, 2].map(|number| CacheFile::new(folder.path(), number));
        old.write(b"old").unwrap();
        new.write(b"new").unwrap();
        assert!(matches!(old.write(b"old"), Err(NotWritten::Replaced)));
        assert_eq!(new.read().unwrap().unwrap(), b"new");
        new.write(b"newer").unwrap();
        // One that somebody has removed is written again.
        fs::remove_file(new.path()).unwrap();
        new.write(b"newest").unwrap();
        assert_eq!(new.read().unwrap().unwrap(), b"newest");
    }

    #[test]
    fn two_processes_that_write_at_once_never_mix() {
        let folder = tempfile::tempdir().unwrap();
        let [mut one, mut other] = [1, 2].map(|number| CacheFile::new(folder.path(), number));
        // The other one is in the middle of it.
        fs::write(&other.new, "half of something longer").unwrap();
        one.write(b"whole").unwrap();
        assert_eq!(one.read().unwrap().unwrap(), b"whole");
        assert_eq!(fs::read(&other.new).unwrap(), b"half of something longer");
        other.write(b"whole as well").unwrap();
        assert_eq!(one.read().unwrap().unwrap(), b"whole as well");
        assert!(matches!(one.write(b"whole"), Err(NotWritten::Replaced)));
    }

    #[test]
    fn is_read_to_its_bound() {
        let folder = tempfile::tempdir().unwrap();
        let file = CacheFile::new(folder.path(), 1);
        for (length, is_read) in [(MAX_FILE_BYTES, true), (MAX_FILE_BYTES + 1, false)] {
            File::create(file.path()).unwrap().set_len(length).unwrap();
            assert_eq!(file.read().is_ok(), is_read);
        }
    }

    #[test]
    fn what_cannot_be_used_is_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = CacheFile::new(folder.path(), 1);
        file.write(b"noise").unwrap();
        let aside = file.set_aside().unwrap();
        assert_eq!(fs::read(aside).unwrap(), b"noise");
        assert!(file.read().unwrap().is_none());
    }
}
