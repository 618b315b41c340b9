//! The process that hands over.

use std::fs;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::Path;
use std::process;
use std::sync::Arc;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use tokio::io::Interest;
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use super::frame::{Connection, Frame, SocketWords, VERSION};
use super::rivals;
use super::{ANSWER_MAX, MAX_SOCKETS};
use crate::listeners::Kind;
use crate::registry::Registry;

/// Where successors find this process, and what it has for them.
pub struct Offer {
    listener: UnixListener,
    sockets: Vec<(Kind, bool, TcpListener)>,
}

/// A process that accepts connections in place of this one.
pub struct Successor {
    connection: Connection,
    /// Whether it answers the operator, too.
    pub admin: bool,
    /// Its process id, as far as it can be seen from here.
    pub pid: Option<u32>,
}

impl Offer {
    /// Listens at `path` in place of whoever did before, with copies of these `sockets`, each with its
    /// kind and whether it stands for what is configured.
    ///
    /// # Errors
    ///
    /// The file cannot be made.
    pub fn new(path: &Path, sockets: Vec<(Kind, bool, TcpListener)>) -> io::Result<Self> {
        // Made under another name and then moved, so that there is one at any time.
        let mut fresh = path.as_os_str().to_owned();
        fresh.push(format!(".{}", process::id()));
        let _ = fs::remove_file(&fresh);
        let listener = UnixListener::bind(&fresh)?;
        fs::rename(&fresh, path)?;
        Ok(Self { listener, sockets })
    }

    /// Serves processes that have handed over to this one, until another takes over from it. When this
    /// returns nobody listens at the path any more.
    pub async fn serve(self, registry: &Arc<Registry>) -> Successor {
        // Those that are connected when this ends come to the successor instead.
        let attending = TaskTracker::new();
        let over = tokio_util::sync::CancellationToken::new();
        let _over = over.clone().drop_guard();
        loop {
            let stream = match self.listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "no process can take over at this moment");
                    tokio::time::sleep(ANSWER_MAX).await;
                    continue;
                }
            };
            if !is_of_this_user(&stream) {
                tracing::warn!("a process of another user wanted to take over");
                continue;
            }
            let mut connection = Connection::new(stream);
            let asked = timeout(ANSWER_MAX, connection.receive()).await;
            match asked {
                Ok(Ok(Some(Frame::TakeOver { .. }))) => {
                    match self.hand_over(connection, registry).await {
                        Ok(successor) => return successor,
                        Err(error) => {
                            tracing::warn!(%error, "a successor did not come to accept");
                        }
                    }
                }
                Ok(Ok(Some(Frame::Introduce { instance, version }))) => {
                    let registry = Arc::clone(registry);
                    let over = over.clone();
                    attending.spawn(async move {
                        let talk = rivals::talk(connection, Some((instance, version)), &registry);
                        let _ = over.run_until_cancelled(talk).await;
                    });
                }
                _ => tracing::debug!("what connected is not a relay node"),
            }
        }
    }

    async fn hand_over(
        &self,
        mut connection: Connection,
        registry: &Registry,
    ) -> io::Result<Successor> {
        let given = |(kind, given, _): &(Kind, bool, TcpListener)| SocketWords {
            kind: kind.name().to_owned(),
            given: *given,
        };
        let sockets: Vec<_> = self.sockets.iter().take(MAX_SOCKETS).collect();
        let frame = Frame::Sockets {
            version: VERSION,
            instance: registry.instance(),
            sockets: sockets.iter().copied().map(given).collect(),
            draining: registry.rivals().draining(registry.instance()),
        };
        let files: Vec<_> = sockets
            .iter()
            .map(|(_, _, socket)| socket.as_fd())
            .collect();
        send_with(connection.stream(), &frame.line()?, &files).await?;
        let accepting = timeout(ANSWER_MAX, connection.receive()).await;
        match accepting.map_err(|_| io::ErrorKind::TimedOut)?? {
            Some(Frame::Accepting { admin }) => {
                let peer = connection.stream().peer_cred();
                let pid = peer.ok().and_then(|peer| peer.pid());
                Ok(Successor {
                    connection,
                    admin,
                    pid: pid.and_then(|pid| u32::try_from(pid).ok()),
                })
            }
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

impl Successor {
    /// Tells it that this process accepts nothing any more. The connection that this returns is to be
    /// kept: its end tells the successor that this process is gone.
    pub async fn draining(mut self) -> impl Send {
        let told = timeout(ANSWER_MAX, self.connection.send(&Frame::Draining)).await;
        if !matches!(told, Ok(Ok(()))) {
            tracing::debug!("the successor does not listen");
        }
        self.connection
    }
}

/// Sends bytes with open files, which arrive with the first of them.
async fn send_with(stream: &UnixStream, bytes: &[u8], files: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut sent = 0;
    while let Some(rest @ [_, ..]) = bytes.get(sent..) {
        sent += stream
            .async_io(Interest::WRITABLE, || {
                let mut space =
                    [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_SOCKETS))];
                let mut control = SendAncillaryBuffer::new(&mut space);
                if sent == 0 && !files.is_empty() {
                    control.push(SendAncillaryMessage::ScmRights(files));
                }
                let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
                Ok(sendmsg(stream, &[IoSlice::new(rest)], &mut control, flags)?)
            })
            .await?;
    }
    Ok(())
}

fn is_of_this_user(stream: &UnixStream) -> bool {
    let own = nix::unistd::geteuid().as_raw();
    stream
        .peer_cred()
        .is_ok_and(|peer| peer.uid() == own || peer.uid() == 0)
}
