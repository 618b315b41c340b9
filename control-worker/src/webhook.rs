//! The Durable Object of an account: keeps its events, and delivers them.

use std::rc::Rc;
use std::time::Duration;

use control_core::event_stream::{AccountChange, Start, StoredEvent, account_change};
use control_core::keys::Keyring;
use control_core::sql::Statement;
use control_core::webhook::{
    self as rules, ATTEMPT_TIMEOUT, AccountEvents, Host, Outgoing, SCHEMA, Sent, Target,
    TestMessage,
};
use futures_util::future::{Either, join_all, select};
use shared::api::EventId;
use shared::id::AccountId;
use shared::time::Timestamp;
use worker::wasm_bindgen::JsValue;
use worker::wasm_bindgen::prelude::wasm_bindgen;
use worker::{
    AbortController, Env, Error, Fetch, Method, Request, RequestInit, RequestRedirect, Result,
    SqlStorage, State, Storage, WebSocket, WebSocketIncomingMessage, web_sys,
};

use crate::d1::{self, Rows};
use crate::delay::Delay;
use crate::object::{Asked, trouble};
use crate::object_sql;
use crate::object_sql::Tables;
use crate::sockets::{Events, Reader, Sockets};
use crate::{clock, log, object, random, settings, sockets};

/// The object of one account, which is its name.
#[wasm_bindgen]
pub struct Webhook {
    state: State,
    env: Env,
    sockets: Rc<Sockets>,
    tables: Tables,
}

object::called_by_the_runtime!(Webhook);

impl Webhook {
    fn new(state: State, env: Env) -> Self {
        let (state, sockets) = Sockets::of(state);
        Self {
            state,
            env,
            sockets,
            tables: Tables::new(SCHEMA),
        }
    }

    async fn fetch(&self, request: web_sys::Request) -> Result<web_sys::Response> {
        let asked = Asked::of(&request).await?;
        object::serve("an account's object", &asked, self.answer(&asked, &request)).await
    }

    async fn alarm(&self) -> Result<()> {
        // Side by side with other events, and with the next alarm: a receiver may be slow.
        match self.office() {
            Ok(office) => {
                self.sockets.arm().await?;
                self.state.wait_until(Rc::clone(&office).work());
                self.state.wait_until(office.look_after_streams());
            }
            Err(error) => {
                log::failed("an account's alarm", &error);
                // The platform gives up after six failures: to it, this was none.
                self.state.storage().set_alarm(RETRY).await?;
            }
        }
        Ok(())
    }

    async fn websocket_message(
        &self,
        socket: WebSocket,
        message: WebSocketIncomingMessage,
    ) -> Result<()> {
        let heard = async {
            match self.sockets.hear(socket, message, &self.env).await? {
                Some(reader) => self.office()?.read(reader),
                None => Ok(()),
            }
        };
        if let Err(error) = heard.await {
            log::failed("taking a frame of an event stream", &error);
        }
        Ok(())
    }

    /// Nothing is kept of a client but with its socket.
    async fn websocket_close(&self, socket: WebSocket) -> Result<()> {
        sockets::answer_close(&socket);
        Ok(())
    }

    async fn websocket_error(&self, _: WebSocket) -> Result<()> {
        Ok(())
    }
}

impl Webhook {
    async fn answer(&self, asked: &Asked, request: &web_sys::Request) -> Result<web_sys::Response> {
        let office = self.office()?;
        match asked.path() {
            "/attempts" => object::answer(&office.rules().last_attempts().map_err(trouble)?),
            "/changed" => {
                let change: AccountChange = asked.question()?;
                self.sockets.tell_now(&account_change(&change))?;
                object::answer(&())
            }
            "/deliveries" => {
                let target: Target = asked.question()?;
                object::answer(&office.rules().deliveries(target).map_err(trouble)?)
            }
            "/events" => {
                let taken: AccountEvents = asked.question()?;
                let new = office.rules().take(taken.events).await.map_err(trouble)?;
                if !new.is_empty() {
                    if let Err(error) = office.tell() {
                        log::failed("telling of events", &error);
                    }
                    self.state.wait_until(office.work());
                }
                object::answer(&())
            }
            "/stream" => {
                let (response, connected) = self.sockets.open(request).await?;
                if let Some(connected) = connected.filter(|one| one.client.is_admitted()) {
                    office.read(Reader::New(connected))?;
                }
                Ok(response)
            }
            "/test" => {
                let test: TestMessage = asked.question()?;
                object::answer(&office.rules().test(test).await.map_err(trouble)?)
            }
            "/test-later" => {
                let test: TestMessage = asked.question()?;
                self.state.wait_until(async move {
                    if let Err(error) = office.rules().test(test).await {
                        log::failed("a test message", &trouble(error));
                    }
                });
                object::answer(&())
            }
            _ => object::not_found(),
        }
    }

    fn office(&self) -> Result<Rc<Office>> {
        let name = self.state.id().name();
        let account = name.and_then(|name| name.parse().ok());
        let account = account
            .ok_or_else(|| Error::RustError("the object is not named after an account".into()))?;
        let keyring = settings::keyring(&self.env)
            .map_err(|failure| Error::RustError(failure.to_string()))?;
        let storage = self.state.storage();
        let sql = storage.sql();
        self.tables.make(&sql)?;
        Ok(Rc::new(Office {
            account,
            keyring,
            host: ObjectHost {
                storage,
                sql,
                env: self.env.clone(),
                sockets: Rc::clone(&self.sockets),
            },
        }))
    }
}

/// What work needs that goes on when the event that began it is over.
struct Office {
    account: AccountId,
    keyring: Rc<Keyring>,
    host: ObjectHost,
}

impl Office {
    fn rules(&self) -> rules::Webhook<'_, ObjectHost> {
        rules::Webhook {
            account: self.account,
            host: &self.host,
            keyring: &self.keyring,
        }
    }

    /// Sends all that is due, to every receiver side by side. What fails is tried again when the
    /// alarm rings, which the rules have set before they began.
    async fn work(self: Rc<Self>) {
        match self.rules().ring().await {
            Ok(targets) => {
                join_all(targets.into_iter().map(|target| self.deliver(target))).await;
            }
            Err(error) => log::failed("queueing an account's events", &trouble(error)),
        }
        if let Err(error) = self.rules().rest().await {
            log::failed("setting an account's alarm", &trouble(error));
        }
    }

    /// A client may be told more than before.
    fn read(&self, reader: Reader) -> Result<()> {
        if let Reader::New(mut connected) = reader {
            connected.begin(self, 0, false)?;
        }
        self.tell()
    }

    /// Tells all clients what is new to them.
    fn tell(&self) -> Result<()> {
        self.host.sockets.tell(self, 0)
    }

    /// Closes the streams whose time is over; the others are told what was left.
    async fn look_after_streams(self: Rc<Self>) {
        let looked = async {
            self.host.sockets.check(None, &self.host.env).await?;
            self.host.sockets.arm().await?;
            self.tell()
        };
        if let Err(error) = looked.await {
            log::failed("looking after an account's event streams", &error);
        }
    }

    async fn deliver(&self, target: Target) {
        if let Err(error) = self.rules().deliver(target).await {
            log::failed("sending an account's events", &trouble(error));
        }
    }
}

impl Events for Office {
    fn start(&self, since: Option<EventId>) -> Result<Start> {
        self.rules().start(since).map_err(trouble)
    }

    fn after(&self, number: u64) -> Result<Vec<StoredEvent>> {
        self.rules().events_after(number).map_err(trouble)
    }
}

/// What the rules ask of the outside.
struct ObjectHost {
    storage: Storage,
    sql: SqlStorage,
    env: Env,
    sockets: Rc<Sockets>,
}

impl Host for ObjectHost {
    type Error = Error;
    type Stored = Rows;
    type Read = Rows;

    fn store(&self, batch: &[Statement]) -> Result<Rows> {
        object_sql::batch(&self.sql, batch)
    }

    async fn read(&self, batch: &[Statement]) -> Result<Rows> {
        d1::batch(&self.env, batch).await
    }

    async fn arm(&self, at: Option<Timestamp>) -> Result<()> {
        // Rounded up: an alarm that rings too early finds nothing to do.
        let delay = at.map(|at| at.since(clock::now()) + Duration::from_micros(999));
        match delay.into_iter().chain(self.sockets.due()).min() {
            Some(delay) => self.storage.set_alarm(delay).await,
            None => self.storage.delete_alarm().await,
        }
    }

    async fn send(&self, outgoing: &Outgoing) -> Sent {
        let Ok(request) = to_request(outgoing) else {
            return Sent::Unreachable;
        };
        let controller = AbortController::default();
        let signal = controller.signal();
        let fetch = Fetch::Request(request);
        let answer = std::pin::pin!(fetch.send_with_signal(&signal));
        match select(answer, Delay::from(ATTEMPT_TIMEOUT)).await {
            Either::Left((Ok(response), _)) => Sent::Answered(response.status_code()),
            // The error may hold the URL, which may hold a secret: it is not looked at.
            Either::Left((Err(_), _)) => Sent::Unreachable,
            Either::Right(((), answer)) => {
                controller.abort();
                // Over at once, and the connection with it.
                drop(answer.await);
                Sent::TimedOut
            }
        }
    }

    fn now(&self) -> Timestamp {
        clock::now()
    }

    fn chance(&self) -> u32 {
        random::bytes().map_or(u32::MAX, u32::from_ne_bytes)
    }
}

fn to_request(outgoing: &Outgoing) -> Result<Request> {
    let mut init = RequestInit::new();
    init.with_method(Method::Post)
        .with_body(Some(JsValue::from_str(&outgoing.body)))
        .with_redirect(RequestRedirect::Manual);
    for (name, value) in &outgoing.headers {
        init.headers.set(name, value.expose())?;
    }
    Request::new_with_init(&outgoing.url, &init)
}

/// After an alarm that failed before the rules could set the next one.
const RETRY: Duration = Duration::from_secs(30);
