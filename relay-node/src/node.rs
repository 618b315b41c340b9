//! The node: its parts, put together, started and stopped.

mod set_up;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use shared::link::Snapshot;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

pub use set_up::{SetUp, SetUpError, check};

use crate::admin;
use crate::hand_over::{self, Offer, Successor};
use crate::ingest::tls::Certificate;
use crate::ingest::{Door, Ingest};
use crate::listeners::{self, Kind, ListenError, Listener};
use crate::registry::Registry;
use crate::uplink::Uplink;

/// How long encoders and outputs have to go when the node stops; with the uplink's second, the
/// process is done in less than 5 s.
const STOP_MAX: Duration = Duration::from_secs(3);

/// How long the uplink has for its last events.
const UPLINK_STOP_MAX: Duration = Duration::from_millis(1200);

/// How often it is looked at what encoders send: a person at an encoder is told within seconds what
/// is wrong, and one who sends too much is cut as soon.
const INSPECT_EVERY: Duration = Duration::from_secs(1);

/// A running node.
pub struct Node {
    registry: Arc<Registry>,
    ingest: Ingest,
    door: Arc<Door>,
    rtmps: Vec<SocketAddr>,
    rtmp: Vec<SocketAddr>,
    admin: Vec<SocketAddr>,
    certificate: Option<Arc<Certificate>>,
    /// For successors, if there may be any.
    sockets: Vec<(Kind, bool, std::net::TcpListener)>,
    hand_over: Option<PathBuf>,
    unready: CancellationToken,
    draining: CancellationToken,
    /// Serves encoders.
    accepting: CancellationToken,
    /// Serves the operator.
    answering: CancellationToken,
    serving: CancellationToken,
    uplink: JoinHandle<()>,
}

impl Node {
    /// Begins, with the listeners that are `open` already, and opens the rest.
    ///
    /// # Errors
    ///
    /// An address cannot be listened on.
    pub async fn start(set_up: SetUp, mut open: Vec<Listener>) -> Result<Self, ListenError> {
        let (rtmps, certificate) = match set_up.rtmps {
            Some((addresses, certificate)) => (addresses, Some(certificate)),
            None => (Vec::new(), None),
        };
        let mut listen = |kind, on: &[_]| listeners::complete(kind, on, &mut open);
        let rtmps = match &certificate {
            Some(_) => listen(Kind::Rtmps, &rtmps)?,
            None => Vec::new(),
        };
        let rtmp = listen(Kind::Rtmp, &set_up.rtmp)?;
        let admin = listen(Kind::Admin, &[set_up.admin])?;
        for unused in open {
            tracing::warn!(kind = %unused.kind, "socket that the configuration has no use for");
        }

        let mut sockets = Vec::new();
        if set_up.hand_over.is_some() {
            for listener in rtmps.iter().chain(&rtmp).chain(&admin) {
                let address = listener.socket.local_addr().unwrap_or(NOWHERE);
                let copy = listener.socket.try_clone();
                let copy = copy.map_err(|source| ListenError { address, source })?;
                sockets.push((listener.kind, listener.given, copy));
            }
        }

        let mut encoders = listeners::addresses(&rtmps);
        encoders.extend(listeners::addresses(&rtmp));
        let registry = Arc::new(Registry::new(
            set_up.node.clone(),
            set_up.instance,
            set_up.control,
            set_up.revs,
            set_up.dialler.within(set_up.system, encoders),
            set_up.media,
        ));
        if !set_up.draining.is_empty() {
            registry.rivals().expect(set_up.draining);
        }
        let [unready, draining, accepting, serving] =
            std::array::from_fn(|_| CancellationToken::new());
        let answering = serving.child_token();
        let ingest = Ingest::new(
            Arc::clone(&registry),
            Arc::clone(&set_up.door),
            draining.clone(),
            accepting.clone(),
        );
        let node = Self {
            rtmps: listeners::addresses(&rtmps),
            rtmp: listeners::addresses(&rtmp),
            admin: listeners::addresses(&admin),
            registry: Arc::clone(&registry),
            ingest: ingest.clone(),
            door: Arc::clone(&set_up.door),
            certificate: certificate.clone(),
            sockets,
            hand_over: set_up.hand_over,
            unready: unready.clone(),
            draining,
            accepting,
            answering: answering.clone(),
            serving: serving.clone(),
            uplink: run_uplink(set_up.uplink, Arc::clone(&registry), serving.clone()),
        };
        tokio::spawn(inspect(Arc::clone(&registry), serving.clone()));
        tokio::spawn(confirm(Arc::clone(&registry), serving));
        tokio::spawn(apply(set_up.snapshots, Arc::clone(&registry)));
        for listener in accept_from(admin)? {
            tokio::spawn(admin::serve(
                listener,
                Arc::clone(&registry),
                Arc::clone(&set_up.door),
                unready.clone(),
                answering.clone(),
            ));
        }
        for listener in accept_from(rtmps)? {
            ingest.listen(listener, certificate.clone());
        }
        for listener in accept_from(rtmp)? {
            ingest.listen(listener, None);
        }
        tracing::info!(
            node = %set_up.node,
            instance = %set_up.instance,
            rtmps = ?node.rtmps,
            rtmp = ?node.rtmp,
            admin = ?node.admin,
            version = env!("CARGO_PKG_VERSION"),
            "ready",
        );
        Ok(node)
    }

    /// Where RTMPS is accepted.
    pub fn rtmps(&self) -> &[SocketAddr] {
        &self.rtmps
    }

    /// Where plain RTMP is accepted.
    pub fn rtmp(&self) -> &[SocketAddr] {
        &self.rtmp
    }

    /// Where health, status and metrics are served.
    pub fn admin(&self) -> &[SocketAddr] {
        &self.admin
    }

    /// The broadcasts on air.
    pub fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// Where encoders come in.
    pub fn door(&self) -> &Arc<Door> {
        &self.door
    }

    /// Shows encoders from now on what lies in the certificate's files, if that has changed, or in any
    /// case if `forced`. What cannot be used is told, and the certificate stays that was shown before.
    pub fn renew_certificate(&self, forced: bool) {
        let Some(certificate) = &self.certificate else {
            return;
        };
        match certificate.renew(forced) {
            Ok(true) => tracing::info!("the certificate was read again"),
            Ok(false) => {}
            Err(error) => tracing::error!(
                %error,
                "the new certificate cannot be used: the one from before stays"
            ),
        }
    }

    /// What a successor of this process finds, if one may come.
    ///
    /// # Errors
    ///
    /// The file that it finds it by cannot be made.
    pub fn offer(&mut self) -> io::Result<Option<Offer>> {
        match &self.hand_over {
            Some(path) => Offer::new(path, std::mem::take(&mut self.sockets)).map(Some),
            None => Ok(None),
        }
    }

    /// Leaves all new connections to another process: says first that it is not ready, then accepts
    /// none any more, and tells the successor. Those that are there are served on.
    pub async fn drain(&self, successor: Successor) {
        self.unready.cancel();
        self.draining.cancel();
        if successor.admin {
            self.answering.cancel();
        }
        let connection = successor.draining().await;
        self.registry.handed_over().cancel();
        if let Some(path) = self.hand_over.clone() {
            let registry = Arc::clone(&self.registry);
            // To the very end of the process: the successor waits for what is still sent.
            tokio::spawn(async move {
                let _connection = connection;
                hand_over::attend(&path, &registry).await;
            });
        }
        tracing::info!("another process has taken over: this one serves what is on air to its end");
    }

    /// Waits until a process that drains has nothing more to serve, for at most `max`: what is on air
    /// then is ended by [`stop`](Self::stop).
    pub async fn drained(&self, max: Duration) {
        let drained = async {
            self.ingest.wait().await;
            self.registry.silence().await;
        };
        if timeout(max, drained).await.is_err() {
            tracing::warn!("the time is over in which to serve what is on air to its end");
        }
    }

    /// Accepts nobody any more, tells the encoders, ends all broadcasts cleanly, and then lets the
    /// control plane know.
    pub async fn stop(self) {
        self.unready.cancel();
        self.accepting.cancel();
        let gone = async {
            tokio::join!(self.registry.shut_down(), self.ingest.wait());
        };
        if timeout(STOP_MAX, gone).await.is_err() {
            tracing::warn!("not everything ended in time");
        }
        self.serving.cancel();
        if timeout(UPLINK_STOP_MAX, self.uplink).await.is_err() {
            tracing::debug!("the control plane was not told everything");
        }
    }
}

/// Makes sockets ready for this runtime.
fn accept_from(listeners: Vec<Listener>) -> Result<Vec<TcpListener>, ListenError> {
    let accept_from = |Listener { socket, .. }: Listener| {
        let address = socket.local_addr().unwrap_or(NOWHERE);
        // Who handed it over may have had other uses for it.
        let listener = socket
            .set_nonblocking(true)
            .and_then(|()| TcpListener::from_std(socket));
        listener.map_err(|source| ListenError { address, source })
    };
    listeners.into_iter().map(accept_from).collect()
}

/// Shown where the kernel does not know a socket's address.
const NOWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

fn run_uplink(
    uplink: Option<Uplink>,
    registry: Arc<Registry>,
    stop: CancellationToken,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        if let Some(uplink) = uplink {
            uplink.run(&|| registry.figures(), stop).await;
        }
    })
}

async fn inspect(registry: Arc<Registry>, stop: CancellationToken) {
    let mut ticks = interval(INSPECT_EVERY);
    // A node that was held up has nothing to make up for.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        registry.inspect();
    }
}

async fn confirm(registry: Arc<Registry>, stop: CancellationToken) {
    stop.run_until_cancelled(registry.confirm_cached()).await;
}

async fn apply(mut snapshots: mpsc::Receiver<Snapshot>, registry: Arc<Registry>) {
    while let Some(snapshot) = snapshots.recv().await {
        registry.apply(snapshot);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::pin::pin;
    use std::sync::OnceLock;
    use std::task::{Context, Poll, Wake};

    use tokio::task::spawn_blocking;
    use tokio::time::Instant;

    use super::*;
    use crate::config::{self, Config, Written};

    /// A node with no input, on ports of its own.
    async fn node() -> Node {
        node_with(None).await
    }

    /// The same, for successors that come to this socket.
    async fn node_with(hand_over: Option<PathBuf>) -> Node {
        let folder = tempfile::tempdir().unwrap();
        let inputs = folder.path().join("inputs.toml");
        fs::write(&inputs, "").unwrap();
        let any = "127.0.0.1:0".parse().unwrap();
        let mut written = Written::default();
        written.rtmp.listen = Some(config::Addresses(vec![any]));
        written.admin.listen = Some(any);
        written.hand_over.socket = hand_over;
        let config = Config::complete(written, Some(inputs)).unwrap();
        let set_up = SetUp::new(&config).unwrap();
        Node::start(set_up, Vec::new()).await.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_go_is_left_in_time() {
        let began = Instant::now();
        node().await.stop().await;
        assert_eq!(began.elapsed(), Duration::ZERO);

        let mut stuck = node().await;
        stuck.ingest.hold();
        stuck.stop().await;
        assert_eq!(began.elapsed(), STOP_MAX);

        stuck = node().await;
        stuck.uplink = tokio::spawn(std::future::pending());
        stuck.stop().await;
        assert_eq!(began.elapsed(), STOP_MAX + UPLINK_STOP_MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_on_air_is_served_for_so_long_and_no_longer() {
        const MAX: Duration = Duration::from_secs(90 * 60);
        let began = Instant::now();
        let node = node().await;
        node.draining.cancel();
        node.drained(MAX).await;
        assert_eq!(began.elapsed(), Duration::ZERO, "nothing is on air");
        node.ingest.hold();
        node.drained(MAX).await;
        assert_eq!(began.elapsed(), MAX);
    }

    /// Woken at the moment that something is cancelled, looks whether the node says that it is ready.
    struct Looks {
        unready: CancellationToken,
        was_ready: OnceLock<bool>,
    }

    impl Wake for Looks {
        fn wake(self: Arc<Self>) {
            // It may be woken more than once: the first time counts.
            let _ = self.was_ready.set(!self.unready.is_cancelled());
        }
    }

    /// Looks at `node` when it is woken.
    fn looks(node: &Node) -> Arc<Looks> {
        Arc::new(Looks {
            unready: node.unready.clone(),
            was_ready: OnceLock::new(),
        })
    }

    #[tokio::test]
    async fn readiness_turns_off_before_a_stop_refuses_anybody() {
        let node = node().await;
        let looks = looks(&node);
        let waker = Arc::clone(&looks).into();
        let accepting = node.accepting.clone();
        let mut over = pin!(accepting.cancelled());
        let mut cx = Context::from_waker(&waker);
        assert_eq!(over.as_mut().poll(&mut cx), Poll::Pending);
        node.stop().await;
        assert_eq!(looks.was_ready.get(), Some(&false));
    }

    #[tokio::test]
    async fn readiness_turns_off_before_another_process_has_all_connections() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hand-over");
        let mut node = node_with(Some(path.clone())).await;
        let looks = looks(&node);
        let waker = Arc::clone(&looks).into();
        let draining = node.draining.clone();
        let mut over = pin!(draining.cancelled());
        let mut cx = Context::from_waker(&waker);
        assert_eq!(over.as_mut().poll(&mut cx), Poll::Pending);
        let offer = node.offer().unwrap().unwrap();
        let registry = Arc::clone(&node.registry);
        let unready = node.unready.clone();
        let took_over = spawn_blocking(move || {
            let former = hand_over::take_over(&path).unwrap().unwrap();
            let ready_until_asked = !unready.is_cancelled();
            let life = former.accepting(false).unwrap();
            // The successor says that it is ready only now.
            (ready_until_asked, unready.is_cancelled(), life)
        });
        let successor = offer.serve(&registry).await;
        node.drain(successor).await;
        assert_eq!(looks.was_ready.get(), Some(&false));
        let (ready_until_asked, unready_after, _life) = took_over.await.unwrap();
        assert!(ready_until_asked && unready_after);
        node.stop().await;
    }
}
