//! Connecting to a destination: name, TCP, TLS.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use broadcast::{Gate, Reason, Step};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use shared::address::{AddressPolicy, Forbidden, Network};
use shared::output_url::OutputUrl;
use tokio::net::lookup_host;
use tokio::time::{sleep_until, timeout};
use tokio_rustls::TlsConnector;

use super::Connection;
use super::connection::Counted;
use super::own::Own;
use super::race::{by_turns, connect, not_connected};
use crate::account::{Account, Part};
use crate::{clock, socket};

/// How long the name servers may take. A resolver asks each of them twice in this time.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long until a TCP connection stands, all addresses tried. Four lost SYNs fit in.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the TLS handshake may take.
const TLS_TIMEOUT: Duration = Duration::from_secs(10);

/// How much the kernel holds that it cannot send yet: what it holds can no longer be skipped, and
/// a tenth of a second at 10 Mbit/s keeps it busy.
const UNSENT_MAX: u32 = 128 * 1024;

/// How much is sealed at once, in bytes: the 128 KiB of media that a window holds at most with their chunk
/// headers, so that it leaves in one write. What is sealed can no longer be skipped either.
const SEALED_MAX: usize = 144 * 1024;

/// What is said where too many outputs want to connect to one address.
const CROWDED: &str = "this relay makes too many connections to this address already";

/// Connects to destinations.
#[derive(Clone)]
pub struct Dialler {
    policy: AddressPolicy,
    own: Own,
    /// Whose outputs it connects, if that counts.
    account: Option<Account>,
    /// What all nodes of the system send in `connect`, to know their own again.
    system: Option<Arc<str>>,
    tls: Arc<ClientConfig>,
    /// One for all outputs of the node.
    gate: Arc<Mutex<Gate>>,
    look_up: LookUp,
}

/// Asks the name servers for the addresses of a host and a port. Nothing is remembered: platforms
/// move their names while a stream runs.
type LookUp =
    Arc<dyn Fn(String, u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync>;

impl Dialler {
    /// A dialler that connects to addresses that `policy` allows, and verifies certificates as
    /// `tls` says.
    pub fn new(policy: AddressPolicy, tls: Arc<ClientConfig>) -> Self {
        Self {
            policy,
            own: Own::default(),
            account: None,
            system: None,
            tls,
            gate: Arc::default(),
            look_up: Arc::new(|host, port| {
                async move { Ok(lookup_host((host, port)).await?.collect()) }.boxed()
            }),
        }
    }

    /// The same, where the machine's encoders connect to `ingest` and its system is called `system`:
    /// neither is sent to.
    #[must_use]
    pub fn within(self, system: Arc<str>, ingest: impl IntoIterator<Item = SocketAddr>) -> Self {
        Self {
            own: self.own.with_ingest(ingest),
            system: Some(system),
            ..self
        }
    }

    /// The same, where the system's other nodes are in these networks: they are not sent to.
    #[must_use]
    pub fn beside(self, nodes: impl IntoIterator<Item = Network>) -> Self {
        Self {
            own: self.own.with_nodes(nodes),
            ..self
        }
    }

    /// The same, for the outputs of `account`.
    #[must_use]
    pub fn of(self, account: Option<Account>) -> Self {
        Self { account, ..self }
    }

    /// Counts an output as one of the account's that are connected.
    pub(super) fn take_part(&self) -> Result<Option<Part>, DialError> {
        let part = self.account.as_ref().map(Account::connect).transpose();
        part.map_err(|excess| DialError {
            reason: Reason::AccountLimit,
            words: Some(excess.to_string()),
        })
    }

    /// The name of the system, if it has one.
    pub(crate) fn system(&self) -> Option<&Arc<str>> {
        self.system.as_ref()
    }

    /// Connects to the server of `url`, with a fresh look-up of its name, telling each step before
    /// it is taken.
    pub async fn dial(
        &self,
        url: &OutputUrl,
        mut reach: impl FnMut(Step),
    ) -> Result<Connection, DialError> {
        reach(Step::Resolving);
        let addresses = self.resolve(url).await?;
        reach(Step::Connecting);
        self.take_turn(&addresses).await?;
        let stream = timeout(CONNECT_TIMEOUT, connect(addresses))
            .await
            .map_err(|_| DialError::from(Reason::ConnectTimeout))??;
        let prepared = socket::prepare(&stream);
        prepared
            .and_then(|()| socket::limit_unsent(&stream, UNSENT_MAX))
            .map_err(|error| not_connected(&error))?;
        let stream = Counted::new(stream);
        if !url.tls() {
            return Ok(Connection::Plain(stream));
        }
        reach(Step::Securing);
        let name = ServerName::try_from(url.host().to_owned())
            .map_err(|_| DialError::from(Reason::TlsCertificate))?;
        let connector = TlsConnector::from(Arc::clone(&self.tls));
        let connecting = connector.connect_with(name, stream, |session| {
            session.set_buffer_limit(Some(SEALED_MAX));
        });
        let stream = timeout(TLS_TIMEOUT, connecting)
            .await
            .map_err(|_| DialError::from(Reason::TlsTimeout))?
            .map_err(|error| super::tls::explain(&error))?;
        Ok(Connection::Tls(Box::new(stream)))
    }

    /// Waits until the address that is tried first may be connected to.
    async fn take_turn(&self, addresses: &VecDeque<SocketAddr>) -> Result<(), DialError> {
        let Some(first) = addresses.front() else {
            return Ok(());
        };
        let turn = {
            // Each change of it is whole.
            let mut gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
            gate.admit(clock::now(), first.ip())
        };
        let turn = turn.ok_or_else(|| DialError {
            reason: Reason::ConnectTimeout,
            words: Some(CROWDED.to_owned()),
        })?;
        sleep_until(turn.into()).await;
        Ok(())
    }

    async fn resolve(&self, url: &OutputUrl) -> Result<VecDeque<SocketAddr>, DialError> {
        self.policy.judge_port(url.port()).map_err(forbidden)?;
        let found: Vec<SocketAddr> = match url.host().parse::<IpAddr>() {
            Ok(address) => vec![SocketAddr::new(address, url.port())],
            Err(_) => looked_up((self.look_up)(url.host().to_owned(), url.port())).await?,
        };
        let mut last = DialError::from(Reason::DnsFailed);
        let mut allowed = Vec::with_capacity(found.len());
        let own = self.own.judge(&found, &self.policy);
        for (address, own) in found.into_iter().zip(own) {
            // Where it leads in a circle, that is what helps whoever reads it.
            let judged = match own {
                Err(error) if error.reason == Reason::Loop => Err(error),
                own => self.policy.judge(address.ip()).map_err(forbidden).and(own),
            };
            match judged {
                Ok(address) => allowed.push(address),
                Err(why) => last = why,
            }
        }
        match allowed.is_empty() {
            false => Ok(by_turns(allowed)),
            true => Err(last),
        }
    }
}

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DialError {
    /// The kind of failure.
    pub reason: Reason,
    /// More about it, if there is more to say.
    pub words: Option<String>,
}

impl From<Reason> for DialError {
    fn from(reason: Reason) -> Self {
        Self {
            reason,
            words: None,
        }
    }
}

fn forbidden(why: Forbidden) -> DialError {
    DialError {
        reason: Reason::AddressForbidden,
        words: Some(why.to_string()),
    }
}

/// What the name servers answer, if they do in time.
async fn looked_up(
    answer: impl Future<Output = io::Result<Vec<SocketAddr>>>,
) -> Result<Vec<SocketAddr>, DialError> {
    match timeout(RESOLVE_TIMEOUT, answer).await {
        Ok(Ok(addresses)) => Ok(addresses),
        Ok(Err(_)) => Err(Reason::DnsFailed.into()),
        Err(_) => Err(Reason::DnsTimeout.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use broadcast::{Budget, GATE_BURST, GATE_INTERVAL, GATE_WAIT_MAX, StartPolicy};
    use shared::id::{InputUid, OutputUid};
    use shared::link::{Protocol, Target};
    use shared::secret::Secret;
    use tokio::net::TcpListener;
    use tokio::task::JoinSet;
    use tokio::time::{Instant, sleep};

    use super::super::race::tests::{listener, mute};
    use super::*;
    use crate::egress::{Destination, Output, tls};
    use crate::feed::{Encoder, Feed};
    use crate::shards::Shards;

    fn dialler(allow_loopback: bool) -> Dialler {
        let allowed = Network::LOOPBACK.into_iter().filter(|_| allow_loopback);
        Dialler::new(
            AddressPolicy::allowing(allowed),
            tls::client_config(None).unwrap(),
        )
    }

    async fn reason(allow_loopback: bool, url: &str) -> Reason {
        let url = OutputUrl::parse(url).unwrap();
        match dialler(allow_loopback).dial(&url, |_| {}).await {
            Ok(_) => panic!("connected"),
            Err(error) => error.reason,
        }
    }

    /// An output to a host that is at the first of these addresses first, and at the next one each
    /// time that it is asked for again.
    fn output(port: u16, mut addresses: impl Iterator<Item = Ipv4Addr> + Send + 'static) -> Output {
        let mut dialler = dialler(true);
        let next = Mutex::new(move || addresses.next().unwrap());
        dialler.look_up = Arc::new(move |_, port| {
            let address = next.lock().unwrap()();
            async move { Ok(vec![SocketAddr::from((address, port))]) }.boxed()
        });
        let target = Target::Rtmp {
            url: Secret::new(format!("rtmp://destination.example:{port}/live")),
            stream_key: Secret::new("hunter2"),
        };
        let encoder = Encoder::new(Protocol::Rtmp, None);
        Output::start(
            (
                InputUid::from_random([1; 16]),
                OutputUid::from_random([2; 16]),
            ),
            Arc::new(Destination::new(&target).unwrap()),
            Arc::new(Feed::new(
                1,
                encoder,
                Duration::ZERO,
                Budget::default(),
                Shards::here().pick(),
                clock::now(),
            )),
            dialler,
            StartPolicy::FirstKeyframe,
            None,
            |_| {},
        )
    }

    #[tokio::test]
    async fn each_attempt_looks_the_name_up_anew() {
        let [old, new] = [Ipv4Addr::new(127, 0, 0, 1), Ipv4Addr::new(127, 0, 0, 2)];
        let listener = TcpListener::bind((new, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let output = output(port, [old, old].into_iter().chain(std::iter::repeat(new)));
        let accepted = timeout(Duration::from_secs(20), listener.accept());
        let (stream, _) = accepted.await.unwrap().unwrap();
        assert_eq!(stream.local_addr().unwrap(), SocketAddr::from((new, port)));
        let figures = output.figures();
        assert_eq!(figures.last_failure.unwrap().reason, Reason::ConnectRefused);
        assert_eq!(figures.attempts, 2);
    }

    #[tokio::test]
    async fn what_is_not_public_is_refused_by_address_and_by_name() {
        for url in [
            "rtmp://127.0.0.1/live",
            "rtmp://[::1]/live",
            "rtmp://localhost/live",
            "rtmp://10.0.0.1/live",
            "rtmp://169.254.169.254/live",
            "rtmp://[::ffff:192.168.0.1]/live",
        ] {
            assert_eq!(reason(false, url).await, Reason::AddressForbidden, "{url}");
        }
    }

    #[tokio::test]
    async fn ports_of_other_services_are_refused() {
        for url in ["rtmp://127.0.0.1:22/live", "rtmp://localhost:6379/live"] {
            assert_eq!(reason(true, url).await, Reason::AddressForbidden, "{url}");
        }
    }

    /// The name is looked up once, and what was judged is what is connected to.
    #[tokio::test]
    async fn only_what_was_judged_is_connected_to() {
        let (listener, address) = listener().await;
        let mut dialler = dialler(false);
        dialler.policy = "127.0.0.1/32".parse().unwrap();
        let asked = Arc::new(Mutex::new(0));
        let count = Arc::clone(&asked);
        dialler.look_up = Arc::new(move |_, port| {
            *count.lock().unwrap() += 1;
            let found = ["127.0.0.2", "10.0.0.1", "127.0.0.1", "::1"];
            let found = found.map(|text| SocketAddr::new(text.parse().unwrap(), port));
            async move { Ok(found.to_vec()) }.boxed()
        });
        let url = format!("rtmp://destination.example:{}/live", address.port());
        let url = OutputUrl::parse(&url).unwrap();
        let (dialled, accepted) = tokio::join!(dialler.dial(&url, |_| {}), listener.accept());
        dialled.unwrap();
        assert_eq!(accepted.unwrap().0.local_addr().unwrap(), address);
        assert_eq!(*asked.lock().unwrap(), 1);
    }

    #[tokio::test]
    async fn the_own_ingest_is_a_loop_whatever_is_allowed() {
        let (_listener, address) = listener().await;
        for allow_loopback in [true, false] {
            let dialler = dialler(allow_loopback).within("system".into(), [address]);
            let url = OutputUrl::parse(&format!("rtmp://{address}/live")).unwrap();
            let error = dialler.dial(&url, |_| {}).await.err().unwrap();
            assert_eq!(error.reason, Reason::Loop);
        }
    }

    #[tokio::test]
    async fn a_closed_port_refuses() {
        let (listener, address) = listener().await;
        drop(listener);
        let url = format!("rtmp://{address}/live");
        assert_eq!(reason(true, &url).await, Reason::ConnectRefused);
    }

    #[tokio::test]
    async fn a_server_without_tls_is_told_from_one_with_a_wrong_certificate() {
        let (listener, address) = listener().await;
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.0 400 Bad Request\r\n\r\n")
                .await
                .unwrap();
            stream
        });
        let url = format!("rtmps://{address}/live");
        assert_eq!(reason(true, &url).await, Reason::TlsFailed);
        server.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn name_servers_that_never_answer_are_given_up_in_time() {
        let address: SocketAddr = "192.0.2.1:1935".parse().unwrap();
        let answered = |after| async move {
            sleep(after).await;
            Ok(vec![address])
        };
        assert_eq!(
            looked_up(answered(RESOLVE_TIMEOUT - Duration::from_millis(1))).await,
            Ok(vec![address])
        );
        let began = Instant::now();
        assert_eq!(
            looked_up(answered(Duration::MAX)).await,
            Err(Reason::DnsTimeout.into())
        );
        assert_eq!(began.elapsed(), RESOLVE_TIMEOUT);
    }

    #[tokio::test]
    async fn a_mute_address_is_given_up_in_time() {
        let (_mute, address, _fill) = mute().await;
        let url = format!("rtmp://{address}/live");
        assert_eq!(
            given_up(&url, Step::Connecting).await,
            (Reason::ConnectTimeout, CONNECT_TIMEOUT)
        );
    }

    #[tokio::test]
    async fn a_server_that_never_answers_tls_is_given_up_in_time() {
        let (_listener, address) = listener().await;
        let url = format!("rtmps://{address}/live");
        assert_eq!(
            given_up(&url, Step::Securing).await,
            (Reason::TlsTimeout, TLS_TIMEOUT)
        );
    }

    /// Why dialling failed, and how many whole seconds after `step` began, on a clock that jumps.
    async fn given_up(url: &str, step: Step) -> (Reason, Duration) {
        let url = OutputUrl::parse(url).unwrap();
        let mut began = None;
        let dialler = dialler(true);
        let dialled = dialler.dial(&url, |reached| {
            if reached == step {
                tokio::time::pause();
                began = Some(Instant::now());
            }
        });
        let reason = dialled.await.err().unwrap().reason;
        (
            reason,
            Duration::from_secs(began.unwrap().elapsed().as_secs()),
        )
    }

    #[tokio::test(start_paused = true)]
    async fn one_address_is_not_hammered() {
        let (listener, address) = listener().await;
        drop(listener);
        let dialler = dialler(true);
        let url = OutputUrl::parse(&format!("rtmp://{address}/live")).unwrap();
        let began = Instant::now();
        let mut attempts = JoinSet::new();
        let waiting = GATE_WAIT_MAX.as_millis() / GATE_INTERVAL.as_millis();
        for _ in 0..u128::from(GATE_BURST) + waiting + 10 {
            let (dialler, url) = (dialler.clone(), url.clone());
            attempts.spawn(async move { dialler.dial(&url, |_| {}).await.err().unwrap() });
        }
        let refused = attempts.join_all().await;
        // Some wait for their turn; the rest is not attempted.
        assert!(began.elapsed() >= GATE_WAIT_MAX);
        let crowded = |error: &&DialError| error.words.as_deref() == Some(CROWDED);
        assert_eq!(refused.iter().filter(crowded).count(), 10);
        let attempted = |error: &&DialError| error.reason == Reason::ConnectRefused;
        assert_eq!(refused.iter().filter(attempted).count(), refused.len() - 10);
    }
}
