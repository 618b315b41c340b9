//! The live input's object, run to its end, and cut off between any two of its effects.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use control_core::auth::TokenId;
use control_core::change::{Change, ChangeAnswer, ChangeRequest, Refusal};
use control_core::keys::Keyring;
use control_core::live_input::{Ask, Host, LiveInput, LiveInputState, Publish, PublishOutcome};
use control_core::node_link::{Handed, Via};
use control_core::sql::Statement;
use control_core::status::{Kept, News, Numbered, SCHEMA, StatusBook, Told};
use control_core::trouble::Trouble;
use rusqlite::Connection;
use shared::api::ApiEvent;
use shared::id::{Instance, NodeName};
use shared::link::{Owner, PublishAnswer, PublishRefusal, Snapshot, Wish};
use shared::time::Timestamp;

use crate::database::*;

/// The object's surroundings: a database, its storage, the objects of nodes and of the account.
pub(crate) struct World {
    pub(crate) database: Database,
    keyring: Keyring,
    pub(crate) stored: RefCell<Option<String>>,
    storage: Connection,
    pub(crate) alarm: Cell<Option<Duration>>,
    /// What the account's object was handed.
    pub(crate) events: RefCell<Vec<ApiEvent>>,
    pub(crate) account_fails: Cell<bool>,
    /// The newest snapshot that each node's object holds.
    nodes: RefCell<BTreeMap<NodeName, Handed>>,
    /// A batch that the database has not carried out yet.
    late: RefCell<Option<Vec<Statement>>>,
    pub(crate) now: Cell<Timestamp>,
    pub(crate) database_fails: Cell<Fails>,
    nodes_fail: Cell<bool>,
    /// Effects until the object dies, and whether the last one still takes place.
    pub(crate) life: Cell<Option<(u32, bool)>>,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Fails {
    Never,
    /// The next batch takes effect, but its answer is lost.
    AfterIt,
    /// The next batch fails.
    BeforeIt,
    /// The next batch is carried out when the test says so.
    Late,
    Always,
}

#[derive(Debug)]
pub(crate) struct Cut;

impl World {
    pub(crate) fn new() -> Self {
        let storage = Connection::open_in_memory().unwrap();
        for statement in SCHEMA {
            storage.execute_batch(statement).unwrap();
        }
        Self {
            database: Database::new(),
            keyring: keyring(),
            stored: RefCell::new(None),
            storage,
            events: RefCell::default(),
            account_fails: Cell::new(false),
            alarm: Cell::new(None),
            nodes: RefCell::default(),
            late: RefCell::new(None),
            now: Cell::new(request(1, Change::DeleteInput).now),
            database_fails: Cell::new(Fails::Never),
            nodes_fail: Cell::new(false),
            life: Cell::new(None),
        }
    }

    /// Input 1 with output 1.
    pub(crate) fn with_output() -> Self {
        let world = Self::new();
        world.change(&create_input(1)).unwrap();
        world.change(&create_output(1, 1)).unwrap();
        world
    }

    pub(crate) fn object(&self) -> LiveInput<'_, Self> {
        let rows = run(&self.storage, &[StatusBook::stored()]).unwrap();
        let stored = self.stored.borrow();
        let state = stored.as_ref().map_or_else(
            || LiveInputState::new(input(1)),
            |text| serde_json::from_str(text).unwrap(),
        );
        LiveInput {
            state,
            status: StatusBook::load(input(1), &rows).unwrap(),
            host: self,
            keyring: &self.keyring,
            now: self.now.get(),
        }
    }

    pub(crate) fn change(&self, request: &ChangeRequest) -> Result<ChangeAnswer, Trouble<Cut>> {
        now(self.object().change(request))
    }

    fn publish(&self, owner: &Owner) -> Result<PublishOutcome, Trouble<Cut>> {
        self.publish_with(owner, 0)
    }

    /// Publishes with the key of this number.
    pub(crate) fn publish_with(
        &self,
        owner: &Owner,
        key: u64,
    ) -> Result<PublishOutcome, Trouble<Cut>> {
        now(self.object().publish(&Publish {
            token: TokenId(RELAY_TOKEN.into()),
            owner: owner.clone(),
            key,
        }))
    }

    pub(crate) fn accepted(&self, owner: &Owner) -> Snapshot {
        match self.publish(owner).unwrap() {
            PublishOutcome::Answer(PublishAnswer::Accepted { snapshot, .. }) => snapshot,
            other => panic!("{other:?}"),
        }
    }

    fn refused(&self, owner: &Owner) -> PublishRefusal {
        match self.publish(owner).unwrap() {
            PublishOutcome::Answer(PublishAnswer::Refused { reason }) => reason,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn held_by(&self, owner: &Owner) -> Snapshot {
        self.nodes.borrow()[&owner.node].snapshot.clone()
    }

    /// The object of the owner's node tells something.
    pub(crate) fn told(&self, owner: &Owner, news: &[(u64, News)]) -> Result<(), Trouble<Cut>> {
        let news = news.iter().map(|(number, news)| Numbered {
            number: *number,
            instance: owner.instance,
            news: news.clone(),
        });
        now(self.object().told(&Told {
            node: owner.node.clone(),
            news: news.collect(),
        }))
    }

    /// The alarm rings when it is due.
    pub(crate) fn ring(&self) -> Result<(), Trouble<Cut>> {
        let due = self.alarm.get().unwrap();
        self.now.set(self.now.get().after(due));
        now(self.object().alarm())?;
        while let Some(batch) = now(self.object().events_due())? {
            let rows = run(&self.storage, &[StatusBook::waiting(batch.after)]).unwrap();
            let events = StatusBook::read_events(&rows).unwrap();
            assert_eq!(batch.account, account());
            if self.account_fails.get() {
                break;
            }
            self.effect(|| self.events.borrow_mut().extend(events.clone()))
                .map_err(Trouble::Host)?;
            now(self.object().handed(&events))?;
        }
        if let Some((mirror, statement)) = now(self.object().mirror_due())? {
            now(self.run(vec![statement])).map_err(Trouble::Host)?;
            now(self.object().mirrored(mirror))?;
        }
        Ok(())
    }

    /// Lets the alarm ring until no work is left.
    pub(crate) fn rest(&self) {
        for _ in 0..10 {
            if self.alarm.get().is_none() {
                return;
            }
            self.ring().unwrap();
        }
        panic!("the alarm never stops");
    }

    /// How many rows the object keeps of what went on.
    pub(crate) fn kept(&self) -> u32 {
        let count = "SELECT (SELECT count(*) FROM status) + (SELECT count(*) FROM events)";
        self.storage.query_row(count, [], |row| row.get(0)).unwrap()
    }

    fn effect<T>(&self, effect: impl FnOnce() -> T) -> Result<T, Cut> {
        match self.life.get() {
            None => Ok(effect()),
            Some((0, last_takes_place)) => {
                if last_takes_place {
                    effect();
                }
                self.life.set(Some((0, false)));
                Err(Cut)
            }
            Some((left, last_takes_place)) => {
                self.life.set(Some((left - 1, last_takes_place)));
                Ok(effect())
            }
        }
    }
}

impl Host for World {
    type Error = Cut;
    type Results = Rows;

    async fn store(
        &self,
        state: &LiveInputState,
        status: Kept,
        alarm: Option<Duration>,
    ) -> Result<(), Cut> {
        self.effect(|| {
            self.alarm.set(alarm);
            run(&self.storage, &status).unwrap();
            self.stored
                .replace(Some(serde_json::to_string(state).unwrap()));
        })
    }

    async fn forget(&self) -> Result<(), Cut> {
        self.effect(|| {
            self.alarm.set(None);
            self.stored.replace(None);
            self.storage
                .execute_batch("DELETE FROM status; DELETE FROM events")
                .unwrap();
        })
    }

    async fn run(&self, batch: Vec<Statement>) -> Result<Rows, Cut> {
        let fails = self.database_fails.get();
        if fails != Fails::Always {
            self.database_fails.set(Fails::Never);
        }
        match fails {
            Fails::Always | Fails::BeforeIt => return Err(Cut),
            Fails::Late => {
                self.late.replace(Some(batch));
                return Err(Cut);
            }
            Fails::AfterIt | Fails::Never => {}
        }
        let answer = self
            .effect(|| self.database.run(&batch))?
            .map_err(|_| Cut)?;
        if fails == Fails::AfterIt {
            Err(Cut)
        } else {
            Ok(answer)
        }
    }

    async fn hand(&self, node: &NodeName, handed: Handed) -> Result<(), Cut> {
        if self.nodes_fail.get() {
            return Err(Cut);
        }
        self.effect(|| {
            let mut nodes = self.nodes.borrow_mut();
            let newer = nodes
                .get(node)
                .is_none_or(|held| held.snapshot.rev < handed.snapshot.rev);
            if newer {
                nodes.insert(node.clone(), handed);
            }
        })
    }
}

/// Nothing here waits for anything.
pub(crate) fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("an effect waits"),
    }
}

pub(crate) fn at(node: &str, instance: u8) -> Owner {
    Owner {
        node: node.parse().unwrap(),
        instance: Instance::from_random([instance; 16]),
    }
}

fn outputs(snapshot: &Snapshot) -> Vec<(u8, bool)> {
    let Wish::Relay { outputs, .. } = &snapshot.wish else {
        return Vec::new();
    };
    let number = |uid| (0..=255).find(|n| output(*n) == uid).unwrap();
    outputs
        .iter()
        .map(|wanted| (number(wanted.uid), wanted.enabled))
        .collect()
}

#[test]
fn a_change_off_air_leaves_no_work() {
    let world = World::with_output();
    assert_eq!(world.alarm.get(), None);
    assert!(world.nodes.borrow().is_empty());
}

#[test]
fn the_owners_node_is_told_of_each_change_under_a_higher_rev() {
    let world = World::with_output();
    let owner = at("a", 1);
    let mut before = world.accepted(&owner);
    assert_eq!((before.epoch, before.owner.as_ref()), (1, Some(&owner)));
    assert_eq!(outputs(&before), [(1, true)]);
    assert_eq!(world.nodes.borrow()[&owner.node].via, Via::PublishAnswer);
    for (change, expected) in [
        (create_output(1, 2), vec![(1, true), (2, true)]),
        (enable_output(1, 1, false), vec![(1, false), (2, true)]),
        (delete_output(1, 1), vec![(2, true)]),
    ] {
        world.change(&change).unwrap();
        let told = world.held_by(&owner);
        assert_eq!(outputs(&told), expected);
        assert!(told.rev > before.rev && told.epoch == 1);
        assert_eq!(world.nodes.borrow()[&owner.node].via, Via::Push);
        before = told;
    }
    world.change(&enable_input(1, false)).unwrap();
    assert_eq!(world.held_by(&owner).wish, Wish::Disabled);
    assert_eq!(world.refused(&owner), PublishRefusal::Disabled);
    world.change(&enable_input(1, true)).unwrap();
    assert_eq!(outputs(&world.held_by(&owner)), [(2, true)]);
    world.change(&delete_input(1)).unwrap();
    assert_eq!(world.held_by(&owner).wish, Wish::Deleted);
    assert!(world.held_by(&owner).rev > before.rev);
    assert_eq!(world.refused(&owner), PublishRefusal::UnknownKey);
    assert_eq!(
        *world.stored.borrow(),
        None,
        "nothing stays of a deleted input"
    );
}

#[test]
fn a_retry_is_a_number_that_rises() {
    let world = World::with_output();
    let owner = at("a", 1);
    let retry = |snapshot: &Snapshot| match &snapshot.wish {
        Wish::Relay { outputs, .. } => outputs[0].retry,
        other => panic!("{other:?}"),
    };
    assert_eq!(retry(&world.accepted(&owner)), 0);
    let mut before = 0;
    for _ in 0..2 {
        let answer = world.change(&retry_output(1, 1)).unwrap();
        assert!(matches!(answer, ChangeAnswer::Output { .. }));
        let now = retry(&world.held_by(&owner));
        assert!(now > before);
        before = now;
    }
    // Nothing else makes it rise.
    world.change(&create_output(1, 2)).unwrap();
    assert_eq!(retry(&world.held_by(&owner)), before);
    assert_eq!(
        world.change(&retry_output(1, 9)).unwrap(),
        ChangeAnswer::Refused(Refusal::NoSuchOutput)
    );
}

#[test]
fn a_new_owner_has_a_new_epoch_and_the_old_one_is_told() {
    let world = World::with_output();
    let (first, second) = (at("a", 1), at("b", 2));
    let one = world.accepted(&first);
    let two = world.accepted(&second);
    assert!(two.epoch > one.epoch && two.rev > one.rev);
    assert_eq!(world.held_by(&first), two);
    assert_eq!(world.held_by(&second), two);

    // The first one's end is of an old epoch.
    let over = |owner, number, epoch| {
        let over = News::Over { epoch };
        world.told(owner, &[(number, over)]).unwrap();
    };
    over(&first, 1, one.epoch);
    assert_eq!(world.object().state.owner(), Some(&second));
    over(&second, 1, two.epoch);
    assert_eq!(world.object().state.owner(), None);
    world.change(&create_output(1, 2)).unwrap();
    assert_eq!(
        world.held_by(&second),
        two,
        "nobody is on air, nobody is told"
    );
    // Nor does an end that comes again touch the next owner.
    let three = world.accepted(&first);
    assert!(three.epoch > two.epoch);
    over(&second, 1, two.epoch);
    assert_eq!(world.object().state.owner(), Some(&first));
}

#[test]
fn what_is_refused_leaves_nothing_behind() {
    let world = World::new();
    assert_eq!(
        world.change(&delete_input(1)).unwrap(),
        ChangeAnswer::Refused(Refusal::NoSuchInput)
    );
    assert_eq!(world.refused(&at("a", 1)), PublishRefusal::UnknownKey);
    assert_eq!(*world.stored.borrow(), None);
    world.database.revoke(RELAY_TOKEN);
    assert_eq!(
        world.publish(&at("a", 1)).unwrap(),
        PublishOutcome::TokenRevoked
    );
}

#[test]
fn a_lost_answer_is_read_back() {
    for (fails, made) in [(Fails::AfterIt, true), (Fails::BeforeIt, false)] {
        let world = World::with_output();
        let owner = at("a", 1);
        let before = world.accepted(&owner);
        for (change, expected) in [
            (create_output(1, 2), vec![(1, true), (2, true)]),
            (delete_output(1, 1), vec![(2, true)]),
        ] {
            world.database_fails.set(fails);
            let answer = world.change(&change).unwrap();
            assert_eq!(answer != ChangeAnswer::NotMade, made);
            let told = world.held_by(&owner);
            assert!(told.rev > before.rev);
            let expected = if made { expected } else { vec![(1, true)] };
            assert_eq!(outputs(&told), expected);
            assert_eq!(world.alarm.get(), None);
        }
        world.database_fails.set(fails);
        let answer = world.change(&delete_input(1)).unwrap();
        assert_eq!(answer == ChangeAnswer::Deleted, made);
    }
}

#[test]
fn a_batch_that_arrives_late_finds_itself_too_old() {
    let world = World::with_output();
    world.database_fails.set(Fails::Late);
    let answer = world.change(&create_output(1, 2)).unwrap();
    assert_eq!(answer, ChangeAnswer::NotMade);
    let before = world.database.dump();
    world.database.run(&world.late.take().unwrap()).unwrap();
    assert_eq!(world.database.dump(), before);
}

#[test]
fn an_undecided_change_is_resolved_before_the_next() {
    let world = World::with_output();
    let owner = at("a", 1);
    world.accepted(&owner);
    world.database_fails.set(Fails::Late);
    let state = world.object();
    world.database_fails.set(Fails::Always);
    assert_eq!(
        now(state.change(&create_output(1, 2))).unwrap(),
        ChangeAnswer::Undecided
    );
    assert!(world.alarm.get().is_some());
    assert_eq!(
        world.change(&create_output(1, 3)).unwrap(),
        ChangeAnswer::NotMade
    );
    world.database_fails.set(Fails::Never);
    let answer = world.change(&create_output(1, 3)).unwrap();
    assert!(matches!(answer, ChangeAnswer::Output { .. }));
    assert_eq!(outputs(&world.held_by(&owner)), [(1, true), (3, true)]);
    assert_eq!(world.alarm.get(), None);
}

#[test]
fn a_node_that_cannot_be_reached_is_told_later() {
    let world = World::with_output();
    let owner = at("a", 1);
    world.accepted(&owner);
    world.nodes_fail.set(true);
    let answer = world.change(&create_output(1, 2)).unwrap();
    assert!(
        matches!(answer, ChangeAnswer::Output { .. }),
        "made all the same"
    );
    assert_eq!(outputs(&world.held_by(&owner)), [(1, true)]);
    let first = world.alarm.get().unwrap();
    now(world.object().alarm()).unwrap();
    assert!(world.alarm.get().unwrap() > first, "backs off");
    world.nodes_fail.set(false);
    world.rest();
    assert_eq!(outputs(&world.held_by(&owner)), [(1, true), (2, true)]);
}

#[test]
fn the_alarm_backs_off_to_64_seconds() {
    let world = World::with_output();
    world.accepted(&at("a", 1));
    world.nodes_fail.set(true);
    world.change(&create_output(1, 2)).unwrap();
    for _ in 0..40 {
        now(world.object().alarm()).unwrap();
    }
    assert_eq!(world.alarm.get(), Some(Duration::from_secs(64)));
}

#[test]
fn an_object_that_lost_its_memory_goes_on_from_the_database() {
    let world = World::with_output();
    world.stored.replace(None);
    let answer = world.change(&create_output(1, 2)).unwrap();
    assert!(matches!(answer, ChangeAnswer::Output { .. }));
    let rev = world.database.number("SELECT rev FROM live_inputs");
    assert_eq!(rev, 3);
    world.stored.replace(None);
    assert!(world.accepted(&at("a", 1)).rev > 3);
}

#[test]
fn a_node_that_knows_more_is_answered_beyond_it() {
    let world = World::with_output();
    let owner = at("a", 1);
    let held = world.accepted(&owner);
    let ask = |holder: &Owner, rev| {
        now(world.object().ask(&Ask {
            input: input(1),
            holder: holder.clone(),
            rev,
        }))
        .unwrap()
    };
    assert_eq!(ask(&owner, held.rev), held);
    let beyond = ask(&owner, held.rev + 10);
    assert_eq!(beyond.rev, held.rev + 11);
    assert_eq!(beyond.owner, Some(owner.clone()));
    // Somebody else who has it on air is told who owns it.
    assert_eq!(ask(&at("b", 2), 1).owner, Some(owner.clone()));
    // One that nobody owns any more goes on where it is on air.
    let over = News::Over {
        epoch: beyond.epoch,
    };
    world.told(&owner, &[(1, over)]).unwrap();
    let adopted = ask(&owner, beyond.rev);
    assert_eq!(adopted.owner, Some(owner.clone()));
    assert!(adopted.epoch > beyond.epoch && adopted.rev > beyond.rev);
    // A number beyond all measure does not end the counting.
    let most = ask(&owner, u64::MAX);
    assert_eq!(most.rev, (1 << 52) + 1);
    assert_eq!(ask(&owner, most.rev), most);
    world.change(&create_output(1, 2)).unwrap();
    assert!(world.held_by(&owner).rev > most.rev);
}

#[test]
fn an_input_that_is_gone_is_said_to_be_gone() {
    let world = World::new();
    let holder = at("a", 1);
    for rev in [1, 7] {
        let told = now(world.object().ask(&Ask {
            input: input(1),
            holder: holder.clone(),
            rev,
        }))
        .unwrap();
        assert_eq!((told.wish, told.rev > rev), (Wish::Deleted, true));
    }
    assert_eq!(
        *world.stored.borrow(),
        None,
        "an unknown id creates nothing"
    );
}

/// Cuts each operation off after each number of effects, the last one done or not; the object
/// comes back, its alarm rings, and everybody agrees.
#[test]
fn a_crash_between_any_two_steps_is_mended() {
    let (first, second) = (at("a", 1), at("b", 2));
    let changes = [
        create_output(1, 2),
        delete_output(1, 1),
        enable_output(1, 1, false),
        retry_output(1, 1),
        enable_input(1, false),
        rotate_keys(1, 9, None),
        delete_input(1),
    ];
    let mut cuts = 0;
    for change in changes.iter().map(Some).chain([None]) {
        for taking_place in [false, true] {
            for effects in 0.. {
                let world = World::with_output();
                let before = world.accepted(&first);
                world.life.set(Some((effects, taking_place)));
                let finished = match change {
                    Some(change) => world.change(change).map(drop),
                    None => world.publish(&second).map(drop),
                };
                let cut = world.life.get() == Some((0, false));
                world.life.set(None);
                world.rest();
                agree(&world, &before, &[&first, &second]);
                if finished.is_ok() && !cut {
                    break;
                }
                cuts += 1;
            }
        }
    }
    assert!(cuts > 7 * 2 * 4, "only {cuts} cuts: the test does not cut");
}

/// The owner's node holds what the database has; who was the owner knows that it is not.
fn agree(world: &World, before: &Snapshot, nodes: &[&Owner]) {
    let outputs_there = world.database.number("SELECT count(*) FROM outputs");
    let on = world
        .database
        .number("SELECT coalesce(sum(enabled), 0) FROM outputs");
    let input_there = world.database.number("SELECT count(*) FROM live_inputs") == 1;
    let enabled = input_there && world.database.number("SELECT enabled FROM live_inputs") == 1;
    let object = world.object();
    let told: Vec<Snapshot> = nodes
        .iter()
        .filter_map(|node| {
            let nodes = world.nodes.borrow();
            nodes.get(&node.node).map(|held| held.snapshot.clone())
        })
        .collect();
    let newest = told.iter().max_by_key(|snapshot| snapshot.rev).unwrap();
    for snapshot in &told {
        assert_eq!(snapshot, newest, "all nodes concerned know the same");
    }
    assert!(newest.rev >= before.rev);
    match (&newest.wish, input_there, enabled) {
        (Wish::Deleted, false, _) => assert_eq!(*world.stored.borrow(), None),
        (Wish::Disabled, true, false) => {}
        (Wish::Relay { .. }, true, true) => {
            assert_eq!(newest.owner.as_ref(), object.state.owner());
            let key = world.database.number("SELECT key_number FROM live_inputs");
            assert_eq!(newest.oldest_key, key as u64);
            let outputs = outputs(newest);
            assert_eq!(outputs.len() as i64, outputs_there);
            assert_eq!(outputs.iter().filter(|(_, on)| *on).count() as i64, on);
        }
        other => panic!("{other:?}"),
    }
    // And the next change works.
    if input_there {
        let answer = world.change(&create_output(1, 7)).unwrap();
        assert!(matches!(answer, ChangeAnswer::Output { .. }));
    }
}

#[test]
fn the_stored_state_holds_no_secret() {
    let world = World::with_output();
    world.accepted(&at("a", 1));
    world.database_fails.set(Fails::Always);
    world.change(&create_output(1, 2)).unwrap();
    let stored = world.stored.borrow().clone().unwrap();
    for secret in ["secret 1", "secret 2", stream_key(1).expose().expose()] {
        assert!(!stored.contains(secret));
    }
}
