//! The other processes of the node that may send what this one sends.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use shared::id::{InputUid, Instance};
use tokio::net::UnixStream;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{sleep, timeout};

use super::frame::{Connection, Frame, VERSION};
use crate::clock;
use crate::registry::{Registry, Release};

/// How long outputs wait for other processes to let go of an input: as long as a node may go on without
/// its control plane's word. One that is silent for longer is not sending either, as far as anybody can
/// tell; and an output that waited for ever would be the greater harm.
pub(super) const CLAIM_MAX: Duration = Duration::from_secs(10);

/// Between attempts to reach the newest process, which may be starting.
const RETRY: Duration = Duration::from_millis(100);

/// The other processes, as far as they are known.
#[derive(Debug, Default)]
pub struct Rivals {
    state: Mutex<State>,
    introduced: Notify,
}

#[derive(Debug, Default)]
struct State {
    connected: BTreeMap<u64, Rival>,
    connections: u64,
    /// Those that will introduce themselves, and until when that is waited for.
    expected: BTreeSet<Instance>,
    expected_until: Option<Instant>,
}

#[derive(Debug)]
struct Rival {
    instance: Option<Instance>,
    claims: mpsc::UnboundedSender<Claim>,
}

#[derive(Debug)]
struct Claim {
    input: InputUid,
    epoch: u64,
    answer: oneshot::Sender<Claimed>,
}

/// What became of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// Nobody else sends the input.
    Free,
    /// Another process has it under a higher epoch.
    Kept,
}

impl Rivals {
    /// These processes will introduce themselves soon.
    pub fn expect(&self, instances: impl IntoIterator<Item = Instance>) {
        let mut state = self.lock();
        state.expected.extend(instances);
        state.expected_until = Some(clock::now() + CLAIM_MAX);
    }

    /// A process is gone that may have been expected.
    pub(super) fn gone(&self, instance: Instance) {
        self.lock().expected.remove(&instance);
        self.introduced.notify_waiters();
    }

    /// The processes that may have broadcasts: `own`, and those that have handed over to it.
    pub(super) fn draining(&self, own: Instance) -> Vec<Instance> {
        let state = self.lock();
        let connected = state.connected.values().filter_map(|rival| rival.instance);
        let expected = state.expected.iter().copied();
        BTreeSet::from_iter(connected.chain(expected).chain([own]))
            .into_iter()
            .collect()
    }

    /// Claims an input for this process, if there are others. The future ends when they have answered,
    /// within ten seconds.
    pub fn claim(
        self: &Arc<Self>,
        input: InputUid,
        epoch: u64,
    ) -> Option<impl Future<Output = Claimed> + Send + use<>> {
        if self.lock().is_alone() {
            return None;
        }
        let rivals = Arc::clone(self);
        let answers = async move {
            rivals.all_introduced().await;
            let asked: Vec<_> = rivals.lock().ask(input, epoch);
            let mut claimed = Claimed::Free;
            for answer in asked {
                // One that is gone sends nothing.
                if answer.await == Ok(Claimed::Kept) {
                    claimed = Claimed::Kept;
                }
            }
            claimed
        };
        Some(async move {
            let answered = timeout(CLAIM_MAX, answers).await;
            answered.unwrap_or_else(|_| {
                tracing::warn!(%input, "another process of this node does not let go of an input");
                Claimed::Free
            })
        })
    }

    async fn all_introduced(&self) {
        loop {
            let introduced = self.introduced.notified();
            if self.lock().expected.is_empty() {
                return;
            }
            introduced.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Each change leaves the maps whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_alone(&mut self) -> bool {
        if self
            .expected_until
            .is_some_and(|until| until <= clock::now())
        {
            // They ended before they came.
            self.expected.clear();
        }
        self.expected.is_empty() && self.connected.is_empty()
    }

    fn ask(&self, input: InputUid, epoch: u64) -> Vec<oneshot::Receiver<Claimed>> {
        let ask = |rival: &Rival| {
            let (answer, answered) = oneshot::channel();
            // Dropped with the connection, if that has just ended.
            let _ = rival.claims.send(Claim {
                input,
                epoch,
                answer,
            });
            answered
        };
        self.connected.values().map(ask).collect()
    }
}

/// Keeps in touch with the newest process, which listens at `path`, until it is dropped: this one has
/// handed over, and serves the broadcasts that it has to their end.
pub async fn attend(path: &Path, registry: &Arc<Registry>) {
    let mut is_missed = false;
    loop {
        let talk = async {
            let mut connection = Connection::new(UnixStream::connect(path).await?);
            let instance = registry.instance();
            let version = VERSION;
            let hello = Frame::Introduce { version, instance };
            connection.send(&hello).await?;
            talk(connection, None, registry).await
        };
        if let Err(error) = talk.await
            && !std::mem::replace(&mut is_missed, true)
        {
            tracing::debug!(%error, "the newest process cannot be reached");
        }
        sleep(RETRY).await;
    }
}

/// Talks with another process, the one called `instance` if it has said so, until either ends.
pub(super) async fn talk(
    mut connection: Connection,
    instance: Option<Instance>,
    registry: &Arc<Registry>,
) -> io::Result<()> {
    let rivals = registry.rivals();
    let (claims, mut claimed) = mpsc::unbounded_channel();
    let _known = Known::new(rivals, instance, claims);
    let (answer, mut answers) = mpsc::unbounded_channel();
    let mut asked: BTreeMap<u64, oneshot::Sender<Claimed>> = BTreeMap::new();
    let mut ids = 0..;
    loop {
        let frame = tokio::select! {
            frame = connection.receive() => match frame? {
                None => return Ok(()),
                Some(Frame::Claim { id, input, epoch }) => {
                    let answer = answer.clone();
                    let released = registry.release(input, epoch);
                    tokio::spawn(async move {
                        let frame = match released {
                            Release::Kept => Frame::Kept { id },
                            Release::When(gone) => {
                                gone.cancelled().await;
                                Frame::Released { id }
                            }
                        };
                        // The other process may be gone in the meantime.
                        let _ = answer.send(frame);
                    });
                    continue;
                }
                Some(Frame::Released { id }) => {
                    settle(&mut asked, id, Claimed::Free);
                    continue;
                }
                Some(Frame::Kept { id }) => {
                    settle(&mut asked, id, Claimed::Kept);
                    continue;
                }
                Some(_) => continue,
            },
            Some(frame) = answers.recv() => frame,
            Some(Claim { input, epoch, answer }) = claimed.recv() => {
                let id = ids.next().unwrap_or_default();
                asked.insert(id, answer);
                Frame::Claim { id, input, epoch }
            }
        };
        connection.send(&frame).await?;
    }
}

fn settle(asked: &mut BTreeMap<u64, oneshot::Sender<Claimed>>, id: u64, claimed: Claimed) {
    if let Some(answer) = asked.remove(&id) {
        // Whoever asked may not wait any longer.
        let _ = answer.send(claimed);
    }
}

/// A process is known for as long as this lives.
struct Known<'r> {
    rivals: &'r Rivals,
    number: u64,
}

impl<'r> Known<'r> {
    fn new(
        rivals: &'r Rivals,
        instance: Option<Instance>,
        claims: mpsc::UnboundedSender<Claim>,
    ) -> Self {
        let mut state = rivals.lock();
        state.connections += 1;
        let number = state.connections;
        state.connected.insert(number, Rival { instance, claims });
        if let Some(instance) = instance {
            state.expected.remove(&instance);
        }
        drop(state);
        rivals.introduced.notify_waiters();
        Self { rivals, number }
    }
}

impl Drop for Known<'_> {
    fn drop(&mut self) {
        self.rivals.lock().connected.remove(&self.number);
    }
}
