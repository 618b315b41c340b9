//! The rules of the object that holds a relay node's one socket.
//!
//! It keeps the newest snapshot of each input that the node carries, encrypted, until the node is
//! done with it; pushes it, and pushes it again until the node has acknowledged it; and compares
//! what the node reports with what it keeps. Snapshots go to every socket of the node: while an
//! old and a new process of it run side by side, each sees who owns what, and drops what it lost.
//!
//! What the node tells, and whether it is heard at all, are news for the objects of the inputs that
//! it holds: they are stored here before the node may forget them, and told again until each object
//! has kept its own.

mod entries;
mod figures;
mod queue;
mod roster;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use shared::id::{InputUid, Instance, NodeName};
use shared::limits::MAX_LINK_FRAME_BYTES;
use shared::link::{
    Applied, Event, LINK_VERSION, Owner, Reconciliation, Report, Snapshot, What, Wish,
};
use shared::secret::Secret;
use shared::time::Timestamp;

use crate::keys::{Keyring, Place, Unsealable};
use crate::live_input::Ask;
use crate::status::{News, Numbered, Told};
use entries::{Entries, Entry, FIRST_RESEND};
use queue::Queue;
use roster::Roster;

pub use figures::{FigureBook, Look, Sight};
pub use roster::{GONE_AFTER, SILENT_AFTER};

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
    entries: Entries,
    queue: Queue,
    roster_changed: bool,
}

/// A socket of the node that is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pulse {
    /// Who is at the other end.
    pub instance: Instance,
    /// When it last sent a ping, if it has: those are answered without this object.
    pub at: Option<Timestamp>,
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
            entries: Entries::default(),
            queue: Queue::default(),
            roster_changed: false,
        };
        for (key, value) in stored {
            if key == ROSTER_KEY {
                state.roster = serde_json::from_str(&value).unwrap_or_default();
            } else if Queue::is_key(&key) {
                state.queue.load(&key, &value);
            } else {
                state.entries.load(&key, &value);
            }
        }
        state
    }

    /// What changed since the last call. Write it before anything that follows from the change
    /// leaves the object.
    pub fn take_changes(&mut self) -> Changes {
        let mut changes = Changes::default();
        self.queue.take_changes(&mut changes);
        self.entries.take_changes(&mut changes);
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
        let held = self.entries.get(input);
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
            missing: false,
            tries: 0,
            resend_at: now.after(FIRST_RESEND),
            sealed: keyring.seal(&Place::snapshot(&self.node, input), nonce, &text)?,
        };
        self.entries.insert(input, entry);
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
    pub fn applied(&mut self, instance: Instance, applied: &Applied, now: Timestamp) -> bool {
        let Applied { input, rev, .. } = *applied;
        self.note(instance, now);
        let of_newest = self
            .entries
            .get(input)
            .is_some_and(|entry| (entry.instance, entry.rev) == (instance, rev));
        if of_newest {
            let news = News::Applied {
                rev,
                unsupported: Some(applied.unsupported.clone()),
                unknown_wish: applied.unknown_wish,
            };
            self.tell(input, instance, news, now);
        }
        // A node that does not know a wish goes on as before: it still carries the input.
        let entries = &mut self.entries;
        entries.acknowledge(instance, input, rev, !applied.unknown_wish);
        let is_first = entries.get(input).is_some_and(|entry| !entry.unknown_wish);
        let is_new = applied.unknown_wish && is_first && of_newest;
        if is_new {
            entries.change(input, |entry| entry.unknown_wish = true);
        }
        self.listen(instance, now);
        is_new
    }

    /// Takes note of a report, which may be late or repeated. Returns the inputs whose objects
    /// must be asked; hand over what they answer with [`Via::Report`], then call
    /// [`reconciliation`](Self::reconciliation).
    pub fn report(&mut self, report: &Report, now: Timestamp) -> Vec<Ask> {
        self.note(report.instance, now);
        self.take_events(report.instance, &report.events, now);
        self.give_up_lost_instances(report.instance, now);
        self.give_up_missing(report, now);
        let mut asks = Vec::new();
        for (&input, &rev) in &report.revs {
            match self.entries.get(input) {
                Some(entry) if entry.rev == rev => {
                    if entry.instance == report.instance && !entry.acknowledged {
                        let news = News::Applied {
                            rev,
                            unsupported: None,
                            unknown_wish: false,
                        };
                        self.tell(input, report.instance, news, now);
                    }
                    let entries = &mut self.entries;
                    entries.acknowledge(report.instance, input, rev, false);
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
        self.listen(report.instance, now);
        asks
    }

    /// Takes events over. Returns up to which sequence number they are taken care of.
    pub fn events(&mut self, instance: Instance, events: &[Event], now: Timestamp) -> u64 {
        self.note(instance, now);
        self.take_events(instance, events, now);
        self.listen(instance, now);
        self.events_through(instance)
    }

    /// Something came from a process that tells nothing for others.
    pub fn heard(&mut self, instance: Instance, now: Timestamp) {
        self.note(instance, now);
        self.listen(instance, now);
    }

    /// The last socket of a process was closed.
    pub fn closed(&mut self, instance: Instance, now: Timestamp) {
        if let Some(heard) = self.roster.instances.get_mut(&instance) {
            heard.closed(now);
            self.roster_changed = true;
        }
    }

    /// When a process was last heard, as far as its frames tell.
    pub fn last_heard(&self, instance: Instance) -> Timestamp {
        let heard = self.roster.instances.get(&instance);
        heard.map_or_else(Timestamp::default, roster::Heard::last)
    }

    /// Looks whether the processes are heard that hold inputs: the alarm rang. `pulses` are the
    /// sockets that are open.
    pub fn look(&mut self, pulses: &[Pulse], now: Timestamp) {
        for &Pulse { instance, at } in pulses {
            let Some(at) = at else { continue };
            let Some(heard) = self.roster.instances.get_mut(&instance) else {
                continue;
            };
            if at > heard.last() {
                self.roster_changed |= heard.note(at);
                if heard.silent_at(true) > now {
                    self.listen(instance, now);
                }
            }
        }
        for instance in self.entries.holders() {
            let socket = pulses.iter().any(|pulse| pulse.instance == instance);
            let Some(heard) = self.roster.instances.get_mut(&instance) else {
                continue;
            };
            if heard.silent || heard.silent_at(socket) > now {
                continue;
            }
            heard.silent = true;
            self.roster_changed = true;
            let since = heard.last();
            for input in self.entries.held_by(instance) {
                self.tell(input, instance, News::Silent { since }, now);
            }
        }
    }

    /// The answer to a report: what the node has not applied yet, as much as fits one frame; the
    /// rest is due at once.
    pub fn reconciliation(
        &mut self,
        report: &Report,
        keyring: &Keyring,
        now: Timestamp,
    ) -> Reconciliation {
        let newer = |(input, entry): (InputUid, &Entry)| match report.revs.get(&input) {
            Some(rev) => (entry.rev > *rev).then_some(input),
            None => (entry.instance == report.instance && !entry.acknowledged).then_some(input),
        };
        let inputs: Vec<InputUid> = self.entries.iter().filter_map(newer).collect();
        let mut snapshots = Vec::new();
        let mut room = MAX_LINK_FRAME_BYTES / 2;
        for input in inputs {
            let Some(entry) = self.entries.get(input) else {
                continue;
            };
            match room.checked_sub(entry.sealed.len()) {
                Some(left) => room = left,
                None if snapshots.is_empty() => room = 0,
                None => {
                    self.entries.change(input, |entry| {
                        entry.acknowledged = false;
                        entry.resend_at = now;
                    });
                    continue;
                }
            }
            snapshots.extend(self.open(input, keyring));
        }
        Reconciliation {
            version: LINK_VERSION,
            snapshots,
            events_through: self.events_through(report.instance),
        }
    }

    /// The news to tell, and to whom, as many as are told at once, to inputs after that one. Call
    /// [`kept`](Self::kept) for each that was.
    pub fn news(&self, after: Option<InputUid>) -> Vec<(InputUid, Told)> {
        let next = self.queue.next(after).into_iter();
        next.map(|(input, news)| {
            let node = self.node.clone();
            (input, Told { node, news })
        })
        .collect()
    }

    /// The input's object has kept what it was told.
    pub fn kept(&mut self, input: InputUid, told: &Told) {
        if let Some(last) = told.news.last() {
            self.queue.kept(input, last.number);
        }
    }

    /// The snapshots to send again, to every socket: the alarm rang, or a socket has opened.
    pub fn due(&mut self, keyring: &Keyring, now: Timestamp) -> Vec<Snapshot> {
        let due = self.entries.take_due(now).into_iter();
        due.filter_map(|input| self.open(input, keyring)).collect()
    }

    /// When the alarm must ring, if work is left that it can do. Without a socket (`pulses` is
    /// empty) nothing is sent again: the node's next report finds it.
    pub fn alarm(&self, pulses: &[Pulse], now: Timestamp) -> Option<Timestamp> {
        let telling = (!self.queue.is_empty()).then(|| now.after(RETELL));
        let sending = self.entries.due_at().filter(|_| !pulses.is_empty());
        let looking = self.entries.holders().into_iter().filter_map(|instance| {
            let socket = pulses.iter().any(|pulse| pulse.instance == instance);
            let heard = self.roster.instances.get(&instance)?;
            match heard.silent {
                false => Some(heard.silent_at(socket).max(now)),
                // Its next ping wakes nobody.
                true if socket => Some(now.after(SILENT_AFTER)),
                true => None,
            }
        });
        looking.chain(telling).chain(sending).min()
    }

    fn note(&mut self, instance: Instance, now: Timestamp) {
        let entries = &self.entries;
        let holds = |instance| entries.iter().any(|(_, entry)| entry.instance == instance);
        let (heard, lost) = self.roster.heard(instance, holds);
        self.roster_changed |= heard.note(now);
        if let Some(lost) = lost {
            self.give_up(lost, now);
        }
    }

    /// A process is heard: if its inputs were told that it is not, they are told so, after all
    /// that it had to say.
    fn listen(&mut self, instance: Instance, now: Timestamp) {
        if let Some(heard) = self.roster.instances.get_mut(&instance)
            && std::mem::take(&mut heard.silent)
        {
            self.roster_changed = true;
            for input in self.entries.held_by(instance) {
                self.tell(input, instance, News::Heard, now);
            }
        }
    }

    fn events_through(&self, instance: Instance) -> u64 {
        let heard = self.roster.instances.get(&instance);
        heard.map_or(0, |heard| heard.events_through)
    }

    fn take_events(&mut self, instance: Instance, events: &[Event], now: Timestamp) {
        let mut events: Vec<_> = events.iter().collect();
        events.sort_by_key(|event| event.sequence);
        for event in events {
            let Some(heard) = self.roster.instances.get_mut(&instance) else {
                return;
            };
            if event.sequence <= heard.events_through {
                continue;
            }
            heard.events_through = event.sequence;
            self.roster_changed = true;
            self.tell(event.input, instance, News::Event(event.clone()), now);
            if let What::Ended { .. } = event.what {
                let over = self
                    .entries
                    .get(event.input)
                    .is_some_and(|entry| entry.instance == instance && entry.epoch <= event.epoch);
                if over {
                    self.entries.remove(event.input);
                }
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
            .filter(|&(&instance, heard)| instance != reporting && heard.is_lost(now))
            .map(|(&instance, _)| instance)
            .collect();
        for instance in lost {
            self.give_up(instance, now);
        }
    }

    fn give_up(&mut self, instance: Instance, now: Timestamp) {
        for input in self.entries.held_by(instance) {
            if let Some(epoch) = self.entries.get(input).map(|entry| entry.epoch) {
                self.entries.remove(input);
                self.tell(input, instance, News::Over { epoch }, now);
            }
        }
    }

    /// What a process had, and has no more in two reports on end, is over: one report may have
    /// been on its way for long.
    fn give_up_missing(&mut self, report: &Report, now: Timestamp) {
        for input in self.entries.held_by(report.instance) {
            let Some(entry) = self.entries.get(input) else {
                continue;
            };
            let is_missing = entry.acknowledged && !report.revs.contains_key(&input);
            if is_missing && entry.missing {
                let epoch = entry.epoch;
                self.entries.remove(input);
                self.tell(input, report.instance, News::Over { epoch }, now);
            } else if entry.missing != is_missing {
                let note = |entry: &mut Entry| entry.missing = is_missing;
                self.entries.change(input, note);
            }
        }
    }

    fn tell(&mut self, input: InputUid, instance: Instance, news: News, now: Timestamp) {
        let number = self.roster.number(now);
        self.roster_changed = true;
        let news = Numbered {
            number,
            instance,
            news,
        };
        self.queue.push(input, news);
    }

    /// Opens what is kept. What does not open is dropped: then the node's next report makes the
    /// input's object be asked.
    fn open(&mut self, input: InputUid, keyring: &Keyring) -> Option<Snapshot> {
        let sealed = &self.entries.get(input)?.sealed;
        let place = Place::snapshot(&self.node, input);
        let snapshot = keyring
            .open(&place, sealed)
            .ok()
            .and_then(|text| serde_json::from_str(text.expose()).ok());
        if snapshot.is_none() {
            self.entries.remove(input);
        }
        snapshot
    }
}

/// Between two attempts to tell an input's object what is new.
const RETELL: Duration = Duration::from_secs(5);

const ROSTER_KEY: &str = "roster";
