//! News that the objects of live inputs have not kept yet.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use shared::id::InputUid;

use super::Changes;
use crate::status::Numbered;

/// News, in the order of their numbers for each input.
#[derive(Clone, Debug, Default)]
pub(super) struct Queue {
    inputs: BTreeMap<InputUid, BTreeMap<u64, Numbered>>,
    changed: BTreeSet<(InputUid, u64)>,
}

impl Queue {
    /// Adds what was stored under a key that [`is_key`](Self::is_key).
    pub(super) fn load(&mut self, key: &str, value: &str) {
        if let Some((input, _)) = split(key)
            && let Ok(news) = serde_json::from_str::<Numbered>(value)
        {
            let waiting = self.inputs.entry(input).or_default();
            waiting.insert(news.number, news);
        }
    }

    pub(super) fn is_key(key: &str) -> bool {
        key.starts_with(PREFIX)
    }

    pub(super) fn take_changes(&mut self, changes: &mut Changes) {
        for (input, number) in std::mem::take(&mut self.changed) {
            let key = format!("{PREFIX}{input}:{number:016}");
            let waiting = self.inputs.get(&input).and_then(|news| news.get(&number));
            match waiting {
                Some(news) => changes.put.push((key, serde_json::json!(news).to_string())),
                None => changes.delete.push(key),
            }
        }
    }

    /// Adds a piece of news. Of an input whose object takes none for long, the oldest gives way:
    /// how it stands at last is never lost.
    pub(super) fn push(&mut self, input: InputUid, news: Numbered) {
        let waiting = self.inputs.entry(input).or_default();
        if waiting.len() >= MAX_WAITING
            && let Some((oldest, _)) = waiting.pop_first()
        {
            self.changed.insert((input, oldest));
        }
        self.changed.insert((input, news.number));
        waiting.insert(news.number, news);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.inputs.is_empty()
    }

    /// What to tell inputs after that one: as many as are told at once, and of each the oldest.
    pub(super) fn next(&self, after: Option<InputUid>) -> Vec<(InputUid, Vec<Numbered>)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let inputs = self.inputs.range((from, Bound::Unbounded));
        inputs
            .take(MAX_INPUTS)
            .map(|(&input, news)| (input, news.values().take(MAX_MESSAGE).cloned().collect()))
            .collect()
    }

    /// The input's object has kept them up to that number.
    pub(super) fn kept(&mut self, input: InputUid, through: u64) {
        let Some(waiting) = self.inputs.get_mut(&input) else {
            return;
        };
        let left = waiting.split_off(&(through + 1));
        let kept = std::mem::replace(waiting, left);
        self.changed
            .extend(kept.into_keys().map(|number| (input, number)));
        if waiting.is_empty() {
            self.inputs.remove(&input);
        }
    }
}

fn split(key: &str) -> Option<(InputUid, &str)> {
    let (input, number) = key.strip_prefix(PREFIX)?.split_once(':')?;
    Some((input.parse().ok()?, number))
}

const PREFIX: &str = "news:";

/// News of one input that wait; far more than happen while an object restarts.
pub(super) const MAX_WAITING: usize = 1000;

/// Inputs told at once: a node that falls silent under a thousand is told of within seconds, and
/// no queue builds up behind it.
pub(super) const MAX_INPUTS: usize = 32;

/// News in one message to an input's object.
pub(super) const MAX_MESSAGE: usize = 256;
