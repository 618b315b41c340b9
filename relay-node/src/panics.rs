//! Panics: bugs of ours. Each ends the task of one connection; here it is counted and logged.

use std::panic::{self, PanicHookInfo};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use tracing::error;

/// Has every panic of this process counted, and told in one line of the log in place of what the
/// standard library prints: words that were put together when it happened may hold a key.
pub fn install() {
    panic::set_hook(Box::new(note));
}

/// How many there were.
pub fn count() -> u64 {
    COUNT.load(Ordering::Relaxed)
}

fn note(info: &PanicHookInfo<'_>) {
    COUNT.fetch_add(1, Ordering::Relaxed);
    let place = info.location().map(ToString::to_string);
    error!(
        place = place.unwrap_or_default(),
        words = info.payload().downcast_ref::<&'static str>(),
        thread = thread::current().name(),
        "a bug of this program ends a connection: please report it",
    );
}

static COUNT: AtomicU64 = AtomicU64::new(0);
