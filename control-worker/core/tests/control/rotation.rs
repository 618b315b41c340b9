//! The rotation of a stream key, with and without an overlap of the old and the new one.

use std::time::Duration;

use control_core::change::Outcome;
use control_core::live_input::PublishOutcome;
use control_core::sql::InputRow;
use shared::link::{PublishAnswer, PublishRefusal, Snapshot};
use shared::stream_key::StreamKey;
use shared::time::Timestamp;

use crate::database::*;
use crate::live_input::{World, at, now};

const MINUTE: Duration = Duration::from_secs(60);

fn key(secret: u8) -> StreamKey {
    StreamKey::from_random(input(1), [secret; 16])
}

fn start() -> Timestamp {
    delete_input(1).now
}

fn changed(outcome: Outcome) -> InputRow {
    match outcome {
        Outcome::Changed(wanted) => wanted.input.unwrap(),
        other => panic!("{other:?}"),
    }
}

/// The numbers under which the keys made of 1, 2 and 3 are honoured.
fn numbers(row: &InputRow, at: Timestamp) -> [Option<u64>; 3] {
    [1, 2, 3].map(|secret| row.number_of(&key(secret), &keyring(), at))
}

#[test]
fn without_an_overlap_the_old_key_is_nothing_at_once() {
    let database = Database::new();
    let made = changed(database.change(1, &create_input(1)));
    assert_eq!(numbers(&made, start()), [Some(0), None, None]);
    assert_eq!(made.keys_rotated, None);
    let rotated = changed(database.change(2, &rotate_keys(1, 2, None)));
    assert_eq!(numbers(&rotated, start()), [None, Some(1), None]);
    assert_eq!(rotated.keys_rotated, Some(start()));
    assert_eq!((rotated.created, rotated.meta), (made.created, made.meta));
}

#[test]
fn in_an_overlap_one_old_key_is_honoured_and_no_longer() {
    let database = Database::new();
    changed(database.change(1, &create_input(1)));
    let until = start().after(MINUTE);
    let row = changed(database.change(2, &rotate_keys(1, 2, Some(until))));
    let last = Timestamp::from_micros(until.as_micros() - 1);
    assert_eq!(numbers(&row, last), [Some(0), Some(1), None]);
    assert_eq!(numbers(&row, until), [None, Some(1), None]);
    // The next rotation ends it, with an overlap of its own or without.
    let row = changed(database.change(3, &rotate_keys(1, 3, Some(until))));
    assert_eq!(numbers(&row, start()), [None, Some(1), Some(2)]);
    let row = changed(database.change(4, &rotate_keys(1, 1, None)));
    assert_eq!(numbers(&row, start()), [Some(3), None, None]);
}

fn oldest(snapshot: &Snapshot) -> u64 {
    snapshot.oldest_key
}

#[test]
fn a_rotation_tells_the_node_at_once() {
    let world = World::with_output();
    let owner = at("a", 1);
    let before = world.accepted(&owner);
    assert_eq!(oldest(&before), 0);
    world.change(&rotate_keys(1, 2, None)).unwrap();
    let told = world.held_by(&owner);
    assert_eq!(oldest(&told), 1);
    assert!(told.rev > before.rev);
    assert_eq!(world.alarm.get(), None);
}

#[test]
fn a_key_that_was_rotated_after_it_was_checked_is_refused() {
    let world = World::with_output();
    world.change(&rotate_keys(1, 2, None)).unwrap();
    let outcome = world.publish_with(&at("a", 1), 0).unwrap();
    let refused = PublishAnswer::Refused {
        reason: PublishRefusal::UnknownKey,
    };
    assert_eq!(outcome, PublishOutcome::Answer(refused));
    let outcome = world.publish_with(&at("a", 1), 1).unwrap();
    let PublishOutcome::Answer(PublishAnswer::Accepted { key, snapshot }) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!((key, oldest(&snapshot)), (1, 1));
}

/// On air with the old key, in an overlap of a minute.
fn overlapping() -> World {
    let world = World::with_output();
    world.accepted(&at("a", 1));
    let until = start().after(MINUTE);
    world.change(&rotate_keys(1, 2, Some(until))).unwrap();
    assert_eq!(oldest(&world.held_by(&at("a", 1))), 0);
    assert_eq!(world.alarm.get(), Some(MINUTE));
    world
}

#[test]
fn the_end_of_an_overlap_comes_by_alarm() {
    let world = overlapping();
    let before = world.held_by(&at("a", 1));
    // Too early, it is set again for the rest.
    world.now.set(start().after(MINUTE / 4));
    now(world.object().alarm()).unwrap();
    assert_eq!(world.alarm.get(), Some(MINUTE * 3 / 4));
    assert_eq!(world.held_by(&at("a", 1)), before);
    world.now.set(start().after(MINUTE));
    now(world.object().alarm()).unwrap();
    let told = world.held_by(&at("a", 1));
    assert_eq!(oldest(&told), 1);
    assert!(told.rev > before.rev);
    assert_eq!(world.alarm.get(), None);
    // And later changes go on from there.
    world.change(&create_output(1, 2)).unwrap();
    assert!(world.held_by(&at("a", 1)).rev > told.rev);
}

#[test]
fn who_comes_within_an_overlap_is_cut_at_its_end_too() {
    let world = World::with_output();
    let until = start().after(MINUTE);
    world.change(&rotate_keys(1, 2, Some(until))).unwrap();
    assert_eq!(world.alarm.get(), None, "nobody is on air");
    world.now.set(start().after(MINUTE / 2));
    world.publish_with(&at("a", 1), 0).unwrap();
    assert_eq!(world.alarm.get(), Some(MINUTE / 2));
    world.now.set(until);
    world.rest();
    assert_eq!(oldest(&world.held_by(&at("a", 1))), 1);
}

#[test]
fn another_change_does_not_forget_the_end_of_an_overlap() {
    let world = overlapping();
    world.now.set(start().after(MINUTE / 2));
    world.change(&create_output(1, 2)).unwrap();
    assert_eq!(world.alarm.get(), Some(MINUTE / 2));
    assert_eq!(oldest(&world.held_by(&at("a", 1))), 0);
    // A second rotation ends it early.
    world.change(&rotate_keys(1, 3, None)).unwrap();
    assert_eq!(oldest(&world.held_by(&at("a", 1))), 2);
    assert_eq!(world.alarm.get(), None);
}

/// Cuts the object off after each number of effects, the last one done or not.
#[test]
fn a_crash_at_the_end_of_an_overlap_is_mended() {
    let mut cuts = 0;
    for taking_place in [false, true] {
        for effects in 0.. {
            let world = overlapping();
            world.now.set(start().after(MINUTE));
            world.life.set(Some((effects, taking_place)));
            let rang = now(world.object().alarm());
            let cut = world.life.get() == Some((0, false));
            world.life.set(None);
            world.rest();
            assert_eq!(oldest(&world.held_by(&at("a", 1))), 1);
            if rang.is_ok() && !cut {
                break;
            }
            cuts += 1;
        }
    }
    assert!(cuts >= 2 * 4, "only {cuts} cuts: the test does not cut");
}
