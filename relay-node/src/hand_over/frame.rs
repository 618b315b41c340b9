//! What two processes of a node tell each other, as lines of JSON.

use std::io;
use std::net::IpAddr;
use std::os::unix::net::UnixStream as Blocking;

use futures_util::{SinkExt as _, StreamExt as _};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use shared::id::{InputUid, Instance};
use tokio::net::UnixStream;
use tokio_util::codec::{Framed, LinesCodec, LinesCodecError};

use crate::listeners::Kind;

/// The protocol's version: from 2 on a process answers [`Frame::Knock`] and [`Frame::Show`].
pub(super) const VERSION: u32 = 2;

/// The first version that answers whoever knocks, or wants to be shown something.
pub(super) const ANSWERS_SINCE: u32 = 2;

/// The longest line: what is shown of a broadcast with fifty outputs, each with the longest words of
/// its destination, several times over. Who sends more is not a node.
pub(super) const MAX_LINE: usize = 1024 * 1024;

/// A line.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Frame {
    /// Asks for the listening sockets.
    TakeOver { version: u32 },
    /// Comes with them, in this order.
    Sockets {
        version: u32,
        /// Who sends them.
        instance: Instance,
        sockets: Vec<SocketWords>,
        /// Processes that still have broadcasts, this one among them: each will introduce itself.
        draining: Vec<Instance>,
    },
    /// The successor accepts connections; `admin` says whether for the operator, too.
    Accepting { admin: bool },
    /// The former process accepts none any more.
    Draining,
    /// A process that has handed over says who it is.
    Introduce { version: u32, instance: Instance },
    /// This process begins a broadcast of `input` under `epoch`.
    Claim {
        id: u64,
        input: InputUid,
        epoch: u64,
    },
    /// Nothing of it is sent here.
    Released { id: u64 },
    /// It is on air here under a higher epoch.
    Kept { id: u64 },
    /// An encoder from that address wants to publish an input that is not on air here.
    Knock {
        id: u64,
        input: InputUid,
        from: Option<IpAddr>,
    },
    /// Another encoder sends it, which is not to be replaced.
    Occupied { id: u64 },
    /// It may come in.
    Vacant { id: u64 },
    /// Asks for all that is on air.
    Show { id: u64 },
    /// One of the broadcasts, as `/status` shows it.
    Broadcast { id: u64, status: Value },
    /// Those were all.
    Shown { id: u64 },
    /// Of a newer process.
    #[serde(other)]
    Unknown,
}

/// What a socket that is handed over is for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct SocketWords {
    /// A [`Kind`] by its name; a newer process may know more.
    pub(super) kind: String,
    /// Whether it stands for whatever is configured for its kind.
    pub(super) given: bool,
}

impl SocketWords {
    pub(super) fn kind(&self) -> Option<Kind> {
        Kind::named(&self.kind)
    }
}

impl Frame {
    /// The line, with its end.
    pub(super) fn line(&self) -> io::Result<Vec<u8>> {
        let mut line = serde_json::to_vec(self)?;
        line.push(b'\n');
        Ok(line)
    }

    /// Reads a line without its end; what is no frame is one of a newer process.
    pub(super) fn read(line: &[u8]) -> Self {
        serde_json::from_slice(line).unwrap_or(Self::Unknown)
    }

    /// Writes it to a socket that blocks.
    pub(super) fn write_to(&self, stream: &Blocking) -> io::Result<()> {
        io::Write::write_all(&mut &*stream, &self.line()?)
    }
}

/// A connection to another process.
pub(super) struct Connection(Framed<UnixStream, LinesCodec>);

impl Connection {
    pub(super) fn new(stream: UnixStream) -> Self {
        Self(Framed::new(
            stream,
            LinesCodec::new_with_max_length(MAX_LINE),
        ))
    }

    /// The next frame; none at the end.
    pub(super) async fn receive(&mut self) -> io::Result<Option<Frame>> {
        let line = self.0.next().await.transpose().map_err(to_io)?;
        Ok(line.map(|line| Frame::read(line.as_bytes())))
    }

    pub(super) async fn send(&mut self, frame: &Frame) -> io::Result<()> {
        self.0
            .send(serde_json::to_string(frame)?)
            .await
            .map_err(to_io)
    }

    /// The socket. Whoever writes to it does so between frames.
    pub(super) fn stream(&self) -> &UnixStream {
        self.0.get_ref()
    }
}

fn to_io(error: LinesCodecError) -> io::Error {
    match error {
        LinesCodecError::Io(error) => error,
        LinesCodecError::MaxLineLengthExceeded => io::ErrorKind::InvalidData.into(),
    }
}
