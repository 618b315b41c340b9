//! The bare relay: the least that a relay can cost. It lets encoders in, and from then on passes their
//! bytes on as they are: nothing is looked at, nor made anew, nor kept unless that is asked for.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rtmp::server::{ServerConfig, ServerEvent, ServerSession};
use rustls::ClientConfig;

use super::Case;
use super::floor::Output;
use super::sink::key;
use super::usage;

/// Connects to every sink, lets the encoders in, and passes on what they send until all have gone.
/// Tells its thread's place in `/proc` once it begins.
///
/// One window serves all encoders: it begins with the first byte of any of them, and at its end each
/// is read once.
pub(super) fn run(
    (case, gather, keeps): (Case, Duration, bool),
    listener: &TcpListener,
    sink: u16,
    tls: &Arc<ClientConfig>,
    begun: &mpsc::Sender<PathBuf>,
) -> Result<()> {
    let mut inputs = Vec::new();
    for _ in 0..case.inputs {
        let (encoder, publisher) = let_in(listener)?;
        let outputs = (0..case.outputs).map(|output| {
            let tls = case.tls.then_some(tls);
            Ok(Output::connect(sink, tls, &key(publisher, output))?.0)
        });
        inputs.push(Input {
            encoder,
            outputs: outputs.collect::<Result<_>>()?,
            // Not zeros, whose pages the kernel would give one by one later.
            buffer: vec![u8::MAX; if keeps { kept(case) } else { READ_MAX }],
            at: 0,
            has_gone: false,
        });
    }
    begun.send(usage::this_thread()?)?;
    while !inputs.is_empty() {
        let mut readable = wait(&inputs)?;
        if !gather.is_zero() {
            thread::sleep(gather + GRACE);
            readable.fill(true);
        }
        for (input, is_readable) in inputs.iter_mut().zip(readable) {
            if is_readable {
                input.pass()?;
            }
        }
        inputs.retain(|input| !input.has_gone);
    }
    Ok(())
}

/// The key under which an encoder publishes.
pub(super) fn publishing_key(publisher: usize) -> String {
    format!("in{publisher}")
}

/// An encoder, and where what it sends goes.
struct Input {
    encoder: TcpStream,
    outputs: Vec<Output>,
    /// What it sends is read to the next place in it.
    buffer: Vec<u8>,
    at: usize,
    has_gone: bool,
}

impl Input {
    /// Passes on what has come.
    fn pass(&mut self) -> Result<()> {
        if self.at + READ_MAX > self.buffer.len() {
            self.at = 0;
        }
        let room = self.buffer.get_mut(self.at..).unwrap_or_default();
        let length = match self.encoder.read(room) {
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        self.has_gone = length == 0;
        let read = room.get(..length).unwrap_or_default();
        for output in &mut self.outputs {
            output.write(read)?;
        }
        if self.buffer.len() > READ_MAX {
            self.at += length;
        }
        Ok(())
    }
}

/// Waits until something has come; of which inputs.
fn wait(inputs: &[Input]) -> Result<Vec<bool>> {
    let mut sockets: Vec<_> = inputs
        .iter()
        .map(|input| PollFd::new(input.encoder.as_fd(), PollFlags::POLLIN))
        .collect();
    poll(&mut sockets, PollTimeout::NONE)?;
    let is_readable = |socket: &PollFd<'_>| socket.any().unwrap_or_default();
    Ok(sockets.iter().map(is_readable).collect())
}

/// The next encoder, as far as its stream begins, and its number.
fn let_in(listener: &TcpListener) -> Result<(TcpStream, usize)> {
    let (mut stream, _) = listener.accept()?;
    stream.set_nodelay(true)?;
    let mut session = ServerSession::new(ServerConfig::default(), Instant::now());
    let mut publisher = None;
    loop {
        while let Some(bytes) = session.poll_output() {
            stream.write_all(&bytes)?;
        }
        if let Some(publisher) = publisher {
            stream.set_nonblocking(true)?;
            return Ok((stream, publisher));
        }
        let mut bytes = [0; 4096];
        let length = stream.read(&mut bytes)?;
        if length == 0 {
            bail!("an encoder has gone");
        }
        session.input(Instant::now(), bytes.get(..length).unwrap_or_default())?;
        while let Some(event) = session.poll_event() {
            if let ServerEvent::PublishRequested(request) = event {
                session.accept(Instant::now())?;
                let number = request.key.expose().strip_prefix("in");
                publisher = Some(number.context("no key of ours")?.parse()?);
            }
        }
    }
}

/// As much as ours keeps of an encoder, so that an output can begin with a picture.
fn kept(case: Case) -> usize {
    READ_MAX + usize::try_from(KEPT_SECONDS * case.media.bits_per_second / 8).unwrap_or_default()
}

const KEPT_SECONDS: u64 = 3;

/// What has come of an encoder in the longest window fits into it, a keyframe included.
const READ_MAX: usize = 256 << 10;

/// With it a window takes in one frame of AAC more (21.3 ms), as those of ours do.
const GRACE: Duration = Duration::from_micros(1600);
