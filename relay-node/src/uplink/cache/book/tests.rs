use shared::id::OutputUid;
use shared::link::{Owner, Target, WantedOutput};
use shared::secret::Secret;

use super::*;

const HOUR: Duration = Duration::from_secs(3600);

const KEY: KeyHash = [1; 32];

fn at(seconds: u64) -> Timestamp {
    Timestamp::default().after(Duration::from_secs(1_000_000 + seconds))
}

fn input(number: u16) -> InputUid {
    let mut bytes = [0; 16];
    bytes[..2].copy_from_slice(&number.to_be_bytes());
    InputUid::from_random(bytes)
}

fn snapshot(rev: u64, wish: Wish) -> Snapshot {
    Snapshot {
        input: input(1),
        rev,
        epoch: 3,
        owner: Some(Owner {
            node: "fra-1".parse().unwrap(),
            instance: shared::id::Instance::from_random([9; 16]),
        }),
        oldest_key: 0,
        account: None,
        wish,
    }
}

fn relay() -> Wish {
    Wish::relay(Vec::new())
}

fn granted(snapshot: Snapshot, key: u64) -> Accepted {
    Accepted {
        snapshot,
        key,
        cached: false,
    }
}

/// A book that knows one key, of the number 2.
fn book() -> Book {
    let mut book = Book::new(HOUR);
    book.accepted(KEY, &granted(snapshot(5, relay()), 2), at(0));
    book
}

fn wish(book: &Book) -> Option<Wish> {
    Some(book.look_up(&KEY, at(0))?.snapshot.wish)
}

#[test]
fn a_key_seen_before_is_honoured_for_its_time_and_owned_by_nobody() {
    let book = book();
    let found = book.look_up(&KEY, at(3600)).unwrap();
    assert_eq!((found.key, found.cached), (2, true));
    assert_eq!((found.snapshot.rev, found.snapshot.owner), (5, None));
    assert_eq!(book.look_up(&KEY, at(3601)), None);
    assert_eq!(book.look_up(&[2; 32], at(0)), None);
}

#[test]
fn a_clock_that_went_back_shortens_nothing() {
    let mut book = Book::new(HOUR);
    book.accepted(KEY, &granted(snapshot(5, relay()), 2), at(5000));
    assert!(book.look_up(&KEY, at(0)).is_some());
}

#[test]
fn the_newest_word_replaces_the_last() {
    let mut book = book();
    book.told(&snapshot(6, Wish::Disabled), at(0));
    assert_eq!(wish(&book), Some(Wish::Disabled));
    // One that comes late, and one that is repeated.
    book.told(&snapshot(5, relay()), at(0));
    assert_eq!(wish(&book), Some(Wish::Disabled));
    book.told(&snapshot(7, relay()), at(0));
    assert_eq!(wish(&book), Some(relay()));
    book.refused(&KEY, PublishRefusal::Disabled);
    assert_eq!(wish(&book), Some(Wish::Disabled));
    book.accepted(KEY, &granted(snapshot(8, relay()), 2), at(0));
    assert_eq!(wish(&book), Some(relay()));
}

#[test]
fn what_is_gone_is_forgotten() {
    let gone: [fn(&mut Book); 3] = [
        |book| book.told(&snapshot(6, Wish::Deleted), at(0)),
        |book| book.refused(&KEY, PublishRefusal::UnknownKey),
        |book| {
            let mut replaced = snapshot(6, relay());
            replaced.oldest_key = 3;
            book.told(&replaced, at(0));
        },
    ];
    for change in gone {
        let mut book = book();
        assert!(book.take_changed());
        change(&mut book);
        assert!(book.take_changed() && book.entries().is_empty());
        assert_eq!((book.keys.len(), book.bytes), (0, 0));
    }
}

#[test]
fn a_key_beside_a_newer_one_goes_with_its_grace() {
    let mut book = book();
    let newer = [2; 32];
    book.accepted(newer, &granted(snapshot(6, relay()), 3), at(0));
    assert!(book.look_up(&KEY, at(0)).is_some());
    let mut over = snapshot(7, relay());
    over.oldest_key = 3;
    book.told(&over, at(0));
    assert!(book.look_up(&KEY, at(0)).is_none() && book.look_up(&newer, at(0)).is_some());
}

#[test]
fn a_stranger_is_not_learnt_from_a_snapshot() {
    let mut book = Book::new(HOUR);
    book.told(&snapshot(1, relay()), at(0));
    book.refused(&KEY, PublishRefusal::UnknownKey);
    assert!(book.entries().is_empty() && !book.take_changed());
}

#[test]
fn what_is_on_air_stays_confirmed_at_the_cost_of_few_writes() {
    let mut book = book();
    book.take_changed();
    book.confirmed([input(1), input(2)].into_iter(), at(599));
    assert!(!book.take_changed());
    book.confirmed([input(1)].into_iter(), at(600));
    assert!(book.take_changed());
    assert!(book.look_up(&KEY, at(4200)).is_some());
    book.expire(at(4200));
    assert!(!book.take_changed());
    book.expire(at(4201));
    assert!(book.take_changed() && book.entries().is_empty());
}

#[test]
fn switched_off_it_knows_nothing() {
    let mut book = Book::new(Duration::ZERO);
    book.accepted(KEY, &granted(snapshot(5, relay()), 2), at(0));
    assert!(book.entries().is_empty());
}

#[test]
fn an_input_has_so_many_keys() {
    let mut book = book();
    for number in 2..=1 + MAX_KEYS_OF_AN_INPUT as u8 {
        book.accepted([number; 32], &granted(snapshot(5, relay()), 2), at(0));
    }
    assert!(book.look_up(&KEY, at(0)).is_none());
    assert!(book.look_up(&[2; 32], at(0)).is_some());
    assert_eq!(book.keys.len(), MAX_KEYS_OF_AN_INPUT);
}

#[test]
fn those_confirmed_longest_ago_give_way() {
    let mut book = Book::new(HOUR);
    for number in 0..=MAX_INPUTS as u16 {
        let mut key = KEY;
        key[..2].copy_from_slice(&number.to_be_bytes());
        let mut snapshot = snapshot(1, relay());
        snapshot.input = input(number);
        book.accepted(key, &granted(snapshot, 0), at(number.into()));
    }
    assert_eq!(book.entries().len(), MAX_INPUTS);
    assert!(!book.inputs.contains_key(&input(0)) && book.inputs.contains_key(&input(1)));

    let mut book = Book::new(HOUR);
    let long = Wish::relay(vec![WantedOutput {
        uid: OutputUid::from_random([7; 16]),
        enabled: true,
        retry: 0,
        target: Target::Rtmp {
            url: Secret::new("a".repeat(MAX_BYTES / 3)),
            stream_key: Secret::new("key"),
        },
    }]);
    for number in 0..3 {
        let mut snapshot = snapshot(1, long.clone());
        snapshot.input = input(number);
        book.accepted([number as u8; 32], &granted(snapshot, 0), at(number.into()));
    }
    assert_eq!(book.entries().len(), 2);
    assert!(book.look_up(&[0; 32], at(2)).is_none());
}
