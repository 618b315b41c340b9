//! A search of whatever the node says in these tests, for every key that any of them uses.

use std::collections::BTreeSet;
use std::io;
use std::panic;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::thread;

use relay_node::config::{LogFormat, LogLevel};
use relay_node::logging;
use tracing_subscriber::util::SubscriberInitExt;

static KNOWN: Mutex<Known> = Mutex::new(Known {
    secrets: BTreeSet::new(),
    lines: 0,
    found: Vec::new(),
});

struct Known {
    secrets: BTreeSet<String>,
    lines: u64,
    /// Where one was found, without it.
    found: Vec<String>,
}

/// Looks at every line of the log from here on, at every level, and at the words of panics. A test
/// that has made a log of its own keeps it.
pub(crate) fn begin() -> Watch {
    static BEGUN: Once = Once::new();
    BEGUN.call_once(|| {
        let _ = logging::subscriber(LogLevel::Trace, LogFormat::Json, || Lines).try_init();
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            // What a test says when it fails is for whoever mends it.
            let is_own = panic
                .location()
                .is_some_and(|at| at.file().contains("tests/"));
            if !is_own {
                look("a panic", &panic.to_string());
            }
            before(panic);
        }));
    });
    Watch
}

/// Remembers what must not be said. What could be a word of ours is no good for a search.
pub(crate) fn know(secret: &str) {
    if secret.chars().any(|c| !c.is_ascii_alphabetic()) {
        known().secrets.insert(secret.to_owned());
    }
}

/// Looks at what somebody was told.
pub(crate) fn look(place: &str, text: &str) {
    known().look(place, text);
}

impl Known {
    fn look(&mut self, place: &str, text: &str) {
        self.lines += 1;
        let found = self.secrets.iter().find(|secret| text.contains(*secret));
        if let Some(secret) = found.cloned() {
            let shown = text.replace(&secret, "<here>");
            self.found.push(format!("{place}: {shown}"));
        }
    }
}

/// How much was looked at.
pub(crate) fn lines() -> u64 {
    known().lines
}

/// Fails its test if a key was found by the time that it is over.
pub(crate) struct Watch;

impl Drop for Watch {
    fn drop(&mut self) {
        let found = std::mem::take(&mut known().found);
        assert!(found.is_empty() || thread::panicking(), "{found:#?}");
    }
}

struct Lines;

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        look("the log", &String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn known() -> MutexGuard<'static, Known> {
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn a_key_that_is_said_is_found_and_not_repeated() {
    let mut known = Known {
        secrets: BTreeSet::from(["planted".to_owned()]),
        lines: 0,
        found: Vec::new(),
    };
    known.look("the log", "all is well");
    assert!(known.found.is_empty());
    known.look("the log", "key=planted, planted");
    assert_eq!(known.found, ["the log: key=<here>, <here>"]);
    assert_eq!(known.lines, 2);
}
