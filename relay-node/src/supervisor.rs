//! What the process tells its supervisor, which is systemd or speaks like it (`sd_notify(3)`).

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::{MissedTickBehavior, interval};

/// Encoders can connect.
pub fn ready() {
    notify(&NotifyState::Ready);
}

/// Another process, which this one has started, goes on in its place.
pub fn main_process(pid: u32) {
    notify(&NotifyState::MainPid(pid));
}

/// The process is on its way out.
pub fn stopping() {
    notify(&NotifyState::Stopping);
}

/// How often [`alive`] must be called, if the supervisor watches: twice in the time after which it
/// takes the process for stuck.
pub fn watchdog_interval() -> Option<Duration> {
    let limit = sd_notify::watchdog_enabled()?;
    (!limit.is_zero()).then(|| limit / 2)
}

/// The process does its work.
pub fn alive() {
    notify(&NotifyState::Watchdog);
}

/// Calls `ping` every so often, each time after `works` has come to its end: what never ends stops
/// the pings.
pub async fn watch(every: Duration, works: impl AsyncFn(), ping: impl Fn()) {
    let mut ticks = interval(every);
    // Pings that were held up prove nothing about the time that they were held up for.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        works().await;
        ping();
    }
}

fn notify(state: &NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(std::slice::from_ref(state)) {
        tracing::debug!(%error, "systemd cannot be told");
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::mpsc;

    use tokio::time::sleep;

    use super::*;
    use crate::shards::Shards;

    #[tokio::test(start_paused = true)]
    async fn one_stuck_thread_stops_the_pings() {
        let shards = Shards::start(2).unwrap();
        let (every, pings) = (Duration::from_secs(5), Cell::new(0));
        let watched = watch(
            every,
            async || shards.respond().await,
            || pings.set(pings.get() + 1),
        );
        let story = async {
            while pings.get() < 3 {
                sleep(every).await;
            }
            let stuck = shards.pick();
            let (release, released) = mpsc::channel::<()>();
            let (begin, begun) = mpsc::channel();
            stuck.spawn(async move {
                begin.send(()).unwrap();
                // Blocks the whole thread, as a task does that never waits.
                let _ = released.recv();
            });
            begun.recv().unwrap();
            // The one that was on its way may still come.
            sleep(every).await;
            let before = pings.get();
            sleep(100 * every).await;
            assert!(pings.get() <= before + 1, "{} after {before}", pings.get());
            let before = pings.get();
            drop(release);
            while pings.get() < before + 3 {
                sleep(every).await;
            }
        };
        tokio::select! {
            () = watched => panic!("it never ends"),
            () = story => {}
        }
    }
}
