//! The other processes of the node that may send what this one sends.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::Value;
use shared::id::{InputUid, Instance};
use tokio::net::UnixStream;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{sleep, timeout, timeout_at};

use super::frame::{ANSWERS_SINCE, Connection, Frame, MAX_LINE, VERSION};
use crate::clock;
use crate::registry::{Registry, Release};

/// How long outputs wait for other processes to let go of an input: as long as a node may go on without
/// its control plane's word. One that is silent for longer is not sending either, as far as anybody can
/// tell; and an output that waited for ever would be the greater harm.
pub(super) const CLAIM_MAX: Duration = Duration::from_secs(10);

/// How long an encoder that comes waits for other processes to say whether it may: they answer at
/// once, unless they are stuck, and then their publisher's seat is worth nothing.
pub(super) const KNOCK_MAX: Duration = Duration::from_secs(2);

/// How long whoever asks what is on air waits for other processes. One that says nothing until then
/// is shown without its broadcasts.
pub(super) const SHOW_MAX: Duration = Duration::from_secs(2);

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
    /// The version of the protocol that it speaks; that of the newest process, which listens, is not
    /// said, and not lower than ours.
    version: u32,
    questions: mpsc::UnboundedSender<Question>,
}

/// What another process is asked, and who waits for its answer.
#[derive(Debug)]
enum Question {
    Claim {
        input: InputUid,
        epoch: u64,
        answer: oneshot::Sender<Claimed>,
    },
    Knock {
        input: InputUid,
        from: Option<IpAddr>,
        is_occupied: oneshot::Sender<bool>,
    },
    Show {
        broadcasts: oneshot::Sender<Vec<Value>>,
    },
}

/// What became of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// Nobody else sends the input.
    Free,
    /// Another process has it under a higher epoch.
    Kept,
}

/// What another process of the node has on air, until it ends.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Draining {
    /// The process; unknown for one that takes over at this moment.
    pub instance: Option<Instance>,
    /// Its broadcasts, in its own words; nothing where it does not answer.
    pub broadcasts: Option<Vec<Value>>,
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

    /// Whether another process has a publisher of that input that is not to be replaced by one that
    /// comes from that address. Asks each, for two seconds at most.
    pub async fn is_occupied(&self, input: InputUid, from: Option<IpAddr>) -> bool {
        if self.lock().is_alone() {
            return false;
        }
        let answers = async {
            self.all_introduced().await;
            let asked = self.lock().ask_all(|is_occupied| Question::Knock {
                input,
                from,
                is_occupied,
            });
            for (_, answer) in asked {
                if answer.await == Ok(true) {
                    return true;
                }
            }
            false
        };
        timeout(KNOCK_MAX, answers).await.unwrap_or_else(|_| {
            tracing::warn!(%input, "another process of this node does not say whether an encoder may come");
            false
        })
    }

    /// What all other processes have on air. Asks each, for two seconds at most.
    pub async fn show(&self) -> Vec<Draining> {
        let (asked, missing) = {
            let mut state = self.lock();
            let missing: Vec<_> = match state.is_alone() {
                true => return Vec::new(),
                false => state.expected.iter().copied().map(Some).collect(),
            };
            let old = state.connected.values();
            let old = old.filter(|rival| rival.version < ANSWERS_SINCE);
            let missing = missing.into_iter().chain(old.map(|rival| rival.instance));
            let missing: Vec<_> = missing.collect();
            (
                state.ask_all(|broadcasts| Question::Show { broadcasts }),
                missing,
            )
        };
        let until = tokio::time::Instant::now() + SHOW_MAX;
        let mut shown = Vec::with_capacity(asked.len() + missing.len());
        for (instance, answer) in asked {
            let broadcasts = match timeout_at(until, answer).await {
                Ok(Ok(broadcasts)) => Some(broadcasts),
                // It is gone.
                Ok(Err(_)) => continue,
                Err(_) => None,
            };
            shown.push(Draining {
                instance,
                broadcasts,
            });
        }
        shown.extend(missing.into_iter().map(|instance| Draining {
            instance,
            broadcasts: None,
        }));
        shown
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
            let _ = rival.questions.send(Question::Claim {
                input,
                epoch,
                answer,
            });
            answered
        };
        self.connected.values().map(ask).collect()
    }

    /// Asks all that understand such questions.
    fn ask_all<A>(
        &self,
        question: impl Fn(oneshot::Sender<A>) -> Question,
    ) -> Vec<(Option<Instance>, oneshot::Receiver<A>)> {
        let rivals = self.connected.values();
        let rivals = rivals.filter(|rival| rival.version >= ANSWERS_SINCE);
        let ask = |rival: &Rival| {
            let (answer, answered) = oneshot::channel();
            // Dropped with the connection, if that has just ended.
            let _ = rival.questions.send(question(answer));
            (rival.instance, answered)
        };
        rivals.map(ask).collect()
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

/// Talks with another process, the one called `instance` that speaks `version`, if it has said so,
/// until either ends.
pub(super) async fn talk(
    mut connection: Connection,
    introduced: Option<(Instance, u32)>,
    registry: &Arc<Registry>,
) -> io::Result<()> {
    let rivals = registry.rivals();
    let (questions, mut questioned) = mpsc::unbounded_channel();
    let _known = Known::new(rivals, introduced, questions);
    let (answer, mut answers) = mpsc::unbounded_channel();
    let mut asked = Asked::default();
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
                Some(Frame::Knock { id, input, from }) => match registry.is_occupied(input, from) {
                    true => Frame::Occupied { id },
                    false => Frame::Vacant { id },
                },
                Some(Frame::Show { id }) => {
                    show(&mut connection, id, registry).await?;
                    continue;
                }
                Some(answer) => {
                    asked.answered(answer);
                    continue;
                }
            },
            Some(frame) = answers.recv() => frame,
            Some(question) = questioned.recv() => asked.ask(question),
        };
        connection.send(&frame).await?;
    }
}

/// Shows what is on air, a broadcast a line.
async fn show(connection: &mut Connection, id: u64, registry: &Registry) -> io::Result<()> {
    for status in registry.status() {
        let status = serde_json::to_value(status)?;
        let frame = Frame::Broadcast { id, status };
        match frame.line()?.len() <= MAX_LINE {
            true => connection.send(&frame).await?,
            // The other process would take this one for something else.
            false => tracing::debug!("a broadcast is too large to be shown"),
        }
    }
    connection.send(&Frame::Shown { id }).await
}

/// What another process was asked and has not answered.
#[derive(Default)]
struct Asked {
    number: u64,
    questions: BTreeMap<u64, Question>,
    /// What was shown of what was asked for.
    shown: BTreeMap<u64, Vec<Value>>,
}

impl Asked {
    /// The frame that asks.
    fn ask(&mut self, question: Question) -> Frame {
        self.number += 1;
        let id = self.number;
        let frame = match question {
            Question::Claim { input, epoch, .. } => Frame::Claim { id, input, epoch },
            Question::Knock { input, from, .. } => Frame::Knock { id, input, from },
            Question::Show { .. } => Frame::Show { id },
        };
        self.questions.insert(id, question);
        frame
    }

    /// Tells whoever asked, who may not wait any longer.
    fn answered(&mut self, frame: Frame) {
        let id = match frame {
            Frame::Broadcast { id, status } => {
                if self.questions.contains_key(&id) {
                    self.shown.entry(id).or_default().push(status);
                }
                return;
            }
            Frame::Released { id }
            | Frame::Kept { id }
            | Frame::Occupied { id }
            | Frame::Vacant { id }
            | Frame::Shown { id } => id,
            _ => return,
        };
        match (self.questions.remove(&id), frame) {
            (Some(Question::Claim { answer, .. }), frame) => {
                let _ = answer.send(match frame {
                    Frame::Kept { .. } => Claimed::Kept,
                    _ => Claimed::Free,
                });
            }
            (Some(Question::Knock { is_occupied, .. }), frame) => {
                let _ = is_occupied.send(matches!(frame, Frame::Occupied { .. }));
            }
            (Some(Question::Show { broadcasts }), _) => {
                let _ = broadcasts.send(self.shown.remove(&id).unwrap_or_default());
            }
            (None, _) => {}
        }
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
        introduced: Option<(Instance, u32)>,
        questions: mpsc::UnboundedSender<Question>,
    ) -> Self {
        let instance = introduced.map(|(instance, _)| instance);
        let version = introduced.map_or(VERSION, |(_, version)| version);
        let mut state = rivals.lock();
        state.connections += 1;
        let number = state.connections;
        let rival = Rival {
            instance,
            version,
            questions,
        };
        state.connected.insert(number, rival);
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
