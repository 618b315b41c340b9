//! The account's object: what it keeps, what it sends, and that nothing is lost when it dies
//! between any two of its effects.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use control_core::auth::TokenId;
use control_core::keys::{Keyring, Place};
use control_core::permission::Permission;
use control_core::sql::{
    DestinationRow, DestinationValues, NewPolicyValues, NotificationAsk, PolicyChange, Statement,
    notification_rows,
};
use control_core::trouble::Trouble;
use control_core::webhook::{
    FIRST_RETRY, Host, LEASE, MAX_ACCOUNT_EVENTS, MAX_SHOWN_DELIVERIES, Outgoing, RETRY_FOR,
    SCHEMA, Sent, Target, TestMessage, UNATTENDED, Webhook,
};
use rusqlite::Connection;
use serde_json::{Value, json};
use shared::api::{ApiEvent, Delivery, DeliveryState};
use shared::id::{DestinationId, PolicyId};
use shared::secret::Secret;
use shared::time::Timestamp;

use crate::database::*;

/// The object's surroundings: its storage, the account's database, the receivers.
struct World {
    storage: Connection,
    database: Database,
    keyring: Keyring,
    now: Cell<i64>,
    alarm: Cell<Option<Timestamp>>,
    /// How each receiver answers; 200 where nothing is said.
    answers: RefCell<BTreeMap<String, Sent>>,
    /// What arrived: the receiver, the headers, the body.
    arrived: RefCell<Vec<Arrived>>,
    database_fails: Cell<bool>,
    /// Effects until the object dies.
    life: Cell<Option<u32>>,
}

#[derive(Clone, Debug)]
struct Arrived {
    url: String,
    headers: BTreeMap<&'static str, String>,
    body: Value,
    taken: bool,
}

#[derive(Debug)]
struct Cut;

impl World {
    fn new() -> Self {
        let storage = Connection::open_in_memory().unwrap();
        for statement in SCHEMA {
            storage.execute_batch(statement).unwrap();
        }
        Self {
            storage,
            database: Database::new(),
            keyring: keyring(),
            now: Cell::new(1_764_551_330_722_170),
            alarm: Cell::new(None),
            answers: RefCell::default(),
            arrived: RefCell::default(),
            database_fails: Cell::new(false),
            life: Cell::new(None),
        }
    }

    /// With destinations `1`, `2`, … that a policy each names, all events wanted.
    fn with_destinations(count: u8) -> Self {
        let world = Self::new();
        for n in 1..=count {
            world.add_destination(n);
            world.add_policy(n, &[n], r#"{"event_type":["live_input.reconnecting"]}"#);
        }
        world
    }

    fn add_destination(&self, n: u8) {
        let id = destination(n);
        let signing = self.keyring.seal(
            &Place::destination_signing(account(), id),
            [n; 12],
            &Secret::new(SIGNING),
        );
        let auth = self.keyring.seal(
            &Place::destination_secret(account(), id),
            [n; 12],
            &Secret::new("open sesame"),
        );
        let values = DestinationValues {
            name: format!("destination {n}"),
            url: url(n),
            secret_sealed: Some(Some(auth.unwrap())),
        };
        let batch = ask().create_destination(id, values, signing.unwrap());
        self.database.run(&batch).unwrap();
    }

    fn add_policy(&self, n: u8, destinations: &[u8], filters: &str) {
        let ids: Vec<_> = destinations.iter().map(|n| destination(*n)).collect();
        let values = NewPolicyValues {
            name: format!("policy {n}"),
            description: String::new(),
            enabled: true,
            filters: filters.to_owned(),
            destinations: json!(ids).to_string(),
        };
        let batch = ask().create_policy(PolicyId::from_random([n; 16]), values);
        let made = self.database.run(&batch).unwrap();
        assert_eq!(made.0[0].len(), 1, "{made:?}");
    }

    fn object(&self) -> Webhook<'_, Self> {
        Webhook {
            account: account(),
            host: self,
            keyring: &self.keyring,
        }
    }

    /// As the Worker asks for it, which has the row of the destination.
    fn test_message(&self, n: u8) -> TestMessage {
        let results = self.database.run(&ask().destinations()).unwrap();
        let rows: Vec<DestinationRow> = notification_rows(&results).unwrap().unwrap();
        let row = rows.into_iter().find(|row| row.id == destination(n));
        TestMessage {
            target: target(n),
            receiver: row.unwrap().into(),
        }
    }

    /// Hands events over; the numbers of those that were new.
    fn take(&self, events: &[ApiEvent]) -> Result<Vec<u64>, Trouble<Cut>> {
        let new = now(self.object().take(events.to_vec()))?;
        Ok(new.iter().map(|event| event.id.number).collect())
    }

    /// Sends all that is due, as the shell does.
    fn work(&self) -> Result<(), Trouble<Cut>> {
        let rung = now(self.object().ring());
        let delivered = rung.and_then(|targets| {
            let mut targets = targets.into_iter();
            targets.try_for_each(|target| now(self.object().deliver(target)))
        });
        let rested = now(self.object().rest());
        delivered.and(rested)
    }

    fn pass(&self, time: Duration) {
        let micros = i64::try_from(time.as_micros()).unwrap();
        self.now.set(self.now.get() + micros);
    }

    /// Lets the alarm ring, at its time, until none is set or `until` has come.
    fn rest_until(&self, until: Timestamp) {
        while let Some(alarm) = self.alarm.get().filter(|alarm| *alarm <= until) {
            self.now.set(self.now.get().max(alarm.as_micros()));
            self.alarm.set(None);
            let _ = self.work();
        }
    }

    fn rest(&self) {
        let day = i64::try_from(RETRY_FOR.as_micros()).unwrap();
        self.rest_until(Timestamp::from_micros(self.now.get() + 2 * day));
        assert_eq!(self.alarm.get(), None);
    }

    /// The event ids that a receiver has taken, in the order in which it took them.
    fn taken(&self, n: u8) -> Vec<String> {
        let arrived = self.arrived.borrow();
        let mine = arrived.iter().filter(|one| one.taken && one.url == url(n));
        mine.map(|one| one.headers["webhook-event-id"].clone())
            .collect()
    }

    fn attempts(&self, n: u8) -> usize {
        let arrived = self.arrived.borrow();
        arrived.iter().filter(|one| one.url == url(n)).count()
    }

    fn answer(&self, n: u8, sent: Sent) {
        self.answers.borrow_mut().insert(url(n), sent);
    }

    fn deliveries(&self, n: u8) -> Vec<Delivery> {
        self.object().deliveries(target(n)).unwrap()
    }

    fn number(&self, sql: &str) -> u32 {
        self.storage.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    fn effect<T>(&self, effect: impl FnOnce() -> T) -> Result<T, Cut> {
        match self.life.get() {
            Some(0) => Err(Cut),
            Some(left) => {
                self.life.set(Some(left - 1));
                Ok(effect())
            }
            None => Ok(effect()),
        }
    }
}

impl Host for World {
    type Error = Cut;
    type Stored = Rows;
    type Read = Rows;

    fn store(&self, batch: &[Statement]) -> Result<Rows, Cut> {
        self.effect(|| run(&self.storage, batch).unwrap())
    }

    async fn read(&self, batch: &[Statement]) -> Result<Rows, Cut> {
        if self.database_fails.get() {
            return Err(Cut);
        }
        self.effect(|| self.database.run(batch).unwrap())
    }

    async fn arm(&self, at: Option<Timestamp>) -> Result<(), Cut> {
        self.effect(|| self.alarm.set(at))
    }

    async fn send(&self, outgoing: &Outgoing) -> Sent {
        let answers = self.answers.borrow();
        let sent = answers.get(&outgoing.url).copied();
        let sent = sent.unwrap_or(Sent::Answered(200));
        let headers = outgoing.headers.iter();
        let arrived = Arrived {
            url: outgoing.url.clone(),
            headers: headers
                .map(|(name, value)| (*name, value.expose().to_owned()))
                .collect(),
            body: serde_json::from_str(&outgoing.body).unwrap(),
            taken: sent == Sent::Answered(200),
        };
        let happens = self.effect(|| self.arrived.borrow_mut().push(arrived));
        // One whose sender has died is answered to nobody.
        happens.map_or(Sent::Unreachable, |()| sent)
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.now.get())
    }

    fn chance(&self) -> u32 {
        u32::MAX
    }
}

/// Nothing here waits for anything.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("an effect waits"),
    }
}

const SIGNING: &str = "0123456789abcdef0123456789abcdef";

fn ask() -> NotificationAsk {
    NotificationAsk {
        token: TokenId(API_TOKEN.into()),
        permission: Permission::NotificationsWrite,
        account: account(),
        now: crate::database::now(),
    }
}

fn destination(n: u8) -> DestinationId {
    DestinationId::from_random([n; 16])
}

fn target(n: u8) -> Target {
    Target::Destination(destination(n))
}

fn url(n: u8) -> String {
    format!("https://{n}.example.com/hook")
}

fn id(n: u8, number: u64) -> String {
    format!("{}-{number}", input(n))
}

fn event(n: u8, number: u64) -> ApiEvent {
    serde_json::from_value(json!({
        "id": id(n, number),
        "type": "live_input.reconnecting",
        "at": "2025-12-01T01:08:50.72217Z",
        "input": input(n),
    }))
    .unwrap()
}

#[test]
fn what_comes_again_is_left_out() {
    let world = World::new();
    assert_eq!(world.take(&[event(1, 1), event(1, 2)]).unwrap(), [1, 2]);
    let again = [event(1, 1), event(1, 2), event(1, 3)];
    assert_eq!(world.take(&again).unwrap(), [3]);
    assert_eq!(world.take(&[event(2, 1)]).unwrap(), [1], "of another input");
    assert!(world.take(&[]).unwrap().is_empty());
    assert_eq!(world.number("SELECT count(*) FROM events"), 4);
}

#[test]
fn so_many_events_are_kept_and_the_newest() {
    let world = World::with_destinations(1);
    world.answer(1, Sent::TimedOut);
    let all: Vec<_> = (1..=u64::from(MAX_ACCOUNT_EVENTS) + 1)
        .map(|number| event(1, number))
        .collect();
    let (last, first) = all.split_last().unwrap();
    world.take(&first[..1]).unwrap();
    world.work().unwrap();
    world.take(first).unwrap();
    assert_eq!(
        world.number("SELECT count(*) FROM events"),
        MAX_ACCOUNT_EVENTS
    );
    assert_eq!(world.deliveries(1)[0].state, DeliveryState::Pending);
    world.take(std::slice::from_ref(last)).unwrap();
    assert_eq!(
        world.number("SELECT count(*) FROM events"),
        MAX_ACCOUNT_EVENTS
    );
    let given_up = &world.deliveries(1)[0];
    assert_eq!(given_up.state, DeliveryState::Failed);
    assert!(given_up.error.as_ref().unwrap().contains("newer events"));
    assert!(world.take(&all[1..]).unwrap().is_empty());
    assert_eq!(world.take(&all[..1]).unwrap(), [1], "forgotten, as said");
}

#[test]
fn every_receiver_gets_every_event_once_and_in_order() {
    let world = World::with_destinations(2);
    world
        .take(&[event(1, 1), event(2, 1), event(1, 2)])
        .unwrap();
    world.work().unwrap();
    world.take(&[event(1, 2), event(1, 3)]).unwrap();
    world.work().unwrap();
    assert_eq!(world.alarm.get(), None, "nothing is left to do");
    for n in [1, 2] {
        assert_eq!(world.taken(n), [id(1, 1), id(2, 1), id(1, 2), id(1, 3)]);
    }
    let shown = world.deliveries(1);
    assert_eq!(shown.len(), 4);
    assert_eq!(shown[0].id.unwrap().to_string(), id(1, 3), "newest first");
    for delivery in shown {
        assert_eq!(delivery.state, DeliveryState::Delivered);
        assert_eq!((delivery.attempts, delivery.status), (1, Some(200)));
        assert_eq!((delivery.next, delivery.error), (None, None));
    }
}

#[test]
fn a_notification_is_cloudflares() {
    let world = World::new();
    world.add_destination(1);
    world.add_policy(7, &[1], "{}");
    let event = |value: Value| serde_json::from_value::<ApiEvent>(value).unwrap();
    let of = |number, kind: &str| json!({"id": id(1, number), "type": kind, "at": "2026-01-13T11:43:41.85571Z", "input": input(1)});
    let mut errored = of(2, "live_input.errored");
    errored["error"] =
        json!({"code": "keyframes_too_rare", "message": "Too long.", "at": errored["at"]});
    errored["status"] = json!({
        "state": "connected", "reason": "connected", "ingestProtocol": "rtmps",
        "statusEnteredAt": errored["at"], "statusLastSeen": errored["at"],
        "video": {"codec": "h264"}, "warnings": [],
    });
    let mut output = of(3, "live_input.output.live");
    output["output"] = json!({"uid": output_uid(), "status": status_of_output()});
    let events = [
        event(of(1, "live_input.disconnected")),
        event(errored),
        event(output),
    ];
    world.take(&events).unwrap();
    world.work().unwrap();
    let arrived = world.arrived.borrow();
    let (uid, at) = (input(1), "2026-01-13T11:43:41.855710000Z");
    let bodies: Vec<_> = arrived.iter().map(|one| one.body.clone()).collect();
    assert_eq!(
        bodies,
        [
            json!({
                "name": "policy 7",
                "text": format!("Notification type: Stream Live Input\nInput ID: {uid}\nEvent type: live_input.disconnected\nUpdated at: {at}"),
                "data": {
                    "notification_name": "Stream Live Input", "input_id": uid,
                    "event_type": "live_input.disconnected", "updated_at": at,
                },
                "ts": 1_768_304_621,
            }),
            json!({
                "name": "policy 7",
                "text": format!("Notification type: Stream Live Input\nInput ID: {uid}\nEvent type: live_input.errored\nUpdated at: {at}\nError Code: ERR_GOP_OUT_OF_RANGE\nError Message: Too long.\nVideo Codec: h264\nAudio Codec: "),
                "data": {
                    "notification_name": "Stream Live Input", "input_id": uid,
                    "event_type": "live_input.errored", "updated_at": at,
                    "live_input_errored": {
                        "error": {"code": "ERR_GOP_OUT_OF_RANGE", "message": "Too long."},
                        "video_codec": "h264", "audio_codec": "",
                    },
                },
                "ts": 1_768_304_621,
            }),
        ],
        "and nothing that Cloudflare does not have, unless it is asked for"
    );
    let headers = &arrived[0].headers;
    assert_eq!(headers["cf-webhook-auth"], "open sesame");
    assert_eq!(headers["webhook-event-id"], id(1, 1));
    assert!(headers["webhook-signature"].starts_with("time=1764551330,sig1="));
}

fn output_uid() -> shared::id::OutputUid {
    output(1)
}

fn status_of_output() -> Value {
    json!({
        "state": "live", "reason": null, "message": null, "since": null, "attempts": 0,
        "nextRetryAt": null, "bytes": null, "bitrate": null, "skippedMs": null, "reconnects": 0,
        "warnings": [],
    })
}

#[test]
fn filters_say_what_a_receiver_gets() {
    for (filters, expected) in [
        (
            json!({}),
            vec!["1 live_input.connected", "2 live_input.connected"],
        ),
        (
            json!({"input_id": [input(2)]}),
            vec!["2 live_input.connected"],
        ),
        (
            json!({"event_type": ["live_input.output.*"]}),
            vec!["1 live_input.output.live"],
        ),
        (
            json!({"event_type": ["live_input.output.live", "live_input.reconnecting"]}),
            vec!["1 live_input.output.live", "2 live_input.reconnecting"],
        ),
        (
            json!({"event_type": ["live_input.output.*"], "input_id": [input(2)]}),
            vec![],
        ),
    ] {
        let world = World::new();
        world.add_destination(1);
        world.add_policy(1, &[1], &filters.to_string());
        // A second policy that names the same destination sends nothing twice.
        world.add_policy(2, &[1], &filters.to_string());
        let event = |n, number, kind: &str| {
            let mut event = json!({
                "id": id(n, number), "type": kind,
                "at": "2026-01-13T11:43:41.85571Z", "input": input(n),
            });
            if kind.starts_with("live_input.output.") {
                event["output"] = json!({"uid": output_uid(), "status": status_of_output()});
            }
            serde_json::from_value::<ApiEvent>(event).unwrap()
        };
        let events = [
            event(1, 1, "live_input.connected"),
            event(1, 2, "live_input.output.live"),
            event(2, 1, "live_input.connected"),
            event(2, 2, "live_input.reconnecting"),
        ];
        world.take(&events).unwrap();
        world.work().unwrap();
        let arrived = world.arrived.borrow();
        let got: Vec<String> = arrived
            .iter()
            .map(|one| {
                let data = &one.body["data"];
                let n = if data["input_id"] == json!(input(1)) {
                    1
                } else {
                    2
                };
                assert_eq!(one.body["name"], "policy 1");
                format!("{n} {}", data["event_type"].as_str().unwrap())
            })
            .collect();
        assert_eq!(got, expected, "{filters}");
    }
}

#[test]
fn the_stream_webhook_gets_what_cloudflare_has() {
    let world = World::new();
    let place = Place::webhook_secret(account());
    let sealed = world.keyring.seal(&place, [1; 12], &Secret::new(SIGNING));
    let mut ask = ask();
    ask.permission = Permission::StreamWrite;
    let batch = ask.put_webhook(&url(1), &sealed.unwrap());
    world.database.run(&batch).unwrap();
    let mut connected = event(1, 2);
    connected.kind = shared::api::EventKind::Connected;
    world.take(&[event(1, 1), connected]).unwrap();
    world.work().unwrap();
    assert_eq!(world.taken(1), [id(1, 2)]);
    let deliveries = world.object().deliveries(Target::Stream).unwrap();
    assert_eq!(deliveries.len(), 1);
    assert!(
        !world.arrived.borrow()[0]
            .headers
            .contains_key("cf-webhook-auth")
    );
}

#[test]
fn a_receiver_that_fails_for_a_while_gets_everything_in_order() {
    let world = World::with_destinations(1);
    for sent in [
        Sent::Answered(500),
        Sent::Answered(302),
        Sent::TimedOut,
        Sent::Unreachable,
    ] {
        world.answer(1, sent);
        let number = world.attempts(1) as u64 + 1;
        world
            .take(&[event(1, number), event(1, number + 1)])
            .unwrap();
        world.work().unwrap();
        let shown = world.deliveries(1);
        assert_eq!(shown[1].state, DeliveryState::Pending);
        assert_eq!(shown[1].attempts, 1);
        assert!(shown[1].error.is_some() && shown[1].next.is_some());
        assert_eq!(shown[0].attempts, 0, "waits for the one before it");
        let in_5_s = i64::try_from(FIRST_RETRY.as_micros()).unwrap() + world.now.get();
        assert_eq!(world.alarm.get().unwrap().as_micros(), in_5_s);
        world.rest_until(Timestamp::from_micros(in_5_s));
        assert_eq!(world.deliveries(1)[1].attempts, 2);
        world.answer(1, Sent::Answered(200));
        world.rest();
        let taken = world.taken(1);
        assert_eq!(taken[taken.len() - 2..], [id(1, number), id(1, number + 1)]);
    }
}

#[test]
fn an_input_whose_events_fail_holds_no_other_up() {
    let world = World::with_destinations(2);
    world.answer(1, Sent::Answered(500));
    world.take(&[event(1, 1)]).unwrap();
    world.work().unwrap();
    // The receiver is well again; what failed waits for its time, what is new does not.
    world.answer(1, Sent::Answered(200));
    world.take(&[event(2, 1), event(1, 2)]).unwrap();
    world.work().unwrap();
    assert_eq!(world.taken(1), [id(2, 1)]);
    assert_eq!(world.taken(2), [id(1, 1), id(2, 1), id(1, 2)]);
    world.rest();
    assert_eq!(world.taken(1), [id(2, 1), id(1, 1), id(1, 2)]);
}

#[test]
fn what_a_dead_receiver_misses_is_given_up_after_a_day_and_shown() {
    let world = World::with_destinations(1);
    world.answer(1, Sent::Unreachable);
    let begun = world.now.get();
    world.take(&[event(1, 1)]).unwrap();
    world.work().unwrap();
    world.rest();
    let day = i64::try_from(RETRY_FOR.as_micros()).unwrap();
    assert!(world.now.get() <= begun + day);
    assert!(world.now.get() > begun + day * 9 / 10);
    let shown = &world.deliveries(1)[0];
    assert_eq!(shown.state, DeliveryState::Failed);
    assert_eq!(shown.attempts as usize, world.attempts(1));
    assert!((30..40).contains(&shown.attempts), "{}", shown.attempts);
    let last = world.object().last_attempts().unwrap();
    assert_eq!((last[0].target, last[0].last_success), (target(1), None));
    assert_eq!(last[0].last_failure, shown.attempted);
    // The next event is tried afresh.
    world.answer(1, Sent::Answered(200));
    world.take(&[event(1, 2)]).unwrap();
    world.work().unwrap();
    assert_eq!(world.taken(1), [id(1, 2)]);
}

#[test]
fn one_attempt_is_in_flight_at_a_time() {
    let world = World::with_destinations(1);
    world.take(&[event(1, 1), event(2, 1)]).unwrap();
    // It dies once the attempt is under way: with it what the receiver answered.
    let ring = now(world.object().ring()).unwrap();
    assert_eq!(ring, [target(1)]);
    world.life.set(Some(5));
    assert!(now(world.object().deliver(target(1))).is_err());
    assert_eq!(world.attempts(1), 1);
    world.life.set(None);
    world.work().unwrap();
    assert_eq!(world.attempts(1), 1, "nothing until the lease is over");
    let lease = i64::try_from(LEASE.as_micros()).unwrap();
    assert_eq!(
        world.alarm.get().unwrap().as_micros(),
        world.now.get() + lease
    );
    world.rest();
    assert_eq!(
        world.taken(1),
        [id(1, 1), id(1, 1), id(2, 1)],
        "at least once"
    );
}

#[test]
fn nothing_is_lost_between_any_two_effects() {
    let mut cuts = 0;
    for life in 0.. {
        let world = World::with_destinations(2);
        world.answer(1, Sent::Answered(500));
        world.life.set(Some(life));
        let handed = [event(1, 1), event(2, 1), event(1, 2)];
        let taken = world.take(&handed).is_ok();
        let whole = taken && world.work().is_ok();
        world.life.set(None);
        world.answer(1, Sent::Answered(200));
        if !taken {
            // Who has no answer hands them over again.
            world.take(&handed).unwrap();
        }
        assert!(
            world.alarm.get().is_some(),
            "{life}: nothing would happen any more"
        );
        world.rest();
        for n in [1, 2] {
            let mut got = world.taken(n);
            got.dedup();
            let of_first: Vec<_> = got.iter().filter(|one| **one != id(2, 1)).collect();
            assert!(got.contains(&id(2, 1)), "{life}");
            let mut seen = of_first.clone();
            seen.dedup();
            assert_eq!(seen, [&id(1, 1), &id(1, 2)], "{life}: receiver {n}");
        }
        if whole {
            break;
        }
        cuts += 1;
    }
    assert!(cuts > 20, "{cuts}");
}

#[test]
fn while_the_database_is_away_events_wait_and_the_alarm_rings_now_and_then() {
    let world = World::with_destinations(1);
    world.take(&[event(1, 1)]).unwrap();
    world.database_fails.set(true);
    assert!(world.work().is_err());
    let pause = i64::try_from(UNATTENDED.as_micros()).unwrap();
    assert_eq!(
        world.alarm.get().unwrap().as_micros(),
        world.now.get() + pause
    );
    world.database_fails.set(false);
    world.rest();
    assert_eq!(world.taken(1), [id(1, 1)]);
}

#[test]
fn a_change_of_a_destination_counts_for_the_next_attempt() {
    let world = World::with_destinations(2);
    world.answer(1, Sent::Answered(500));
    world.answer(2, Sent::Answered(500));
    world.take(&[event(1, 1)]).unwrap();
    world.work().unwrap();
    let elsewhere = DestinationValues {
        name: "elsewhere".into(),
        url: url(3),
        secret_sealed: Some(None),
    };
    let update = ask().update_destination(destination(1), elsewhere);
    world.database.run(&update).unwrap();
    let delete = ask().delete_destination(destination(2));
    world.database.run(&delete).unwrap();
    world.rest();
    assert_eq!(world.taken(3), [id(1, 1)]);
    assert_eq!(world.attempts(2), 1);
    assert!(world.deliveries(2).is_empty(), "gone with its destination");
    let arrived = world.arrived.borrow();
    assert!(
        !arrived
            .last()
            .unwrap()
            .headers
            .contains_key("cf-webhook-auth")
    );
}

#[test]
fn a_policy_that_is_off_or_gone_sends_nothing() {
    let world = World::with_destinations(2);
    let off = PolicyChange {
        enabled: Some(false),
        ..PolicyChange::default()
    };
    let policy = |n| PolicyId::from_random([n; 16]);
    world
        .database
        .run(&ask().update_policy(policy(1), off))
        .unwrap();
    world.database.run(&ask().delete_policy(policy(2))).unwrap();
    world.take(&[event(1, 1)]).unwrap();
    world.work().unwrap();
    assert!(world.arrived.borrow().is_empty());
    assert_eq!(world.alarm.get(), None);
}

#[test]
fn a_test_message_is_sent_once_beside_the_queue() {
    let world = World::with_destinations(1);
    world.answer(1, Sent::Answered(404));
    world.take(&[event(1, 1)]).unwrap();
    world.work().unwrap();
    let test = now(world.object().test(world.test_message(1))).unwrap();
    assert_eq!((test.id, test.kind.as_str()), (None, "test"));
    assert_eq!(test.state, DeliveryState::Failed);
    assert_eq!(
        (test.attempts, test.status, test.next),
        (1, Some(404), None)
    );
    world.answer(1, Sent::Answered(204));
    let test = now(world.object().test(world.test_message(1))).unwrap();
    assert_eq!(test.state, DeliveryState::Delivered);
    let text = world.arrived.borrow().last().unwrap().body["text"].clone();
    assert!(text.as_str().unwrap().starts_with("Hello World!"));
    assert!(world.alarm.get().is_some(), "the queue goes on");
}

#[test]
fn the_last_deliveries_are_shown() {
    let world = World::with_destinations(1);
    let count = u64::from(MAX_SHOWN_DELIVERIES) + 1;
    for number in 1..=count {
        world.take(&[event(1, number)]).unwrap();
        world.work().unwrap();
    }
    let shown = world.deliveries(1);
    assert_eq!(shown.len(), MAX_SHOWN_DELIVERIES as usize);
    assert_eq!(shown[0].id.unwrap().number, count);
    assert_eq!(shown.last().unwrap().id.unwrap().number, 2);
    world.pass(LEASE);
}
