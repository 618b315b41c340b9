//! Answers as HTTP: always JSON, never cached.

use control_core::failure::Failure;
use serde::Serialize;
use shared::envelope::Envelope;
use worker::{Response, ResponseBuilder, Result};

/// A success in the envelope.
pub(crate) fn success<T: Serialize>(result: Option<T>) -> std::result::Result<Response, Failure> {
    json(&Envelope::success(result))
}

/// A success of the link, whose bodies have no envelope.
pub(crate) fn json<T: Serialize>(body: &T) -> std::result::Result<Response, Failure> {
    // The error of a serialiser could show what it was given: it is not looked at.
    let body = serde_json::to_vec(body).map_err(|_| Failure::internal())?;
    Ok(ResponseBuilder::new().fixed(body))
}

/// A failure in the envelope.
pub(crate) fn failure(failure: Failure) -> Result<Response> {
    let mut builder = ResponseBuilder::new().with_status(failure.status());
    for (name, value) in failure.headers() {
        builder = builder.with_header(name, value)?;
    }
    builder.from_json(&failure.into_envelope())
}

/// What a path can be asked, to whoever asks that.
pub(crate) fn methods(allowed: &str) -> Result<Response> {
    let builder = ResponseBuilder::new().with_status(NO_CONTENT);
    Ok(builder.with_header("allow", allowed)?.empty())
}

/// Puts the headers on an answer that all answers carry, and `more`; but for an upgrade: what an
/// object answered cannot be changed.
pub(crate) fn finish(
    mut response: Response,
    more: Vec<(&'static str, String)>,
) -> Result<Response> {
    let status = response.status_code();
    if status == SWITCHING_PROTOCOLS {
        return Ok(response);
    }
    let headers = response.headers_mut();
    if status != NO_CONTENT {
        headers.set("content-type", "application/json")?;
    }
    headers.set("cache-control", "no-store")?;
    headers.set("x-content-type-options", "nosniff")?;
    for (name, value) in more {
        headers.set(name, &value)?;
    }
    Ok(response)
}

/// The status of an answer without a body.
const NO_CONTENT: u16 = 204;

/// The status of a WebSocket's upgrade.
const SWITCHING_PROTOCOLS: u16 = 101;
