//! Calls between the Worker and its Durable Objects: JSON in, JSON out.
//!
//! Nobody else reaches an object: its end points need no credentials, and what travels between
//! the two never leaves the platform.

use control_core::ray::Ray;
use control_core::trouble::Trouble;
use serde::Serialize;
use serde::de::DeserializeOwned;
use shared::id::{AccountId, InputUid, NodeName};
use worker::{Env, Error, Request, Response, Result, web_sys};

use crate::scope::{self, Scope};
use crate::{glue, log};

/// An object, by the namespace that `wrangler.toml` binds and its name there.
pub(crate) struct Object<'a> {
    env: &'a Env,
    binding: &'static str,
    name: String,
}

impl<'a> Object<'a> {
    /// That of a live input.
    pub(crate) fn of_input(env: &'a Env, input: InputUid) -> Self {
        Self {
            env,
            binding: "LIVE_INPUT",
            name: input.to_string(),
        }
    }

    /// That of a relay node.
    pub(crate) fn of_node(env: &'a Env, node: &NodeName) -> Self {
        Self {
            env,
            binding: "RELAY_NODE",
            name: node.as_str().to_owned(),
        }
    }

    /// That which keeps and delivers the events of an account.
    pub(crate) fn of_account(env: &'a Env, account: AccountId) -> Self {
        Self {
            env,
            binding: "WEBHOOK",
            name: account.to_string(),
        }
    }

    /// Asks it and reads its answer.
    ///
    /// # Errors
    ///
    /// Where the object failed or is gone: what was asked may have been done or not.
    pub(crate) async fn ask<A: DeserializeOwned>(
        &self,
        path: &str,
        question: &impl Serialize,
    ) -> Result<A> {
        let ray = scope::current();
        let asked = glue::ask(
            self.env,
            self.binding,
            &self.name,
            &url(path),
            ray.as_ref().map(Ray::as_str),
            &to_text(question)?,
        );
        let failed = || Error::RustError(format!("the object at {path} failed"));
        let answer = asked.text().await?.ok_or_else(failed)?;
        from_text(&answer)
    }

    /// Opens a socket at it.
    pub(crate) async fn open(&self, mut request: Request) -> Result<Response> {
        name_caller(&mut request)?;
        let namespace = self.env.durable_object(self.binding)?;
        let object = namespace.get_by_name(&self.name)?;
        object.fetch_with_request(request).await
    }
}

/// Where an object's end point is; the host is a formality.
pub(crate) fn url(path: &str) -> String {
    format!("https://object{path}")
}

/// Tells the object on whose behalf it is asked.
fn name_caller(request: &mut Request) -> Result<()> {
    match scope::current() {
        Some(ray) => request.headers_mut()?.set(scope::HEADER, ray.as_str()),
        None => Ok(()),
    }
}

/// What an object is asked.
pub(crate) struct Asked {
    /// Ray, path and question, a line each; the question is JSON or nothing.
    text: String,
}

impl Asked {
    /// Reads a request to its end.
    pub(crate) async fn of(request: &web_sys::Request) -> Result<Self> {
        let text = glue::asked(request).text().await?;
        Ok(Self {
            text: text.unwrap_or_default(),
        })
    }

    /// The end point.
    pub(crate) fn path(&self) -> &str {
        self.line(1)
    }

    /// The question to it.
    pub(crate) fn question<Q: DeserializeOwned>(&self) -> Result<Q> {
        from_text(self.line(2))
    }

    fn line(&self, index: usize) -> &str {
        self.text.splitn(3, '\n').nth(index).unwrap_or_default()
    }
}

/// Answers as an object, on behalf of the request that made somebody ask. Why it failed stands in
/// the log.
pub(crate) async fn serve(
    what: &str,
    asked: &Asked,
    answer: impl Future<Output = Result<web_sys::Response>>,
) -> Result<web_sys::Response> {
    let ray = Ray::sent(asked.line(0));
    let answered = async {
        let answered = answer.await;
        if let Err(error) = &answered {
            log::failed(what, error);
        }
        answered.or_else(|_| failed(500))
    };
    Scope::new(ray, answered).await
}

/// An object's answer.
pub(crate) fn answer(answer: &impl Serialize) -> Result<web_sys::Response> {
    Ok(glue::answer_of_object(&to_text(answer)?)?)
}

/// The answer to what an object is not asked.
pub(crate) fn not_found() -> Result<web_sys::Response> {
    failed(404)
}

fn failed(status: u16) -> Result<web_sys::Response> {
    Ok(glue::answer(status, "{}", None)?)
}

/// Has the runtime make and call an object, as `worker::durable_object` does, but with requests and
/// answers as they are: to take them apart and put them together again costs a crossing for each part.
macro_rules! called_by_the_runtime {
    ($object:ident) => {
        #[wasm_bindgen(wasm_bindgen_futures = worker::wasm_bindgen_futures, js_sys = worker::js_sys)]
        impl $object {
            #[wasm_bindgen(constructor)]
            pub fn construct(state: worker::worker_sys::DurableObjectState, env: Env) -> Self {
                Self::new(State::from(state), env)
            }

            #[wasm_bindgen(js_name = fetch)]
            pub async fn called(
                &self,
                request: worker::web_sys::Request,
            ) -> std::result::Result<worker::web_sys::Response, JsValue> {
                Ok(self.fetch(request).await?)
            }

            #[wasm_bindgen(js_name = alarm)]
            pub async fn rung(&self) -> std::result::Result<(), JsValue> {
                Ok(self.alarm().await?)
            }

            #[wasm_bindgen(js_name = webSocketMessage)]
            pub async fn told(
                &self,
                socket: worker::web_sys::WebSocket,
                message: JsValue,
            ) -> std::result::Result<(), JsValue> {
                let message = match message.as_string() {
                    Some(text) => WebSocketIncomingMessage::String(text),
                    None => WebSocketIncomingMessage::Binary(
                        worker::js_sys::Uint8Array::new(&message).to_vec(),
                    ),
                };
                Ok(self.websocket_message(socket.into(), message).await?)
            }

            #[wasm_bindgen(js_name = webSocketClose)]
            pub async fn left(
                &self,
                socket: worker::web_sys::WebSocket,
            ) -> std::result::Result<(), JsValue> {
                Ok(self.websocket_close(socket.into()).await?)
            }

            #[wasm_bindgen(js_name = webSocketError)]
            pub async fn lost(
                &self,
                socket: worker::web_sys::WebSocket,
            ) -> std::result::Result<(), JsValue> {
                Ok(self.websocket_error(socket.into()).await?)
            }
        }
    };
}

pub(crate) use called_by_the_runtime;

/// The errors of `serde_json` can quote what they could not read: they are not passed on.
fn from_text<T: DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text)
        .map_err(|_| Error::RustError("a message between objects cannot be read".to_owned()))
}

fn to_text(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|_| Error::RustError("a message between objects cannot be written".to_owned()))
}

/// Why an object's operation failed, as its shell passes it on.
pub(crate) fn trouble(trouble: Trouble<Error>) -> Error {
    match trouble {
        Trouble::Host(error) => error,
        Trouble::Rows(error) => Error::RustError(error.to_string()),
        Trouble::Unsealable(error) => Error::RustError(error.to_string()),
    }
}
