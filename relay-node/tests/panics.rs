//! What is told of a panic. Alone in its process: there is one hook for all of it.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and this one is about it"
)]

#[path = "node/support/written.rs"]
mod written;

use std::thread;

use relay_node::config::{LogFormat, LogLevel};
use relay_node::{logging, panics};

use written::Written;

#[test]
fn a_panic_is_counted_and_logged_without_what_it_was_about() {
    let written = Written::default();
    let log = written.clone();
    let subscriber = logging::subscriber(LogLevel::Info, LogFormat::Text, move || log.clone());
    let dispatch = tracing::Dispatch::new(subscriber);
    panics::install();
    let panics: [fn(); 3] = [
        || panic!("fixed words"),
        || {
            let key = "hunter2".to_owned();
            panic!("the key is {key}")
        },
        || {
            let read = "hunter2".parse::<u8>().map_err(|_| "hunter2".to_owned());
            let _: u8 = read.unwrap();
        },
    ];
    for panic in panics {
        let dispatch = dispatch.clone();
        let thread = thread::Builder::new().name("media-0".to_owned());
        let ended = thread.spawn(move || tracing::dispatcher::with_default(&dispatch, panic));
        assert!(ended.unwrap().join().is_err());
    }
    // What fails from here on is told in the usual way.
    let _ = std::panic::take_hook();
    assert_eq!(panics::count(), 3);
    let log = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
    assert_eq!(log.lines().count(), 3, "{log}");
    assert_eq!(log.matches("tests/panics.rs:").count(), 3, "{log}");
    assert!(
        log.contains("fixed words") && log.contains("media-0"),
        "{log}"
    );
    assert!(!log.contains("hunter2"), "{log}");
}
