//! The floor: what the machine needs for the same bytes, one write for each message and socket.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use rtmp::client::{ClientEvent, PublishClient};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use tokio_util::sync::CancellationToken;

use super::Case;
use super::media::{Media, Sent, fingerprint};
use super::sink::key;
use super::usage;
use crate::publisher;

/// Connects to every sink, and then sends each stream to its own, when it is due. Tells its
/// thread's place in `/proc` once it begins.
pub(super) fn run(
    (case, gather): (Case, Duration),
    sink: u16,
    tls: &Arc<ClientConfig>,
    sent: &[Arc<Sent>],
    stop: &CancellationToken,
    begun: &mpsc::Sender<PathBuf>,
) -> Result<()> {
    let mut streams: Vec<Vec<Output>> = Vec::new();
    let mut client = None;
    for publisher in 0..case.inputs {
        let mut outputs = Vec::new();
        for output in 0..case.outputs {
            let tls = case.tls.then_some(tls);
            let (output, its) = Output::connect(sink, tls, &key(publisher, output))?;
            outputs.push(output);
            client = Some(its);
        }
        streams.push(outputs);
    }
    // Every sink gave its stream the same number, so that the bytes are the same for all of them.
    let (headers, prepared) = prepare(case.media, client.context("there is an output")?)?;
    begun.send(usage::this_thread()?)?;

    for bytes in headers {
        for output in streams.iter_mut().flatten() {
            output.write(&bytes)?;
        }
    }
    let began = Instant::now();
    let mut gathered: Vec<Prepared> = Vec::new();
    for message in prepared {
        let until = gathered.first().map(|first| first.due + gather);
        if until.is_some_and(|until| message.due >= until) {
            let due = until.unwrap_or_default();
            thread::sleep((began + due).saturating_duration_since(Instant::now()));
            write(&mut streams, &mut gathered)?;
        }
        thread::sleep((began + message.due).saturating_duration_since(Instant::now()));
        if stop.is_cancelled() {
            break;
        }
        if !sent
            .iter()
            .all(|sent| sent.note(message.number, message.fingerprint))
        {
            return Ok(());
        }
        gathered.push(message);
        if gather.is_zero() {
            write(&mut streams, &mut gathered)?;
        }
    }
    Ok(())
}

/// Writes what has been gathered, in one piece to each socket.
fn write(streams: &mut [Vec<Output>], gathered: &mut Vec<Prepared>) -> Result<()> {
    let bytes = match gathered.as_slice() {
        [only] => only.bytes.clone(),
        several => {
            let pieces: Vec<&[u8]> = several.iter().map(|message| &message.bytes[..]).collect();
            pieces.concat().into()
        }
    };
    gathered.clear();
    for output in streams.iter_mut().flatten() {
        output.write(&bytes)?;
    }
    Ok(())
}

/// A message as it goes onto every socket.
struct Prepared {
    number: usize,
    due: Duration,
    fingerprint: u64,
    bytes: Bytes,
}

/// Makes what is to be sent, ahead of its time and in a thread that is not measured.
fn prepare(media: Media, client: PublishClient) -> Result<(Vec<Bytes>, mpsc::Receiver<Prepared>)> {
    let headers = Media::headers().into_iter().map(|piece| {
        let message = client.message(piece.kind, piece.timestamp, piece.payload)?;
        Ok(message.to_bytes())
    });
    let headers = headers.collect::<Result<_>>()?;
    let (ready, prepared) = mpsc::sync_channel(READY_AHEAD);
    thread::spawn(move || -> Result<()> {
        for (number, piece) in media.pieces().enumerate() {
            let fingerprint = fingerprint(&piece.payload);
            let message = client.message(piece.kind, piece.timestamp, piece.payload)?;
            // Nobody takes any more when the run is over.
            ready.send(Prepared {
                number,
                due: Duration::from_millis(u64::from(piece.timestamp)),
                fingerprint,
                bytes: message.to_bytes(),
            })?;
        }
        Ok(())
    });
    Ok((headers, prepared))
}

pub(super) struct Output(Box<dyn Stream>);

trait Stream: Read + Write {}

impl<T: Read + Write> Stream for T {}

impl Output {
    /// Connects, and publishes; the client of the stream, for who makes its messages.
    pub(super) fn connect(
        port: u16,
        tls: Option<&Arc<ClientConfig>>,
        key: &str,
    ) -> Result<(Self, PublishClient)> {
        let tcp = TcpStream::connect(("127.0.0.1", port))?;
        tcp.set_nodelay(true)?;
        tcp.set_read_timeout(Some(STEP_WITHIN))?;
        let mut stream: Box<dyn Stream> = match tls {
            Some(tls) => {
                let name = ServerName::try_from("localhost")?;
                let session = ClientConnection::new(Arc::clone(tls), name)?;
                Box::new(StreamOwned::new(session, tcp))
            }
            None => Box::new(tcp),
        };
        let tc_url = format!("rtmp://127.0.0.1:{port}/live");
        let target = publisher::target(tc_url, "live", key);
        let mut client = PublishClient::new(target, Instant::now())?;
        loop {
            while let Some(bytes) = client.poll_output() {
                stream.write_all(&bytes)?;
            }
            stream.flush()?;
            if let Some(ClientEvent::Publishing { .. }) = client.poll_event() {
                return Ok((Self(stream), client));
            }
            let mut bytes = [0; 4096];
            let read = stream.read(&mut bytes)?;
            let bytes = bytes.get(..read).filter(|bytes| !bytes.is_empty());
            client.input(Instant::now(), bytes.context("a sink closed")?)?;
        }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.0.write_all(bytes)?;
        self.0.flush()?;
        Ok(())
    }
}

/// What takes longer is a failure, and no figure.
const STEP_WITHIN: Duration = Duration::from_secs(15);

/// Messages made ahead of their time.
const READY_AHEAD: usize = 64;
