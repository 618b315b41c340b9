//! Faults of our own that tests inject.

use std::sync::{Mutex, PoisonError};

/// Where an output is to panic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In the pass over all outputs.
    Pass,
    /// In its own task.
    Task,
}

/// From now on, the outputs to `server` panic there.
pub(super) fn inject(server: &str, place: Place) {
    let mut places = PLACES.lock().unwrap_or_else(PoisonError::into_inner);
    places.push((server.to_owned(), place));
}

/// Panics if that was asked for, once.
pub(super) fn here(server: &str, place: Place) {
    let mut places = PLACES.lock().unwrap_or_else(PoisonError::into_inner);
    let asked = places
        .iter()
        .position(|asked| *asked == (server.to_owned(), place));
    if let Some(asked) = asked {
        places.remove(asked);
        drop(places);
        panic!("injected");
    }
}

static PLACES: Mutex<Vec<(String, Place)>> = Mutex::new(Vec::new());
