//! The WebSockets of an object that tells events: the core's rules say what each is sent, and when it
//! is closed.

use std::rc::Rc;
use std::time::Duration;

use control_core::auth::{TokenHash, TokenId, authorize};
use control_core::event_stream::{
    self as rules, Client, Close, Heard, Opening, PING, PONG, Start, StoredEvent,
};
use control_core::failure::Failure;
use control_core::permission::Permission;
use control_core::route::Access;
use control_core::sql::StreamCheck;
use shared::api::EventId;
use shared::id::InputUid;
use shared::secret::Secret;
use worker::wasm_bindgen::{JsCast, JsValue};
use worker::worker_sys::DurableObjectState;
use worker::{
    Env, Error, Response, Result, State, WebSocket, WebSocketIncomingMessage, WebSocketPair,
    WebSocketRequestResponsePair, web_sys,
};

use crate::{auth, clock, d1, log, random};

/// The header in which the Worker tells an object of an [`Opening`], as JSON.
pub(crate) const OPENING: &str = "opening";

/// Where an object's events are read.
pub(crate) trait Events {
    /// Where the stream of a client begins that has seen this event.
    fn start(&self, since: Option<EventId>) -> Result<Start>;

    /// The events after that number.
    fn after(&self, number: u64) -> Result<Vec<StoredEvent>>;
}

/// The sockets of an object.
pub(crate) struct Sockets(State);

/// One of them.
pub(crate) struct Connected {
    socket: WebSocket,
    pub(crate) client: Client,
}

impl Sockets {
    /// Takes them out of the object's state.
    pub(crate) fn of(state: State) -> (State, Rc<Self>) {
        let inner = state._inner();
        let same = JsValue::from(inner.clone());
        let sockets = Self(State::from(same.unchecked_into::<DurableObjectState>()));
        (State::from(inner), Rc::new(sockets))
    }

    /// Opens one, of which the Worker says who it is, if it knows. One too many is closed at once.
    pub(crate) async fn open(
        &self,
        request: &web_sys::Request,
    ) -> Result<(web_sys::Response, Option<Connected>)> {
        let opening = request.headers().get(OPENING)?.unwrap_or_default();
        let opening: Opening = serde_json::from_str(&opening)
            .map_err(|_| Error::RustError("an opening cannot be read".to_owned()))?;
        // Answered by the platform, so that a living socket wakes no object.
        let pong = WebSocketRequestResponsePair::new(PING, PONG)?;
        self.0.set_websocket_auto_response(&pong);
        let before = self.all();
        let WebSocketPair { client, server } = WebSocketPair::new()?;
        let response = Response::from_websocket(client)?.into();
        let mut connected = Connected {
            socket: server,
            client: Client::new(&opening, clock::now()),
        };
        self.0.accept_web_socket(&connected.socket);
        connected.save()?;
        let is_known = opening.token.is_some();
        let clients: Vec<_> = before.iter().map(|one| one.client.clone()).collect();
        if is_known && rules::is_full(&clients) {
            connected.close(Close::TooMany);
            return Ok((response, None));
        }
        if !is_known && let Some(oldest) = rules::displaced(&clients).and_then(|at| before.get(at))
        {
            oldest.close(Close::TooMany);
        }
        if let Some(token) = opening.token {
            connected.client.admit(token, clock::now());
            connected.save()?;
        }
        self.arm().await?;
        Ok((response, Some(connected)))
    }

    /// Those that are open.
    pub(crate) fn all(&self) -> Vec<Connected> {
        let sockets = self.0.get_websockets().into_iter();
        sockets.filter_map(Connected::of).collect()
    }

    /// Whether any client is told anything.
    pub(crate) fn has_readers(&self) -> bool {
        self.all().iter().any(|one| one.client.is_admitted())
    }

    /// In how long the alarm must ring for them.
    pub(crate) fn due(&self) -> Option<Duration> {
        let clients: Vec<_> = self.all().into_iter().map(|one| one.client).collect();
        let now = clock::now();
        rules::alarm(&clients, now).map(|at| at.since(now))
    }

    /// Has the alarm ring for them, if it would ring later.
    pub(crate) async fn arm(&self) -> Result<()> {
        let Some(due) = self.due() else {
            return Ok(());
        };
        let storage = self.0.storage();
        let at = clock::now().after(due).as_micros() / 1000;
        match storage.get_alarm().await? {
            Some(set) if set <= at => Ok(()),
            _ => storage.set_alarm(due).await,
        }
    }

    /// Takes a frame of a client. Returns the client if it is to be told more than before.
    pub(crate) async fn hear(
        &self,
        socket: WebSocket,
        message: WebSocketIncomingMessage,
        env: &Env,
    ) -> Result<Option<Reader>> {
        let Some(mut connected) = Connected::of(socket.clone()) else {
            return Ok(None);
        };
        let WebSocketIncomingMessage::String(text) = message else {
            connected.close(Close::NotUnderstood);
            return Ok(None);
        };
        let heard = connected.client.hear(&text);
        connected.save()?;
        match heard {
            Heard::Token(token) => {
                let found = find(&connected.client, &token, env).await;
                self.admit(socket, found)
            }
            Heard::Confirmed => Ok(Some(Reader::Known)),
            Heard::Ping => {
                connected.client.count(PONG);
                connected.save()?;
                connected.send(PONG);
                Ok(None)
            }
            Heard::Nothing => Ok(None),
            Heard::Close(close) => {
                connected.close(close);
                Ok(None)
            }
        }
    }

    /// What was found of the token of a client that waits.
    fn admit(
        &self,
        socket: WebSocket,
        found: std::result::Result<TokenId, Failure>,
    ) -> Result<Option<Reader>> {
        let clients: Vec<_> = self.all().into_iter().map(|one| one.client).collect();
        let Some(mut connected) = Connected::of(socket) else {
            return Ok(None);
        };
        match found {
            Ok(_) if rules::is_full(&clients) => connected.close(Close::TooMany),
            Ok(token) => {
                connected.client.admit(token, clock::now());
                connected.save()?;
                return Ok(Some(Reader::New(connected)));
            }
            Err(failure) if failure.status() == 403 => connected.close(Close::Unauthorised),
            Err(_) => connected.close(Close::Failed),
        }
        Ok(None)
    }

    /// Closes those whose time is over, and has the database say which tokens are still good, where
    /// that is due. Returns false where the live input is gone.
    pub(crate) async fn check(&self, input: Option<InputUid>, env: &Env) -> Result<bool> {
        let now = clock::now();
        let mut all = self.all();
        all.retain(|one| match one.client.overdue(now) {
            Some(close) => {
                one.close(close);
                false
            }
            None => true,
        });
        let mut due = all.iter().filter(|one| one.client.must_be_checked(now));
        let Some(account) = due.next().map(|one| one.client.account()) else {
            return Ok(true);
        };
        let tokens = all.iter().filter_map(|one| one.client.token().cloned());
        let check = StreamCheck {
            tokens: tokens.collect(),
            account,
            input,
            now,
        };
        let answered = d1::batch(env, &check.batch()).await;
        if let Err(error) = &answered {
            log::failed("checking the tokens of event streams", error);
        }
        let good = answered.ok().and_then(|rows| check.outcome(&rows).ok());
        for mut one in self.all() {
            let Some(token) = one.client.token() else {
                continue;
            };
            let asked = check.tokens.contains(token).then(|| token.clone());
            let Some(token) = asked else { continue };
            match &good {
                None => one.client.unchecked(now),
                Some(good) if good.tokens.contains(&token) => one.client.admit(token, now),
                Some(_) => {
                    one.close(Close::Unauthorised);
                    continue;
                }
            }
            one.save()?;
        }
        Ok(good.is_none_or(|good| good.exists))
    }

    /// Sends everybody the events that are new to them, and says that the configuration is at `rev`.
    pub(crate) fn tell(&self, events: &dyn Events, rev: u64) -> Result<()> {
        for mut one in self.all() {
            one.tell(events, rev)?;
        }
        Ok(())
    }

    /// Sends everybody a frame that cannot be sent later: who has no room for it has to come back.
    pub(crate) fn tell_now(&self, frame: &str) -> Result<()> {
        for mut one in self.all() {
            if !one.client.is_admitted() {
                continue;
            }
            if !one.client.has_room() {
                one.close(Close::TooSlow);
                continue;
            }
            one.client.count(frame);
            one.save()?;
            one.send(frame);
        }
        Ok(())
    }

    /// Tells everybody that the live input is gone.
    pub(crate) fn bury(&self) {
        for one in self.all() {
            if one.client.is_admitted() {
                one.send(rules::deleted());
            }
            one.close(Close::Deleted);
        }
    }

    /// Shows everybody how the input stands, if it is new to them.
    pub(crate) fn show(&self, state: &str, is_new: bool) -> Result<()> {
        for mut one in self.all() {
            if is_new {
                one.client.outdate();
            }
            let wants = one.client.wants_state();
            if wants {
                one.client.show(state);
            }
            one.save()?;
            if wants {
                one.send(state);
            }
        }
        Ok(())
    }
}

/// A client that may be told more than before.
pub(crate) enum Reader {
    /// It was just admitted.
    New(Connected),
    /// It has read what it was sent.
    Known,
}

impl Connected {
    fn of(socket: WebSocket) -> Option<Self> {
        if socket.as_ref().ready_state() != OPEN {
            return None;
        }
        let attached: Option<String> = socket.deserialize_attachment().ok().flatten();
        let client = serde_json::from_str(&attached?).ok()?;
        Some(Self { socket, client })
    }

    fn save(&self) -> Result<()> {
        let client = serde_json::to_string(&self.client)?;
        self.socket.serialize_attachment(client)
    }

    /// Sends what begins the stream; of an input's (`shows`) its state comes next.
    pub(crate) fn begin(&mut self, events: &dyn Events, rev: u64, shows: bool) -> Result<()> {
        let start = events.start(self.client.since())?;
        let ready = self.client.ready(start, rev, shows);
        self.save()?;
        self.send(&ready);
        Ok(())
    }

    fn tell(&mut self, events: &dyn Events, rev: u64) -> Result<()> {
        let mut frames: Vec<String> = self.client.changed(rev).into_iter().collect();
        loop {
            for frame in frames.drain(..) {
                self.send(&frame);
            }
            let chance = u64::from_ne_bytes(random::bytes()?);
            if let Some(ask) = self.client.ask(chance, clock::now()) {
                self.send(&ask);
            }
            let Some(after) = self.client.reads_after() else {
                break;
            };
            match self.client.events(&events.after(after)?) {
                Ok(next) if next.is_empty() => break,
                Ok(next) => frames = next,
                Err(close) => {
                    self.close(close);
                    return Ok(());
                }
            }
        }
        self.save()
    }

    /// One that cannot be sent to is about to be closed.
    fn send(&self, frame: &str) {
        if let Err(error) = self.socket.send_with_str(frame) {
            log::failed("sending to an event stream", &error);
        }
    }

    /// One that cannot be closed is closed already.
    fn close(&self, close: Close) {
        let _ = self.socket.close(Some(close.code()), Some(close.reason()));
    }
}

/// A client has closed its stream: it waits for an answer. One that closes ours in answer has none.
pub(crate) fn answer_close(socket: &WebSocket) {
    let _ = socket.close(Some(NORMAL), Some(""));
}

/// The id of a token that a client sent, if it may read the stream.
async fn find(client: &Client, token: &Secret, env: &Env) -> std::result::Result<TokenId, Failure> {
    let record = auth::stored(env, &TokenHash::of(token)).await?;
    let access = Access::Account(client.account(), Permission::StreamRead);
    Ok(authorize(record, access, clock::now())?.id)
}

/// The purpose is fulfilled.
const NORMAL: u16 = 1000;

/// A WebSocket's state while frames go both ways.
const OPEN: u16 = 1;
