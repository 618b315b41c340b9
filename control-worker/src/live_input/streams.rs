//! The event streams of a live input.

use std::cell::{Cell, RefCell};
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use control_core::change::{ChangeAnswer, ChangeRequest};
use control_core::event_stream::{self, AccountChange, InputChange, Start, StoredEvent};
use control_core::live_input::LiveInput;
use control_core::sql::{self, OutputRow, Results};
use control_core::status::StatusBook;
use futures_util::future::select;
use shared::api::EventId;
use shared::id::AccountId;
use worker::js_sys::futures::spawn_local;
use worker::{Result, SqlStorage, WebSocket, WebSocketIncomingMessage, web_sys};

use super::{Desk, ObjectHost, unreadable};
use crate::bell::Bell;
use crate::delay::Delay;
use crate::object::Object;
use crate::sockets::{Events, Reader};
use crate::{d1, log, object_sql};

/// What is remembered while the object is awake, to show clients how the input stands.
#[derive(Default)]
pub(super) struct Shown {
    /// The outputs that are configured, once they were read.
    outputs: RefCell<Option<Configured>>,
    /// How often they were changed.
    changes: Cell<u64>,
    /// What was shown last.
    last: RefCell<String>,
    /// Whether somebody is showing; the bell has them look again at once.
    showing: Cell<bool>,
    stirred: Bell,
    is_stirred: Cell<bool>,
}

type Configured = Rc<[OutputRow]>;

impl Shown {
    /// The outputs have to be read again.
    fn changed(&self) {
        self.changes.set(self.changes.get().wrapping_add(1));
        self.outputs.take();
    }
}

impl Desk {
    /// Opens a stream, on behalf of the Worker.
    pub(super) async fn open(
        self: &Rc<Self>,
        request: &web_sys::Request,
    ) -> Result<web_sys::Response> {
        let (response, connected) = self.sockets.open(request).await?;
        if let Some(connected) = connected.filter(|one| one.client.is_admitted()) {
            self.read(Reader::New(connected)).await?;
        }
        Ok(response)
    }

    /// Takes a frame of a client.
    pub(super) async fn hear(
        self: &Rc<Self>,
        socket: WebSocket,
        message: WebSocketIncomingMessage,
    ) -> Result<()> {
        if let Some(reader) = self.sockets.hear(socket, message, &self.env).await? {
            self.read(reader).await?;
        }
        Ok(())
    }

    /// A client may be told more than before.
    async fn read(self: &Rc<Self>, reader: Reader) -> Result<()> {
        let host = self.host();
        if let Reader::New(mut connected) = reader {
            let keyring = self.keyring()?;
            let rules = self.rules(&host, &keyring).await?;
            let book = self.book(&rules.status);
            connected.begin(&book, rules.state.configured(), true)?;
        }
        self.tell(&host).await;
        Ok(())
    }

    /// A change was asked for, and this came of it.
    pub(super) fn changed(
        self: &Rc<Self>,
        asked: &ChangeRequest,
        answer: &ChangeAnswer,
        rules: &LiveInput<'_, ObjectHost<'_>>,
    ) {
        let Some(change) = asked.told_as(answer) else {
            return;
        };
        self.shown.changed();
        if self.sockets.has_readers()
            && let Err(error) = self.tell_by(rules)
        {
            log::failed("telling of a change", &error);
        }
        if change == InputChange::Deleted && *answer == ChangeAnswer::Deleted {
            self.sockets.bury();
        }
        let input = asked.input;
        let told = (asked.account, AccountChange { input, change });
        if *answer == ChangeAnswer::Undecided {
            self.undecided.set(Some(told));
        }
        self.tell_account_of(told);
    }

    /// The account is told once more of a change whose end was not seen, now that it was.
    pub(super) fn tell_of_the_undecided(self: &Rc<Self>) {
        if let Some(told) = self.undecided.take() {
            self.shown.changed();
            self.tell_account_of(told);
        }
    }

    fn tell_account_of(self: &Rc<Self>, (account, change): (AccountId, AccountChange)) {
        let desk = Rc::clone(self);
        self.state.wait_until(async move {
            desk.tell_account(account, change).await;
        });
    }

    /// Tells the account's object of a change. Whoever reads that stream and is not told reads the
    /// list when they come back: so it is tried a few times, and not kept.
    async fn tell_account(&self, account: AccountId, change: AccountChange) {
        for tries in 0..TELL_ATTEMPTS {
            let object = Object::of_account(&self.env, account);
            let told = object.ask::<()>("/changed", &change).await;
            let Err(error) = told else { return };
            log::failed("telling an account's object of a change", &error);
            Delay::from(FIRST_TELL_RETRY * (1 << tries)).await;
        }
    }

    /// Tells all clients what is new to them. Whoever could not be told is when the alarm rings.
    pub(super) async fn tell(self: &Rc<Self>, host: &ObjectHost<'_>) {
        if !self.sockets.has_readers() {
            return;
        }
        let told = async {
            let keyring = self.keyring()?;
            self.tell_by(&self.rules(host, &keyring).await?)
        };
        if let Err(error) = told.await {
            log::failed("telling of events", &error);
        }
    }

    fn tell_by(self: &Rc<Self>, rules: &LiveInput<'_, ObjectHost<'_>>) -> Result<()> {
        let book = self.book(&rules.status);
        self.sockets.tell(&book, rules.state.configured())?;
        self.stir();
        Ok(())
    }

    /// Closes the streams whose time is over; the others are told what was left.
    pub(super) async fn look_after_streams(self: &Rc<Self>, host: &ObjectHost<'_>) -> Result<()> {
        // What was changed without an answer is seen now.
        self.shown.changed();
        if !self.sockets.check(Some(self.input()?), &self.env).await? {
            self.sockets.bury();
        }
        self.sockets.arm().await?;
        self.tell(host).await;
        Ok(())
    }

    fn book<'a>(&self, status: &'a StatusBook) -> Book<'a> {
        let sql = self.state.storage().sql();
        Book { status, sql }
    }

    /// Has how the input stands shown to all clients, now and as long as there is more to see.
    fn stir(self: &Rc<Self>) {
        self.shown.is_stirred.set(true);
        self.shown.stirred.ring();
        if !self.shown.showing.replace(true) {
            let desk = Rc::clone(self);
            spawn_local(async move { desk.show_on().await });
        }
    }

    async fn show_on(self: Rc<Self>) {
        loop {
            self.shown.is_stirred.set(false);
            let stirred = self.shown.stirred.next();
            let goes_on = match self.show().await {
                Ok(goes_on) => goes_on,
                Err(error) => {
                    // The alarm, which rings as long as there are clients, has it tried again.
                    log::failed("showing how a live input stands", &error);
                    false
                }
            };
            if goes_on {
                select(pin!(stirred), Delay::from(SHOW_EVERY)).await;
            } else if !self.shown.is_stirred.get() {
                break;
            }
        }
        self.shown.showing.set(false);
    }

    /// Shows how the input stands. Returns whether there will be more to see without anybody saying
    /// so: figures of the node that has it on air.
    async fn show(self: &Rc<Self>) -> Result<bool> {
        if !self.sockets.has_readers() {
            return Ok(false);
        }
        let (host, keyring) = (self.host(), self.keyring()?);
        let outputs = self.outputs().await?;
        let view = self.view(&host, &keyring).await?;
        let state = event_stream::state(&view, &outputs);
        let is_new = *self.shown.last.borrow() != state;
        self.sockets.show(&state, is_new)?;
        self.shown.last.replace(state);
        // Nobody is sent events before they were shown how the input stood.
        let rules = self.rules(&host, &keyring).await?;
        let book = self.book(&rules.status);
        self.sockets.tell(&book, rules.state.configured())?;
        Ok(rules.look().is_some())
    }

    async fn outputs(&self) -> Result<Configured> {
        if let Some(outputs) = &*self.shown.outputs.borrow() {
            return Ok(Rc::clone(outputs));
        }
        let changes = self.shown.changes.get();
        let rows = d1::batch(&self.env, &[sql::outputs(self.input()?)]).await?;
        let outputs: Vec<OutputRow> = rows.rows(0).map_err(unreadable)?;
        let outputs: Configured = outputs.into();
        if changes == self.shown.changes.get() {
            self.shown.outputs.replace(Some(Rc::clone(&outputs)));
        }
        Ok(outputs)
    }
}

/// The events that the object keeps.
struct Book<'a> {
    status: &'a StatusBook,
    sql: SqlStorage,
}

impl Events for Book<'_> {
    fn start(&self, since: Option<EventId>) -> Result<Start> {
        Ok(self.status.start(since))
    }

    fn after(&self, number: u64) -> Result<Vec<StoredEvent>> {
        // Of an input that nothing is stored of, there is no table.
        if self.status.start(None).number <= number {
            return Ok(Vec::new());
        }
        let rows = object_sql::batch(&self.sql, &[self.status.events_after(number)])?;
        rows.rows(0).map_err(unreadable)
    }
}

/// How often clients are shown what a node counts.
const SHOW_EVERY: Duration = Duration::from_secs(1);

/// Attempts to tell an account's object of a change, in a quarter of a minute: one that restarts is
/// back by then.
const TELL_ATTEMPTS: u32 = 5;

/// Before the second of them; the delay doubles.
const FIRST_TELL_RETRY: Duration = Duration::from_millis(500);
