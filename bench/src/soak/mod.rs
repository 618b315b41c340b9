//! `cargo xtask soak`: ten inputs with five outputs each, hurt at random for as long as one likes.
//!
//! Of each input's outputs three are healthy: nothing happens to them or to their way, whatever
//! happens to the two beside them, to some encoders, to the control plane and to its link. They must
//! get every byte, on one connection.

mod encoder;
mod sink;
mod trouble;

use std::fs;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use system_tests::api;
use system_tests::authority::Authority;
use system_tests::dev::{Dev, Options};
use system_tests::fault_proxy::FaultProxy;
use system_tests::secrets::output_key;
use system_tests::{ports, process, tls, wait};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

use self::encoder::Encoder;
use self::sink::{Sinks, Stream};
use self::trouble::{Random, Trouble, local};
use crate::fanout::media::Media;

/// How it is called.
pub(crate) const USAGE: &str = "`soak [--minutes N] [--seed N] [--write]`";

const INPUTS: usize = 10;
/// Straight to the destination.
const HEALTHY: usize = 3;
/// Through a proxy, by RTMPS.
const HURT: usize = 2;
/// Encoders with a proxy before them: the first ones.
const HURT_ENCODERS: usize = 4;
/// Of the first input; each further one has a little more, so that no stream is like another.
const BITS_PER_SECOND: u64 = 400_000;

/// What it is told to do.
struct Plan {
    minutes: u64,
    seed: u64,
    write: bool,
}

/// An output, as the sinks know it.
struct Output {
    input: usize,
    key: String,
}

/// Runs it; an error is something lost.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let plan = Plan::read(arguments)?;
    eprintln!("soak: {} minutes, --seed {}", plan.minutes, plan.seed);
    let folder = tempfile::tempdir()?;
    let authority = Authority::new(folder.path())?;
    let dev = Dev::start(&Options {
        port_base: ports::base()?,
        output_ca: Some(authority.certificate.clone()),
        log: Some("info".to_owned()),
        ..Options::default()
    })?;
    let control = FaultProxy::start(local(dev.control_port()?))?;
    dev.move_control(control.address().port())?;
    dev.kill("relay", dev.line.pids.relay, ANSWER_WITHIN)?;
    wait::until("the node", ANSWER_WITHIN, || Ok(status(&dev).ok()))?;

    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let sinks = Sinks::default();
    let (plain, secure) = listen(&runtime, &sinks, &authority)?;
    let url = format!("rtmp://127.0.0.1:{plain}/live");
    let node = port_of(&dev.line.rtmp.url)?;
    let (mut inputs, mut encoders) = (Vec::new(), Vec::new());
    let (mut healthy, mut hurt) = (Vec::new(), Vec::new());
    let (mut output_proxies, mut encoder_proxies) = (Vec::new(), Vec::new());
    for number in 0..INPUTS {
        let media = Media {
            bits_per_second: BITS_PER_SECOND + 10_000 * number as u64,
        };
        let input = dev.api.create_input(&format!("soak {number}"))?;
        let proxy = FaultProxy::start(local(secure))?;
        let through = format!("rtmps://localhost:{}/live", proxy.address().port());
        for place in 0..HEALTHY + HURT {
            let key = output_key()?;
            sinks.expect(&key, media);
            let (url, outputs) = match place < HEALTHY {
                true => (&url, &mut healthy),
                false => (&through, &mut hurt),
            };
            dev.api.add_output(&input, url, &key)?;
            outputs.push(Output { input: number, key });
        }
        output_proxies.push(proxy);
        let port = if number < HURT_ENCODERS {
            let proxy = FaultProxy::start(local(node))?;
            let port = proxy.address().port();
            encoder_proxies.push(proxy);
            port
        } else {
            node
        };
        encoders.push(Arc::new(Encoder {
            port,
            key: input.key.clone(),
            media,
            sessions: AtomicUsize::new(0),
            refused: Mutex::new(None),
        }));
        inputs.push((input, media));
    }

    let stop = CancellationToken::new();
    let running: Vec<_> = encoders
        .iter()
        .map(|encoder| {
            let (encoder, stop) = (Arc::clone(encoder), stop.clone());
            runtime.spawn(async move { encoder.run(stop).await })
        })
        .collect();
    wait::until("media at every output", ANSWER_WITHIN, || {
        let mut all = healthy.iter().chain(&hurt);
        let begun = |output: &Output| {
            let stream = sinks.stream(&output.key);
            stream.is_some_and(|stream| stream.messages > 100)
        };
        Ok(all.all(begun).then_some(()))
    })?;

    let random = Random::new(plan.seed);
    let mut trouble = Trouble::new(
        &dev,
        random,
        output_proxies,
        encoder_proxies,
        control,
        inputs,
        url,
        sinks.clone(),
    );
    let began = Instant::now();
    let lasts = Duration::from_secs(60 * plan.minutes);
    let mut memory = vec![resident(&dev)?];
    let mut said = 0;
    while began.elapsed() < lasts {
        trouble.step()?;
        thread::sleep(trouble.pause());
        if memory.len() == 1 && began.elapsed() >= lasts / 2 {
            memory.push(resident(&dev)?);
        }
        if began.elapsed().as_secs() / 60 > said {
            said += 1;
            eprintln!("soak: minute {said}: {:?}", trouble.counts);
        }
    }
    trouble.restore();
    let lasted = began.elapsed();
    settle(&dev, healthy.len() + hurt.len())?;
    memory.push(resident(&dev)?);

    stop.cancel();
    let sent = running.into_iter().map(|encoder| runtime.block_on(encoder));
    let sent = sent.collect::<Result<Vec<_>, _>>()?;
    let deadline = Instant::now() + ANSWER_WITHIN;
    while Instant::now() < deadline && !healthy.iter().all(|output| has_ended(&sinks, output)) {
        thread::sleep(Duration::from_millis(100));
    }
    let report = Report {
        plan: &plan,
        lasted,
        memory,
        trouble: &trouble,
        encoders: &encoders,
        sent,
        healthy: streams(&sinks, &healthy)?,
        hurt: streams(&sinks, &hurt)?,
    };
    let (text, losses) = report.text();
    println!("{text}");
    if plan.write {
        write(&text)?;
    }
    ensure!(losses.is_empty(), "{}", losses.join("; "));
    dev.pass()
}

impl Plan {
    fn read(arguments: &[String]) -> Result<Self> {
        let mut plan = Self {
            minutes: 60,
            // A number that is another one each time.
            seed: RandomState::new().build_hasher().finish() >> 32,
            write: false,
        };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let mut number = || {
                let number = arguments.next().context(USAGE)?;
                number.parse().context(USAGE)
            };
            match argument.as_str() {
                "--minutes" => plan.minutes = number()?,
                "--seed" => plan.seed = number()?,
                "--write" => plan.write = true,
                _ => bail!("{USAGE}"),
            }
        }
        ensure!(plan.minutes > 0, "a soak lasts a minute at least");
        Ok(plan)
    }
}

/// The ports of the sinks, plain and with TLS.
fn listen(runtime: &Runtime, sinks: &Sinks, authority: &Authority) -> Result<(u16, u16)> {
    let listen = || runtime.block_on(TcpListener::bind("127.0.0.1:0"));
    let (plain, secure) = (listen()?, listen()?);
    let ports = (plain.local_addr()?.port(), secure.local_addr()?.port());
    let acceptor = tls::acceptor(authority)?;
    runtime.spawn(sinks.clone().serve(plain, None));
    runtime.spawn(sinks.clone().serve(secure, Some(acceptor)));
    Ok(ports)
}

fn port_of(url: &str) -> Result<u16> {
    let port = url
        .split_once("://")
        .and_then(|(_, rest)| rest.split_once(':'));
    let port = port.and_then(|(_, rest)| rest.split_once('/'));
    Ok(port.context("a port")?.0.parse()?)
}

fn status(dev: &Dev) -> Result<Value> {
    Ok(serde_json::from_str(&api::get(&format!(
        "{}/status",
        dev.line.relay_admin
    ))?)?)
}

/// Waits until every output is live, now that nothing is hurt any more.
fn settle(dev: &Dev, outputs: usize) -> Result<()> {
    wait::until("every output live again", SETTLED_WITHIN, || {
        let status = status(dev)?;
        let broadcasts = status.get("broadcasts").and_then(Value::as_array);
        let all = broadcasts.into_iter().flatten();
        let all = all.filter_map(|broadcast| broadcast.get("outputs")?.as_array());
        let live = all
            .flatten()
            .filter(|output| output.get("state").is_some_and(|state| state == "live"));
        Ok((live.count() >= outputs).then_some(()))
    })
}

fn has_ended(sinks: &Sinks, output: &Output) -> bool {
    let stream = sinks.stream(&output.key);
    stream.is_some_and(|stream| stream.said_goodbye)
}

fn streams(sinks: &Sinks, outputs: &[Output]) -> Result<Vec<(usize, Stream)>> {
    let stream = |output: &Output| Some((output.input, sinks.stream(&output.key)?));
    let streams: Option<Vec<_>> = outputs.iter().map(stream).collect();
    streams.context("the streams")
}

/// Bytes of memory that the node has.
fn resident(dev: &Dev) -> Result<u64> {
    let running = process::descendants(dev.pid())?;
    let node = running.iter().find(|one| one.name == "relay-node");
    let pid = node.context("the relay node")?.pid;
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    Ok(1024 * kib.context("no VmRSS")?.trim().parse::<u64>()?)
}

struct Report<'a> {
    plan: &'a Plan,
    lasted: Duration,
    memory: Vec<u64>,
    trouble: &'a Trouble<'a>,
    encoders: &'a [Arc<Encoder>],
    /// How many messages the last session of each encoder carried.
    sent: Vec<usize>,
    healthy: Vec<(usize, Stream)>,
    hurt: Vec<(usize, Stream)>,
}

impl Report<'_> {
    /// For people; and what must not have been.
    fn text(&self) -> (String, Vec<String>) {
        let mut losses = Vec::new();
        for (input, stream) in &self.healthy {
            if let Some(loss) = self.loss(*input, stream) {
                losses.push(format!("a healthy output of input {input}: {loss}"));
            }
        }
        for (input, stream) in &self.hurt {
            if (stream.altered, stream.disordered) != (0, 0) {
                losses.push(format!(
                    "a hurt output of input {input}: {} altered, {} out of order",
                    stream.altered, stream.disordered
                ));
            }
        }
        let counts = self.trouble.counts;
        let sum = |streams: &[(usize, Stream)], of: fn(&Stream) -> u64| -> u64 {
            streams.iter().map(|(_, stream)| of(stream)).sum()
        };
        let mebibytes: Vec<_> = self
            .memory
            .iter()
            .map(|bytes| format!("{:.1}", *bytes as f64 / f64::from(1 << 20)))
            .collect();
        let sessions: usize = self
            .encoders
            .iter()
            .map(|encoder| encoder.sessions.load(Ordering::SeqCst))
            .sum();
        let rows = [
            (
                "minutes, seed",
                format!(
                    "{:.1}, {}",
                    self.lasted.as_secs_f64() / 60.0,
                    self.plan.seed
                ),
            ),
            (
                "faults at outputs, encoders, the control link",
                format!(
                    "{}, {}, {}",
                    counts.outputs, counts.encoders, counts.control
                ),
            ),
            (
                "the control plane killed",
                counts.control_killed.to_string(),
            ),
            (
                "outputs added, deleted; changes without an answer",
                format!(
                    "{}, {}; {}",
                    counts.added, counts.deleted, counts.unanswered
                ),
            ),
            ("encoders' sessions", sessions.to_string()),
            (
                "connections of the 30 healthy outputs",
                sum(&self.healthy, |stream| stream.connects as u64).to_string(),
            ),
            (
                "their messages; lost, altered, out of order",
                format!(
                    "{}; {}, {}, {}",
                    sum(&self.healthy, |stream| stream.messages),
                    sum(&self.healthy, |stream| stream.lost),
                    sum(&self.healthy, |stream| stream.altered),
                    sum(&self.healthy, |stream| stream.disordered),
                ),
            ),
            (
                "connections of the 20 hurt outputs",
                sum(&self.hurt, |stream| stream.connects as u64).to_string(),
            ),
            (
                "their messages; skipped on an open connection, altered, out of order",
                format!(
                    "{}; {}, {}, {}",
                    sum(&self.hurt, |stream| stream.messages),
                    sum(&self.hurt, |stream| stream.lost),
                    sum(&self.hurt, |stream| stream.altered),
                    sum(&self.hurt, |stream| stream.disordered),
                ),
            ),
            (
                "the node's memory at start, middle, end, MiB",
                mebibytes.join(", "),
            ),
            (
                "anything lost",
                match losses.is_empty() {
                    true => "nothing".to_owned(),
                    false => losses.join("; "),
                },
            ),
        ];
        let mut text = "| | |\n| --- | --- |\n".to_owned();
        for (name, value) in rows {
            text += &format!("| {name} | {value} |\n");
        }
        (text, losses)
    }

    fn loss(&self, input: usize, stream: &Stream) -> Option<String> {
        if (stream.lost, stream.altered, stream.disordered) != (0, 0, 0) {
            let Stream {
                lost,
                altered,
                disordered,
                ..
            } = stream;
            return Some(format!(
                "{lost} lost, {altered} altered, {disordered} out of order"
            ));
        }
        if stream.connects != 1 {
            return Some(format!("{} connections", stream.connects));
        }
        let sent = self.sent.get(input).copied().unwrap_or_default();
        if stream.sessions.last().map(|last| last + 1) != Some(sent) {
            return Some(format!(
                "it ends with {:?} of {sent}",
                stream.sessions.last()
            ));
        }
        // All outputs of an input get the same of a session that was cut.
        let mut others = self.healthy.iter().filter(|(other, _)| *other == input);
        let differs = others.find(|(_, other)| other.sessions != stream.sessions);
        differs.map(|(_, other)| {
            format!(
                "sessions {:?}, elsewhere {:?}",
                stream.sessions, other.sessions
            )
        })
    }
}

/// Puts the report into its page, in the place of the last one.
fn write(text: &str) -> Result<()> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reliability.md");
    let before = fs::read_to_string(&page)?;
    let (head, rest) = before.split_once(BEGIN).context("the report's beginning")?;
    let (_, tail) = rest.split_once(END).context("the report's end")?;
    Ok(fs::write(
        &page,
        format!("{head}{BEGIN}\n{text}{END}{tail}"),
    )?)
}

const BEGIN: &str = "<!-- report of `cargo xtask soak --write` -->";
const END: &str = "<!-- end of the report -->";

/// Wrangler takes seconds to start, and the node its longest backoff after that.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// The longest wait of an output that failed often.
const SETTLED_WITHIN: Duration = Duration::from_secs(90);
