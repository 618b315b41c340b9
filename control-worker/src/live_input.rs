//! The Durable Object of a live input: the only writer of its rows.

use std::time::Duration;

use control_core::change::ChangeRequest;
use control_core::keys::Keyring;
use control_core::live_input::{
    self as rules, Ask, Ending, Host, LiveInputState, Publish, Trouble,
};
use control_core::node_link::Handed;
use control_core::sql::Statement;
use futures_util::lock::Mutex;
use shared::id::{InputUid, NodeName};
use worker::wasm_bindgen::JsValue;
use worker::{
    DurableObject, Env, Error, Request, Response, Result, Socket, State, Storage, WebSocket,
    WebSocketIncomingMessage, durable_object,
};

use crate::d1::{self, BatchResults};
use crate::{clock, log, object, scope, settings};

/// The object of one live input, which is its name.
#[durable_object]
pub struct LiveInput {
    state: State,
    env: Env,
    /// Held by each operation from its first step to its last. The platform lets events in while
    /// an object waits for the database.
    one_at_a_time: Mutex<()>,
}

impl DurableObject for LiveInput {
    fn new(state: State, env: Env) -> Self {
        Self {
            state,
            env,
            one_at_a_time: Mutex::new(()),
        }
    }

    async fn fetch(&self, mut request: Request) -> Result<Response> {
        let ray = scope::of_caller(request.headers());
        object::serve("a live input's object", ray, self.answer(&mut request)).await
    }

    async fn alarm(&self) -> Result<Response> {
        let host = self.host();
        if let Err(error) = self.finish(&host).await {
            log::failed("a live input's alarm", &error);
            // The platform gives up after six failures: to it, this was none.
            host.storage.set_alarm(RETRY).await?;
        }
        Response::empty()
    }

    async fn connect(&self, _: Socket) -> Result<()> {
        Err(no_sockets())
    }

    async fn websocket_message(&self, _: WebSocket, _: WebSocketIncomingMessage) -> Result<()> {
        Err(no_sockets())
    }

    async fn websocket_close(&self, _: WebSocket, _: usize, _: String, _: bool) -> Result<()> {
        Err(no_sockets())
    }

    async fn websocket_error(&self, _: WebSocket, _: Error) -> Result<()> {
        Err(no_sockets())
    }
}

impl LiveInput {
    async fn answer(&self, request: &mut Request) -> Result<Response> {
        let (host, keyring) = (self.host(), self.keyring()?);
        match request.path().as_str() {
            "/change" => {
                let asked: ChangeRequest = object::question(request).await?;
                let _lock = self.one_at_a_time.lock().await;
                let rules = self.rules(&host, &keyring).await?;
                object::answer(&rules.change(&asked).await.map_err(trouble)?)
            }
            "/publish" => {
                let asked: Publish = object::question(request).await?;
                let _lock = self.one_at_a_time.lock().await;
                let rules = self.rules(&host, &keyring).await?;
                object::answer(&rules.publish(&asked).await.map_err(trouble)?)
            }
            "/ask" => {
                let asked: Ask = object::question(request).await?;
                let _lock = self.one_at_a_time.lock().await;
                let rules = self.rules(&host, &keyring).await?;
                object::answer(&rules.ask(&asked).await.map_err(trouble)?)
            }
            "/ended" => {
                let asked: Ending = object::question(request).await?;
                let _lock = self.one_at_a_time.lock().await;
                let rules = self.rules(&host, &keyring).await?;
                object::answer(&rules.ended(asked).await.map_err(trouble)?)
            }
            _ => Response::error("not found", 404),
        }
    }

    async fn finish(&self, host: &ObjectHost<'_>) -> Result<()> {
        let keyring = self.keyring()?;
        let _lock = self.one_at_a_time.lock().await;
        let rules = self.rules(host, &keyring).await?;
        rules.alarm().await.map_err(trouble)
    }

    /// The rules with what is stored; to be called under the lock.
    async fn rules<'a>(
        &self,
        host: &'a ObjectHost<'a>,
        keyring: &'a Keyring,
    ) -> Result<rules::LiveInput<'a, ObjectHost<'a>>> {
        let stored: Option<String> = host.storage.get(STATE_KEY).await?;
        let state = match stored {
            Some(text) => serde_json::from_str(&text)?,
            None => LiveInputState::new(self.input()?),
        };
        Ok(rules::LiveInput {
            state,
            host,
            keyring,
            now: clock::now(),
        })
    }

    fn host(&self) -> ObjectHost<'_> {
        ObjectHost {
            storage: self.state.storage(),
            env: &self.env,
        }
    }

    fn keyring(&self) -> Result<Keyring> {
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
}

impl Host for ObjectHost<'_> {
    type Error = Error;
    type Results = BatchResults;

    async fn store(&self, state: &LiveInputState, alarm: Option<Duration>) -> Result<()> {
        match alarm {
            Some(delay) => self.storage.set_alarm(delay).await?,
            None => self.storage.delete_alarm().await?,
        }
        let text = serde_json::to_string(state)?;
        self.storage
            .put_raw(STATE_KEY, JsValue::from_str(&text))
            .await
    }

    async fn forget(&self) -> Result<()> {
        self.storage.delete_alarm().await?;
        self.storage.delete_all().await
    }

    async fn run(&self, batch: Vec<Statement>) -> Result<BatchResults> {
        let results = d1::batch(self.env, &batch).await;
        if let Err(error) = &results {
            log::failed("a live input's batch", error);
        }
        results
    }

    async fn hand(&self, node: &NodeName, handed: Handed) -> Result<()> {
        let object = object::relay_node(self.env, node)?;
        let taken = object::call(&object, "/hand", &handed).await;
        if let Err(error) = &taken {
            log::failed("handing a snapshot to a node's object", error);
        }
        taken
    }
}

fn trouble(trouble: Trouble<Error>) -> Error {
    match trouble {
        Trouble::Host(error) => error,
        Trouble::Rows(error) => Error::RustError(error.to_string()),
        Trouble::Unsealable(error) => Error::RustError(error.to_string()),
    }
}

fn no_sockets() -> Error {
    Error::RustError("a live input's object has no sockets".into())
}

/// Where the state is stored, as JSON.
const STATE_KEY: &str = "state";

/// After an alarm that failed before the rules could set the next one.
const RETRY: Duration = Duration::from_secs(60);
