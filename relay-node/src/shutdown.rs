//! How the process is asked to stop.

use std::{io, process};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A token that is cancelled by the first SIGTERM or SIGINT. The second ends the process at once,
/// with the exit code that a shell would show for it.
pub fn on_signal() -> io::Result<CancellationToken> {
    let mut signals = Signals {
        terminate: signal(SignalKind::terminate())?,
        interrupt: signal(SignalKind::interrupt())?,
    };
    let stop = CancellationToken::new();
    let stopping = stop.clone();
    tokio::spawn(async move {
        signals.next().await;
        tracing::info!("stopping");
        stopping.cancel();
        let number = signals.next().await;
        tracing::warn!("stopping at once");
        process::exit(128 + number);
    });
    Ok(stop)
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// The number of the next one.
    async fn next(&mut self) -> i32 {
        tokio::select! {
            _ = self.terminate.recv() => libc::SIGTERM,
            _ = self.interrupt.recv() => libc::SIGINT,
        }
    }
}
