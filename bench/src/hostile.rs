//! What connections that say nothing cost a real encoder: its connects and its latency, with them and
//! without, one after the other.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use rtmp::MessageType;
use rtmp::server::{ServerConfig, ServerEvent, ServerSession};
use rustls::pki_types::ServerName;
use system_tests::authority::Authority;
use system_tests::process::{Running, show_end};
use system_tests::{ports, tls};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{interval, sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::publisher::{self, Publisher};
use crate::spread::Spread;

/// Connections that say nothing, or a byte a second; half of them each.
const IDLE: usize = 1000;

/// Connects that are timed in each phase.
const CONNECTS: usize = 500;

/// How long latency is measured in each phase at least; connects are timed meanwhile.
const PHASE: Duration = Duration::from_secs(10);

/// Over how long the idle ones begin, so that what becomes of them is spread as well.
const SPREAD: Duration = Duration::from_secs(10);

/// A message each, as from an encoder of 50 pictures a second.
const FRAME: Duration = Duration::from_millis(20);

/// What takes longer is a failure, and no figure.
const WITHIN: Duration = Duration::from_secs(15);

/// The beginning of RTMP; zeros are what may follow.
const RTMP: &[u8] = &[3];

/// The beginning of a TLS record with a ClientHello; the same.
const TLS: &[u8] = &[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3];

/// Where the idle ones come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Idle {
    /// There are none.
    None,
    /// All from the address that the real encoder has as well.
    OneAddress,
    /// Each from an address of its own.
    ManyAddresses,
}

impl Idle {
    fn name(self) -> String {
        match self {
            Self::None => "alone".to_owned(),
            Self::OneAddress => format!("{IDLE} idle, from the encoder's own address"),
            Self::ManyAddresses => format!("{IDLE} idle, each from another address"),
        }
    }

    /// The address of the idle one of that number.
    fn address(self, number: usize) -> Ipv4Addr {
        match self {
            Self::None | Self::OneAddress => Ipv4Addr::LOCALHOST,
            Self::ManyAddresses => {
                let [.., high, low] = number.to_be_bytes();
                Ipv4Addr::new(127, 1, high, low)
            }
        }
    }
}

/// Measures all phases against one node, and prints them with their ratio to the first.
pub(crate) fn run() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let authority = Authority::new(folder.path())?;
    let runtime = Runtime::new()?;
    let sink = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
    let (node, [rtmp, rtmps]) = start(folder.path(), &authority, sink.local_addr()?)?;
    let (arrived, mut arrivals) = mpsc::unbounded_channel();
    runtime.spawn(receive(sink, arrived));
    let connector = tls::connector(&authority.certificate)?;
    let measured = runtime.block_on(async {
        let began = Instant::now();
        let mut steady = loop {
            match Encoder::connect(&connector, rtmps, "steady").await {
                Ok(steady) => break steady,
                Err(error) if began.elapsed() > WITHIN => return Err(error),
                Err(_) => sleep(Duration::from_millis(50)).await,
            }
        };
        steady.begin().await?;
        let mut rows = Vec::new();
        for idle in [Idle::None, Idle::OneAddress, Idle::ManyAddresses] {
            let open = Arc::new(AtomicUsize::new(0));
            let mut crowd = JoinSet::new();
            let count = if idle == Idle::None { 0 } else { IDLE };
            for number in 0..count {
                let from = idle.address(number);
                let (port, says) = match number % 4 {
                    0 => (rtmp, None),
                    1 => (rtmps, None),
                    2 => (rtmp, Some(RTMP)),
                    _ => (rtmps, Some(TLS)),
                };
                let begins = SPREAD * u32::try_from(number)? / u32::try_from(IDLE)?;
                let idle = idle_forever(from, port, says, Arc::clone(&open));
                crowd.spawn(async move {
                    sleep(begins).await;
                    idle.await;
                });
            }
            let enough = || open.load(Ordering::Relaxed) >= count * 9 / 10;
            timeout(SPREAD + WITHIN, feed(&mut steady, &mut arrivals, enough))
                .await
                .context("the idle connections are not taken")??;
            eprintln!("bench: {}", idle.name());
            let row = phase(&connector, rtmps, &mut steady, &mut arrivals).await;
            rows.push((idle, row?));
            crowd.shutdown().await;
        }
        Ok(rows)
    });
    if measured.is_err() {
        show_end("relay-node", &node.printed()?);
    }
    print(measured?);
    Ok(())
}

fn print(rows: Vec<(Idle, [Spread; 2])>) {
    println!(
        "| one RTMPS encoder | connect p50, ms | p99 | p99 ÷ alone | latency p50, ms | p99 | p99 ÷ alone |"
    );
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: |");
    let mut alone = None;
    for (idle, spreads) in rows {
        let [connect, latency] = spreads.map(Spread::figures);
        let (connect, latency) = ((connect[1], connect[3]), (latency[1], latency[3]));
        let (first_connect, first_latency) = *alone.get_or_insert((connect.1, latency.1));
        println!(
            "| {} | {:.1} | {:.1} | {:.2} | {:.2} | {:.2} | {:.2} |",
            idle.name(),
            connect.0,
            connect.1,
            connect.1 / first_connect,
            latency.0,
            latency.1,
            latency.1 / first_latency,
        );
    }
    println!(
        "\nconnect: TCP, TLS and RTMP until the publish is accepted, {CONNECTS} times; latency: from \
         the encoder's write to the destination's read, a message each {} ms. Of the idle, half say a \
         byte a second, half of each TLS; who is dropped connects again after a second.",
        FRAME.as_millis()
    );
}

/// A node with an input for latency, which has an output, and one for connects, which has none.
fn start(folder: &Path, authority: &Authority, sink: SocketAddr) -> Result<(Running, [u16; 2])> {
    let inputs = folder.join("inputs.toml");
    fs::write(
        &inputs,
        format!(
            "[[input]]\nstream_key = \"steady\"\n[[input.output]]\nurl = \"rtmp://{sink}/live\"\n\
             stream_key = \"sink\"\n[[input]]\nstream_key = \"probe\"\n"
        ),
    )?;
    let [rtmp, rtmps] = [ports::one()?, ports::one()?];
    // It lies beside this program.
    let program = std::env::current_exe()?.with_file_name("relay-node");
    let mut command = Command::new(program);
    command
        .arg("--static")
        .arg(&inputs)
        .arg(format!("--rtmp-listen=127.0.0.1:{rtmp}"))
        .arg(format!("--rtmps-listen=127.0.0.1:{rtmps}"))
        .arg("--rtmps-certificate")
        .arg(&authority.server_certificate)
        .arg("--rtmps-private-key")
        .arg(&authority.server_key)
        .arg("--admin-listen=127.0.0.1:0")
        .arg("--outputs-allow-loopback")
        .arg("--outputs-gather=0");
    let node = Running::start("relay-node", &mut command, &folder.join("relay-node.log"))?;
    Ok((node, [rtmp, rtmps]))
}

/// Times connects while the steady encoder's messages are timed.
async fn phase(
    connector: &TlsConnector,
    port: u16,
    steady: &mut Encoder,
    arrivals: &mut mpsc::UnboundedReceiver<(u64, Instant)>,
) -> Result<[Spread; 2]> {
    let connects = async {
        let mut spread = Spread::default();
        for _ in 0..CONNECTS {
            let began = Instant::now();
            let probe = Encoder::connect(connector, port, "probe").await?;
            spread.add(began, Instant::now());
            probe.end().await?;
            sleep(Duration::from_millis(10)).await;
        }
        anyhow::Ok(spread)
    };
    let began = Instant::now();
    let latency = feed(steady, arrivals, || began.elapsed() >= PHASE);
    let (connects, latency) = tokio::try_join!(connects, latency)?;
    Ok([connects, latency])
}

/// Has the steady encoder send until `is_over`, and times its messages.
async fn feed(
    steady: &mut Encoder,
    arrivals: &mut mpsc::UnboundedReceiver<(u64, Instant)>,
    is_over: impl Fn() -> bool,
) -> Result<Spread> {
    let mut spread = Spread::default();
    let mut ticks = interval(FRAME);
    while !is_over() {
        ticks.tick().await;
        let (number, sent) = steady.frame().await?;
        loop {
            let arrival = timeout(WITHIN, arrivals.recv()).await;
            let (arrived, at) = arrival.ok().flatten().context("a message is lost")?;
            if arrived == number {
                spread.add(sent, at);
                break;
            }
        }
    }
    Ok(spread)
}

/// Connects and says nothing or a byte a second; again, whenever it is dropped.
async fn idle_forever(
    from: Ipv4Addr,
    port: u16,
    says: Option<&'static [u8]>,
    open: Arc<AtomicUsize>,
) {
    loop {
        let Ok(mut stream) = connect_from(from, port).await else {
            sleep(Duration::from_millis(100)).await;
            continue;
        };
        open.fetch_add(1, Ordering::Relaxed);
        let mut nothing = [0; 64];
        let mut said = 0;
        loop {
            tokio::select! {
                read = stream.read(&mut nothing) => match read {
                    Ok(0) | Err(_) => break,
                    Ok(_) => {}
                },
                () = sleep(Duration::from_secs(1)) => {
                    let Some(says) = says else { continue };
                    let byte = says.get(said).copied().unwrap_or(0);
                    said += 1;
                    if stream.write_all(&[byte]).await.is_err() {
                        break;
                    }
                }
            }
        }
        open.fetch_sub(1, Ordering::Relaxed);
        // Who is displaced displaces another: not as fast as it can.
        sleep(Duration::from_secs(1)).await;
    }
}

async fn connect_from(from: Ipv4Addr, port: u16) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((from, 0).into())?;
    Ok(socket.connect((Ipv4Addr::LOCALHOST, port).into()).await?)
}

/// A real encoder, on air.
struct Encoder {
    publisher: Publisher<TlsStream<TcpStream>>,
    began: Instant,
    number: u64,
}

impl Encoder {
    /// Connects by RTMPS, until its publish is accepted.
    async fn connect(connector: &TlsConnector, port: u16, key: &str) -> Result<Self> {
        let connecting = Self::connect_at_once(connector, port, key);
        timeout(WITHIN, connecting).await.context("no publish")?
    }

    async fn connect_at_once(connector: &TlsConnector, port: u16, key: &str) -> Result<Self> {
        let stream = connect_from(Ipv4Addr::LOCALHOST, port).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from("localhost")?;
        let stream = connector.connect(name, stream).await?;
        let tc_url = format!("rtmps://localhost:{port}/live");
        let target = publisher::target(tc_url, "live", key);
        Ok(Self {
            publisher: Publisher::begin(stream, target).await?,
            began: Instant::now(),
            number: 0,
        })
    }

    /// What an encoder says first.
    async fn begin(&mut self) -> Result<()> {
        self.send(MessageType::VIDEO, Bytes::from_static(b"\x17\0\0\0\0"))
            .await
    }

    /// A picture with its number in it, each a keyframe: so an output may begin with any.
    async fn frame(&mut self) -> Result<(u64, Instant)> {
        self.number += 1;
        let head = b"\x17\x01\0\0\0";
        let payload = [&head[..], &self.number.to_be_bytes(), &[7; 4000]].concat();
        let sent = Instant::now();
        self.send(MessageType::VIDEO, payload.into()).await?;
        Ok((self.number, sent))
    }

    async fn send(&mut self, kind: MessageType, payload: Bytes) -> Result<()> {
        let time = u32::try_from(self.began.elapsed().as_millis())?;
        self.publisher.send(kind, time, payload).await
    }

    /// Ends its stream and its connection.
    async fn end(mut self) -> Result<()> {
        self.publisher.end().await?;
        // Until the node has closed too, so that its input is free.
        let closing = async {
            while self
                .publisher
                .stream
                .read(&mut [0; 1024])
                .await
                .is_ok_and(|n| n > 0)
            {}
        };
        timeout(WITHIN, closing).await.context("not closed")
    }
}

/// The destination: tells of each numbered picture when it came.
async fn receive(listener: TcpListener, arrived: mpsc::UnboundedSender<(u64, Instant)>) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        let mut session = ServerSession::new(ServerConfig::default(), Instant::now());
        // A connection that breaks is seen by whoever waits for what it should have brought.
        let _: Result<()> = async {
            loop {
                while let Some(bytes) = session.poll_output() {
                    stream.write_all(&bytes).await?;
                }
                if session.is_closed() || stream.read_buf(session.read_buf()).await? == 0 {
                    return Ok(());
                }
                let at = Instant::now();
                session.process(at)?;
                while let Some(event) = session.poll_event() {
                    match event {
                        ServerEvent::PublishRequested(_) => session.accept(at)?,
                        ServerEvent::Media(message) => {
                            let number = message.payload.get(5..13);
                            let number = number.and_then(|number| number.try_into().ok());
                            if let Some(number) = number {
                                arrived.send((u64::from_be_bytes(number), at))?;
                            }
                        }
                        _ => {}
                    }
                }
            }
        }
        .await;
    }
}
