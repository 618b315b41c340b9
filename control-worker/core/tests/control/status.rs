//! What the object of a live input knows of what goes on, and whom it tells.

use std::time::Duration;

use control_core::node_link::Sight;
use control_core::status::{MAX_EVENTS, News, View, unavailable};
use shared::api::{ApiEvent, Configuration, EventKind, InputState};
use shared::limits::MAX_STATUS_HISTORY;
use shared::link::{
    Departure, Event, Fault, OutputChange, OutputState, Owner, Protocol, Publisher, Warning, What,
};
use shared::time::Timestamp;

use crate::database::{create_output, delete_input, delete_output, input, output};
use crate::live_input::{Fails, World, at, now};

/// The change that makes the output of a world: its input's second.
const MADE: u64 = 2;

/// News of an owner, as its node's object numbers them.
struct Teller<'a> {
    world: &'a World,
    owner: Owner,
    epoch: u64,
    number: u64,
}

impl<'a> Teller<'a> {
    /// The owner has begun to publish.
    fn on_air(world: &'a World, owner: Owner) -> Self {
        let epoch = world.accepted(&owner).epoch;
        Self {
            world,
            owner,
            epoch,
            number: 0,
        }
    }

    fn news(&mut self, news: News) {
        self.number += 1;
        self.world
            .told(&self.owner, &[(self.number, news)])
            .unwrap();
    }

    fn happens(&mut self, what: What) {
        let event = self.event(self.number + 1, what);
        self.news(News::Event(event));
    }

    fn event(&self, sequence: u64, what: What) -> Event {
        Event {
            sequence,
            input: input(1),
            epoch: self.epoch,
            at: self.world.now.get(),
            what,
        }
    }

    fn silent(&mut self) {
        let since = self.world.now.get();
        self.news(News::Silent { since });
    }
}

fn connected(returned: bool) -> What {
    What::Connected(Publisher {
        protocol: Protocol::Rtmps,
        encoder: "obs 31".into(),
        returned,
    })
}

fn change(n: u8, state: OutputState) -> OutputChange {
    OutputChange {
        output: output(n),
        state,
        reason: None,
        message: None,
        attempts: 0,
        connects: 0,
        next_retry: None,
        warnings: Vec::new(),
    }
}

fn is(n: u8, state: OutputState) -> What {
    What::Output(change(n, state))
}

fn fault() -> Fault {
    Fault {
        code: "keyframes_rare".into(),
        message: "One keyframe in 20 s.".into(),
        video_codec: "h264".into(),
        audio_codec: String::new(),
    }
}

fn ended(reason: Departure) -> What {
    What::Ended { reason }
}

fn view(world: &World) -> View {
    world.object().view()
}

fn stands(world: &World) -> (InputState, String) {
    let current = view(world).input.unwrap().current;
    (current.base.state, current.base.reason)
}

fn output_is(world: &World, n: u8) -> OutputState {
    view(world).output(output(n), true, MADE).state
}

fn later(world: &World, seconds: u64) {
    let later = world.now.get().after(Duration::from_secs(seconds));
    world.now.set(later);
}

/// The kinds of the events that the account's object was handed, each once; their numbers follow
/// each other without a gap.
fn kinds(world: &World) -> Vec<EventKind> {
    let mut events: Vec<ApiEvent> = world.events.borrow().clone();
    events.sort_by_key(|event| event.id.number);
    events.dedup_by_key(|event| event.id.number);
    for (index, event) in events.iter().enumerate() {
        assert_eq!(event.id.number, 1 + index as u64);
        assert_eq!((event.input, event.id.input), (input(1), input(1)));
    }
    events.iter().map(|event| event.kind).collect()
}

#[test]
fn a_broadcast_is_told_from_its_beginning_to_its_end() {
    use EventKind::*;
    let world = World::with_output();
    assert_eq!(view(&world), View::empty());
    let mut teller = Teller::on_air(&world, at("a", 1));
    assert_eq!(view(&world).input, None, "no encoder yet");
    let began = world.now.get();
    teller.happens(connected(false));
    teller.happens(is(1, OutputState::Connecting));
    later(&world, 1);
    teller.happens(is(1, OutputState::Live));
    assert_eq!(stands(&world), (InputState::Connected, "connected".into()));
    let current = view(&world).input.unwrap().current;
    assert_eq!(current.base.ingest_protocol, Some(Protocol::Rtmps));
    assert_eq!(current.encoder.as_deref(), Some("obs 31"));
    assert_eq!(current.connected_since, Some(began));
    let live = view(&world).output(output(1), true, MADE);
    assert_eq!(
        (live.state, live.since),
        (OutputState::Live, Some(world.now.get()))
    );

    later(&world, 60);
    teller.happens(What::Away {
        reason: Departure::Lost,
    });
    assert_eq!(
        stands(&world),
        (InputState::Reconnecting, "reconnecting".into())
    );
    later(&world, 5);
    teller.happens(connected(true));
    assert_eq!(
        stands(&world),
        (InputState::Connected, "reconnected".into())
    );
    assert_eq!(output_is(&world, 1), OutputState::Live, "it never noticed");
    later(&world, 5);
    teller.happens(ended(Departure::Goodbye));
    let over = (InputState::Disconnected, "client_disconnect".to_owned());
    assert_eq!(stands(&world), over);
    assert_eq!(output_is(&world, 1), OutputState::Idle);
    let status = view(&world).input.unwrap();
    assert_eq!(status.current.connected_since, None);
    let history: Vec<_> = status.history.iter().map(|past| past.state).collect();
    assert_eq!(
        history,
        [
            InputState::Connected,
            InputState::Reconnecting,
            InputState::Connected
        ]
    );
    let first = status.history.last().unwrap();
    assert_eq!(first.status_entered_at, began);
    assert_eq!(first.status_last_seen, began.after(Duration::from_secs(61)));

    world.rest();
    assert_eq!(
        kinds(&world),
        [
            Connected,
            OutputConnecting,
            OutputLive,
            Reconnecting,
            Connected,
            Disconnected,
            OutputIdle
        ]
    );
    let events = world.events.borrow();
    let told = events[0].status.as_ref().unwrap();
    assert_eq!(told.base.state, InputState::Connected);
    let told = events[2].output.as_ref().unwrap();
    assert_eq!(
        (told.uid, told.status.state),
        (output(1), OutputState::Live)
    );
}

#[test]
fn an_output_says_why_and_what_comes_next() {
    let world = World::with_output();
    let mut teller = Teller::on_air(&world, at("a", 1));
    teller.happens(connected(false));
    let next = world.now.get().after(Duration::from_secs(4));
    let backoff = OutputChange {
        reason: Some("connect_refused".into()),
        message: Some("NetStream.Publish.BadName".into()),
        attempts: 2,
        connects: 3,
        next_retry: Some(next),
        ..change(1, OutputState::Backoff)
    };
    teller.happens(What::Output(backoff.clone()));
    let since = world.now.get();
    later(&world, 4);
    // The same state, with more to say.
    teller.happens(What::Output(OutputChange {
        attempts: 3,
        ..backoff
    }));
    let status = view(&world).output(output(1), true, MADE);
    assert_eq!(status.state, OutputState::Backoff);
    assert_eq!(status.reason.as_deref(), Some("connect_refused"));
    assert_eq!(status.message.as_deref(), Some("NetStream.Publish.BadName"));
    assert_eq!((status.attempts, status.reconnects), (3, 2));
    assert_eq!(status.since, Some(since));
    assert_eq!(status.next_retry_at, Some(next));
}

#[test]
fn an_output_says_what_may_be_wrong_while_it_is_live() {
    let world = World::with_output();
    let mut teller = Teller::on_air(&world, at("a", 1));
    teller.happens(connected(false));
    let warnings = vec![Warning {
        code: "codec_not_announced".into(),
        message: "The destination has not said that it takes HEVC.".into(),
    }];
    teller.happens(What::Output(OutputChange {
        warnings: warnings.clone(),
        ..change(1, OutputState::Live)
    }));
    assert_eq!(
        view(&world).output(output(1), true, MADE).warnings,
        warnings
    );
    teller.happens(is(1, OutputState::Backoff));
    assert_eq!(view(&world).output(output(1), true, MADE).warnings, []);
}

#[test]
fn a_fault_is_remembered() {
    let world = World::with_output();
    let mut teller = Teller::on_air(&world, at("a", 1));
    teller.happens(connected(false));
    teller.happens(What::Faulted(fault()));
    let error = view(&world).input.unwrap().current.last_error.unwrap();
    assert_eq!(error.code, "keyframes_rare");
    world.rest();
    let events = world.events.borrow();
    assert_eq!(events[1].kind, EventKind::Errored);
    assert_eq!(events[1].error, Some(error));
    let status = events[1].status.as_ref().unwrap();
    let codec = status.video.as_ref().map(|video| video.codec.as_str());
    assert_eq!(codec, Some("h264"), "as the node knew it");
    assert_eq!(status.audio, None, "no codec, no audio");
}

#[test]
fn what_comes_again_counts_once() {
    let world = World::with_output();
    let teller = Teller::on_air(&world, at("a", 1));
    let news = [
        (1, News::Event(teller.event(1, connected(false)))),
        (2, News::Event(teller.event(2, is(1, OutputState::Live)))),
        (
            3,
            News::Silent {
                since: world.now.get(),
            },
        ),
        (4, News::Heard),
    ];
    for end in 1..=news.len() {
        for start in 0..end {
            world.told(&teller.owner, &news[start..end]).unwrap();
        }
    }
    // Told a second time under new numbers, as by an object that lost its memory.
    world
        .told(&teller.owner, &[(5, news[0].1.clone())])
        .unwrap();
    world.rest();
    assert_eq!(kinds(&world).len(), 2 + 2 + 2);
    assert_eq!(stands(&world), (InputState::Connected, "connected".into()));
}

/// Whatever is delivered twice, late or in pieces: what comes out is what happened.
#[test]
fn messages_may_overtake_each_other_and_come_again() {
    let mut random = 7_u32;
    let mut draw = |below: usize| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 16) as usize % below
    };
    let script = |teller: &Teller<'_>| -> Vec<(u64, News)> {
        let mut news = Vec::new();
        for round in 0..4_u64 {
            let sequence = round * 5;
            let event = |more, what| News::Event(teller.event(sequence + more, what));
            news.push(event(1, connected(round > 0)));
            news.push(event(2, is(1, OutputState::Live)));
            news.push(News::Silent {
                since: teller.world.now.get(),
            });
            news.push(event(3, is(1, OutputState::Backoff)));
            news.push(News::Heard);
            let reason = Departure::Lost;
            news.push(event(4, What::Away { reason }));
            news.push(event(5, is(2, OutputState::Connecting)));
        }
        (1..).zip(news).collect()
    };
    let straight = World::with_output();
    let teller = Teller::on_air(&straight, at("a", 1));
    let news = script(&teller);
    straight.told(&teller.owner, &news).unwrap();
    straight.rest();
    for _ in 0..50 {
        let world = World::with_output();
        let teller = Teller::on_air(&world, at("a", 1));
        let mut through = 0;
        while through < news.len() {
            // Always from what was not answered; then, perhaps, an earlier message once more.
            let end = through + 1 + draw(news.len() - through);
            world.told(&teller.owner, &news[through..end]).unwrap();
            through = end;
            let end = 1 + draw(through);
            let start = draw(end);
            world.told(&teller.owner, &news[start..end]).unwrap();
        }
        world.rest();
        assert_eq!(*world.events.borrow(), *straight.events.borrow());
        assert_eq!(view(&world), view(&straight));
    }
}

#[test]
fn nobody_speaks_for_an_input_that_another_holds() {
    let world = World::with_output();
    let mut first = Teller::on_air(&world, at("a", 1));
    first.happens(connected(false));
    first.happens(is(1, OutputState::Live));
    let mut second = Teller::on_air(&world, at("b", 2));
    // It has not spoken yet: what is known is what the first one said. What that says now is late.
    first.happens(ended(Departure::Replaced));
    first.silent();
    assert_eq!(stands(&world), (InputState::Connected, "connected".into()));
    assert_eq!(output_is(&world, 1), OutputState::Live);
    second.happens(connected(false));
    assert_eq!(
        output_is(&world, 1),
        OutputState::Idle,
        "nobody serves it yet"
    );
    second.happens(is(1, OutputState::Connecting));
    first.happens(is(1, OutputState::Failed));
    first.news(News::Over { epoch: 1 });
    assert_eq!(output_is(&world, 1), OutputState::Connecting);
    assert_eq!(world.object().state.owner(), Some(&second.owner));
}

#[test]
fn one_process_under_a_new_epoch_goes_on() {
    let world = World::with_output();
    let mut teller = Teller::on_air(&world, at("a", 1));
    teller.happens(connected(false));
    teller.happens(is(1, OutputState::Live));
    let old = teller.epoch;
    teller.epoch = world.accepted(&teller.owner).epoch;
    assert!(teller.epoch > old);
    assert_eq!(output_is(&world, 1), OutputState::Live);
    teller.happens(connected(true));
    // The end of the broadcast before, said late.
    let mut event = teller.event(teller.number + 1, ended(Departure::Replaced));
    event.epoch = old;
    teller.news(News::Event(event));
    assert_eq!(
        stands(&world),
        (InputState::Connected, "reconnected".into())
    );
    assert_eq!(output_is(&world, 1), OutputState::Live);
    assert!(world.object().state.owner().is_some());
}

#[test]
fn silence_is_never_a_stale_live() {
    use EventKind::*;
    let world = World::with_output();
    world.change(&create_output(1, 2)).unwrap();
    let mut teller = Teller::on_air(&world, at("a", 1));
    teller.silent();
    assert_eq!(view(&world).input, None, "there was nothing to be known");
    teller.happens(connected(false));
    teller.happens(is(1, OutputState::Live));
    let heard = world.now.get();
    later(&world, 8);
    teller.news(News::Silent { since: heard });
    assert_eq!(stands(&world), (InputState::Unknown, "node_silent".into()));
    let status = view(&world).output(output(1), true, MADE);
    assert_eq!(status.state, OutputState::Unknown);
    assert_eq!(status.since, Some(world.now.get()));
    assert_eq!(output_is(&world, 2), OutputState::Unknown);
    assert_eq!(
        view(&world).output(output(2), false, MADE).state,
        OutputState::Disabled
    );
    let before = &view(&world).input.unwrap().history[0];
    assert_eq!(
        (before.state, before.status_last_seen),
        (InputState::Connected, heard)
    );

    // It is heard, and tells first what happened meanwhile.
    later(&world, 10);
    teller.happens(is(1, OutputState::Backoff));
    assert_eq!(output_is(&world, 1), OutputState::Unknown);
    teller.news(News::Heard);
    teller.news(News::Heard);
    assert_eq!(stands(&world), (InputState::Connected, "connected".into()));
    assert_eq!(output_is(&world, 1), OutputState::Backoff);
    let current = view(&world).input.unwrap().current;
    assert_eq!(current.base.status_entered_at, world.now.get());
    assert_eq!(current.connected_since, Some(heard));
    world.rest();
    assert_eq!(
        kinds(&world),
        [
            Connected,
            OutputLive,
            Unknown,
            OutputUnknown,
            Connected,
            OutputBackoff
        ]
    );
}

#[test]
fn a_broadcast_may_end_in_a_silence() {
    use EventKind::*;
    for news in [
        News::Over { epoch: 1 },
        News::Event(Event {
            sequence: 100,
            input: input(1),
            epoch: 1,
            at: Timestamp::default(),
            what: ended(Departure::Lost),
        }),
    ] {
        let world = World::with_output();
        let mut teller = Teller::on_air(&world, at("a", 1));
        teller.happens(connected(false));
        teller.happens(is(1, OutputState::Live));
        teller.silent();
        teller.news(news.clone());
        teller.news(News::Heard);
        let reason = match news {
            News::Over { .. } => "node_lost",
            _ => "connection_lost",
        };
        assert_eq!(stands(&world), (InputState::Disconnected, reason.into()));
        assert_eq!(output_is(&world, 1), OutputState::Idle);
        assert_eq!(world.object().state.owner(), None);
        world.rest();
        let told = kinds(&world);
        assert_eq!(
            told[2..],
            [Unknown, OutputUnknown, Disconnected, OutputIdle]
        );
    }
}

#[test]
fn why_an_encoder_is_gone_has_a_word() {
    for (departure, word) in [
        (Departure::Goodbye, "client_disconnect"),
        (Departure::Lost, "connection_lost"),
        (Departure::Misbehaved, "protocol_error"),
        (Departure::Deleted, "deleted"),
        (Departure::Disabled, "disabled"),
        (Departure::KeyRotated, "key_rotated"),
        (Departure::Replaced, "replaced"),
        (Departure::ShuttingDown, "node_shutdown"),
        (Departure::Unknown, "unknown"),
    ] {
        let world = World::with_output();
        let mut teller = Teller::on_air(&world, at("a", 1));
        teller.happens(ended(departure));
        assert_eq!(view(&world).input, None, "no encoder ever fed it");
        let mut teller = Teller::on_air(&world, at("b", 2));
        teller.happens(connected(false));
        teller.happens(ended(departure));
        assert_eq!(stands(&world).1, word);
    }
    let world = World::with_output();
    let mut teller = Teller::on_air(&world, at("a", 1));
    teller.happens(connected(false));
    let reason = Departure::Lost;
    teller.happens(What::Away { reason });
    teller.happens(ended(reason));
    assert_eq!(stands(&world).1, "failed_to_reconnect");
}

#[test]
fn a_clock_that_is_wrong_tells_nothing_of_the_future() {
    let world = World::with_output();
    let mut teller = Teller::on_air(&world, at("a", 1));
    let mut event = teller.event(1, connected(false));
    event.at = world.now.get().after(Duration::from_secs(3600));
    teller.news(News::Event(event));
    let current = view(&world).input.unwrap().current;
    assert_eq!(current.base.status_entered_at, world.now.get());
}

#[test]
fn what_is_configured_is_pending_until_it_is_acknowledged() {
    let world = World::with_output();
    assert_eq!(view(&world).configuration, Configuration::Applied);
    let mut teller = Teller::on_air(&world, at("a", 1));
    let is = |world: &World| view(world).configuration;
    let of = |world: &World, rev| view(world).output_configuration(rev);
    assert_eq!(is(&world), Configuration::Pending);
    assert_eq!(of(&world, MADE), Configuration::Pending);
    let applied = |rev, unknown_wish| News::Applied {
        rev,
        unsupported: Some(Vec::new()),
        unknown_wish,
    };
    let first = world.held_by(&teller.owner).rev;
    teller.news(applied(first, false));
    assert_eq!(is(&world), Configuration::Applied);
    assert_eq!(of(&world, MADE), Configuration::Applied);
    teller.happens(connected(false));
    teller.happens(self::is(1, OutputState::Live));
    world.change(&create_output(1, 2)).unwrap();
    teller.news(applied(first, false));
    assert_eq!(is(&world), Configuration::Pending);
    let newest = world.held_by(&teller.owner).rev;
    assert_eq!(of(&world, newest), Configuration::Pending, "the new output");
    assert_eq!(of(&world, first), Configuration::Applied, "up to the edge");
    assert_eq!(of(&world, first + 1), Configuration::Pending);
    assert_eq!(of(&world, MADE), Configuration::Applied, "untouched");
    // Until it is switched off, it sends.
    let switched_off = |world: &World, rev| view(world).output(output(1), false, rev).state;
    assert_eq!(switched_off(&world, newest), OutputState::Live);
    assert_eq!(switched_off(&world, MADE), OutputState::Disabled);
    // A node that does not know what it is asked goes on as before, whatever it says first.
    let report = News::Applied {
        rev: newest,
        unsupported: None,
        unknown_wish: false,
    };
    teller.news(report.clone());
    teller.news(applied(newest, true));
    teller.news(report);
    assert_eq!(is(&world), Configuration::Pending);
    assert_eq!(of(&world, newest), Configuration::Pending);
    assert_eq!(of(&world, first), Configuration::Applied);
    let error = view(&world).input.unwrap().current.last_error.unwrap();
    assert_eq!(error.code, "node_outdated");
    world.change(&create_output(1, 3)).unwrap();
    teller.news(applied(world.held_by(&teller.owner).rev, false));
    assert_eq!(is(&world), Configuration::Applied);
    assert_eq!(switched_off(&world, newest), OutputState::Disabled);
    teller.happens(ended(Departure::Goodbye));
    world.change(&create_output(1, 4)).unwrap();
    assert_eq!(is(&world), Configuration::Applied, "off air nothing waits");
    assert_eq!(of(&world, u64::MAX), Configuration::Applied);
    let nobody_knows = unavailable(world.now.get());
    assert_eq!(
        nobody_knows.output_configuration(MADE),
        Configuration::Pending
    );
}

#[test]
fn an_output_that_the_node_cannot_serve_has_failed() {
    let world = World::with_output();
    let mut teller = Teller::on_air(&world, at("a", 1));
    teller.happens(connected(false));
    let applied = |rev, unsupported: &[u8]| News::Applied {
        rev,
        unsupported: Some(unsupported.iter().map(|n| output(*n)).collect()),
        unknown_wish: false,
    };
    teller.news(applied(9, &[1]));
    teller.news(applied(9, &[1]));
    let status = view(&world).output(output(1), true, MADE);
    assert_eq!(status.state, OutputState::Failed);
    assert_eq!(status.reason.as_deref(), Some("unsupported"));
    teller.news(applied(8, &[]));
    assert_eq!(output_is(&world, 1), OutputState::Failed, "an older one");
    teller.news(applied(10, &[]));
    assert_eq!(output_is(&world, 1), OutputState::Idle);
    world.rest();
    let failures = kinds(&world);
    let failures = failures
        .iter()
        .filter(|kind| **kind == EventKind::OutputFailed);
    assert_eq!(failures.count(), 1);
}

#[test]
fn history_and_events_are_bounded() {
    let world = World::with_output();
    let mut teller = Teller::on_air(&world, at("a", 1));
    for _ in 0..=MAX_STATUS_HISTORY / 2 {
        teller.happens(connected(true));
        teller.happens(ended(Departure::Goodbye));
    }
    let history = view(&world).input.unwrap().history;
    assert_eq!(history.len(), MAX_STATUS_HISTORY);
    assert_eq!(history[0].state, InputState::Connected, "the newest first");
    let rows = world.kept();
    let before = 2 * (MAX_STATUS_HISTORY as u64 / 2 + 1);
    let states = [OutputState::Live, OutputState::Stalled];
    for state in states
        .into_iter()
        .cycle()
        .take((MAX_EVENTS - before) as usize)
    {
        teller.happens(is(1, state));
    }
    let full = rows + 1 + (MAX_EVENTS - before) as u32;
    assert_eq!(world.kept(), full);
    teller.happens(is(2, OutputState::Live));
    assert_eq!(
        world.kept(),
        full + 1,
        "a row of the output, and no event more"
    );
}

#[test]
fn an_output_that_is_deleted_is_forgotten() {
    let world = World::with_output();
    let mut teller = Teller::on_air(&world, at("a", 1));
    teller.happens(connected(false));
    teller.happens(is(1, OutputState::Live));
    world.change(&delete_output(1, 1)).unwrap();
    assert!(view(&world).outputs.is_empty());
}

#[test]
fn events_are_handed_over_until_they_are_kept() {
    let world = World::with_output();
    let mut teller = Teller::on_air(&world, at("a", 1));
    world.account_fails.set(true);
    teller.happens(connected(false));
    let mut waits = Vec::new();
    for _ in 0..9 {
        waits.push(world.alarm.get().unwrap().as_secs());
        world.ring().unwrap();
        // What happens meanwhile hastens nothing.
        teller.happens(What::Faulted(fault()));
    }
    assert_eq!(waits, [0, 1, 2, 4, 8, 16, 32, 64, 64]);
    assert!(world.events.borrow().is_empty());
    world.account_fails.set(false);
    world.rest();
    assert_eq!(kinds(&world).len(), 10);
    assert_eq!(world.events.borrow().len(), 10, "each once");
    assert_eq!(world.alarm.get(), None);
}

#[test]
fn the_inputs_row_follows_at_most_every_ten_seconds() {
    let world = World::with_output();
    let row = || {
        let list = "SELECT state || ' ' || outputs_up FROM live_inputs";
        world.database.text(list)
    };
    assert_eq!(row(), None, "no encoder yet");
    let mut teller = Teller::on_air(&world, at("a", 1));
    teller.happens(connected(false));
    world.ring().unwrap();
    assert_eq!(row().as_deref(), Some("connected 0"));
    for state in [
        OutputState::Live,
        OutputState::Backoff,
        OutputState::Stalled,
    ] {
        later(&world, 2);
        teller.happens(is(1, state));
        world.ring().unwrap();
        assert_eq!(row().as_deref(), Some("connected 0"), "events, and no more");
    }
    assert_eq!(world.alarm.get(), Some(Duration::from_secs(4)));
    // The database does not answer: again ten seconds later.
    world.database_fails.set(Fails::BeforeIt);
    assert!(world.ring().is_err());
    world.rest();
    assert_eq!(row().as_deref(), Some("connected 1"));
    assert_eq!(world.alarm.get(), None);
    later(&world, 20);
    teller.silent();
    world.ring().unwrap();
    assert_eq!(row().as_deref(), Some("unknown 0"));
}

#[test]
fn an_input_that_is_deleted_says_so_and_leaves_nothing() {
    let world = World::with_output();
    let mut teller = Teller::on_air(&world, at("a", 1));
    teller.happens(connected(false));
    teller.happens(is(1, OutputState::Live));
    world.rest();
    world.account_fails.set(true);
    world.change(&delete_input(1)).unwrap();
    assert!(world.stored.borrow().is_some(), "until it is told");
    teller.happens(ended(Departure::Deleted));
    world.account_fails.set(false);
    world.rest();
    let told = kinds(&world);
    assert_eq!(told[2..], [EventKind::Disconnected]);
    let events = world.events.borrow().clone();
    let status = events[2].status.as_ref().unwrap();
    assert_eq!(status.base.reason, "deleted");
    assert_eq!((world.stored.borrow().as_ref(), world.kept()), (None, 0));
    // Late news make nothing of it again.
    teller.happens(connected(false));
    assert_eq!((world.stored.borrow().as_ref(), world.kept()), (None, 0));
    assert_eq!(world.alarm.get(), None);
}

/// Each step is cut off, taking place or not; the object comes back, is told again, its alarm
/// rings: all that happened is known and was told, once under each number.
#[test]
fn a_crash_between_any_two_steps_loses_nothing() {
    let script = |teller: &Teller<'_>| {
        [
            (1, News::Event(teller.event(1, connected(false)))),
            (2, News::Event(teller.event(2, is(1, OutputState::Live)))),
            (3, News::Event(teller.event(3, ended(Departure::Goodbye)))),
        ]
    };
    let mut cuts = 0;
    for taking_place in [false, true] {
        for effects in 0.. {
            let world = World::with_output();
            let teller = Teller::on_air(&world, at("a", 1));
            let news = script(&teller);
            world.life.set(Some((effects, taking_place)));
            let mut finished = world.told(&teller.owner, &news[..2]).is_ok();
            finished = finished && world.ring().is_ok();
            finished = finished && world.told(&teller.owner, &news[2..]).is_ok();
            finished = finished && world.ring().is_ok();
            let cut = world.life.get() == Some((0, false));
            world.life.set(None);
            world.told(&teller.owner, &news).unwrap();
            world.rest();
            use EventKind::*;
            assert_eq!(
                kinds(&world),
                [Connected, OutputLive, Disconnected, OutputIdle]
            );
            assert_eq!(world.object().state.owner(), None);
            if finished && !cut {
                break;
            }
            cuts += 1;
        }
    }
    assert!(cuts > 2 * 9, "only {cuts} cuts: the test does not cut");
}

#[test]
fn figures_are_added_to_what_is_known() {
    let world = World::with_output();
    let mut teller = Teller::on_air(&world, at("a", 1));
    assert!(world.object().look().is_some());
    teller.happens(connected(false));
    teller.happens(is(1, OutputState::Live));
    let (node, look) = world.object().look().unwrap();
    assert_eq!(
        (&node, look.instance),
        (&teller.owner.node, teller.owner.instance)
    );
    let heard = world.now.get().after(Duration::from_secs(7));
    let figures = serde_json::json!({
        "input": input(1), "epoch": 1,
        "ingest": {
            "bytes": 9, "bitrate": 2500, "idle_ms": 40,
            "video": {"codec": "h264", "width": 1280, "height": 720, "frame_rate": 29.97},
            "audio": {"codec": "aac", "sample_rate": 48000, "channels": 2},
            "warnings": [{"code": "keyframes_rare", "message": "Send more."}],
        },
        "outputs": [
            {"output": output(1), "bytes": 8, "bitrate": 2400, "skipped_ms": 3, "connects": 2},
            {"output": output(2), "bytes": 7, "bitrate": 1},
        ],
    });
    let mut view = view(&world);
    view.see(Sight {
        heard,
        figures: Some(serde_json::from_value(figures).unwrap()),
    });
    let current = &view.input.as_ref().unwrap().current;
    assert_eq!(current.base.status_last_seen, heard);
    assert_eq!((current.bitrate, current.idle_ms), (Some(2500), Some(40)));
    assert_eq!(current.video.as_ref().unwrap().frame_rate, Some(29.97));
    assert_eq!(current.audio.as_ref().unwrap().sample_rate, Some(48000));
    assert_eq!(current.warnings[0].code, "keyframes_rare");
    let status = view.output(output(1), true, MADE);
    assert_eq!((status.bytes, status.bitrate), (Some(8), Some(2400)));
    assert_eq!((status.skipped_ms, status.reconnects), (Some(3), 1));
    assert_eq!(
        view.output(output(2), true, MADE).bytes,
        None,
        "nothing is known of it"
    );
    // Nobody is asked who is silent, or gone.
    teller.silent();
    assert!(world.object().look().is_none());
    teller.news(News::Heard);
    assert!(world.object().look().is_some());
    teller.happens(ended(Departure::Goodbye));
    assert!(world.object().look().is_none());
}

#[test]
fn a_status_that_cannot_be_had_is_unknown() {
    let view = unavailable(Timestamp::from_micros(5));
    let current = view.input.as_ref().unwrap().current.clone();
    assert_eq!(current.base.state, InputState::Unknown);
    assert_eq!(current.base.reason, "status_unavailable");
    assert_eq!(
        view.output(output(1), true, MADE).state,
        OutputState::Unknown
    );
    assert_eq!(
        view.output(output(1), false, MADE).state,
        OutputState::Disabled
    );
}

#[test]
fn an_object_that_knows_nothing_is_told_nothing() {
    let world = World::with_output();
    world.stored.replace(None);
    let owner = at("a", 1);
    world.told(&owner, &[(1, News::Heard)]).unwrap();
    assert_eq!(*world.stored.borrow(), None);
    assert_eq!(now(world.object().events_due()).unwrap(), None);
}
