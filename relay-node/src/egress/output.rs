//! One output: the task that keeps it connected while it is wanted.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use broadcast::{
    Action, Event, Failure, Meter, OutputMachine, OutputWarning, Reason, Skipped, StartPolicy,
    State, Status, Step,
};
use shared::id::{InputUid, OutputUid};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{sleep_until, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::Instrument;

use super::end::End;
use super::session::{self, LOOK_INTERVAL};
use super::{Destination, Dialler};
use crate::clock;
use crate::feed::{Bookmark, Feed};

/// How long an output may take to send the rest of a broadcast that has ended.
const FINISH_MAX: Duration = Duration::from_secs(1);

/// An output at work. Dropping it stops it.
pub struct Output {
    destination: Arc<Destination>,
    shared: Arc<Shared>,
    ask: Ask,
    retry: Arc<Notify>,
    stop: DropGuard,
    gone: CancellationToken,
}

/// Who is told of each change of an output's state; never waits, as it is told within a lock.
pub(super) type Observer = Box<dyn Fn(&Figures) + Send>;

/// What an output is asked to do.
#[derive(Clone, Debug, Default)]
pub(super) struct Ask {
    /// Send the rest, then end.
    pub(super) finish: CancellationToken,
    /// End.
    pub(super) stop: CancellationToken,
}

impl Output {
    /// Begins to send `feed` to `destination`, after whatever held its place before is gone.
    pub fn start(
        (input, uid): (InputUid, OutputUid),
        destination: Arc<Destination>,
        feed: Arc<Feed>,
        dialler: Dialler,
        policy: StartPolicy,
        predecessor: Option<CancellationToken>,
        observer: impl Fn(&Figures) + Send + 'static,
    ) -> Self {
        let shared = Arc::new(Shared::new(policy, Box::new(observer)));
        let ask = Ask::default();
        let retry = Arc::new(Notify::new());
        let gone = CancellationToken::new();
        let shard = Arc::clone(feed.shard());
        let worker = Worker {
            attempt: Arc::new(Attempt {
                destination: Arc::clone(&destination),
                feed,
                dialler,
                shared: Arc::clone(&shared),
            }),
            ask: ask.clone(),
            retry: Arc::clone(&retry),
        };
        let guard = gone.clone().drop_guard();
        let server = destination.server();
        let span = tracing::info_span!(parent: None, "output", %input, output = %uid, server);
        shard.spawn(
            async move {
                let _guard = guard;
                if let Some(predecessor) = predecessor {
                    predecessor.cancelled().await;
                }
                worker.run().await;
            }
            .instrument(span),
        );
        Self {
            destination,
            shared,
            stop: ask.stop.clone().drop_guard(),
            ask,
            retry,
            gone,
        }
    }

    /// Lets it connect at once if it waits to try again.
    pub fn retry(&self) {
        self.retry.notify_one();
    }

    /// Ends it cleanly, at the end of the message begun. The token is cancelled when nothing is
    /// left of it, a second later at most. Its observer hears nothing more.
    pub fn stop(self) -> CancellationToken {
        self.shared.lock().observer = None;
        self.gone
    }

    /// Lets it send what it has not sent yet of a broadcast that is over, for a second at most, and
    /// then ends it cleanly. The token is cancelled when nothing is left of it. Its observer hears
    /// nothing more.
    pub fn finish(self) -> CancellationToken {
        self.shared.lock().observer = None;
        self.ask.finish.cancel();
        // It ends by itself.
        self.stop.disarm();
        self.gone
    }

    /// Where it sends.
    pub fn destination(&self) -> &Arc<Destination> {
        &self.destination
    }

    /// How it is doing.
    pub fn figures(&self) -> Figures {
        self.shared.lock().figures()
    }
}

/// How an output is doing.
#[derive(Clone, Debug)]
pub struct Figures {
    /// Its state.
    pub state: State,
    /// Since when.
    pub since: Instant,
    /// How far it has come, while connecting.
    pub step: Option<Step>,
    /// The last failure.
    pub last_failure: Option<Failure>,
    /// Failures in a row.
    pub attempts: u32,
    /// How often the destination has taken the stream.
    pub connects: u64,
    /// When the next attempt begins, while waiting for it.
    pub next_retry: Option<Instant>,
    /// Bytes written to the destination, headers included.
    pub sent: u64,
    /// Bits a second written lately.
    pub bitrate: u64,
    /// What it was not sent because it lagged.
    pub skipped: Skipped,
    /// What may be wrong at the destination, while it takes the stream.
    pub warnings: Vec<OutputWarning>,
}

/// What the output's task and those who look at it share.
pub(super) struct Shared(Mutex<Inner>);

struct Inner {
    machine: OutputMachine,
    sent: Meter,
    /// Until when `sent` is known.
    told: Instant,
    skipped: Skipped,
    warnings: Vec<OutputWarning>,
    observer: Option<Observer>,
    /// Keeps what it begins with until a destination takes the stream.
    waiting: Option<Bookmark>,
}

/// Randomness for the waits between attempts, without asking the system: this runs on the threads of
/// media, at each event of each output. The standard library's is drawn once for each thread.
fn jitter() -> u64 {
    RandomState::new().hash_one(())
}

impl Inner {
    fn figures(&self) -> Figures {
        let status = self.machine.status();
        Figures {
            state: status.state,
            since: status.since,
            step: status.step,
            last_failure: status.last_failure.cloned(),
            attempts: status.attempts,
            connects: status.connects,
            next_retry: status.next_retry,
            sent: self.sent.total(),
            bitrate: self.bitrate(),
            skipped: self.skipped,
            warnings: self.warnings.clone(),
        }
    }

    fn bitrate(&self) -> u64 {
        // Of the time since, nothing is known yet, unless it is longer than it may be.
        let now = clock::now();
        let until = now.checked_sub(LOOK_INTERVAL).unwrap_or(now);
        self.sent.bits_per_second(until.max(self.told))
    }

    /// What an observer is told the changes of.
    fn shown(&self) -> (State, u32, u64, Option<Instant>) {
        let status = self.machine.status();
        let Status {
            state,
            attempts,
            connects,
            next_retry,
            ..
        } = status;
        (state, attempts, connects, next_retry)
    }
}

impl Shared {
    pub(super) fn new(policy: StartPolicy, observer: Observer) -> Self {
        Self(Mutex::new(Inner {
            machine: OutputMachine::new(clock::now(), policy),
            sent: Meter::default(),
            told: clock::now(),
            skipped: Skipped::default(),
            warnings: Vec::new(),
            observer: Some(observer),
            waiting: None,
        }))
    }

    /// Keeps what a stream begins with until the destination has taken it.
    pub(super) fn keep_beginning(&self, feed: &Arc<Feed>) {
        let beginning = feed.bookmark(StartPolicy::FirstKeyframe);
        self.lock().waiting = Some(beginning);
    }

    pub(super) fn event(&self, event: Event) -> Option<Action> {
        self.change(|machine, random| machine.handle(clock::now(), event, random))
    }

    /// So many bytes were written since it was last told, or since a destination took the stream; and
    /// what was skipped since then in all.
    pub(super) fn sent(&self, bytes: u64, skipped: Skipped) {
        let mut inner = self.lock();
        let from = std::mem::replace(&mut inner.told, clock::now());
        inner.sent.count(from, bytes);
        inner.skipped = skipped;
    }

    /// What may be wrong at the destination that takes the stream.
    pub(super) fn warn(&self, warnings: Vec<OutputWarning>) {
        let mut inner = self.lock();
        if inner.warnings == warnings {
            return;
        }
        for warning in &warnings {
            tracing::info!(code = warning.code(), "{warning}");
        }
        inner.warnings = warnings;
        if let Some(observer) = &inner.observer {
            observer(&inner.figures());
        }
    }

    pub(super) fn start_policy(&self) -> StartPolicy {
        self.lock().machine.start_policy()
    }

    fn timeout(&self) -> Option<Action> {
        self.change(|machine, random| machine.handle_timeout(clock::now(), random))
    }

    fn next_timeout(&self) -> Option<Instant> {
        self.lock().machine.next_timeout()
    }

    fn change(
        &self,
        change: impl FnOnce(&mut OutputMachine, u64) -> Option<Action>,
    ) -> Option<Action> {
        let mut inner = self.lock();
        let (before, shown) = (inner.machine.status().state, inner.shown());
        let action = change(&mut inner.machine, jitter());
        if !matches!(inner.machine.status().state, State::Live | State::Stalled) {
            // Of the next connection nothing is known.
            inner.warnings.clear();
        } else if matches!(before, State::Connecting) {
            inner.waiting = None;
            inner.told = clock::now();
        }
        let status = inner.machine.status();
        if status.state != before {
            let failure = status.last_failure.filter(|_| status.next_retry.is_some());
            let wait = status.next_retry;
            let wait = wait.map(|at| at.saturating_duration_since(clock::now()));
            let was_live = matches!(before, State::Live | State::Stalled)
                && !matches!(status.state, State::Live | State::Stalled);
            tracing::info!(
                state = %status.state,
                reason = failure.map(|failure| tracing::field::display(failure.reason)),
                words = failure.and_then(|failure| failure.words.as_deref()),
                attempts = Some(status.attempts).filter(|attempts| *attempts > 0),
                retry_in_ms = wait.map(|wait| wait.as_millis()),
                sent_bytes = was_live.then(|| inner.sent.total()),
                skipped_ms = was_live.then(|| inner.skipped.media.as_millis()),
                "output state",
            );
        }
        if let Some(observer) = &inner.observer
            && inner.shown() != shown
        {
            observer(&inner.figures());
        }
        action
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // The machine's panics are this output's alone; what it shows stays readable.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an attempt to send needs.
pub(super) struct Attempt {
    pub(super) destination: Arc<Destination>,
    pub(super) feed: Arc<Feed>,
    pub(super) dialler: Dialler,
    pub(super) shared: Arc<Shared>,
}

struct Worker {
    attempt: Arc<Attempt>,
    ask: Ask,
    retry: Arc<Notify>,
}

impl Worker {
    async fn run(self) {
        let shared = &self.attempt.shared;
        let mut running = None;
        let mut action = shared.event(Event::Start);
        if shared.start_policy() == StartPolicy::FirstKeyframe {
            shared.keep_beginning(&self.attempt.feed);
        }
        loop {
            match action {
                Some(Action::Connect) => running = Some(Running::start(&self.attempt)),
                Some(Action::Abort | Action::Stop) => running = None,
                None => {}
            }
            let timeout = async {
                match shared.next_timeout() {
                    Some(deadline) => sleep_until(deadline.into()).await,
                    None => std::future::pending().await,
                }
            };
            let end = async {
                match &mut running {
                    Some(running) => running.end().await,
                    None => std::future::pending().await,
                }
            };
            action = tokio::select! {
                () = self.ask.finish.cancelled() => break,
                () = self.ask.stop.cancelled() => break,
                failure = end => {
                    running = None;
                    failure.and_then(|event| shared.event(event))
                }
                () = timeout => shared.timeout(),
                () = self.retry.notified() => shared.event(Event::Retry),
            };
        }
        if let Some(running) = &mut running {
            if self.ask.finish.is_cancelled() && running.finish().await {
                shared.event(Event::Stop);
                return;
            }
            shared.event(Event::Stop);
            running.ask.stop.cancel();
            running.end().await;
        } else {
            shared.event(Event::Stop);
        }
    }
}

/// An attempt in a task of its own: if it panics, the output fails, and nothing else does.
struct Running {
    task: JoinHandle<End>,
    ask: Ask,
}

impl Running {
    fn start(attempt: &Arc<Attempt>) -> Self {
        let ask = Ask::default();
        let (attempt, asked) = (Arc::clone(attempt), ask.clone());
        let task =
            tokio::spawn(async move { session::run(&attempt, &asked).await }.in_current_span());
        Self { task, ask }
    }

    /// Whether it sent the rest and ended in time.
    async fn finish(&mut self) -> bool {
        self.ask.finish.cancel();
        timeout(FINISH_MAX, self.end()).await.is_ok()
    }

    async fn end(&mut self) -> Option<Event> {
        match (&mut self.task).await {
            Ok(End::Failed { reason, words }) => Some(Event::Failed { reason, words }),
            Ok(End::Renewed) => Some(Event::Renewed),
            Ok(End::Aborted | End::Stopped) => None,
            Err(error) => {
                // The panic's text went to standard error by itself, and holds no key: nothing
                // here formats one.
                tracing::error!(panicked = error.is_panic(), "output task ended");
                Some(Event::Failed {
                    reason: Reason::Internal,
                    words: None,
                })
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[cfg(test)]
mod tests {
    use broadcast::METER_WINDOW;

    use super::*;

    #[test]
    fn the_waits_of_outputs_do_not_fall_together() {
        let drawn: std::collections::BTreeSet<_> = (0..1000).map(|_| jitter()).collect();
        assert_eq!(drawn.len(), 1000);
    }

    #[tokio::test(start_paused = true)]
    async fn the_bitrate_is_that_of_what_was_told_until_nothing_is_told_any_more() {
        let shared = Shared::new(StartPolicy::FirstKeyframe, Box::new(|_| {}));
        let bitrate = || shared.lock().figures().bitrate;
        shared.event(Event::Start);
        tokio::time::advance(Duration::from_secs(3)).await;
        shared.event(Event::Published);
        assert_eq!(bitrate(), 0);
        for _ in 0..10 {
            tokio::time::advance(LOOK_INTERVAL).await;
            shared.sent(125_000, Skipped::default());
            for _ in 0..2 {
                assert_eq!(bitrate(), 1_000_000);
                tokio::time::advance(LOOK_INTERVAL / 4).await;
            }
            tokio::time::advance(LOOK_INTERVAL / 2).await;
            shared.sent(125_000, Skipped::default());
        }
        assert_eq!(bitrate(), 1_000_000);
        tokio::time::advance(2 * LOOK_INTERVAL).await;
        assert!(bitrate() < 1_000_000, "{}", bitrate());
        tokio::time::advance(2 * METER_WINDOW).await;
        assert_eq!(bitrate(), 0);
        assert_eq!(shared.lock().figures().sent, 2_500_000);
    }

    #[tokio::test]
    async fn a_panic_is_a_failure_of_this_output_alone() {
        let mut running = Running {
            task: tokio::spawn(async { panic!("as a bug would") }),
            ask: Ask::default(),
        };
        assert_eq!(
            running.end().await,
            Some(Event::Failed {
                reason: Reason::Internal,
                words: None
            })
        );
    }

    #[tokio::test(start_paused = true)]
    async fn the_rest_of_a_broadcast_may_take_so_long_and_no_longer() {
        let began = tokio::time::Instant::now();
        for (takes, finishes) in [
            (FINISH_MAX - Duration::from_millis(1), true),
            (FINISH_MAX + Duration::from_millis(1), false),
        ] {
            let ask = Ask::default();
            let finish = ask.finish.clone();
            let mut running = Running {
                task: tokio::spawn(async move {
                    finish.cancelled().await;
                    tokio::time::sleep(takes).await;
                    End::Stopped
                }),
                ask,
            };
            assert_eq!(running.finish().await, finishes, "{takes:?}");
        }
        assert_eq!(
            began.elapsed(),
            2 * FINISH_MAX - Duration::from_millis(1),
            "it waited longer than it says"
        );
    }

    #[tokio::test]
    async fn an_attempt_that_is_dropped_ends() {
        let ended = CancellationToken::new();
        let guard = ended.clone().drop_guard();
        let running = Running {
            task: tokio::spawn(async move {
                let _guard = guard;
                std::future::pending().await
            }),
            ask: Ask::default(),
        };
        drop(running);
        ended.cancelled().await;
    }
}
