//! Where encoders come in.

mod admission;
mod bounds;
mod door;
mod gathering;
mod keys;
mod refusals;
mod session;
mod socket;
pub mod tls;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rtmp::server::Refusal;
use shared::link::Protocol;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::feed::Encoder;
use crate::registry::Registry;
use crate::socket as sockets;
use socket::EncoderSocket;
use tls::Certificate;

pub use admission::Places;
pub use bounds::Bounds;
pub use door::{Door, DoorFigures, Place};
pub use keys::{REMEMBERED_MAX, WrongKeys};
pub use refusals::LOG_INTERVAL;

/// How long the TLS handshake may take, if a finished publish may take longer.
const TLS_TIMEOUT: Duration = Duration::from_secs(10);

/// The first pause after an accept that failed for want of something (file descriptors, memory),
/// and the longest: what is missing does not come back faster by asking.
const ACCEPT_RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// Takes encoders in, on any number of listeners.
#[derive(Clone)]
pub struct Ingest {
    registry: Arc<Registry>,
    door: Arc<Door>,
    connections: TaskTracker,
    drain: CancellationToken,
    stop: CancellationToken,
}

impl Ingest {
    /// An ingest behind that door, which accepts until `drain` is cancelled, and serves whom it has
    /// accepted until `stop` is.
    pub fn new(
        registry: Arc<Registry>,
        door: Arc<Door>,
        drain: CancellationToken,
        stop: CancellationToken,
    ) -> Self {
        Self {
            registry,
            door,
            connections: TaskTracker::new(),
            drain,
            stop,
        }
    }

    /// Accepts from `listener`, with TLS if there is a certificate for it, until drained or stopped.
    pub fn listen(&self, listener: TcpListener, tls: Option<Arc<Certificate>>) {
        let ingest = self.clone();
        self.connections
            .spawn(async move { ingest.accept_from(listener, tls).await });
    }

    /// Waits until every encoder is gone.
    pub async fn wait(&self) {
        self.connections.close();
        self.connections.wait().await;
    }

    async fn accept_from(&self, listener: impl Accept, tls: Option<Arc<Certificate>>) {
        let mut pause = ACCEPT_RETRY.0;
        loop {
            let accepted = tokio::select! {
                () = self.stop.cancelled() => return,
                () = self.drain.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    pause = ACCEPT_RETRY.0;
                    let place = self.door.arrive(Some(peer.ip()));
                    let span = tracing::info_span!("encoder", %peer);
                    let (ingest, tls) = (self.clone(), tls.as_ref().map(|tls| tls.acceptor()));
                    self.connections.spawn(
                        async move { ingest.serve(stream, tls, place).await }.instrument(span),
                    );
                }
                Err(error) if concerns_one_connection(&error) => {
                    tracing::debug!(%error, "connection lost before it was accepted");
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept connections");
                    sleep(pause).await;
                    pause = (2 * pause).min(ACCEPT_RETRY.1);
                }
            }
        }
    }

    async fn serve(self, stream: TcpStream, tls: Option<TlsAcceptor>, place: Place) {
        // The time to a finished publish begins here.
        let since = Instant::now();
        if let Err(error) = sockets::prepare(&stream) {
            tracing::debug!(%error, "connection lost at once");
            return;
        }
        let address = stream.peer_addr().ok().map(|peer| peer.ip().to_canonical());
        let stream = EncoderSocket::new(stream);
        let Some(tls) = tls else {
            let encoder = Encoder::new(Protocol::Rtmp, address);
            let carry = async |stream: EncoderSocket| stream.carried();
            let (registry, stop) = (self.registry, self.stop);
            return session::serve(stream, carry, encoder, registry, place, since, stop).await;
        };
        let limit = TLS_TIMEOUT.min(place.bounds().session.request_timeout);
        let handshake = tokio::select! {
            () = self.stop.cancelled() => return,
            () = place.lost() => return place.refused(Refusal::Displaced.as_str()),
            handshake = timeout(limit, tls.accept(stream)) => handshake,
        };
        match handshake {
            Ok(Ok(stream)) => {
                place.speaks();
                let encoder = Encoder::new(Protocol::Rtmps, address);
                let carry = async move |stream: TlsStream<EncoderSocket>| {
                    let (stream, session) = stream.into_inner();
                    let stream = stream.carried()?;
                    // The handshake is behind it: what was agreed takes the place of what would be
                    // agreed anew.
                    tls.accept_with(stream, |fresh| *fresh = session).await
                };
                let (registry, stop) = (self.registry, self.stop);
                session::serve(stream, carry, encoder, registry, place, since, stop).await;
            }
            Ok(Err(error)) => {
                tracing::debug!(%error, "no TLS session");
                place.refused(NO_TLS);
            }
            Err(_) => {
                tracing::debug!("no TLS session in time");
                place.refused(TLS_TIMED_OUT);
            }
        }
    }
}

/// Reasons of those who are not told, in the words of logs and metrics: there is no way yet to tell
/// them.
const NO_TLS: &str = "no_tls";
const TLS_TIMED_OUT: &str = "tls_timed_out";

/// Where connections come from.
trait Accept: Send + Sync {
    fn accept(&self) -> impl Future<Output = io::Result<(TcpStream, SocketAddr)>> + Send;
}

impl Accept for TcpListener {
    fn accept(&self) -> impl Future<Output = io::Result<(TcpStream, SocketAddr)>> + Send {
        Self::accept(self)
    }
}

fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}

#[cfg(test)]
impl Ingest {
    /// Holds a connection that never goes.
    pub(crate) fn hold(&self) {
        self.connections.spawn(std::future::pending::<()>());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::time::Instant;

    use super::*;
    use crate::registry::tests::registry;

    fn ingest() -> Ingest {
        let door = Door::new(Bounds::default(), [0; 32]);
        let [drain, stop] = std::array::from_fn(|_| CancellationToken::new());
        Ingest::new(registry(), door, drain, stop)
    }

    /// Both ends of a connection.
    async fn connection() -> (TcpStream, (TcpStream, SocketAddr)) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
        (near.unwrap(), far.unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn an_encoder_that_never_begins_tls_is_dropped_in_time() {
        let ingest = ingest();
        let (_encoder, (stream, peer)) = connection().await;
        let place = ingest.door.arrive(Some(peer.ip()));
        let began = Instant::now();
        let acceptor = tls::tests::acceptor();
        ingest.clone().serve(stream, Some(acceptor), place).await;
        assert_eq!(began.elapsed(), TLS_TIMEOUT);
        let figures = ingest.door.figures();
        assert_eq!(
            (figures.pending, figures.refused),
            (0, vec![(TLS_TIMED_OUT, 1)])
        );
    }

    #[tokio::test(start_paused = true)]
    async fn tls_takes_of_the_time_to_a_finished_publish() {
        let mut bounds = Bounds::default();
        bounds.session.request_timeout = Duration::from_secs(3);
        let mut ingest = ingest();
        ingest.door = Door::new(bounds.clone(), [0; 32]);
        let (_encoder, (stream, peer)) = connection().await;
        let place = ingest.door.arrive(Some(peer.ip()));
        let began = Instant::now();
        let acceptor = tls::tests::acceptor();
        ingest.clone().serve(stream, Some(acceptor), place).await;
        assert_eq!(began.elapsed(), bounds.session.request_timeout);
    }

    #[tokio::test(start_paused = true)]
    async fn accepts_that_fail_are_tried_again_ever_later_until_one_succeeds() {
        let ingest = ingest();
        let (_encoder, accepted) = connection().await;
        let missing = || Err(io::Error::from_raw_os_error(libc::EMFILE));
        let mut outcomes: Vec<_> = (0..7).map(|_| missing()).collect();
        outcomes.push(Err(io::ErrorKind::ConnectionAborted.into()));
        outcomes.push(Ok(accepted));
        outcomes.push(missing());
        let script = Script {
            outcomes: Mutex::new(outcomes.into_iter()),
            asked: Mutex::default(),
            over: CancellationToken::new(),
        };
        let script = Arc::new(script);
        tokio::select! {
            () = ingest.accept_from(Arc::clone(&script), None) => {}
            () = script.over.cancelled() => {}
        }
        let asked = script.asked.lock().unwrap();
        let pauses: Vec<_> = asked
            .windows(2)
            .map(|two| (two[1] - two[0]).as_millis())
            .collect();
        assert_eq!(pauses, [50, 100, 200, 400, 800, 1000, 1000, 0, 0, 50]);
    }

    /// A listener whose accepts end as they are told to.
    struct Script {
        outcomes: Mutex<std::vec::IntoIter<io::Result<(TcpStream, SocketAddr)>>>,
        asked: Mutex<Vec<Instant>>,
        over: CancellationToken,
    }

    impl Accept for Arc<Script> {
        async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
            self.asked.lock().unwrap().push(Instant::now());
            let outcome = self.outcomes.lock().unwrap().next();
            match outcome {
                Some(outcome) => outcome,
                None => {
                    self.over.cancel();
                    std::future::pending().await
                }
            }
        }
    }
}
