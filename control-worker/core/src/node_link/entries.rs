//! The newest snapshot of each live input, as a node's object keeps it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use shared::id::{InputUid, Instance};
use shared::time::Timestamp;

use super::Changes;
use crate::sql;

/// An entry for each live input that the node carries, or must be told to drop.
#[derive(Clone, Debug, Default)]
pub(super) struct Entries {
    by_input: BTreeMap<InputUid, Entry>,
    changed: BTreeSet<InputUid>,
}

/// The newest snapshot of an input.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Entry {
    pub(super) rev: u64,
    pub(super) epoch: u64,
    /// Who holds the input, or held it last.
    pub(super) instance: Instance,
    /// Whether nothing follows it: once applied, the node carries the input no more.
    pub(super) last: bool,
    pub(super) acknowledged: bool,
    /// Whether the node has said that it does not know what the snapshot wants.
    #[serde(default)]
    pub(super) unknown_wish: bool,
    /// Whether the last report of its holder did not list it any more.
    #[serde(default)]
    pub(super) missing: bool,
    pub(super) tries: u32,
    #[serde(with = "sql::micros")]
    pub(super) resend_at: Timestamp,
    pub(super) sealed: String,
}

impl Entries {
    /// Adds what was stored under that key; what does not read is left out.
    pub(super) fn load(&mut self, key: &str, value: &str) {
        if let Some(uid) = key.strip_prefix(PREFIX)
            && let Ok(input) = uid.parse()
            && let Ok(entry) = serde_json::from_str(value)
        {
            self.by_input.insert(input, entry);
        }
    }

    pub(super) fn take_changes(&mut self, changes: &mut Changes) {
        for input in std::mem::take(&mut self.changed) {
            let key = format!("{PREFIX}{input}");
            match self.by_input.get(&input) {
                Some(entry) => {
                    let value = serde_json::json!(entry).to_string();
                    changes.put.push((key, value));
                }
                None => changes.delete.push(key),
            }
        }
    }

    pub(super) fn get(&self, input: InputUid) -> Option<&Entry> {
        self.by_input.get(&input)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (InputUid, &Entry)> {
        self.by_input.iter().map(|(&input, entry)| (input, entry))
    }

    pub(super) fn insert(&mut self, input: InputUid, entry: Entry) {
        self.by_input.insert(input, entry);
        self.changed.insert(input);
    }

    pub(super) fn remove(&mut self, input: InputUid) {
        self.by_input.remove(&input);
        self.changed.insert(input);
    }

    /// Changes the entry of an input that has one.
    pub(super) fn change(&mut self, input: InputUid, change: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.by_input.get_mut(&input) {
            change(entry);
            self.changed.insert(input);
        }
    }

    /// Processes that hold inputs.
    pub(super) fn holders(&self) -> BTreeSet<Instance> {
        self.by_input.values().map(|entry| entry.instance).collect()
    }

    pub(super) fn held_by(&self, instance: Instance) -> Vec<InputUid> {
        self.iter()
            .filter(|(_, entry)| entry.instance == instance)
            .map(|(input, _)| input)
            .collect()
    }

    /// A process has that snapshot. `done` where it has applied it, too, so that nothing is left to
    /// be told where none follows.
    pub(super) fn acknowledge(
        &mut self,
        instance: Instance,
        input: InputUid,
        rev: u64,
        done: bool,
    ) {
        let Some(entry) = self.get(input) else {
            return;
        };
        if entry.instance != instance || rev < entry.rev {
            return;
        }
        if entry.last && done {
            self.remove(input);
        } else if !entry.acknowledged {
            self.change(input, |entry| entry.acknowledged = true);
        }
    }

    /// The inputs whose snapshots are to be sent again now; that counts as an attempt.
    pub(super) fn take_due(&mut self, now: Timestamp) -> Vec<InputUid> {
        let is_due = |entry: &Entry| !entry.acknowledged && entry.resend_at <= now;
        let due = self.iter().filter(|(_, entry)| is_due(entry));
        let due: Vec<_> = due.map(|(input, _)| input).collect();
        for &input in &due {
            self.change(input, |entry| {
                entry.tries = entry.tries.saturating_add(1);
                let factor = 1 << entry.tries.min(MAX_RESEND_DOUBLINGS);
                entry.resend_at = now.after(FIRST_RESEND * factor);
            });
        }
        due
    }

    /// When the next snapshot is to be sent again.
    pub(super) fn due_at(&self) -> Option<Timestamp> {
        let waiting = self.by_input.values().filter(|entry| !entry.acknowledged);
        waiting.map(|entry| entry.resend_at).min()
    }
}

/// A healthy node acknowledges within a round trip.
pub(super) const FIRST_RESEND: Duration = Duration::from_secs(1);

/// The delay doubles up to 32 s; the minute's report finds the rest.
const MAX_RESEND_DOUBLINGS: u32 = 5;

const PREFIX: &str = "input:";
