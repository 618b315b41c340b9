//! The task that does what the link wants.

use std::future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use shared::id;
use shared::link::{Figures, InputFigures, PING, Reconciliation, Snapshot, ToControl};
use tokio::sync::mpsc;
use tokio::time;
use tokio_tungstenite::tungstenite::Utf8Bytes;
use tokio_util::sync::CancellationToken;

use super::Shared;
use super::cache::KeyCache;
use super::endpoint::Endpoint;
use super::failure::Failure;
use super::figures::{Gather, Turns, in_frames};
use super::http::Http;
use super::link::Action;
use super::socket::Socket;
use crate::control::{LinkState, Revs};

/// Owns the socket and the polls, and the time between them.
pub(super) struct Driver {
    pub(super) shared: Arc<Shared>,
    pub(super) instance: id::Instance,
    pub(super) revs: Arc<Revs>,
    pub(super) snapshots: mpsc::Sender<Snapshot>,
    pub(super) http: Http,
    pub(super) endpoint: Endpoint,
    pub(super) tls: Arc<ClientConfig>,
    pub(super) cache: Arc<KeyCache>,
}

impl Driver {
    /// Runs until `shutdown`, and then until the control plane has taken care of every event, for
    /// [`LINGER`] at most.
    pub(super) async fn run(self, figures: &Gather<'_>, shutdown: CancellationToken) {
        let mut io = Io::default();
        tokio::select! {
            () = self.serve(&mut io, figures) => {}
            () = self.finish(shutdown) => {}
        }
        if let Some(socket) = io.socket.take() {
            socket.close().await;
        }
    }

    /// Returns when nobody takes snapshots any more.
    async fn serve(&self, io: &mut Io, figures: &Gather<'_>) {
        let mut state = LinkState::Down;
        while self.act(io, figures).await.is_ok() {
            let before = std::mem::replace(&mut state, self.shared.link().state());
            if before != state && state != LinkState::Down {
                self.shared.reached.notify_one();
            }
            let timeout = self.shared.link().poll_timeout();
            tokio::select! {
                () = self.shared.changed.notified() => {}
                () = sleep_until(timeout) => {}
                outcome = or_pending(&mut io.opening) => {
                    io.opening = None;
                    let mut link = self.shared.link();
                    match outcome {
                        Ok(socket) => {
                            io.socket = Some(socket);
                            link.opened(now());
                        }
                        Err(failure) => link.open_failed(&failure, now()),
                    }
                }
                text = receive(&mut io.socket) => {
                    let mut link = self.shared.link();
                    match text {
                        Some(text) => link.received(&text, now()),
                        None => {
                            io.socket = None;
                            link.closed(&Failure::Closed, now());
                        }
                    }
                }
                outcome = or_pending(&mut io.polling) => {
                    io.polling = None;
                    self.shared.link().polled(outcome, now());
                }
            }
        }
    }

    /// Performs every action that is due.
    async fn act(&self, io: &mut Io, figures: &Gather<'_>) -> Result<(), NobodyListens> {
        loop {
            let action = self.shared.link().poll_action(&self.revs, now());
            let text = match action {
                None => {
                    if self.shared.link().take_reconciled() {
                        self.cache.confirmed(self.revs.all().into_keys());
                    }
                    self.shared.acted.notify_waiters();
                    return Ok(());
                }
                Some(Action::Connect) => {
                    let (endpoint, tls) = (self.endpoint.clone(), Arc::clone(&self.tls));
                    io.opening = Some(Box::pin(async move { Socket::open(&endpoint, tls).await }));
                    continue;
                }
                Some(Action::Deliver(snapshot)) => {
                    self.cache.told(&snapshot);
                    let delivered = self.snapshots.send(snapshot).await;
                    delivered.map_err(|_| NobodyListens)?;
                    continue;
                }
                Some(Action::Drop) => {
                    io.socket = None;
                    continue;
                }
                Some(Action::Figures) => {
                    self.send_figures(io, figures());
                    continue;
                }
                Some(Action::Ping) => Ok(Utf8Bytes::from_static(PING)),
                Some(Action::Poll(mut report)) => {
                    report.figures = io.polled.take(figures());
                    let http = self.http.clone();
                    io.polling = Some(Box::pin(async move { http.poll(&report).await }));
                    continue;
                }
                Some(Action::Send(frame)) => text(&frame),
            };
            self.send(io, text);
        }
    }

    fn send(&self, io: &mut Io, text: Result<Utf8Bytes, Failure>) {
        let sent = text.and_then(|text| match &io.socket {
            Some(socket) => socket.send(text),
            None => Err(Failure::Closed),
        });
        if let Err(failure) = sent {
            io.socket = None;
            self.shared.link().closed(&failure, now());
        }
    }

    fn send_figures(&self, io: &mut Io, figures: Vec<InputFigures>) {
        for inputs in in_frames(figures) {
            let instance = self.instance;
            self.send(io, text(&ToControl::Figures(Figures { instance, inputs })));
        }
    }

    async fn finish(&self, shutdown: CancellationToken) {
        shutdown.cancelled().await;
        let drained = async {
            loop {
                let acted = self.shared.acted.notified();
                if self.shared.link().is_drained() {
                    return;
                }
                acted.await;
            }
        };
        // What is not taken care of by then, the control plane learns from the next instance.
        let _ = time::timeout(LINGER, drained).await;
    }
}

fn text(frame: &ToControl) -> Result<Utf8Bytes, Failure> {
    serde_json::to_string(frame)
        .map(Utf8Bytes::from)
        .map_err(|error| Failure::Unreadable(error.into()))
}

/// Nobody takes snapshots any more: the node is gone.
struct NobodyListens;

/// What is going on with the control plane at the moment.
#[derive(Default)]
struct Io {
    opening: Option<Exchange<Socket>>,
    socket: Option<Socket>,
    polling: Option<Exchange<Reconciliation>>,
    polled: Turns,
}

/// One question and its outcome.
type Exchange<T> = Pin<Box<dyn Future<Output = Result<T, Failure>> + Send>>;

async fn or_pending<T>(exchange: &mut Option<Exchange<T>>) -> Result<T, Failure> {
    match exchange {
        Some(exchange) => exchange.await,
        None => future::pending().await,
    }
}

async fn receive(socket: &mut Option<Socket>) -> Option<Utf8Bytes> {
    match socket {
        Some(socket) => socket.receive().await,
        None => future::pending().await,
    }
}

async fn sleep_until(when: Option<Instant>) {
    match when {
        Some(when) => time::sleep_until(when.into()).await,
        None => future::pending().await,
    }
}

/// The time by tokio's clock, which tests can hold.
pub(super) fn now() -> Instant {
    time::Instant::now().into_std()
}

/// How long a node that shuts down waits for its last events to be taken care of.
pub(super) const LINGER: Duration = Duration::from_secs(1);
