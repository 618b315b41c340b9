//! The Durable Object of an account: keeps its events, and delivers them.

use control_core::sql::Statement;
use control_core::webhook::{self as rules, AccountEvents, Host, SCHEMA, Trouble};
use shared::time::Timestamp;
use worker::{
    DurableObject, Env, Error, Request, Response, Result, Socket, SqlStorage, State, WebSocket,
    WebSocketIncomingMessage, durable_object,
};

use crate::object_sql::{self, Rows};
use crate::{clock, object, scope};

/// The object of one account, which is its name.
#[durable_object]
pub struct Webhook {
    state: State,
}

impl DurableObject for Webhook {
    fn new(state: State, _: Env) -> Self {
        Self { state }
    }

    async fn fetch(&self, mut request: Request) -> Result<Response> {
        let ray = scope::of_caller(request.headers());
        object::serve("an account's object", ray, self.answer(&mut request)).await
    }

    async fn alarm(&self) -> Result<Response> {
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

impl Webhook {
    async fn answer(&self, request: &mut Request) -> Result<Response> {
        match request.path().as_str() {
            "/events" => {
                let taken: AccountEvents = object::question(request).await?;
                let host = self.host()?;
                let rules = rules::Webhook { host: &host };
                rules.take(taken.events).map_err(trouble)?;
                object::answer(&())
            }
            _ => Response::error("not found", 404),
        }
    }

    fn host(&self) -> Result<ObjectHost> {
        let sql = self.state.storage().sql();
        object_sql::prepare(&sql, SCHEMA)?;
        Ok(ObjectHost { sql })
    }
}

/// What the rules ask of the outside.
struct ObjectHost {
    sql: SqlStorage,
}

impl Host for ObjectHost {
    type Error = Error;
    type Results = Rows;

    fn store(&self, batch: &[Statement]) -> Result<Rows> {
        object_sql::batch(&self.sql, batch)
    }

    fn now(&self) -> Timestamp {
        clock::now()
    }
}

fn trouble(trouble: Trouble<Error>) -> Error {
    match trouble {
        Trouble::Host(error) => error,
        Trouble::Rows(error) => Error::RustError(error.to_string()),
    }
}

fn no_sockets() -> Error {
    Error::RustError("an account's object has no sockets".into())
}
