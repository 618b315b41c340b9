//! What relaying costs: ours, its peers, and the floor of the machine, one after the other.

mod bare;
mod floor;
pub(crate) mod media;
mod plan;
mod processors;
mod relay;
pub(crate) mod sink;
pub(crate) mod source;
mod table;
pub(crate) mod usage;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use system_tests::authority::Authority;
use tokio::task::{JoinSet, LocalSet};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use media::Sent;
pub(crate) use plan::USAGE;
use plan::{Case, Plan};
use processors::Processors;
use relay::{Relay, Started};
use sink::{Received, Sinks};

/// What a run showed.
#[derive(Clone, Debug, Default)]
struct Figures {
    cpu_per_gigabit: f64,
    memory: u64,
    latency_p50: Duration,
    latency_p99: Duration,
    first_media: Duration,
    first_keyframe: Duration,
    /// Messages that should have arrived while it was measured.
    expected: u64,
    lost: u64,
    altered: u64,
    disordered: u64,
}

impl Figures {
    /// Who delivers less than 99 % has saved the work.
    fn is_valid(&self) -> bool {
        self.expected > 0 && self.lost * 100 <= self.expected
    }
}

/// Measures, and prints a table for each case.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let plan = Plan::new(arguments)?;
    let folder = tempfile::tempdir()?;
    let bench = Bench::new(folder.path(), Processors::share()?)?;
    let _awake = match plan.awake {
        true => bench.processors.keep_awake(folder.path())?,
        false => Vec::new(),
    };
    let mut runs: Vec<Vec<_>> = plan.cases.iter().map(|_| Vec::new()).collect();
    for repeat in 1..=plan.repeats {
        for (case, runs) in plan.cases.iter().zip(&mut runs) {
            for &relay in &plan.relays {
                eprintln!(
                    "bench: {repeat} of {}: {case}: {}",
                    plan.repeats,
                    relay.name()
                );
                let run = bench.measure(relay, *case, plan.window);
                let figures = run.with_context(|| format!("{case}: {}", relay.name()));
                runs.push((
                    relay,
                    figures.unwrap_or_else(|error| {
                        eprintln!("bench: void: {error:#}");
                        Figures::default()
                    }),
                ));
            }
        }
    }
    for (case, runs) in plan.cases.iter().zip(&runs) {
        table::print(*case, runs);
    }
    println!(
        "\nMedians of {} runs of {} s. In brackets: the ratio to the floor, and to the best peer. \
         A run that lost more than 1 % is void.",
        plan.repeats,
        plan.window.as_secs()
    );
    Ok(())
}

struct Bench {
    processors: Processors,
    authority: Authority,
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
}

impl Bench {
    fn new(folder: &Path, processors: Processors) -> Result<Self> {
        let authority = Authority::new(folder)?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(&authority.certificate)?)?;
        let client = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let chain = vec![CertificateDer::from_pem_file(
            &authority.server_certificate,
        )?];
        let key = PrivateKeyDer::from_pem_file(&authority.server_key)?;
        let server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        Ok(Self {
            processors,
            authority,
            client: Arc::new(client),
            server: Arc::new(server),
        })
    }

    /// One run of one relay.
    fn measure(&self, relay: Relay, case: Case, window: Duration) -> Result<Figures> {
        let length = BEGIN_WITHIN + SETTLE + window + DRAIN + Duration::from_secs(5);
        let epoch = Instant::now();
        let sent: Vec<_> = (0..case.inputs)
            .map(|_| Arc::new(Sent::new(epoch, length)))
            .collect();
        let sinks = Arc::new(Sinks::default());
        let (port, sinks_end) = self.serve(case, &sent, &sinks)?;
        let started = relay.start(case, port, &self.authority, self.processors)?;
        let stop = CancellationToken::new();
        let gather = match relay {
            Relay::Floor(gather) | Relay::Bare(gather) | Relay::Keeping(gather) => {
                Duration::from_millis(gather)
            }
            _ => Duration::ZERO,
        };
        let (begun, thread) = mpsc::channel();
        let keeps = matches!(relay, Relay::Keeping(_));
        let bare = self.pass_on(case, port, (&started, gather, keeps), begun.clone())?;
        let source = self.publish(case, port, (&started, gather), (&sent, &stop), begun);

        let measured = watch(&started, &thread, case, &sent, &sinks, window);
        stop.cancel();
        let published = source.join().map_err(|_| anyhow!("the source panicked"))?;
        let passed_on = bare.map(JoinHandle::join).transpose();
        let ended = started.end();
        let streams = sinks_end.wait(case, &sinks);
        let measured = measured?;
        published?;
        passed_on
            .map_err(|_| anyhow!("the bare relay panicked"))?
            .transpose()?;
        ended?;
        Ok(measured.figures(&sent, &streams?))
    }

    /// Starts the sinks' thread.
    fn serve(&self, case: Case, sent: &[Arc<Sent>], sinks: &Arc<Sinks>) -> Result<(u16, SinksEnd)> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        let tls = case
            .tls
            .then(|| TlsAcceptor::from(Arc::clone(&self.server)));
        let stop = CancellationToken::new();
        let (stopped, sent, sinks) = (stop.clone(), sent.to_vec(), Arc::clone(sinks));
        let thread = thread::spawn(move || -> Result<()> {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            let serving = async {
                let listener = tokio::net::TcpListener::from_std(listener)?;
                tokio::select! {
                    () = sink::serve(listener, tls, sent, sinks) => {}
                    () = stopped.cancelled() => {}
                }
                Ok(())
            };
            LocalSet::new().block_on(&runtime, serving)
        });
        Ok((port, SinksEnd { stop, thread }))
    }

    /// Starts the bare relay's thread, if that is what is measured; it tells where it is in `/proc`.
    fn pass_on(
        &self,
        case: Case,
        sink: u16,
        (started, gather, keeps): (&Started, Duration, bool),
        begun: mpsc::Sender<PathBuf>,
    ) -> Result<Option<JoinHandle<Result<()>>>> {
        let Some(listener) = &started.listener else {
            return Ok(None);
        };
        let (listener, tls) = (listener.try_clone()?, Arc::clone(&self.client));
        let processors = self.processors;
        Ok(Some(thread::spawn(move || {
            processors.be_measured()?;
            bare::run((case, gather, keeps), &listener, sink, &tls, &begun)
        })))
    }

    /// Starts the publishers' thread, or the floor's, which tells where it is in `/proc`.
    fn publish(
        &self,
        case: Case,
        port: u16,
        (started, gather): (&Started, Duration),
        (sent, stop): (&[Arc<Sent>], &CancellationToken),
        begun: mpsc::Sender<PathBuf>,
    ) -> JoinHandle<Result<()>> {
        let (sent, stop) = (sent.to_vec(), stop.clone());
        let targets = started.targets.clone();
        let tls = Arc::clone(&self.client);
        let processors = self.processors;
        thread::spawn(move || {
            if targets.is_empty() {
                processors.be_measured()?;
                return floor::run((case, gather), port, &tls, &sent, &stop, &begun);
            }
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(async {
                let mut publishers = JoinSet::new();
                for (target, sent) in targets.into_iter().zip(sent) {
                    publishers.spawn(source::publish(target, case.media, sent, stop.clone()));
                }
                while let Some(ended) = publishers.join_next().await {
                    ended??;
                }
                Ok(())
            })
        })
    }
}

/// Waits until every output has begun, and then looks at the relay for as long as `window`.
fn watch(
    started: &Started,
    thread: &mpsc::Receiver<PathBuf>,
    case: Case,
    sent: &[Arc<Sent>],
    sinks: &Sinks,
    window: Duration,
) -> Result<Measured> {
    let outputs = case.inputs * case.outputs;
    let begun = || sinks.begun.load(Ordering::Relaxed) as usize;
    let deadline = Instant::now() + BEGIN_WITHIN;
    while begun() < outputs {
        if Instant::now() > deadline {
            bail!("{} of {outputs} outputs have begun", begun());
        }
        thread::sleep(Duration::from_millis(10));
    }
    thread::sleep(SETTLE);
    let thread = thread.try_recv().ok();
    let cpu = || match &thread {
        Some(thread) => usage::cpu_of(thread),
        None => usage::cpu(&started.pids()),
    };
    let counts = || sent.iter().map(|sent| sent.count()).collect();
    let (bytes_before, cpu_before) = (sinks.bytes.load(Ordering::Relaxed), cpu()?);
    let from = counts();
    thread::sleep(window);
    let (bytes, cpu) = (
        sinks.bytes.load(Ordering::Relaxed) - bytes_before,
        cpu()? - cpu_before,
    );
    let to = counts();
    let memory = usage::memory(&started.pids())?;
    thread::sleep(DRAIN);
    Ok(Measured {
        case,
        bytes,
        cpu,
        memory,
        from,
        to,
    })
}

/// What was seen of a run while it went on.
struct Measured {
    case: Case,
    bytes: u64,
    cpu: Duration,
    memory: u64,
    /// The number of each publisher's first message in the window, and of the first one after it.
    from: Vec<usize>,
    to: Vec<usize>,
}

impl Measured {
    fn figures(&self, sent: &[Arc<Sent>], streams: &Streams) -> Figures {
        let mut figures = Figures {
            cpu_per_gigabit: self.cpu.as_secs_f64() / (self.bytes as f64 * 8e-9),
            memory: self.memory,
            ..Figures::default()
        };
        let mut latencies = Vec::new();
        let nothing = Received::default();
        for (publisher, sent) in sent.iter().enumerate() {
            let ends = self.from.get(publisher).zip(self.to.get(publisher));
            let window = ends.map_or(0..0, |(from, to)| *from..*to);
            let began = sent.message(0).map(|(at, _)| at);
            for output in 0..self.case.outputs {
                let received = streams
                    .get(&sink::key(publisher, output))
                    .unwrap_or(&nothing);
                let mut came: Vec<_> = received
                    .messages
                    .iter()
                    .filter(|(number, _)| window.contains(number))
                    .collect();
                latencies.extend(came.iter().map(|(_, micros)| *micros));
                came.sort();
                came.dedup_by_key(|(number, _)| *number);
                figures.expected += window.len() as u64;
                figures.lost += (window.len() - came.len()) as u64;
                figures.altered += received.altered;
                figures.disordered += received.disordered;
                let after = |at: Option<Instant>| match (at, began) {
                    (Some(at), Some(began)) => at.saturating_duration_since(began),
                    _ => Duration::MAX,
                };
                figures.first_media = figures.first_media.max(after(received.first_media));
                figures.first_keyframe = figures.first_keyframe.max(after(received.first_keyframe));
            }
        }
        latencies.sort_unstable();
        let percentile = |percent: usize| {
            let rank = (latencies.len() * percent).div_ceil(100).max(1);
            let micros = latencies.get(rank - 1).copied().unwrap_or_default();
            Duration::from_micros(u64::from(micros))
        };
        figures.latency_p50 = percentile(50);
        figures.latency_p99 = percentile(99);
        figures
    }
}

type Streams = std::collections::HashMap<String, Received>;

struct SinksEnd {
    stop: CancellationToken,
    thread: JoinHandle<Result<()>>,
}

impl SinksEnd {
    /// What came, once every stream has ended.
    fn wait(self, case: Case, sinks: &Sinks) -> Result<Streams> {
        let streams = || sinks.streams.lock().unwrap_or_else(PoisonError::into_inner);
        let deadline = Instant::now() + END_WITHIN;
        while streams().len() < case.inputs * case.outputs && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(10));
        }
        self.stop.cancel();
        let served = self
            .thread
            .join()
            .map_err(|_| anyhow!("the sinks panicked"))?;
        served?;
        Ok(std::mem::take(&mut *streams()))
    }
}

/// The slowest peer looks into the stream for 8 s before it passes anything on.
const BEGIN_WITHIN: Duration = Duration::from_secs(15);

/// Between the last output's beginning and the measurement.
const SETTLE: Duration = Duration::from_secs(1);

/// Between the measurement and the end of the streams: what is on its way still arrives.
const DRAIN: Duration = Duration::from_secs(1);

/// For the last bytes of streams whose relay has ended.
const END_WITHIN: Duration = Duration::from_secs(5);
