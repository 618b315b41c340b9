//! The rules of the object that holds a relay node's one socket.
//!
//! It keeps the newest snapshot of each input that the node carries, encrypted, until the node is
//! done with it; pushes it, and pushes it again until the node has acknowledged it; and compares
//! what the node reports with what it keeps. Snapshots go to every socket of the node: while an
//! old and a new process of it run side by side, each sees who owns what, and drops what it lost.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use shared::id::{InputUid, Instance, NodeName};
use shared::limits::MAX_LINK_FRAME_BYTES;
use shared::link::{Applied, LINK_VERSION, Owner, Reconciliation, Report, Snapshot, What, Wish};
use shared::secret::Secret;
use shared::time::Timestamp;

use crate::keys::{Keyring, Place, Unsealable};
use crate::live_input::{Ask, Ending};
use crate::sql;

/// A snapshot on its way to a node's object.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Handed {
    /// The snapshot, keys in clear: for the way between two objects, never for storage.
    pub snapshot: Snapshot,
    /// How it reaches the node.
    pub via: Via,
}

/// How a snapshot reaches the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// The answer to the node's question whether a key may publish carries it.
    PublishAnswer,
    /// Down the socket, at once.
    Push,
    /// The answer to a report of this instance carries it.
    Report(Instance),
}

/// A frame for the sockets of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Push {
    /// What to send.
    pub snapshot: Snapshot,
    /// The instance that gets it another way, if any: its sockets are left out.
    pub except: Option<Instance>,
}

/// What the object knows of its node.
#[derive(Clone, Debug)]
pub struct NodeState {
    node: NodeName,
    roster: Roster,
    entries: BTreeMap<InputUid, Entry>,
    changed: BTreeSet<InputUid>,
    roster_changed: bool,
}

/// What must be written to storage, as keys and values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// To be written.
    pub put: Vec<(String, String)>,
    /// To be deleted.
    pub delete: Vec<String>,
}

impl NodeState {
    /// The state out of all keys and values that are stored; pairs that do not read are left out:
    /// the node's next report brings back what they held.
    pub fn load(node: NodeName, stored: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut state = Self {
            node,
            roster: Roster::default(),
            entries: BTreeMap::new(),
            changed: BTreeSet::new(),
            roster_changed: false,
        };
        for (key, value) in stored {
            if key == ROSTER_KEY {
                state.roster = serde_json::from_str(&value).unwrap_or_default();
            } else if let Some(uid) = key.strip_prefix(ENTRY_PREFIX)
                && let Ok(input) = uid.parse()
                && let Ok(entry) = serde_json::from_str(&value)
            {
                state.entries.insert(input, entry);
            }
        }
        state
    }

    /// What changed since the last call. Write it before anything that follows from the change
    /// leaves the object.
    pub fn take_changes(&mut self) -> Changes {
        let mut changes = Changes::default();
        for input in std::mem::take(&mut self.changed) {
            let key = format!("{ENTRY_PREFIX}{input}");
            match self.entries.get(&input) {
                Some(entry) => changes
                    .put
                    .push((key, serde_json::json!(entry).to_string())),
                None => changes.delete.push(key),
            }
        }
        if std::mem::take(&mut self.roster_changed) {
            let value = serde_json::json!(self.roster).to_string();
            changes.put.push((ROSTER_KEY.to_owned(), value));
        }
        changes
    }

    /// Takes a snapshot over. Returns the frame that must go out now, if any. `nonce` is random
    /// and never used twice.
    ///
    /// # Errors
    ///
    /// [`Unsealable`] where the keyring cannot encrypt.
    pub fn hand(
        &mut self,
        handed: Handed,
        keyring: &Keyring,
        nonce: [u8; 12],
        now: Timestamp,
    ) -> Result<Option<Push>, Unsealable> {
        let Handed { snapshot, via } = handed;
        let input = snapshot.input;
        let held = self.entries.get(&input);
        if held.is_some_and(|held| held.rev >= snapshot.rev) {
            return Ok(None);
        }
        let former = held.map(|held| held.instance);
        let here = snapshot
            .owner
            .as_ref()
            .filter(|owner| owner.node == self.node)
            .map(|owner| owner.instance);
        let asking = match via {
            Via::Report(instance) => Some(instance),
            Via::PublishAnswer | Via::Push => None,
        };
        // Nobody here holds the input, nor shall: there is nobody to tell.
        let Some(instance) = here.or(asking).or(former) else {
            return Ok(None);
        };
        let text = Secret::new(serde_json::json!(snapshot).to_string());
        let entry = Entry {
            rev: snapshot.rev,
            epoch: snapshot.epoch,
            instance,
            last: here.is_none() || !matches!(snapshot.wish, Wish::Relay { .. }),
            acknowledged: false,
            unknown_wish: false,
            tries: 0,
            resend_at: after(now, FIRST_RESEND),
            sealed: keyring.seal(&Place::snapshot(&self.node, input), nonce, &text)?,
        };
        self.entries.insert(input, entry);
        self.changed.insert(input);
        if here.is_some() {
            self.note(instance, now);
        }
        Ok(match via {
            Via::Push => Some(Push {
                snapshot,
                except: None,
            }),
            // Another process of this node may hold what it has just lost.
            Via::PublishAnswer if former.is_some_and(|former| former != instance) => Some(Push {
                snapshot,
                except: Some(instance),
            }),
            Via::PublishAnswer | Via::Report(_) => None,
        })
    }

    /// Takes note of an acknowledgement by `instance`. Returns whether it tells, for the first time
    /// of this snapshot, that the node does not know what it wants: the operator should hear of it.
    pub fn applied(&mut self, instance: Instance, applied: &Applied) -> bool {
        let Applied { input, rev, .. } = *applied;
        // A node that does not know a wish goes on as before: it still carries the input.
        self.acknowledge(instance, input, rev, !applied.unknown_wish);
        let Some(entry) = self.entries.get_mut(&input) else {
            return false;
        };
        let news = applied.unknown_wish
            && !entry.unknown_wish
            && (entry.instance, entry.rev) == (instance, rev);
        if news {
            entry.unknown_wish = true;
            self.changed.insert(input);
        }
        news
    }

    /// Takes note of a report, which may be late or repeated. Returns the inputs whose objects
    /// must be asked; hand over what they answer with [`Via::Report`], then call
    /// [`reconciliation`](Self::reconciliation).
    pub fn report(&mut self, report: &Report, now: Timestamp) -> Vec<Ask> {
        self.note(report.instance, now);
        self.take_events(report);
        self.give_up_lost_instances(report.instance, now);
        let mut asks = Vec::new();
        for (&input, &rev) in &report.revs {
            match self.entries.get(&input) {
                Some(entry) if entry.rev == rev => {
                    self.acknowledge(report.instance, input, rev, false);
                }
                Some(entry) if entry.rev > rev => {}
                Some(_) | None => asks.push(Ask {
                    input,
                    holder: Owner {
                        node: self.node.clone(),
                        instance: report.instance,
                    },
                    rev,
                }),
            }
        }
        asks
    }

    /// The answer to a report: what the node has not applied yet, as much as fits one frame; the
    /// rest is due at once.
    pub fn reconciliation(
        &mut self,
        report: &Report,
        keyring: &Keyring,
        now: Timestamp,
    ) -> Reconciliation {
        let newer = |(&input, entry): (&InputUid, &Entry)| match report.revs.get(&input) {
            Some(rev) => (entry.rev > *rev).then_some(input),
            None => (entry.instance == report.instance && !entry.acknowledged).then_some(input),
        };
        let inputs: Vec<InputUid> = self.entries.iter().filter_map(newer).collect();
        let mut snapshots = Vec::new();
        let mut room = MAX_LINK_FRAME_BYTES / 2;
        for input in inputs {
            let Some(entry) = self.entries.get_mut(&input) else {
                continue;
            };
            match room.checked_sub(entry.sealed.len()) {
                Some(left) => room = left,
                None if snapshots.is_empty() => room = 0,
                None => {
                    entry.acknowledged = false;
                    entry.resend_at = now;
                    self.changed.insert(input);
                    continue;
                }
            }
            snapshots.extend(self.open(input, keyring));
        }
        Reconciliation {
            version: LINK_VERSION,
            snapshots,
            events_through: self.roster.heard(report.instance).events_through,
        }
    }

    /// Broadcasts that are over, and whose objects must be told. Call [`told`](Self::told) for
    /// each that was.
    pub fn endings(&self) -> Vec<Ending> {
        let endings = self.roster.endings.iter();
        endings
            .map(|(&input, &epoch)| Ending { input, epoch })
            .collect()
    }

    /// The input's object has taken note.
    pub fn told(&mut self, ending: Ending) {
        if self.roster.endings.get(&ending.input) == Some(&ending.epoch) {
            self.roster.endings.remove(&ending.input);
            self.roster_changed = true;
        }
    }

    /// The snapshots to send again, to every socket: the alarm rang, or a socket has opened.
    pub fn due(&mut self, keyring: &Keyring, now: Timestamp) -> Vec<Snapshot> {
        let due = |(&input, entry): (&InputUid, &Entry)| {
            (!entry.acknowledged && entry.resend_at <= now).then_some(input)
        };
        let inputs: Vec<InputUid> = self.entries.iter().filter_map(due).collect();
        let mut snapshots = Vec::new();
        for input in inputs {
            if let Some(entry) = self.entries.get_mut(&input) {
                entry.tries = entry.tries.saturating_add(1);
                let factor = 1 << entry.tries.min(MAX_RESEND_DOUBLINGS);
                entry.resend_at = after(now, FIRST_RESEND * factor);
                self.changed.insert(input);
            }
            snapshots.extend(self.open(input, keyring));
        }
        snapshots
    }

    /// When the alarm must ring, if work is left that it can do. Without a socket (`connected` is
    /// false) nothing is sent again: the node's next report finds it.
    pub fn alarm(&self, now: Timestamp, connected: bool) -> Option<Timestamp> {
        let telling = (!self.roster.endings.is_empty()).then(|| after(now, RETELL));
        let sending = self
            .entries
            .values()
            .filter(|entry| connected && !entry.acknowledged)
            .map(|entry| entry.resend_at)
            .min();
        telling.into_iter().chain(sending).min()
    }

    fn note(&mut self, instance: Instance, now: Timestamp) {
        let heard = self.roster.heard(instance);
        // Once in a while is enough to know who is lost, and spares a write per report.
        if heard.at == Timestamp::default() || after(heard.at, NOTE_EVERY) <= now {
            heard.at = now;
            self.roster_changed = true;
        }
    }

    fn take_events(&mut self, report: &Report) {
        let mut events: Vec<_> = report.events.iter().collect();
        events.sort_by_key(|event| event.sequence);
        for event in events {
            let heard = self.roster.heard(report.instance);
            if event.sequence <= heard.events_through {
                continue;
            }
            heard.events_through = event.sequence;
            self.roster_changed = true;
            if let What::Ended { .. } = event.what {
                let over = self.entries.get(&event.input).is_some_and(|entry| {
                    entry.instance == report.instance && entry.epoch <= event.epoch
                });
                if over {
                    self.remove(event.input);
                }
                self.end(event.input, event.epoch);
            }
        }
    }

    /// Processes that a newer one has replaced, and that have been silent for long, are gone, and
    /// what they held with them.
    fn give_up_lost_instances(&mut self, reporting: Instance, now: Timestamp) {
        if self
            .roster
            .newest()
            .is_none_or(|(newest, _)| newest != reporting)
        {
            return;
        }
        let lost: Vec<Instance> = self
            .roster
            .instances
            .iter()
            .filter(|&(&instance, heard)| {
                instance != reporting && after(heard.at, LOST_AFTER) <= now
            })
            .map(|(&instance, _)| instance)
            .collect();
        for instance in lost {
            let held: Vec<(InputUid, u64)> = self
                .entries
                .iter()
                .filter(|(_, entry)| entry.instance == instance)
                .map(|(&input, entry)| (input, entry.epoch))
                .collect();
            for (input, epoch) in held {
                self.remove(input);
                self.end(input, epoch);
            }
        }
    }

    fn acknowledge(&mut self, instance: Instance, input: InputUid, rev: u64, done: bool) {
        let Some(entry) = self.entries.get_mut(&input) else {
            return;
        };
        if entry.instance != instance || rev < entry.rev {
            return;
        }
        if entry.last && done {
            self.remove(input);
        } else if !entry.acknowledged {
            entry.acknowledged = true;
            self.changed.insert(input);
        }
    }

    /// Opens what is kept. What does not open is dropped: then the node's next report makes the
    /// input's object be asked.
    fn open(&mut self, input: InputUid, keyring: &Keyring) -> Option<Snapshot> {
        let sealed = &self.entries.get(&input)?.sealed;
        let place = Place::snapshot(&self.node, input);
        let snapshot = keyring
            .open(&place, sealed)
            .ok()
            .and_then(|text| serde_json::from_str(text.expose()).ok());
        if snapshot.is_none() {
            self.remove(input);
        }
        snapshot
    }

    fn remove(&mut self, input: InputUid) {
        self.entries.remove(&input);
        self.changed.insert(input);
    }

    fn end(&mut self, input: InputUid, epoch: u64) {
        let known = self.roster.endings.entry(input).or_insert(epoch);
        *known = epoch.max(*known);
        self.roster_changed = true;
    }
}

/// The newest snapshot of an input that the node carries, or must be told to drop.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Entry {
    rev: u64,
    epoch: u64,
    /// Who holds the input, or held it last.
    instance: Instance,
    /// Whether nothing follows it: once applied, the node carries the input no more.
    last: bool,
    acknowledged: bool,
    /// Whether the node has said that it does not know what the snapshot wants.
    #[serde(default)]
    unknown_wish: bool,
    tries: u32,
    #[serde(with = "sql::micros")]
    resend_at: Timestamp,
    sealed: String,
}

/// The node's processes, and what they said.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
struct Roster {
    instances: BTreeMap<Instance, Heard>,
    /// Broadcasts that are over, by the epoch that is.
    endings: BTreeMap<InputUid, u64>,
}

impl Roster {
    fn heard(&mut self, instance: Instance) -> &mut Heard {
        let order = 1 + self.newest().map_or(0, |(_, heard)| heard.order);
        if self.instances.len() == MAX_INSTANCES && !self.instances.contains_key(&instance) {
            let oldest = self.instances.iter().min_by_key(|(_, heard)| heard.order);
            if let Some(oldest) = oldest.map(|(&instance, _)| instance) {
                self.instances.remove(&oldest);
            }
        }
        self.instances.entry(instance).or_insert_with(|| Heard {
            order,
            at: Timestamp::default(),
            events_through: 0,
        })
    }

    /// The process that was first seen last.
    fn newest(&self) -> Option<(Instance, &Heard)> {
        let newest = self.instances.iter().max_by_key(|(_, heard)| heard.order);
        newest.map(|(&instance, heard)| (instance, heard))
    }
}

/// A process of the node.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
struct Heard {
    /// Counts processes in the order in which they were first seen.
    order: u64,
    /// When it was last heard of, to within [`NOTE_EVERY`].
    #[serde(with = "sql::micros")]
    at: Timestamp,
    events_through: u64,
}

/// Processes of a node that are remembered; the one first seen longest ago makes room. More than
/// two at a time are a node that keeps crashing.
const MAX_INSTANCES: usize = 8;

/// A healthy node acknowledges within a round trip.
const FIRST_RESEND: Duration = Duration::from_secs(1);

/// The delay doubles up to 32 s; the minute's report finds the rest.
const MAX_RESEND_DOUBLINGS: u32 = 5;

/// Between two attempts to tell an input's object that its broadcast is over.
const RETELL: Duration = Duration::from_secs(5);

/// Reports come once a minute: after one and a half without any, a process that was replaced is
/// taken for gone.
const LOST_AFTER: Duration = Duration::from_secs(90);

/// How exact that is.
const NOTE_EVERY: Duration = Duration::from_secs(15);

const ROSTER_KEY: &str = "roster";
const ENTRY_PREFIX: &str = "input:";

fn after(time: Timestamp, delay: Duration) -> Timestamp {
    let micros = i64::try_from(delay.as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_micros(time.as_micros().saturating_add(micros))
}
