//! Which keys the control plane need not be asked about.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::time::{Duration, Instant};

use rtmp::Allowance;

use super::admission::Origin;

/// Wrong keys that are remembered, and right ones, and origins that have tried wrong ones: of each
/// no more. At a few dozen bytes for each this is a megabyte; beyond it the oldest is forgotten,
/// and asked about once more.
pub const REMEMBERED_MAX: usize = 8192;

/// What is done about wrong keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrongKeys {
    /// How long a wrong key is refused without asking again; a key that becomes right works after
    /// that at the latest.
    pub remembered: Duration,
    /// Different wrong keys that an origin may try at once.
    pub burst: u32,
    /// After that, how long it takes until it may try another.
    pub every: Duration,
}

/// What stands for a key: a keyed hash, so that what is remembered is no key.
pub(super) type KeyHash = [u8; 16];

/// Remembers what the control plane has said of keys.
///
/// A wrong key costs the control plane one question, however often and from wherever it is tried;
/// different wrong keys of one origin cost no more than its allowance. A key that was right once is
/// asked about at any time: the neighbour of somebody who guesses is not kept out.
#[derive(Debug)]
pub(super) struct Keys {
    rules: WrongKeys,
    /// Wrong keys, and until when they are refused.
    wrong: Remembered<KeyHash, Instant>,
    right: Remembered<KeyHash, ()>,
    origins: Remembered<Origin, Allowance>,
    /// Keys that are asked about now.
    asking: HashMap<KeyHash, Origin>,
}

/// What to do about a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Judgement {
    /// Ask, and say what was answered.
    Ask,
    /// Somebody asks already: wait for the answer.
    Wait,
    /// It is wrong.
    Wrong,
    /// Its origin has tried too many.
    TooMany,
}

/// What came of asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The key is one of an input, whatever is to be done with it.
    Right,
    /// No input has it.
    Wrong,
    /// There was no answer.
    None,
}

impl Keys {
    /// Nothing is known yet.
    pub(super) fn new(rules: WrongKeys) -> Self {
        Self {
            rules,
            wrong: Remembered::default(),
            right: Remembered::default(),
            origins: Remembered::default(),
            asking: HashMap::new(),
        }
    }

    /// Somebody of `origin` wants to publish with a key.
    pub(super) fn judge(&mut self, now: Instant, origin: Origin, key: KeyHash) -> Judgement {
        if self.wrong.get(&key).is_some_and(|until| now < *until) {
            return Judgement::Wrong;
        }
        if self.asking.contains_key(&key) {
            return Judgement::Wait;
        }
        if self.right.get(&key).is_none() && !self.allowance(now, origin).take(now) {
            return Judgement::TooMany;
        }
        self.asking.insert(key, origin);
        Judgement::Ask
    }

    /// What came of asking.
    pub(super) fn answered(&mut self, now: Instant, key: KeyHash, answer: Answer) {
        let Some(origin) = self.asking.remove(&key) else {
            return;
        };
        let was_right = self.right.get(&key).is_some();
        match answer {
            Answer::Wrong => {
                self.right.forget(&key);
                self.wrong.put(key, now + self.rules.remembered);
                return;
            }
            Answer::Right => {
                self.wrong.forget(&key);
                self.right.put(key, ());
            }
            Answer::None => {}
        }
        // It was no wrong key, as far as anybody knows.
        if !was_right && let Some(allowance) = self.origins.get_mut(&origin) {
            allowance.give_back();
        }
    }

    fn allowance(&mut self, now: Instant, origin: Origin) -> &mut Allowance {
        let WrongKeys { burst, every, .. } = self.rules;
        self.origins
            .get_or_put(origin, || Allowance::new(burst, every, now))
    }
}

/// At most [`REMEMBERED_MAX`] things; one more, and the one that was put first is forgotten.
#[derive(Debug)]
struct Remembered<K, V> {
    values: HashMap<K, V>,
    order: VecDeque<K>,
}

impl<K, V> Default for Remembered<K, V> {
    fn default() -> Self {
        Self {
            values: HashMap::new(),
            order: VecDeque::new(),
        }
    }
}

impl<K: Copy + Eq + Hash, V> Remembered<K, V> {
    fn get(&self, key: &K) -> Option<&V> {
        self.values.get(key)
    }

    fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.values.get_mut(key)
    }

    /// Puts a value as the newest.
    fn put(&mut self, key: K, value: V) {
        self.forget(&key);
        self.get_or_put(key, || value);
    }

    fn get_or_put(&mut self, key: K, value: impl FnOnce() -> V) -> &mut V {
        if !self.values.contains_key(&key) {
            if self.order.len() >= REMEMBERED_MAX
                && let Some(first) = self.order.pop_front()
            {
                self.values.remove(&first);
            }
            self.order.push_back(key);
        }
        self.values.entry(key).or_insert_with(value)
    }

    fn forget(&mut self, key: &K) {
        if self.values.remove(key).is_some() {
            self.order.retain(|kept| kept != key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: WrongKeys = WrongKeys {
        remembered: Duration::from_secs(10),
        burst: 3,
        every: Duration::from_secs(2),
    };

    fn origin(last: u8) -> Origin {
        Origin::of(Some([192, 0, 2, last].into()))
    }

    fn key(number: u32) -> KeyHash {
        u128::from(number).to_be_bytes()
    }

    /// Keys whose control plane says the same of every one.
    struct Rig {
        keys: Keys,
        now: Instant,
        asked: u32,
    }

    impl Rig {
        fn new() -> Self {
            Self {
                keys: Keys::new(RULES),
                now: Instant::now(),
                asked: 0,
            }
        }

        fn try_key(&mut self, from: u8, number: u32, answer: Answer) -> Judgement {
            let judgement = self.keys.judge(self.now, origin(from), key(number));
            if judgement == Judgement::Ask {
                self.asked += 1;
                self.keys.answered(self.now, key(number), answer);
            }
            judgement
        }
    }

    #[test]
    fn a_wrong_key_costs_one_question() {
        let mut rig = Rig::new();
        assert_eq!(rig.try_key(1, 7, Answer::Wrong), Judgement::Ask);
        for from in [1, 1, 2] {
            assert_eq!(rig.try_key(from, 7, Answer::Wrong), Judgement::Wrong);
        }
        assert_eq!(rig.asked, 1);
    }

    #[test]
    fn a_key_that_becomes_right_works_in_time() {
        let mut rig = Rig::new();
        assert_eq!(rig.try_key(1, 7, Answer::Wrong), Judgement::Ask);
        rig.now += RULES.remembered - Duration::from_nanos(1);
        assert_eq!(rig.try_key(1, 7, Answer::Right), Judgement::Wrong);
        rig.now += Duration::from_nanos(1);
        assert_eq!(rig.try_key(1, 7, Answer::Right), Judgement::Ask);
        assert_eq!(rig.try_key(1, 7, Answer::Right), Judgement::Ask);
    }

    #[test]
    fn who_guesses_is_slowed_down_and_others_are_not() {
        let mut rig = Rig::new();
        assert_eq!(rig.try_key(1, 1000, Answer::Right), Judgement::Ask);
        for number in 0..RULES.burst {
            assert_eq!(rig.try_key(1, number, Answer::Wrong), Judgement::Ask);
        }
        assert_eq!(rig.try_key(1, 100, Answer::Wrong), Judgement::TooMany);
        assert_eq!(rig.try_key(2, 100, Answer::Right), Judgement::Ask);
        // A key that was right before is never kept out, from wherever it comes.
        assert_eq!(rig.try_key(1, 1000, Answer::Right), Judgement::Ask);
        rig.now += RULES.every;
        assert_eq!(rig.try_key(1, 101, Answer::Wrong), Judgement::Ask);
        assert_eq!(rig.try_key(1, 102, Answer::Wrong), Judgement::TooMany);
    }

    #[test]
    fn only_wrong_keys_count() {
        let mut rig = Rig::new();
        for number in 0..100 {
            assert_eq!(rig.try_key(1, number, Answer::Right), Judgement::Ask);
            assert_eq!(rig.try_key(1, 1000 + number, Answer::None), Judgement::Ask);
        }
        // Questions that are on their way count as if all were wrong.
        for number in 2000..2000 + RULES.burst {
            let judgement = rig.keys.judge(rig.now, origin(1), key(number));
            assert_eq!(judgement, Judgement::Ask);
        }
        assert_eq!(rig.try_key(1, 3000, Answer::Right), Judgement::TooMany);
    }

    #[test]
    fn a_key_is_asked_about_once_at_a_time() {
        let mut rig = Rig::new();
        let judge = |rig: &mut Rig| rig.keys.judge(rig.now, origin(1), key(7));
        assert_eq!(judge(&mut rig), Judgement::Ask);
        assert_eq!(judge(&mut rig), Judgement::Wait);
        rig.keys.answered(rig.now, key(7), Answer::None);
        assert_eq!(judge(&mut rig), Judgement::Ask);
        rig.keys.answered(rig.now, key(7), Answer::Wrong);
        assert_eq!(judge(&mut rig), Judgement::Wrong);
    }

    #[test]
    fn a_right_key_that_is_revoked_is_a_wrong_one() {
        let mut rig = Rig::new();
        assert_eq!(rig.try_key(1, 7, Answer::Right), Judgement::Ask);
        assert_eq!(rig.try_key(1, 7, Answer::Wrong), Judgement::Ask);
        assert_eq!(rig.try_key(1, 7, Answer::Wrong), Judgement::Wrong);
        for number in 0..RULES.burst {
            let _ = rig.try_key(1, 100 + number, Answer::Wrong);
        }
        rig.now += RULES.remembered;
        for number in 0..RULES.burst {
            let _ = rig.try_key(1, 200 + number, Answer::Wrong);
        }
        assert_eq!(rig.try_key(1, 7, Answer::Right), Judgement::TooMany);
    }

    #[test]
    fn one_thing_more_and_the_first_is_forgotten() {
        let mut remembered = Remembered::default();
        for number in 0..REMEMBERED_MAX {
            remembered.put(number, ());
        }
        // Put again, it is the newest.
        remembered.put(0, ());
        assert!(remembered.get(&1).is_some());
        remembered.put(REMEMBERED_MAX, ());
        assert!(remembered.get(&1).is_none() && remembered.get(&0).is_some());
        remembered.forget(&0);
        assert_eq!(remembered.order.len(), remembered.values.len());
        assert_eq!(remembered.values.len(), REMEMBERED_MAX - 1);
    }
}
