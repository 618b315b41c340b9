//! Bodies of requests.

use control_core::failure::Failure;
use futures_util::StreamExt as _;
use shared::limits::MAX_BODY_BYTES;
use worker::Request;

use crate::log;

/// The body of an API request, whatever its content type: `curl --data` names that of a form.
pub(crate) async fn read(request: &mut Request) -> Result<Vec<u8>, Failure> {
    within(request, MAX_BODY_BYTES).await
}

/// Reads to its end a body that nobody wanted, or not all of it. Left unread, the answer may be lost:
/// a proxy in front of the Worker takes it for a failure when it cannot pass the body on.
pub(crate) async fn drain(request: &mut Request) {
    if request.inner().body().is_none() {
        return;
    }
    let Ok(mut chunks) = request.stream() else {
        return;
    };
    let mut left = MAX_DRAINED_BYTES;
    while let Some(Ok(chunk)) = chunks.next().await {
        let Some(rest) = left.checked_sub(chunk.len()) else {
            return;
        };
        left = rest;
    }
}

/// A body, of which no more is read than `bound` bytes.
pub(crate) async fn within(request: &mut Request, bound: usize) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    if request.inner().body().is_none() {
        return Ok(body);
    }
    let failed = log::unavailable("reading a request's body");
    let mut chunks = request.stream().map_err(failed)?;
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(log::unavailable("reading a request's body"))?;
        if body.len() + chunk.len() > bound {
            return Err(Failure::body_too_large(bound));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Of a body that nobody wanted, as much is read. Whoever sends more may lose the connection.
const MAX_DRAINED_BYTES: usize = 1024 * 1024;
