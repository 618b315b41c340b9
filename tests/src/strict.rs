//! A destination that keeps every tag as it came, and takes nothing that is against the rules.
//!
//! It is written from the specification and shares no code with the product. What it wants:
//! the plain handshake with its own words echoed; chunks without an error, extended timestamps
//! repeated; `connect` first, then `createStream`, then `publish` on the stream that was made, then
//! media on that stream and not before `NetStream.Publish.Start`; at the end `FCUnpublish` and
//! `deleteStream` for it, and then a close that is no cut.

use std::net::Ipv4Addr;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::authority::Authority;
use crate::streams::{Command, Entry, Streams};
use crate::tls;
use crate::wire::{AUDIO, DATA, Extended, HANDSHAKE, Reader, VIDEO, Writer, command, string};

/// How `releaseStream` and `FCPublish` are answered, which the application's name asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Calls {
    /// Not at all, as by most platforms.
    Silence,
    /// `_error`, as by servers that have never heard of them.
    Error,
    /// `_result` with AMF0's undefined, as by Adobe's server.
    Undefined,
}

impl Calls {
    /// Each of them.
    pub const ALL: [Self; 3] = [Self::Silence, Self::Error, Self::Undefined];

    /// The application under which a destination behaves so.
    pub fn application(self) -> &'static str {
        match self {
            Self::Silence => "silent",
            Self::Error => "error",
            Self::Undefined => "undefined",
        }
    }
}

/// The server, by RTMP and by RTMPS.
pub struct Strict {
    rtmp: u16,
    rtmps: u16,
    streams: Streams,
    _runtime: Runtime,
}

impl Strict {
    /// Starts it; it shows the authority's server certificate.
    pub fn start(authority: &Authority) -> Result<Self> {
        let runtime = Runtime::new()?;
        let acceptor = tls::acceptor(authority)?;
        let bound = async {
            let plain = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            let secure = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            anyhow::Ok((plain, secure))
        };
        let (plain, secure) = runtime.block_on(bound)?;
        let (rtmp, rtmps) = (plain.local_addr()?.port(), secure.local_addr()?.port());
        let streams = Streams::default();
        let taken = streams.clone();
        runtime.spawn(async move {
            while let Ok((stream, _)) = plain.accept().await {
                tokio::spawn(serve(stream, taken.open()));
            }
        });
        let taken = streams.clone();
        runtime.spawn(async move {
            while let Ok((stream, _)) = secure.accept().await {
                let (acceptor, entry) = (acceptor.clone(), taken.open());
                tokio::spawn(async move {
                    match acceptor.accept(stream).await {
                        Ok(stream) => serve(stream, entry).await,
                        Err(error) => entry.end(Err(error.into())),
                    }
                });
            }
        });
        Ok(Self {
            rtmp,
            rtmps,
            streams,
            _runtime: runtime,
        })
    }

    /// The URL of a destination that answers so, plain or secure.
    pub fn url(&self, calls: Calls, secure: bool) -> String {
        let (scheme, port) = match secure {
            true => ("rtmps", self.rtmps),
            false => ("rtmp", self.rtmp),
        };
        format!("{scheme}://localhost:{port}/{}", calls.application())
    }

    /// What it was sent.
    pub fn streams(&self) -> &Streams {
        &self.streams
    }
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, entry: Entry) {
    let result = converse(&mut stream, &entry).await;
    // The publisher may be gone.
    let _ = stream.shutdown().await;
    entry.end(result);
}

/// Where a conversation stands: each step is taken once, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Nothing,
    Connected,
    Created,
    Published,
    Unpublished,
    Deleted,
}

/// Whether the connection ended cleanly; an error is a broken rule.
async fn converse(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    entry: &Entry,
) -> Result<bool> {
    shake_hands(stream).await?;
    let mut reader = Reader::new(Extended::Repeated);
    let mut dialogue = Dialogue {
        step: Step::Nothing,
        calls: Calls::Silence,
        writer: Writer::new(Extended::Repeated),
        out: Vec::new(),
    };
    let mut buffer = vec![0; 64 << 10];
    loop {
        let length = match stream.read(&mut buffer).await {
            Ok(0) => break,
            Ok(length) => length,
            // Under TLS, an end without close_notify is one of these.
            Err(error) => return Err(error).context("the connection was cut"),
        };
        reader.push(buffer.get(..length).unwrap_or_default());
        while let Some(message) = reader.message()? {
            if [AUDIO, VIDEO, DATA].contains(&message.kind) {
                ensure!(
                    (dialogue.step, message.stream) == (Step::Published, STREAM),
                    "media on stream {} while {:?}",
                    message.stream,
                    dialogue.step
                );
            } else {
                ensure!(
                    PROTOCOL.contains(&message.kind),
                    "a message of type {}",
                    message.kind
                );
            }
            let taken = entry.change(|stream| stream.take(message));
            if let Some(command) = taken.transpose()?.flatten() {
                dialogue.answer(&command, entry)?;
            }
        }
        stream.write_all(&dialogue.out).await?;
        stream.flush().await?;
        dialogue.out.clear();
    }
    ensure!(
        dialogue.step == Step::Deleted,
        "the connection ended while {:?}",
        dialogue.step
    );
    Ok(true)
}

/// The message stream that `createStream` makes here: not 1, which everybody guesses.
const STREAM: u32 = 3;

/// Chunk size, abort, acknowledgement, user control, window, bandwidth, and commands.
const PROTOCOL: [u8; 7] = [1, 2, 3, 4, 5, 6, 20];

async fn shake_hands(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> Result<()> {
    let mut hello = [0; 1 + HANDSHAKE];
    stream.read_exact(&mut hello).await?;
    let [version, theirs @ ..] = &hello;
    ensure!(*version == 3, "version {version}");
    // Without a version, as by servers that know no digest.
    let mut ours = [0x5A; HANDSHAKE];
    ours.iter_mut().take(8).for_each(|byte| *byte = 0);
    let words = [&[3][..], &ours, theirs].concat();
    stream.write_all(&words).await?;
    stream.flush().await?;
    let mut echo = [0; HANDSHAKE];
    stream.read_exact(&mut echo).await?;
    // Between the two times stands what was sent.
    ensure!(echo.get(8..) == ours.get(8..), "our words do not come back");
    Ok(())
}

struct Dialogue {
    step: Step,
    calls: Calls,
    writer: Writer,
    out: Vec<u8>,
}

impl Dialogue {
    fn answer(&mut self, command: &Command, entry: &Entry) -> Result<()> {
        let number = json!(command.number);
        match command.name.as_str() {
            "connect" => {
                self.goes(Step::Nothing, Step::Connected)?;
                ensure!(command.number == Some(1.0), "connect is number {number}");
                let told = command.arguments.first().context("connect says nothing")?;
                let app = told.get("app").and_then(Value::as_str);
                let app = app.context("connect names no application")?;
                let url = told.get("tcUrl").and_then(Value::as_str);
                let url = url.context("connect names no URL")?;
                ensure!(url.ends_with(&format!("/{app}")), "{app} is not of {url}");
                let calls = Calls::ALL
                    .into_iter()
                    .find(|calls| calls.application() == app);
                self.calls = calls.with_context(|| format!("no application {app}"))?;
                self.say(&[
                    json!("_result"),
                    number,
                    json!({"fmsVer": "FMS/3,0,1,123", "capabilities": 31}),
                    status("NetConnection.Connect.Success"),
                ]);
            }
            "releaseStream" | "FCPublish" => {
                ensure!(self.step == Step::Connected, "{} is late", command.name);
                match self.calls {
                    Calls::Silence => {}
                    Calls::Error => self.say(&[
                        json!("_error"),
                        number,
                        Value::Null,
                        json!({"level": "error", "code": "NetConnection.Call.Failed"}),
                    ]),
                    Calls::Undefined => {
                        let mut body = crate::wire::command(&[json!("_result"), number]);
                        body.extend([NULL, UNDEFINED]);
                        self.out.extend(self.writer.message(20, 0, 0, &body));
                    }
                }
            }
            "createStream" => {
                self.goes(Step::Connected, Step::Created)?;
                self.say(&[json!("_result"), number, Value::Null, json!(STREAM)]);
            }
            "publish" => {
                self.goes(Step::Created, Step::Published)?;
                ensure!(command.stream == STREAM, "published on {}", command.stream);
                ensure!(command.text(2)? == "live", "published {}", command.text(2)?);
                let name = command.text(1)?.to_owned();
                entry.change(|stream| stream.name = name);
                let mut body = string("onStatus");
                body.extend(crate::wire::command(&[
                    json!(0),
                    Value::Null,
                    status("NetStream.Publish.Start"),
                ]));
                self.out.extend(self.writer.message(20, STREAM, 0, &body));
            }
            "FCUnpublish" => self.goes(Step::Published, Step::Unpublished)?,
            "deleteStream" => {
                self.goes(Step::Unpublished, Step::Deleted)?;
                let deleted = command.arguments.get(1).and_then(Value::as_f64);
                ensure!(deleted == Some(STREAM.into()), "stream {deleted:?} deleted");
            }
            other => bail!("the command {other}"),
        }
        Ok(())
    }

    fn goes(&mut self, from: Step, to: Step) -> Result<()> {
        ensure!(self.step == from, "{to:?} while {:?}", self.step);
        self.step = to;
        Ok(())
    }

    fn say(&mut self, values: &[Value]) {
        let message = self.writer.message(20, 0, 0, &command(values));
        self.out.extend(message);
    }
}

fn status(code: &str) -> Value {
    json!({"level": "status", "code": code, "description": "Welcome"})
}

/// AMF0's markers for the two.
const NULL: u8 = 5;
const UNDEFINED: u8 = 6;
