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

#[cfg(test)]
mod tests {
    use shared::id::Instance;

    use super::*;
    use crate::status::News;

    fn input(n: usize) -> InputUid {
        let mut uid = [0; 16];
        uid[14..].copy_from_slice(&(n as u16).to_be_bytes());
        InputUid::from_random(uid)
    }

    fn heard(number: usize) -> Numbered {
        Numbered {
            number: number as u64,
            instance: Instance::from_random([1; 16]),
            news: News::Heard,
        }
    }

    fn with(news: usize) -> Queue {
        let mut queue = Queue::default();
        (1..=news).for_each(|number| queue.push(input(1), heard(number)));
        queue
    }

    /// The numbers of all that waits for the one input, as its object is told and keeps them.
    fn drained(queue: &mut Queue) -> Vec<u64> {
        let mut told = Vec::new();
        while let Some((input, news)) = queue.next(None).pop() {
            told.extend(news.iter().map(|news| news.number));
            queue.kept(input, *told.last().unwrap());
        }
        assert!(queue.is_empty());
        told
    }

    #[test]
    fn the_oldest_news_gives_way_and_what_is_stored_of_it() {
        let mut full = with(MAX_WAITING);
        let mut changes = Changes::default();
        full.take_changes(&mut changes);
        assert_eq!((changes.put.len(), changes.delete.len()), (MAX_WAITING, 0));

        full.push(input(1), heard(MAX_WAITING + 1));
        full.push(input(2), heard(MAX_WAITING + 2));
        let mut changes = Changes::default();
        full.take_changes(&mut changes);
        assert_eq!(changes.put.len(), 2);
        let oldest = format!("{PREFIX}{}:{:016}", input(1), 1);
        assert_eq!(changes.delete, [oldest], "of the input that is full");
        let told = full.next(Some(input(1)));
        assert_eq!(told, [(input(2), vec![heard(MAX_WAITING + 2)])]);
        full.kept(input(2), u64::MAX - 1);
        let numbers: Vec<u64> = (2..=MAX_WAITING as u64 + 1).collect();
        assert_eq!(drained(&mut full), numbers);
    }

    #[test]
    fn a_message_holds_the_oldest_and_the_next_one_the_rest() {
        let told = |queue: &Queue| queue.next(None).pop().unwrap().1.len();
        assert_eq!(told(&with(MAX_MESSAGE)), MAX_MESSAGE);
        let mut queue = with(MAX_MESSAGE + 1);
        assert_eq!(told(&queue), MAX_MESSAGE);
        queue.kept(input(1), MAX_MESSAGE as u64);
        assert_eq!(queue.next(None), [(input(1), vec![heard(MAX_MESSAGE + 1)])]);
    }

    #[test]
    fn so_many_inputs_are_told_at_once_and_then_those_behind_them() {
        let mut queue = Queue::default();
        (0..=MAX_INPUTS).for_each(|n| queue.push(input(n), heard(n + 1)));
        let first = queue.next(None);
        assert_eq!(first.len(), MAX_INPUTS);
        // None of them was kept; their turn is over all the same.
        let last = first.last().unwrap().0;
        assert_eq!(last, input(MAX_INPUTS - 1));
        let behind = [(input(MAX_INPUTS), vec![heard(MAX_INPUTS + 1)])];
        assert_eq!(queue.next(Some(last)), behind);
        assert_eq!(queue.next(Some(input(MAX_INPUTS))), []);
    }
}
