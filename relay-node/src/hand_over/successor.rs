//! The process that takes over.

use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;

use rustix::io::Errno;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use shared::id::Instance;

use super::Rivals;
use super::frame::{Frame, MAX_LINE, VERSION};
use super::{ANSWER_MAX, MAX_SOCKETS};
use crate::listeners::Listener;

/// The process that runs until this one accepts, and what it has handed over.
pub struct Former {
    stream: UnixStream,
    instance: Option<Instance>,
    received: Vec<u8>,
    /// Its listening sockets.
    pub listeners: Vec<Listener>,
    /// Every process that may still have broadcasts.
    pub draining: Vec<Instance>,
}

/// Asks the process that listens at `path` for its sockets; there is nothing to take over if there is
/// none. Waits for no more than a few seconds. Call [`Former::accepting`] once connections are
/// accepted; until then, and if that never happens, the other process goes on as before.
///
/// # Errors
///
/// What listens there does not hand anything over.
pub fn take_over(path: &Path) -> Result<Option<Former>, TakeOverError> {
    let stream = match UnixStream::connect(path) {
        Ok(stream) => stream,
        // Never there, or left behind by a process that is gone.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
            ) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    stream.set_read_timeout(Some(ANSWER_MAX))?;
    stream.set_write_timeout(Some(ANSWER_MAX))?;
    Frame::TakeOver { version: VERSION }.write_to(&stream)?;
    let mut former = Former {
        stream,
        instance: None,
        received: Vec::new(),
        listeners: Vec::new(),
        draining: Vec::new(),
    };
    let mut sockets = Vec::new();
    let Frame::Sockets {
        sockets: words,
        draining,
        instance,
        ..
    } = former.receive(&mut sockets)?
    else {
        return Err(TakeOverError::NotANode);
    };
    if words.len() != sockets.len() {
        return Err(TakeOverError::NotANode);
    }
    former.instance = Some(instance);
    former.draining = draining;
    for (words, socket) in words.into_iter().zip(sockets) {
        // A kind of a newer process, if this one is older: there is no use for it here.
        if let Some(kind) = words.kind() {
            former.listeners.push(Listener {
                kind,
                given: words.given,
                socket: TcpListener::from(socket),
            });
        }
    }
    Ok(Some(former))
}

impl Former {
    /// Tells the other process that connections are accepted here, and whether its operator's, too, and
    /// waits, for some seconds at most, until it accepts none any more.
    ///
    /// # Errors
    ///
    /// It does not say so.
    pub fn accepting(mut self, admin: bool) -> Result<Life, TakeOverError> {
        Frame::Accepting { admin }.write_to(&self.stream)?;
        match self.receive(&mut Vec::new())? {
            Frame::Draining => Ok(Life {
                stream: self.stream,
                instance: self.instance,
            }),
            _ => Err(TakeOverError::NotANode),
        }
    }

    /// The next frame, and the sockets that came with it.
    fn receive(&mut self, sockets: &mut Vec<OwnedFd>) -> Result<Frame, TakeOverError> {
        loop {
            if let Some(end) = self.received.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.received.drain(..=end).collect();
                return Ok(Frame::read(&line));
            }
            if self.received.len() > MAX_LINE {
                return Err(TakeOverError::NotANode);
            }
            let mut bytes = [0; 4096];
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_SOCKETS))];
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let received = recvmsg(
                &self.stream,
                &mut [IoSliceMut::new(&mut bytes)],
                &mut control,
                RecvFlags::CMSG_CLOEXEC,
            )
            .map_err(|error| match error {
                // It has not even read what it was asked.
                Errno::CONNRESET => TakeOverError::Refused,
                error => TakeOverError::Io(error.into()),
            })?;
            for message in control.drain() {
                if let RecvAncillaryMessage::ScmRights(received) = message {
                    sockets.extend(received);
                }
            }
            match bytes.get(..received.bytes) {
                Some([]) | None => return Err(TakeOverError::Refused),
                Some(bytes) => self.received.extend_from_slice(bytes),
            }
        }
    }
}

/// The connection to the other process, which lasts as long as that does.
pub struct Life {
    stream: UnixStream,
    instance: Option<Instance>,
}

impl Life {
    /// Waits for the end of that process, and makes it known.
    pub async fn ended(self, rivals: &Rivals) {
        let watched = async {
            self.stream.set_nonblocking(true)?;
            let mut stream = tokio::net::UnixStream::from_std(self.stream)?;
            // It says nothing more.
            tokio::io::copy(&mut stream, &mut tokio::io::sink()).await
        };
        let _ = watched.await;
        if let Some(instance) = self.instance {
            rivals.gone(instance);
        }
    }
}

/// Why nothing is taken over from a process that is there.
#[derive(Debug, thiserror::Error)]
pub enum TakeOverError {
    /// It cannot be talked to, or says nothing in time.
    #[error("the running process does not answer")]
    Io(#[from] io::Error),
    /// It says what no relay node says.
    #[error("what listens there is not a relay node")]
    NotANode,
    /// It has closed the connection: another process has taken over, or it belongs to another user.
    #[error("the running process refuses to hand over")]
    Refused,
}
