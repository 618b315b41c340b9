//! What the node remembers of the control plane's answers, for the time when it cannot ask: in
//! memory, and in a file that outlives the process.
//!
//! `book` holds the rules, `seal` and `file` how it is kept.

mod book;
mod file;
mod seal;

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use shared::id::InputUid;
use shared::link::{PublishRefusal, Snapshot};
use shared::secret::Secret;
use shared::time::Timestamp;
use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};
use zeroize::Zeroizing;

use crate::clock::{self, Moment};
use crate::control::Accepted;
use book::{Book, Known};
use file::{CacheFile, NotWritten};
use seal::{NONCE_BYTES, Seal};

/// The control plane's last answers.
pub struct KeyCache {
    seal: Seal,
    book: Mutex<Book>,
    file: Option<Mutex<CacheFile>>,
    /// By the time of day, as it was at the start: only that outlives the process. Within it, what
    /// is added follows the monotonic clock, whatever the other one does.
    started: Moment,
    changed: Notify,
}

impl KeyCache {
    /// Of the node that holds `token`, whose answers are honoured for so long after the control
    /// plane gave them; zero switches it off. What `folder` holds is read; without a folder it is
    /// forgotten with the process. A file that cannot be used is set aside, and stops nothing.
    pub fn open(folder: Option<&Path>, honoured_for: Duration, token: &Secret) -> Arc<Self> {
        let seal = Seal::new(token);
        let started = Moment::now();
        let file = folder
            .filter(|_| !honoured_for.is_zero())
            .map(|folder| CacheFile::new(folder, super::random()));
        let kept = file
            .as_ref()
            .map_or_else(Vec::new, |file| read(file, &seal));
        let book = Book::of(honoured_for, kept, started.time());
        if let Some(file) = &file {
            info!(inputs = book.entries().len(), file = %file.path().display(), "keys remembered");
        }
        Arc::new(Self {
            seal,
            book: Mutex::new(book),
            file: file.map(Mutex::new),
            started,
            changed: Notify::new(),
        })
    }

    /// What a publisher with `key` may be given while the control plane cannot be asked.
    pub(super) fn look_up(&self, key: &Secret) -> Option<Accepted> {
        self.book().look_up(&self.seal.hash(key), self.now())
    }

    /// The control plane takes a publisher with `key`.
    pub(super) fn accepted(&self, key: &Secret, accepted: &Accepted) {
        let (hash, now) = (self.seal.hash(key), self.now());
        self.change(|book| book.accepted(hash, accepted, now));
    }

    /// The control plane refuses `key`.
    pub(super) fn refused(&self, key: &Secret, why: PublishRefusal) {
        let hash = self.seal.hash(key);
        self.change(|book| book.refused(&hash, why));
    }

    /// The control plane says what it wants of an input.
    pub(super) fn told(&self, snapshot: &Snapshot) {
        let now = self.now();
        self.change(|book| book.told(snapshot, now));
    }

    /// The control plane has said all that it wants of these inputs.
    pub(super) fn confirmed(&self, inputs: impl Iterator<Item = InputUid>) {
        let now = self.now();
        self.change(|book| book.confirmed(inputs, now));
    }

    /// Keeps the file as the book is, until `stop`.
    pub(super) async fn keep(self: Arc<Self>, stop: CancellationToken) {
        if self.file.is_none() {
            return;
        }
        // At once, so that an older process of this node sees that this one keeps it now.
        let mut due = true;
        let mut failing = false;
        loop {
            self.book().expire(self.now());
            if self.book().take_changed() || due {
                let cache = Arc::clone(&self);
                let written = spawn_blocking(move || cache.write()).await;
                match written.unwrap_or_else(|_| Err(io::Error::other("panicked").into())) {
                    Ok(()) => (due, failing) = (false, false),
                    Err(error @ NotWritten::Replaced) => {
                        info!(%error, "the cache of keys is not written any more");
                        return;
                    }
                    Err(error) => {
                        if !failing {
                            warn!(%error, "the cache of keys cannot be written: after a restart no key is known while the control plane cannot be asked");
                        }
                        (due, failing) = (true, true);
                    }
                }
            }
            if stop.is_cancelled() {
                return;
            }
            // Cancelled or not, the last words are written.
            let _ = stop
                .run_until_cancelled(tokio::time::sleep(WRITE_EVERY))
                .await;
            if !due {
                let changed = timeout(EXPIRE_EVERY, self.changed.notified());
                let _ = stop.run_until_cancelled(changed).await;
            }
        }
    }

    fn write(&self) -> Result<(), NotWritten> {
        let Some(file) = &self.file else {
            return Ok(());
        };
        let (inputs, text) = {
            let book = self.book();
            let entries = book.entries();
            let text = serde_json::to_vec(&entries).map_err(io::Error::from)?;
            (entries.len(), Zeroizing::new(text))
        };
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(io::Error::other)?;
        let sealed = self.seal.close(nonce, &text);
        let sealed = sealed
            .ok_or(io::ErrorKind::FileTooLarge)
            .map_err(io::Error::from)?;
        // Nobody else holds it while this writes.
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write(&sealed)?;
        debug!(inputs, "the cache of keys is written");
        Ok(())
    }

    fn change(&self, change: impl FnOnce(&mut Book)) {
        let mut book = self.book();
        change(&mut book);
        drop(book);
        self.changed.notify_one();
    }

    fn now(&self) -> Timestamp {
        self.started.time_at(clock::now())
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        // A panic in between would have lost an entry at worst.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(file: &CacheFile, seal: &Seal) -> Vec<Known> {
    let why = match file.read() {
        Ok(None) => return Vec::new(),
        Ok(Some(sealed)) => match seal.open(&sealed) {
            Ok(text) => match serde_json::from_slice(&text) {
                Ok(kept) => return kept,
                // The error's own words would quote the text.
                Err(_) => "it does not hold what it should".to_owned(),
            },
            Err(unusable) => unusable.to_string(),
        },
        Err(error) => error.to_string(),
    };
    let path = file.path().display();
    match file.set_aside() {
        Ok(aside) => warn!(
            file = %path, set_aside = %aside.display(), %why,
            "the cache of keys cannot be used, and begins empty"
        ),
        Err(error) => warn!(
            file = %path, %why, %error,
            "the cache of keys can neither be used nor set aside, and begins empty"
        ),
    }
    Vec::new()
}

/// Between two writes: a burst of changes costs few. What a crash takes with it can be asked again
/// unless the control plane is gone as well.
const WRITE_EVERY: Duration = Duration::from_secs(1);

/// How often it is looked for what is honoured no more, if nothing else happens.
const EXPIRE_EVERY: Duration = Duration::from_secs(600);

#[cfg(test)]
mod tests;
