//! The Durable Object of a relay node: holds the node's one socket, hibernating between frames.

use std::cell::RefCell;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use control_core::keys::Keyring;
use control_core::live_input::Ask;
use control_core::node_link::{
    Changes, FigureBook, Handed, Look, NodeState, Pulse, Push, Sight, Via,
};
use control_core::status::Told;
use futures_util::future::{join_all, select};
use shared::id::{InputUid, Instance, NodeName};
use shared::limits::MAX_LINK_FRAME_BYTES;
use shared::link::{
    Events, Figures, InputFigures, PING, PONG, Reconciliation, Report, Snapshot, ToControl, ToNode,
};
use worker::wasm_bindgen::JsValue;
use worker::wasm_bindgen::prelude::wasm_bindgen;
use worker::{
    Env, Error, Response, Result, SqlStorageValue, State, WebSocket, WebSocketIncomingMessage,
    WebSocketPair, WebSocketRequestResponsePair, web_sys,
};

use crate::bell::Bell;
use crate::delay::Delay;
use crate::object::{Asked, Object};
use crate::pulse::Pulses;
use crate::{clock, log, object, random, settings};

/// The object of one relay node, which is its name.
#[wasm_bindgen]
pub struct RelayNode {
    state: State,
    env: Env,
    pulses: Pulses,
    /// What is stored, once it was read. Never borrowed across an `await`.
    known: RefCell<Option<NodeState>>,
    /// How its broadcasts are doing; the bell rings for each message that says so.
    figures: RefCell<FigureBook>,
    figured: Bell,
}

object::called_by_the_runtime!(RelayNode);

impl RelayNode {
    fn new(state: State, env: Env) -> Self {
        let (state, pulses) = Pulses::of(state);
        Self {
            state,
            env,
            pulses,
            known: RefCell::new(None),
            figures: RefCell::default(),
            figured: Bell::default(),
        }
    }

    async fn fetch(&self, request: web_sys::Request) -> Result<web_sys::Response> {
        let asked = Asked::of(&request).await?;
        object::serve("a relay node's object", &asked, self.answer(&asked)).await
    }

    async fn alarm(&self) -> Result<()> {
        if let Err(error) = self.ring().await {
            log::failed("a relay node's alarm", &error);
            // The platform gives up after six failures: to it, this was none.
            self.state.storage().set_alarm(RETRY).await?;
        }
        Ok(())
    }

    async fn websocket_message(
        &self,
        socket: WebSocket,
        message: WebSocketIncomingMessage,
    ) -> Result<()> {
        let handled = self.take_frame(&socket, message).await;
        if let Err(error) = &handled {
            log::failed("taking a node's frame", error);
        }
        // The node reports again within a minute: what failed is made good then.
        Ok(())
    }

    async fn websocket_close(&self, socket: WebSocket) -> Result<()> {
        self.closed(&socket).await
    }

    async fn websocket_error(&self, socket: WebSocket) -> Result<()> {
        self.closed(&socket).await
    }
}

impl RelayNode {
    async fn answer(&self, asked: &Asked) -> Result<web_sys::Response> {
        match asked.path() {
            "/hand" => {
                let handed: Handed = asked.question()?;
                self.hand(handed)?;
                self.arm().await?;
                object::answer(&())
            }
            "/look" => {
                let look: Look = asked.question()?;
                object::answer(&self.look(look).await?)
            }
            "/link" => self.open(),
            "/report" => {
                let report: Report = asked.question()?;
                let reconciliation = self.reconcile(&report).await?;
                let answer = object::answer(&reconciliation)?;
                self.tell().await?;
                Ok(answer)
            }
            _ => object::not_found(),
        }
    }

    fn open(&self) -> Result<web_sys::Response> {
        // Answered by the platform, so that a living socket wakes no object.
        let pong = WebSocketRequestResponsePair::new(PING, PONG)?;
        self.state.set_websocket_auto_response(&pong);
        let WebSocketPair { client, server } = WebSocketPair::new()?;
        self.state.accept_web_socket(&server);
        Ok(Response::from_websocket(client)?.into())
    }

    async fn take_frame(
        &self,
        socket: &WebSocket,
        message: WebSocketIncomingMessage,
    ) -> Result<()> {
        let WebSocketIncomingMessage::String(text) = message else {
            return Ok(());
        };
        if text.len() > MAX_LINK_FRAME_BYTES {
            return Ok(());
        }
        match serde_json::from_str(&text) {
            Ok(ToControl::Report(report)) => {
                self.introduce(socket, report.instance)?;
                let reconciliation = self.reconcile(&report).await?;
                send(socket, &ToNode::Reconciliation(reconciliation))?;
            }
            Ok(ToControl::Applied(applied)) => {
                // A node reports before it acknowledges.
                if let Some(instance) = instance_of(socket)
                    && self.with(|node| node.applied(instance, &applied, clock::now()))?
                {
                    log::unknown_wish(&self.name()?, &applied);
                }
                self.arm().await?;
            }
            Ok(ToControl::Events(Events { instance, events })) => {
                let through = self.with(|node| node.events(instance, &events, clock::now()))?;
                self.arm().await?;
                send(socket, &ToNode::EventsTaken { through })?;
            }
            Ok(ToControl::Figures(Figures { instance, inputs })) => {
                self.take_figures(instance, inputs);
                self.with(|node| node.heard(instance, clock::now()))?;
            }
            // Newer nodes may say more than we know. The error of a parser could quote a frame.
            Ok(ToControl::Unknown) | Err(_) => {
                if let Some(instance) = instance_of(socket) {
                    self.with(|node| node.heard(instance, clock::now()))?;
                }
            }
        }
        self.tell().await
    }

    /// A socket is no more.
    async fn closed(&self, socket: &WebSocket) -> Result<()> {
        let closed = Attached::to(socket);
        if let Some(closed) = closed
            && !self
                .open_sockets()
                .iter()
                .filter_map(Attached::to)
                .any(|other| other.instance == closed.instance && other.id != closed.id)
        {
            self.with(|node| node.closed(closed.instance, clock::now()))?;
        }
        self.arm().await
    }

    /// The node's sockets, without those that are being closed.
    fn open_sockets(&self) -> Vec<WebSocket> {
        let mut sockets = self.state.get_websockets();
        sockets.retain(|socket| socket.as_ref().ready_state() == OPEN);
        sockets
    }

    /// From its first report on a socket belongs to an instance, whose older ones are dead.
    fn introduce(&self, socket: &WebSocket, instance: Instance) -> Result<()> {
        if instance_of(socket) == Some(instance) {
            return Ok(());
        }
        for other in self.state.get_websockets() {
            if other != *socket && instance_of(&other) == Some(instance) {
                // One that cannot be closed is closed already.
                let _ = other.close(Some(CLOSE_REPLACED), Some("a newer connection took over"));
            }
        }
        let id = format!("{:016x}", u64::from_be_bytes(random::bytes()?));
        Attached { instance, id }.attach(socket)
    }

    fn take_figures(&self, instance: Instance, figures: Vec<InputFigures>) {
        let now = clock::now();
        self.figures.borrow_mut().take(instance, figures, now);
        self.figured.ring();
    }

    /// How an input is doing: as its node said lately, or says now if it is asked.
    async fn look(&self, look: Look) -> Result<Sight> {
        let is_asked = self.ask_for_figures(look.instance);
        if is_asked && !self.figures.borrow().is_fresh(look.instance, clock::now()) {
            let _ = select(pin!(self.figured.next()), Delay::from(FIGURES_TIMEOUT)).await;
        }
        let pulses = self.pulses().into_iter();
        let pinged = pulses
            .filter(|pulse| pulse.instance == look.instance)
            .filter_map(|pulse| pulse.at)
            .max();
        let heard = self.with(|node| node.last_heard(look.instance))?;
        Ok(Sight {
            heard: pinged.map_or(heard, |pinged| pinged.max(heard)),
            figures: self.figures.borrow().of(look, clock::now()),
        })
    }

    /// Asks a node for figures, unless it was asked lately. Returns whether it has a socket.
    fn ask_for_figures(&self, instance: Instance) -> bool {
        let sockets = self.state.get_websockets();
        let socket = sockets
            .iter()
            .find(|socket| instance_of(socket) == Some(instance));
        let Some(socket) = socket else {
            return false;
        };
        let watch = self.figures.borrow_mut().watch(instance, clock::now());
        if let Some(watch) = watch
            && let Err(error) = send(socket, &ToNode::Watch(watch))
        {
            log::failed("asking a node for figures", &error);
        }
        true
    }

    async fn reconcile(&self, report: &Report) -> Result<Reconciliation> {
        if !report.figures.is_empty() {
            self.take_figures(report.instance, report.figures.clone());
        }
        let asks = self.with(|node| node.report(report, clock::now()))?;
        for ask in asks {
            // What cannot be asked now is asked with the next report.
            match self.ask(&ask).await {
                Ok(snapshot) => self.hand(Handed {
                    snapshot,
                    via: Via::Report(report.instance),
                })?,
                Err(error) => log::failed("asking a live input's object", &error),
            }
        }
        let keyring = self.keyring()?;
        let reconciliation =
            self.with(|node| node.reconciliation(report, &keyring, clock::now()))?;
        self.arm().await?;
        Ok(reconciliation)
    }

    async fn ask(&self, ask: &Ask) -> Result<Snapshot> {
        let object = Object::of_input(&self.env, ask.input);
        object.ask("/ask", ask).await
    }

    /// Tells the objects of inputs what is new. Those that could not be told are told again when
    /// the alarm rings.
    async fn tell(&self) -> Result<()> {
        let mut after = None;
        let mut told_any = false;
        loop {
            let news = self.with(|node| node.news(after))?;
            let Some((last, _)) = news.last() else { break };
            after = Some(*last);
            told_any = true;
            let telling = news.iter().map(|(input, told)| self.tell_one(*input, told));
            for ((input, told), kept) in news.iter().zip(join_all(telling).await) {
                match kept {
                    Ok(()) => self.with(|node| node.kept(*input, told))?,
                    Err(error) => log::failed("telling a live input's object", &error),
                }
            }
        }
        match told_any {
            true => self.arm().await,
            false => Ok(()),
        }
    }

    async fn tell_one(&self, input: InputUid, told: &Told) -> Result<()> {
        let object = Object::of_input(&self.env, input);
        object.ask("/told", told).await
    }

    fn hand(&self, handed: Handed) -> Result<()> {
        let (keyring, nonce) = (self.keyring()?, random::bytes()?);
        let push = self.with(|node| node.hand(handed, &keyring, nonce, clock::now()))?;
        match push.map_err(|error| Error::RustError(error.to_string()))? {
            Some(Push { snapshot, except }) => self.push(snapshot, except),
            None => Ok(()),
        }
    }

    async fn ring(&self) -> Result<()> {
        let keyring = self.keyring()?;
        for snapshot in self.with(|node| node.due(&keyring, clock::now()))? {
            self.push(snapshot, None)?;
        }
        let pulses = self.pulses();
        self.with(|node| node.look(&pulses, clock::now()))?;
        self.arm().await?;
        self.tell().await
    }

    /// Sends a snapshot down every socket of the node, but for those of one instance. A socket
    /// that fails is about to be closed: its node comes back and reports.
    fn push(&self, snapshot: Snapshot, except: Option<Instance>) -> Result<()> {
        let frame = ToNode::Snapshot(snapshot);
        for socket in self.state.get_websockets() {
            let left_out = except.is_some() && instance_of(&socket) == except;
            if !left_out && let Err(error) = send(&socket, &frame) {
                log::failed("sending to a node", &error);
            }
        }
        Ok(())
    }

    async fn arm(&self) -> Result<()> {
        let (pulses, now) = (self.pulses(), clock::now());
        match self.with(|node| node.alarm(&pulses, now))? {
            Some(at) => self.state.storage().set_alarm(at.since(now)).await,
            None => self.state.storage().delete_alarm().await,
        }
    }

    /// The sockets whose ends have said who they are.
    fn pulses(&self) -> Vec<Pulse> {
        let sockets = self.open_sockets();
        let pulse = |socket| {
            Some(Pulse {
                instance: instance_of(socket)?,
                at: self.pulses.last(socket),
            })
        };
        sockets.iter().filter_map(pulse).collect()
    }

    /// Runs a rule on what is known, and stores what it changed before anything can leave.
    fn with<T>(&self, rule: impl FnOnce(&mut NodeState) -> T) -> Result<T> {
        let mut known = self.known.borrow_mut();
        let node = match &mut *known {
            Some(node) => node,
            none => none.insert(self.load()?),
        };
        let result = rule(node);
        if let Err(error) = self.store(node.take_changes()) {
            // What is stored counts: it is read again.
            *known = None;
            return Err(error);
        }
        Ok(result)
    }

    fn store(&self, changes: Changes) -> Result<()> {
        let sql = self.state.storage().sql();
        for (key, value) in changes.put {
            let row: Vec<SqlStorageValue> = vec![key.into(), value.into()];
            sql.exec(
                "INSERT OR REPLACE INTO stored (key, value) VALUES (?, ?)",
                row,
            )?;
        }
        for key in changes.delete {
            let row: Vec<SqlStorageValue> = vec![key.into()];
            sql.exec("DELETE FROM stored WHERE key = ?", row)?;
        }
        Ok(())
    }

    fn load(&self) -> Result<NodeState> {
        let node = self.name()?;
        let sql = self.state.storage().sql();
        sql.exec(
            "CREATE TABLE IF NOT EXISTS stored (key TEXT PRIMARY KEY, value TEXT NOT NULL)",
            None,
        )?;
        let rows: Vec<StoredRow> = sql
            .exec("SELECT key, value FROM stored", None)?
            .to_array()?;
        let pairs = rows.into_iter().map(|row| (row.key, row.value));
        Ok(NodeState::load(node, pairs))
    }

    fn name(&self) -> Result<NodeName> {
        let name = self.state.id().name();
        name.and_then(|name| name.parse().ok())
            .ok_or_else(|| Error::RustError("the object is not named after a relay node".into()))
    }

    fn keyring(&self) -> Result<Rc<Keyring>> {
        settings::keyring(&self.env).map_err(|failure| Error::RustError(failure.to_string()))
    }
}

#[derive(serde::Deserialize)]
struct StoredRow {
    key: String,
    value: String,
}

/// Who is at the other end of a socket, from its first report on: kept with the socket, where it
/// survives hibernation.
struct Attached {
    instance: Instance,
    /// Tells the socket from all others.
    id: String,
}

impl Attached {
    fn to(socket: &WebSocket) -> Option<Self> {
        let attached: Option<String> = socket.deserialize_attachment().ok().flatten();
        let (instance, id) = attached.as_ref()?.split_once(' ')?;
        Some(Self {
            instance: instance.parse().ok()?,
            id: id.to_owned(),
        })
    }

    fn attach(&self, socket: &WebSocket) -> Result<()> {
        socket.serialize_attachment(format!("{} {}", self.instance, self.id))
    }
}

fn instance_of(socket: &WebSocket) -> Option<Instance> {
    Attached::to(socket).map(|attached| attached.instance)
}

fn send(socket: &WebSocket, frame: &ToNode) -> Result<()> {
    // The error of a serialiser could show what it was given: it is not passed on.
    let text = serde_json::to_string(frame)
        .map_err(|_| Error::RustError("a frame cannot be written".into()))?;
    socket.send_with_str(text)
}

/// How long a reader waits for a node to say how its broadcasts are doing: a round trip to anywhere.
const FIGURES_TIMEOUT: Duration = Duration::from_millis(500);

/// A WebSocket's state while frames go both ways.
const OPEN: u16 = 1;

/// The close code of a socket that a newer one replaced: 1000, the purpose is fulfilled.
const CLOSE_REPLACED: u16 = 1000;

/// After an alarm that failed.
const RETRY: Duration = Duration::from_secs(30);
