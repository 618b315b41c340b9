//! Which keys may publish while the control plane cannot be asked: the rules, without clock, file
//! or lock.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use shared::id::InputUid;
use shared::link::{PublishRefusal, Snapshot, Wish};
use shared::time::{Timestamp, micros};
use zeroize::Zeroizing;

use crate::control::Accepted;

/// The keyed hash of a stream key.
pub(super) type KeyHash = [u8; 32];

/// What the control plane said last of each input that has been published here.
#[derive(Debug)]
pub(super) struct Book {
    honoured_for: Duration,
    inputs: BTreeMap<InputUid, Known>,
    /// Whose each key is.
    keys: HashMap<KeyHash, InputUid>,
    /// The length of all snapshots together.
    bytes: usize,
    changed: bool,
}

/// An input, as it is kept.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Known {
    snapshot: Snapshot,
    /// Newest first.
    keys: Vec<KnownKey>,
    /// When the control plane spoke of the input last.
    #[serde(with = "micros")]
    confirmed: Timestamp,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
struct KnownKey {
    hash: KeyHash,
    /// See [`Snapshot::oldest_key`].
    number: u64,
}

impl Book {
    /// An empty book, whose entries are honoured for so long after they were confirmed.
    pub(super) fn new(honoured_for: Duration) -> Self {
        Self {
            honoured_for,
            inputs: BTreeMap::new(),
            keys: HashMap::new(),
            bytes: 0,
            changed: false,
        }
    }

    /// A book of what was kept, as far as it is not too old `now`.
    pub(super) fn of(honoured_for: Duration, kept: Vec<Known>, now: Timestamp) -> Self {
        let mut book = Self::new(honoured_for);
        for known in kept {
            book.put(known);
        }
        book.expire(now);
        book.make_room();
        book
    }

    /// Everything that is to be kept.
    pub(super) fn entries(&self) -> Vec<&Known> {
        self.inputs.values().collect()
    }

    /// Whether anything changed since this was asked last.
    pub(super) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// What a publisher with that key may be given while the control plane cannot be asked: the
    /// last snapshot, which nobody owns.
    pub(super) fn look_up(&self, key: &KeyHash, now: Timestamp) -> Option<Accepted> {
        let known = self.inputs.get(self.keys.get(key)?)?;
        if now.since(known.confirmed) > self.honoured_for {
            return None;
        }
        let number = known.keys.iter().find(|known| known.hash == *key)?.number;
        Some(Accepted {
            snapshot: Snapshot {
                owner: None,
                ..known.snapshot.clone()
            },
            key: number,
            cached: true,
        })
    }

    /// The control plane takes a publisher with that key.
    pub(super) fn accepted(&mut self, hash: KeyHash, accepted: &Accepted, now: Timestamp) {
        if self.honoured_for.is_zero() {
            return;
        }
        let Accepted { snapshot, key, .. } = accepted;
        let mut known = self.take(snapshot.input).unwrap_or_else(|| Known {
            snapshot: snapshot.clone(),
            keys: Vec::new(),
            confirmed: now,
        });
        known.keys.retain(|known| known.hash != hash);
        let newest = KnownKey { hash, number: *key };
        known.keys.insert(0, newest);
        known.keys.truncate(MAX_KEYS_OF_AN_INPUT);
        known.replace(snapshot, now);
        self.put(known);
        self.changed = true;
        self.make_room();
    }

    /// The control plane refuses that key.
    pub(super) fn refused(&mut self, hash: &KeyHash, why: PublishRefusal) {
        let Some(input) = self.keys.get(hash).copied() else {
            return;
        };
        let Some(mut known) = self.take(input) else {
            return;
        };
        match why {
            PublishRefusal::Disabled => known.snapshot.wish = Wish::Disabled,
            PublishRefusal::UnknownKey | PublishRefusal::Unknown => {
                known.keys.retain(|known| known.hash != *hash);
            }
        }
        self.put(known);
        self.changed = true;
    }

    /// The control plane says what it wants of an input.
    pub(super) fn told(&mut self, snapshot: &Snapshot, now: Timestamp) {
        let Some(mut known) = self.take(snapshot.input) else {
            return;
        };
        known.replace(snapshot, now);
        self.put(known);
        self.changed = true;
        self.make_room();
    }

    /// The control plane has said all that it wants of these inputs.
    pub(super) fn confirmed(&mut self, inputs: impl Iterator<Item = InputUid>, now: Timestamp) {
        for input in inputs {
            if let Some(known) = self.inputs.get_mut(&input)
                && now.since(known.confirmed) >= CONFIRM_EVERY
            {
                known.confirmed = now;
                self.changed = true;
            }
        }
    }

    /// Forgets what is honoured no more: secrets stay on the disk no longer than they serve.
    pub(super) fn expire(&mut self, now: Timestamp) {
        let honoured_for = self.honoured_for;
        let old = |(input, known): (&InputUid, &Known)| {
            (now.since(known.confirmed) > honoured_for).then_some(*input)
        };
        let old: Vec<_> = self.inputs.iter().filter_map(old).collect();
        for input in old {
            self.take(input);
            self.changed = true;
        }
    }

    fn make_room(&mut self) {
        while self.inputs.len() > MAX_INPUTS || self.bytes > MAX_BYTES {
            let oldest = self.inputs.iter().min_by_key(|(_, known)| known.confirmed);
            let Some(input) = oldest.map(|(input, _)| *input) else {
                return;
            };
            self.take(input);
            self.changed = true;
        }
    }

    fn take(&mut self, input: InputUid) -> Option<Known> {
        let known = self.inputs.remove(&input)?;
        for key in &known.keys {
            self.keys.remove(&key.hash);
        }
        self.bytes = self.bytes.saturating_sub(length(&known.snapshot));
        Some(known)
    }

    /// Keeps an input, unless nobody can publish it.
    fn put(&mut self, known: Known) {
        if known.keys.is_empty() || known.snapshot.wish == Wish::Deleted {
            return;
        }
        let input = known.snapshot.input;
        self.keys
            .extend(known.keys.iter().map(|key| (key.hash, input)));
        self.bytes += length(&known.snapshot);
        self.inputs.insert(input, known);
    }
}

impl Known {
    /// A snapshot that was overtaken on its way changes nothing.
    fn replace(&mut self, snapshot: &Snapshot, now: Timestamp) {
        self.confirmed = now;
        if snapshot.rev >= self.snapshot.rev {
            self.snapshot = snapshot.clone();
            self.keys.retain(|key| key.number >= snapshot.oldest_key);
        }
    }
}

fn length(snapshot: &Snapshot) -> usize {
    serde_json::to_vec(snapshot).map_or(0, |text| Zeroizing::new(text).len())
}

/// Inputs: more than one node carries. Over it, those go that were confirmed longest ago.
const MAX_INPUTS: usize = 10_000;

/// Bytes of all snapshots, which are held in memory and written whole; the same gives way. Of
/// inputs with five outputs it holds about as many as [`MAX_INPUTS`].
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// Keys of one input: the newest, one that is honoured beside it, and two to spare. The one that
/// was used longest ago goes.
const MAX_KEYS_OF_AN_INPUT: usize = 4;

/// How often it is noted that an input that is on air is still confirmed: each time costs a write.
const CONFIRM_EVERY: Duration = Duration::from_secs(600);

#[cfg(test)]
mod tests;
