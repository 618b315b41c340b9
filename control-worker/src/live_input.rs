//! The Durable Object of a live input: the only writer of its rows.

mod streams;

use std::cell::Cell;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use control_core::change::{ChangeRequest, Changed};
use control_core::event_stream::AccountChange;
use control_core::keys::Keyring;
use control_core::known::Known;
use control_core::live_input::{self as rules, Ask, Host, LiveInputState, Publish};
use control_core::node_link::{Handed, Sight};
use control_core::sql::Statement;
use control_core::status::{Batch, Kept, SCHEMA, StatusBook, Told, View};
use control_core::webhook::AccountEvents;
use futures_util::future::{Either, select};
use futures_util::lock::Mutex;
use shared::api::ApiEvent;
use shared::id::{AccountId, InputUid, NodeName};
use worker::wasm_bindgen::JsValue;
use worker::wasm_bindgen::prelude::wasm_bindgen;
use worker::{Env, Error, Result, State, Storage, WebSocket, WebSocketIncomingMessage, web_sys};

use self::streams::Shown;
use crate::d1::{self, Rows};
use crate::delay::Delay;
use crate::object::{Asked, Object, trouble};
use crate::object_sql::Tables;
use crate::sockets::Sockets;
use crate::{clock, log, object, object_sql, settings, sockets};

/// The object of one live input, which is its name.
#[wasm_bindgen]
pub struct LiveInput {
    desk: Rc<Desk>,
}

object::called_by_the_runtime!(LiveInput);

impl LiveInput {
    fn new(state: State, env: Env) -> Self {
        let (state, sockets) = Sockets::of(state);
        Self {
            desk: Rc::new(Desk {
                state,
                env,
                one_at_a_time: Mutex::new(()),
                sockets,
                tables: Tables::new(SCHEMA),
                known: Known::default(),
                shown: Shown::default(),
                undecided: Cell::new(None),
            }),
        }
    }

    async fn fetch(&self, request: web_sys::Request) -> Result<web_sys::Response> {
        let asked = Asked::of(&request).await?;
        let answer = self.desk.answer(&asked, &request);
        object::serve("a live input's object", &asked, answer).await
    }

    async fn alarm(&self) -> Result<()> {
        self.desk.ring().await
    }

    async fn websocket_message(
        &self,
        socket: WebSocket,
        message: WebSocketIncomingMessage,
    ) -> Result<()> {
        if let Err(error) = self.desk.hear(socket, message).await {
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

/// What work needs that goes on when the event that began it is over.
struct Desk {
    state: State,
    env: Env,
    /// Held by each operation from its first step to its last. The platform lets events in while
    /// an object waits for the database.
    one_at_a_time: Mutex<()>,
    sockets: Rc<Sockets>,
    tables: Tables,
    known: Known<Stored>,
    shown: Shown,
    /// A change that the account's object was told of and whose end was not seen.
    undecided: Cell<Option<(AccountId, AccountChange)>>,
}

/// All that is stored.
type Stored = (LiveInputState, StatusBook);

impl Desk {
    async fn answer(
        self: &Rc<Self>,
        asked: &Asked,
        request: &web_sys::Request,
    ) -> Result<web_sys::Response> {
        let (host, keyring) = (self.host(), self.keyring()?);
        match asked.path() {
            "/change" => {
                let asked: ChangeRequest = asked.question()?;
                let _lock = self.one_at_a_time.lock().await;
                let rules = self.rules(&host, &keyring).await?;
                let answer = rules.change(&asked).await.map_err(trouble)?;
                let rules = self.rules(&host, &keyring).await?;
                let view = rules.view();
                self.changed(&asked, &answer, &rules);
                object::answer(&Changed { answer, view })
            }
            "/publish" => {
                let asked: Publish = asked.question()?;
                let _lock = self.one_at_a_time.lock().await;
                let rules = self.rules(&host, &keyring).await?;
                let answer = rules.publish(&asked).await.map_err(trouble)?;
                self.tell(&host).await;
                object::answer(&answer)
            }
            "/ask" => {
                let asked: Ask = asked.question()?;
                let _lock = self.one_at_a_time.lock().await;
                let rules = self.rules(&host, &keyring).await?;
                let answer = rules.ask(&asked).await.map_err(trouble)?;
                self.tell(&host).await;
                object::answer(&answer)
            }
            // Reads what is stored whole: no need to wait for a change to come to its end.
            "/view" => object::answer(&self.view(&host, &keyring).await?),
            "/told" => {
                let told: Told = asked.question()?;
                let _lock = self.one_at_a_time.lock().await;
                let rules = self.rules(&host, &keyring).await?;
                rules.told(&told).await.map_err(trouble)?;
                self.tell(&host).await;
                object::answer(&())
            }
            "/stream" => self.open(request).await,
            _ => object::not_found(),
        }
    }

    async fn ring(self: &Rc<Self>) -> Result<()> {
        let host = self.host();
        let finished = async {
            self.sockets.arm().await?;
            self.look_after_streams(&host).await?;
            self.finish(&host).await?;
            self.tell_of_the_undecided();
            self.tell(&host).await;
            self.hand_events(&host).await?;
            self.mirror(&host).await
        };
        if let Err(error) = finished.await {
            log::failed("a live input's alarm", &error);
            // The platform gives up after six failures: to it, this was none.
            let again = self.sockets.due().map_or(RETRY, |due| due.min(RETRY));
            host.storage.set_alarm(again).await?;
        }
        Ok(())
    }

    /// What goes on, and, where the node's object answers in time, how it is doing.
    async fn view(&self, host: &ObjectHost<'_>, keyring: &Keyring) -> Result<View> {
        let rules = self.rules(host, keyring).await?;
        let mut view = rules.view();
        if let Some((node, look)) = rules.look() {
            let object = Object::of_node(&self.env, &node);
            let asked = pin!(object.ask::<Sight>("/look", &look));
            match select(asked, Delay::from(LOOK_TIMEOUT)).await {
                Either::Left((Ok(sight), _)) => view.see(sight),
                Either::Left((Err(error), _)) => log::failed("asking a node's object", &error),
                Either::Right(_) => {}
            }
        }
        Ok(view)
    }

    async fn finish(&self, host: &ObjectHost<'_>) -> Result<()> {
        if !self.is_known(host).await? {
            return Ok(());
        }
        let keyring = self.keyring()?;
        let _lock = self.one_at_a_time.lock().await;
        let rules = self.rules(host, &keyring).await?;
        rules.alarm().await.map_err(trouble)
    }

    /// Has the input's row say what goes on, without the lock as well.
    async fn mirror(&self, host: &ObjectHost<'_>) -> Result<()> {
        let keyring = self.keyring()?;
        let due = {
            let _lock = self.one_at_a_time.lock().await;
            let rules = self.rules(host, &keyring).await?;
            rules.mirror_due().await.map_err(trouble)?
        };
        let Some((mirror, statement)) = due else {
            return Ok(());
        };
        if host.run(vec![statement]).await.is_err() {
            // It is logged, and the alarm is set.
            return Ok(());
        }
        let _lock = self.one_at_a_time.lock().await;
        let rules = self.rules(host, &keyring).await?;
        rules.mirrored(mirror).await.map_err(trouble)
    }

    /// Hands events to the account's object, without the lock: what is asked of another object
    /// holds up nothing here.
    async fn hand_events(&self, host: &ObjectHost<'_>) -> Result<()> {
        let keyring = self.keyring()?;
        loop {
            let due = {
                let _lock = self.one_at_a_time.lock().await;
                let rules = self.rules(host, &keyring).await?;
                rules.events_due().await.map_err(trouble)?
            };
            let Some(Batch { account, after }) = due else {
                return Ok(());
            };
            let sql = host.storage.sql();
            let rows = object_sql::batch(&sql, &[StatusBook::waiting(after)])?;
            let events: Vec<ApiEvent> = StatusBook::read_events(&rows).map_err(unreadable)?;
            let events = AccountEvents { account, events };
            let object = Object::of_account(&self.env, account);
            if let Err(error) = object.ask::<()>("/events", &events).await {
                log::failed("handing events to an account's object", &error);
                return Ok(());
            }
            let _lock = self.one_at_a_time.lock().await;
            let rules = self.rules(host, &keyring).await?;
            rules.handed(&events.events).await.map_err(trouble)?;
        }
    }

    /// Whether anything is stored: the alarm may ring for sockets alone, and then makes nothing.
    async fn is_known(&self, host: &ObjectHost<'_>) -> Result<bool> {
        let stored: Option<String> = host.storage.get(STATE_KEY).await?;
        Ok(stored.is_some())
    }

    /// The rules with what is stored; to be called under the lock where something follows.
    async fn rules<'a>(
        &self,
        host: &'a ObjectHost<'a>,
        keyring: &'a Keyring,
    ) -> Result<rules::LiveInput<'a, ObjectHost<'a>>> {
        let (state, status) = match self.known.get() {
            Some(known) => known,
            None => self.read_stored(host).await?,
        };
        Ok(rules::LiveInput {
            state,
            status,
            host,
            keyring,
            now: clock::now(),
        })
    }

    async fn read_stored(&self, host: &ObjectHost<'_>) -> Result<Stored> {
        let since = self.known.since();
        let stored: Option<String> = host.storage.get(STATE_KEY).await?;
        let input = self.input()?;
        let stored = match stored {
            Some(text) => {
                let sql = host.storage.sql();
                self.tables.make(&sql)?;
                let rows = object_sql::batch(&sql, &[StatusBook::stored()])?;
                let status = StatusBook::load(input, &rows).map_err(unreadable)?;
                (serde_json::from_str(&text)?, status)
            }
            // Nothing is written until there is something to write.
            None => (LiveInputState::new(input), StatusBook::new(input)),
        };
        self.known.read(since, &stored);
        Ok(stored)
    }

    fn host(&self) -> ObjectHost<'_> {
        ObjectHost {
            storage: self.state.storage(),
            env: &self.env,
            sockets: &self.sockets,
            tables: &self.tables,
            known: &self.known,
        }
    }

    fn keyring(&self) -> Result<Rc<Keyring>> {
        settings::keyring(&self.env).map_err(|failure| Error::RustError(failure.to_string()))
    }

    fn input(&self) -> Result<InputUid> {
        let name = self.state.id().name();
        let input = name.and_then(|name| name.parse().ok());
        input.ok_or_else(|| Error::RustError("the object is not named after a live input".into()))
    }
}

/// What the rules ask of the outside.
struct ObjectHost<'a> {
    storage: Storage,
    env: &'a Env,
    sockets: &'a Sockets,
    tables: &'a Tables,
    known: &'a Known<Stored>,
}

impl ObjectHost<'_> {
    async fn put(
        &self,
        state: &LiveInputState,
        status: &Kept,
        alarm: Option<Duration>,
    ) -> Result<()> {
        match alarm.into_iter().chain(self.sockets.due()).min() {
            Some(delay) => self.storage.set_alarm(delay).await?,
            None => self.storage.delete_alarm().await?,
        }
        let text = serde_json::to_string(state)?;
        // Nothing is awaited between here and the end: the runtime commits all of it or nothing.
        if !status.is_empty() {
            let sql = self.storage.sql();
            self.tables.make(&sql)?;
            object_sql::batch(&sql, status)?;
        }
        self.storage
            .put_raw(STATE_KEY, JsValue::from_str(&text))
            .await
    }

    async fn delete(&self) -> Result<()> {
        self.storage.delete_alarm().await?;
        self.tables.are_gone();
        self.storage.delete_all().await
    }
}

impl Host for ObjectHost<'_> {
    type Error = Error;
    type Results = Rows;

    async fn store(
        &self,
        state: &LiveInputState,
        status: Kept,
        alarm: Option<Duration>,
    ) -> Result<()> {
        let book_stays = status.is_empty();
        let next = |(_, book)| book_stays.then(|| (state.clone(), book));
        let stored = self.put(state, &status, alarm);
        self.known.change(next, stored).await
    }

    async fn forget(&self) -> Result<()> {
        self.known.change(|_| None, self.delete()).await
    }

    async fn run(&self, batch: Vec<Statement>) -> Result<Rows> {
        let results = d1::batch(self.env, &batch).await;
        if let Err(error) = &results {
            log::failed("a live input's batch", error);
        }
        results
    }

    async fn hand(&self, node: &NodeName, handed: Handed) -> Result<()> {
        let taken = Object::of_node(self.env, node).ask("/hand", &handed).await;
        if let Err(error) = &taken {
            log::failed("handing a snapshot to a node's object", error);
        }
        taken
    }
}

fn unreadable(error: control_core::sql::RowError) -> Error {
    Error::RustError(error.to_string())
}

/// How long a reader waits for the object of a node, which may itself wait half of it for the node.
const LOOK_TIMEOUT: Duration = Duration::from_secs(1);

/// Where the state is stored, as JSON.
const STATE_KEY: &str = "state";

/// After an alarm that failed before the rules could set the next one.
const RETRY: Duration = Duration::from_secs(60);
