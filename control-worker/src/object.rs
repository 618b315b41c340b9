//! Calls between the Worker and its Durable Objects: JSON in, JSON out.
//!
//! Nobody else reaches an object: its end points need no credentials, and what travels between
//! the two never leaves the platform.

use control_core::ray::Ray;
use control_core::trouble::Trouble;
use serde::Serialize;
use serde::de::DeserializeOwned;
use shared::id::{AccountId, InputUid, NodeName};
use worker::wasm_bindgen::JsValue;
use worker::{Env, Error, Method, Request, RequestInit, Response, Result, Stub};

use crate::log;
use crate::scope::{self, Scope};

/// The object of a live input.
pub(crate) fn live_input(env: &Env, input: InputUid) -> Result<Stub> {
    env.durable_object("LIVE_INPUT")?
        .get_by_name(&input.to_string())
}

/// The object of a relay node.
pub(crate) fn relay_node(env: &Env, node: &NodeName) -> Result<Stub> {
    env.durable_object("RELAY_NODE")?.get_by_name(node.as_str())
}

/// The object that keeps and delivers the events of an account.
pub(crate) fn webhook(env: &Env, account: AccountId) -> Result<Stub> {
    env.durable_object("WEBHOOK")?
        .get_by_name(&account.to_string())
}

/// Asks an object and reads its answer.
///
/// # Errors
///
/// Where the object failed or is gone: what was asked may have been done or not.
pub(crate) async fn call<A: DeserializeOwned>(
    stub: &Stub,
    path: &str,
    question: &impl Serialize,
) -> Result<A> {
    let mut init = RequestInit::new();
    init.with_method(Method::Post)
        .with_body(Some(JsValue::from_str(&to_text(question)?)));
    let mut request = Request::new_with_init(&url(path), &init)?;
    name_caller(&mut request)?;
    let mut response = stub.fetch_with_request(request).await?;
    let body = response.bytes().await?;
    if response.status_code() != 200 {
        return Err(Error::RustError(format!("the object at {path} failed")));
    }
    from_bytes(&body)
}

/// Where an object's end point is; the host is a formality.
pub(crate) fn url(path: &str) -> String {
    format!("https://object{path}")
}

/// Tells the object on whose behalf it is asked.
pub(crate) fn name_caller(request: &mut Request) -> Result<()> {
    match scope::current() {
        Some(ray) => request.headers_mut()?.set(scope::HEADER, ray.as_str()),
        None => Ok(()),
    }
}

/// Answers as an object, on behalf of the request that made somebody ask. Why it failed stands in
/// the log.
pub(crate) async fn serve(
    what: &str,
    ray: Option<Ray>,
    answer: impl Future<Output = Result<Response>>,
) -> Result<Response> {
    let answered = async {
        let answered = answer.await;
        if let Err(error) = &answered {
            log::failed(what, error);
        }
        answered.or_else(|_| Response::error("failed", 500))
    };
    Scope::new(ray, answered).await
}

/// An object's answer.
pub(crate) fn answer(answer: &impl Serialize) -> Result<Response> {
    Response::ok(to_text(answer)?)
}

/// What an object was asked.
pub(crate) async fn question<Q: DeserializeOwned>(request: &mut Request) -> Result<Q> {
    from_bytes(&request.bytes().await?)
}

/// The errors of `serde_json` can quote what they could not read: they are not passed on.
fn from_bytes<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes)
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
