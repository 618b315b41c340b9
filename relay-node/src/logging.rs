//! The log on standard error.
//!
//! | level | what it tells |
//! | --- | --- |
//! | `ERROR` | broken, the process has to stop |
//! | `WARN` | very unusual, but everything still works |
//! | `INFO` | a change that users may notice: a broadcast begins, an output is live or is not |
//! | `DEBUG` | a condition, a small change, a departure from the happy path |
//! | `TRACE` | every step |
//!
//! Ids and reasons are fields, and no level shows a key, a token or a URL's path. Libraries do not
//! know which of the bytes in their hands are keys (a WebSocket library prints whole frames at
//! `TRACE`), so whatever is not this project's own stays at [`CAP`] at most.

use std::io;

use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt, reload};

use crate::config::{LogFormat, LogLevel};

/// Sends the log of this process to standard error. The first call wins.
pub fn init(level: LogLevel, format: LogFormat) -> Level {
    let (filter, handle) = reload::Layer::new(filter(level));
    let layer = layer(format, io::stderr).with_filter(filter);
    // A second call only happens in tests, which share a process.
    let _ = Registry::default().with(layer).try_init();
    Level(handle)
}

/// How much the log of this process tells, while it runs.
#[derive(Debug)]
pub struct Level(reload::Handle<Targets, Registry>);

impl Level {
    /// Tells more, or less, from now on.
    pub fn set(&self, level: LogLevel) {
        // It fails only where there is no log any more.
        let _ = self.0.reload(filter(level));
    }
}

/// A subscriber that writes to `writer`.
pub fn subscriber<W>(
    level: LogLevel,
    format: LogFormat,
    writer: W,
) -> impl Subscriber + Send + Sync + 'static
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    Registry::default().with(layer(format, writer).with_filter(filter(level)))
}

/// What may be written at `level`.
fn filter(level: LogLevel) -> Targets {
    let level = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    Targets::new()
        .with_default(level.min(CAP))
        .with_targets(OWN.map(|target| (target, level)))
}

fn layer<S, W>(format: LogFormat, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'s> LookupSpan<'s>,
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    match format {
        LogFormat::Json => Box::new(fmt::layer().json().with_writer(writer)),
        LogFormat::Text => Box::new(fmt::layer().with_ansi(false).with_writer(writer)),
    }
}

/// The highest level at which libraries are heard.
const CAP: LevelFilter = LevelFilter::INFO;

/// The crates whose every line is known to hold no key.
const OWN: [&str; 4] = ["broadcast", "relay_node", "rtmp", "shared"];

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(level: LogLevel, format: LogFormat) -> String {
        let written = Written::default();
        let writer = written.clone();
        let subscriber = subscriber(level, format, move || writer.clone());
        tracing::subscriber::with_default(subscriber, || {
            tracing::trace!(target: "relay_node::egress", "own trace");
            tracing::info!(target: "relay_node", "own info");
            tracing::trace!(target: "tungstenite::protocol", "frame with hunter2");
            tracing::debug!(target: "h2::codec", "header with hunter2");
            tracing::trace!(target: "hyper::proto::h1", "body with hunter2");
            tracing::debug!(target: "reqwest::connect", "URL with hunter2");
            tracing::trace!(target: "rustls::client", "handshake with hunter2");
            tracing::info!(target: "hyper", "library info");
        });
        let bytes = written.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn libraries_are_silent_about_what_they_carry() {
        for format in [LogFormat::Json, LogFormat::Text] {
            let log = logged(LogLevel::Trace, format);
            assert!(!log.contains("hunter2"), "{log}");
            assert!(
                log.contains("own trace") && log.contains("library info"),
                "{log}"
            );
        }
    }

    #[test]
    fn the_level_holds() {
        let log = logged(LogLevel::Info, LogFormat::Text);
        assert!(
            log.contains("own info") && !log.contains("own trace"),
            "{log}"
        );
        assert_eq!(logged(LogLevel::Error, LogFormat::Text), "");
    }
}
