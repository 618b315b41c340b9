//! The Durable Object of a relay node: holds the node's one socket, hibernating between frames.

use std::cell::RefCell;
use std::time::Duration;

use control_core::keys::Keyring;
use control_core::live_input::{Ask, Ending};
use control_core::node_link::{Changes, Handed, NodeState, Push, Via};
use shared::id::{Instance, NodeName};
use shared::limits::MAX_LINK_FRAME_BYTES;
use shared::link::{PING, PONG, Reconciliation, Report, Snapshot, ToControl, ToNode};
use worker::{
    DurableObject, Env, Error, Request, Response, Result, Socket, SqlStorageValue, State,
    WebSocket, WebSocketIncomingMessage, WebSocketPair, WebSocketRequestResponsePair,
    durable_object,
};

use crate::{clock, log, object, random, scope, settings};

/// The object of one relay node, which is its name.
#[durable_object]
pub struct RelayNode {
    state: State,
    env: Env,
    /// What is stored, once it was read. Never borrowed across an `await`.
    known: RefCell<Option<NodeState>>,
}

impl DurableObject for RelayNode {
    fn new(state: State, env: Env) -> Self {
        Self {
            state,
            env,
            known: RefCell::new(None),
        }
    }

    async fn fetch(&self, mut request: Request) -> Result<Response> {
        let ray = scope::of_caller(request.headers());
        object::serve("a relay node's object", ray, self.answer(&mut request)).await
    }

    async fn alarm(&self) -> Result<Response> {
        if let Err(error) = self.ring().await {
            log::failed("a relay node's alarm", &error);
            // The platform gives up after six failures: to it, this was none.
            self.state.storage().set_alarm(RETRY).await?;
        }
        Response::empty()
    }

    async fn connect(&self, _: Socket) -> Result<()> {
        Err(Error::RustError(
            "a relay node's object takes WebSockets only".into(),
        ))
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

    async fn websocket_close(&self, _: WebSocket, _: usize, _: String, _: bool) -> Result<()> {
        self.arm().await
    }

    async fn websocket_error(&self, _: WebSocket, _: Error) -> Result<()> {
        self.arm().await
    }
}

impl RelayNode {
    async fn answer(&self, request: &mut Request) -> Result<Response> {
        match request.path().as_str() {
            "/hand" => {
                let handed: Handed = object::question(request).await?;
                self.hand(handed)?;
                self.arm().await?;
                object::answer(&())
            }
            "/link" => self.open(),
            "/report" => {
                let report: Report = object::question(request).await?;
                let reconciliation = self.reconcile(&report).await?;
                let answer = object::answer(&reconciliation)?;
                self.tell_endings().await?;
                Ok(answer)
            }
            _ => Response::error("not found", 404),
        }
    }

    fn open(&self) -> Result<Response> {
        // Answered by the platform, so that a living socket wakes no object.
        let pong = WebSocketRequestResponsePair::new(PING, PONG)?;
        self.state.set_websocket_auto_response(&pong);
        let WebSocketPair { client, server } = WebSocketPair::new()?;
        self.state.accept_web_socket(&server);
        Response::from_websocket(client)
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
                self.tell_endings().await
            }
            Ok(ToControl::Applied(applied)) => {
                // A node reports before it acknowledges.
                if let Some(instance) = instance_of(socket)
                    && self.with(|node| node.applied(instance, &applied))?
                {
                    log::unknown_wish(&self.name()?, &applied);
                }
                self.arm().await
            }
            // Newer nodes may say more than we know. The error of a parser could quote a frame.
            Ok(ToControl::Events(_) | ToControl::Figures(_) | ToControl::Unknown) | Err(_) => {
                Ok(())
            }
        }
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
        socket.serialize_attachment(instance.to_string())
    }

    async fn reconcile(&self, report: &Report) -> Result<Reconciliation> {
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
        let object = object::live_input(&self.env, ask.input)?;
        object::call(&object, "/ask", ask).await
    }

    async fn tell_endings(&self) -> Result<()> {
        let endings = self.with(|node| node.endings())?;
        if endings.is_empty() {
            return Ok(());
        }
        for ending in endings {
            match self.tell(&ending).await {
                Ok(()) => self.with(|node| node.told(ending))?,
                Err(error) => log::failed("telling a live input's object", &error),
            }
        }
        self.arm().await
    }

    async fn tell(&self, ending: &Ending) -> Result<()> {
        let object = object::live_input(&self.env, ending.input)?;
        object::call(&object, "/ended", ending).await
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
        self.arm().await?;
        self.tell_endings().await
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
        let connected = !self.state.get_websockets().is_empty();
        let now = clock::now();
        match self.with(|node| node.alarm(now, connected))? {
            Some(at) => {
                let micros = at.as_micros().saturating_sub(now.as_micros());
                let delay = Duration::from_micros(u64::try_from(micros).unwrap_or(0));
                self.state.storage().set_alarm(delay).await
            }
            None => self.state.storage().delete_alarm().await,
        }
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

    fn keyring(&self) -> Result<Keyring> {
        settings::keyring(&self.env).map_err(|failure| Error::RustError(failure.to_string()))
    }
}

#[derive(serde::Deserialize)]
struct StoredRow {
    key: String,
    value: String,
}

/// Who is at the other end, if it has reported: kept with the socket, where it survives
/// hibernation.
fn instance_of(socket: &WebSocket) -> Option<Instance> {
    let attached: Option<String> = socket.deserialize_attachment().ok().flatten();
    attached?.parse().ok()
}

fn send(socket: &WebSocket, frame: &ToNode) -> Result<()> {
    // The error of a serialiser could show what it was given: it is not passed on.
    let text = serde_json::to_string(frame)
        .map_err(|_| Error::RustError("a frame cannot be written".into()))?;
    socket.send_with_str(text)
}

/// The close code of a socket that a newer one replaced: 1000, the purpose is fulfilled.
const CLOSE_REPLACED: u16 = 1000;

/// After an alarm that failed.
const RETRY: Duration = Duration::from_secs(30);
