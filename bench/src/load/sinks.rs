//! Destinations that cost little: those of the measured broadcast look at each message, all others
//! throw away what comes.

use std::io::{ErrorKind, Read as _};
use std::net::TcpStream as Plain;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use rtmp::server::{ServerConfig, ServerEvent, ServerSession};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::fanout::media::{self, Sent};

/// How often what has come is thrown away. The kernel has acknowledged it before.
const THROW_AWAY_EVERY: Duration = Duration::from_millis(200);

/// In how many parts, one after the other, so that no core is held up for long.
const PARTS: usize = 20;

/// Where all outputs lead.
#[derive(Clone)]
pub(super) struct Sinks(Arc<Inner>);

struct Inner {
    /// The measured broadcast's messages.
    sent: Arc<Sent>,
    /// Its outputs that are published.
    measured: AtomicUsize,
    /// Number, and microseconds from the publisher's write, of what came by them.
    arrived: Mutex<Vec<(usize, u32)>>,
    /// All other outputs.
    others: Mutex<Vec<Plain>>,
}

impl Sinks {
    /// Takes streams from all of `listeners`, in the runtime that this is called in. Those whose key
    /// begins with `measured` are compared with what was `sent`.
    pub(super) fn start(
        listeners: Vec<TcpListener>,
        sent: Arc<Sent>,
        measured: &'static str,
    ) -> Self {
        let sinks = Self(Arc::new(Inner {
            sent,
            measured: AtomicUsize::new(0),
            arrived: Mutex::default(),
            others: Mutex::default(),
        }));
        for listener in listeners {
            let sinks = sinks.clone();
            tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    let sinks = sinks.clone();
                    // A connection that breaks is missed by who counts.
                    tokio::spawn(async move { sinks.serve(stream, measured).await });
                }
            });
        }
        let thrown = Arc::downgrade(&sinks.0);
        thread::spawn(move || throw_away(&thrown));
        sinks
    }

    /// How many outputs are published now: those that are measured, and the others.
    pub(super) fn published(&self) -> (usize, usize) {
        (
            self.0.measured.load(Ordering::Relaxed),
            self.0.others().len(),
        )
    }

    /// What has come by the measured outputs since this was called last.
    pub(super) fn take_arrived(&self) -> Vec<(usize, u32)> {
        std::mem::take(&mut *self.arrived())
    }

    fn arrived(&self) -> MutexGuard<'_, Vec<(usize, u32)>> {
        self.0
            .arrived
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    async fn serve(&self, mut stream: TcpStream, measured: &str) -> Result<()> {
        stream.set_nodelay(true)?;
        let mut session = ServerSession::new(ServerConfig::default(), Instant::now());
        let mut is_measured = false;
        let served = async {
            loop {
                while let Some(bytes) = session.poll_output() {
                    stream.write_all(&bytes).await?;
                }
                if session.is_closed() || stream.read_buf(session.read_buf()).await? == 0 {
                    return Ok(false);
                }
                let at = Instant::now();
                session.process(at)?;
                while let Some(event) = session.poll_event() {
                    match event {
                        ServerEvent::PublishRequested(request) => {
                            session.accept(at)?;
                            is_measured = request.key.expose().starts_with(measured);
                            if is_measured {
                                self.0.measured.fetch_add(1, Ordering::Relaxed);
                            }
                        }
                        // It is published: nothing has to be understood any more.
                        ServerEvent::Media(_) if !is_measured => return Ok(true),
                        ServerEvent::Media(message) => {
                            let number = media::number(message.kind, &message.payload);
                            if let Some((number, _)) = number {
                                self.note(number, at);
                            }
                        }
                        _ => {}
                    }
                }
            }
        };
        let served: Result<bool> = served.await;
        if is_measured {
            self.0.measured.fetch_sub(1, Ordering::Relaxed);
        }
        if served? {
            let stream = stream.into_std()?;
            self.0.others().push(stream);
        }
        Ok(())
    }

    fn note(&self, number: usize, at: Instant) {
        let Some((sent_at, _)) = self.0.sent.message(number) else {
            return;
        };
        let micros = at.saturating_duration_since(sent_at).as_micros();
        let micros = u32::try_from(micros).unwrap_or(u32::MAX);
        self.arrived().push((number, micros));
    }
}

impl Inner {
    fn others(&self) -> MutexGuard<'_, Vec<Plain>> {
        self.others.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads what has come by all other outputs, until nobody needs the sinks any more.
fn throw_away(sinks: &Weak<Inner>) {
    let mut bytes = vec![0; 1 << 18];
    let mut parts = (0..PARTS).cycle();
    while let (Some(inner), Some(part)) = (sinks.upgrade(), parts.next()) {
        let mut index = 0;
        inner.others().retain_mut(|stream| {
            index += 1;
            if index % PARTS != part {
                return true;
            }
            match stream.read(&mut bytes) {
                Ok(read) => read > 0,
                Err(error) => error.kind() == ErrorKind::WouldBlock,
            }
        });
        drop(inner);
        thread::sleep(THROW_AWAY_EVERY / PARTS as u32);
    }
}
