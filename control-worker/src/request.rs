//! Requests of clients and relay nodes.

use std::cell::Cell;

use control_core::failure::Failure;
use control_core::ray::Ray;
use futures_util::StreamExt as _;
use serde::Deserialize;
use shared::limits::MAX_BODY_BYTES;
use worker::{ByteStream, Error, Result, web_sys};

use crate::{glue, log};

/// A request, of which all that nearly every answer looks at was read at once.
pub(crate) struct Request {
    inner: web_sys::Request,
    head: Head,
    body_is_read: Cell<bool>,
}

/// What `glue.js` reads, in that order.
#[derive(Deserialize)]
struct Head {
    method: String,
    path: String,
    /// What stands behind the question mark.
    query: String,
    has_body: bool,
    length: Option<String>,
    authorization: Option<String>,
    ray: Option<String>,
}

impl Request {
    pub(crate) fn of(inner: web_sys::Request) -> Result<Self> {
        // The error of a parser can quote what it could not read.
        let head = serde_json::from_str(&glue::head(&inner)?);
        Ok(Self {
            head: head.map_err(|_| Error::RustError("a request cannot be read".to_owned()))?,
            inner,
            body_is_read: Cell::new(false),
        })
    }

    /// As it was sent: of `worker`'s own type for methods, an unknown one would be a GET.
    pub(crate) fn method(&self) -> &str {
        &self.head.method
    }

    /// The path, from its first slash.
    pub(crate) fn path(&self) -> &str {
        &self.head.path
    }

    /// What stands behind the question mark.
    pub(crate) fn query(&self) -> &str {
        &self.head.query
    }

    pub(crate) fn authorization(&self) -> Option<&str> {
        self.head.authorization.as_deref()
    }

    /// The id that the platform gave it.
    pub(crate) fn ray(&self) -> Option<Ray> {
        Ray::sent(self.head.ray.as_deref()?)
    }

    /// Another header.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        self.inner.headers().get(name).ok().flatten()
    }

    /// The body of an API request, whatever its content type: `curl --data` names that of a form.
    pub(crate) async fn body(&self) -> Result<Vec<u8>, Failure> {
        self.body_within(MAX_BODY_BYTES).await
    }

    /// The body, of which no more is read than `bound` bytes.
    pub(crate) async fn body_within(&self, bound: usize) -> Result<Vec<u8>, Failure> {
        // The runtime lets no more through than was announced: so it is read in one step.
        if self.length().is_some_and(|length| length <= bound) {
            self.body_is_read.set(true);
            let body = glue::body(&self.inner).await;
            return Ok(body.map_err(log::unavailable(READING))?.unwrap_or_default());
        }
        let mut body = Vec::new();
        let Some(mut chunks) = self.chunks() else {
            return Ok(body);
        };
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(log::unavailable(READING))?;
            if body.len() + chunk.len() > bound {
                return Err(Failure::body_too_large(bound));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    /// Reads to its end a body that nobody wanted. Left unread, the answer may be lost: a proxy in front
    /// of the Worker takes it for a failure when it cannot pass the body on.
    pub(crate) async fn drain(&self) {
        let Some(mut chunks) = self.chunks() else {
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

    fn length(&self) -> Option<usize> {
        self.head.length.as_ref()?.parse().ok()
    }

    /// The pieces of a body that nobody has begun to read.
    fn chunks(&self) -> Option<ByteStream> {
        if !self.head.has_body || self.body_is_read.replace(true) {
            return None;
        }
        self.inner.body().map(ByteStream::from)
    }
}

const READING: &str = "reading a request's body";

/// Of a body that nobody wanted, as much is read. Whoever sends more may lose the connection.
const MAX_DRAINED_BYTES: usize = 1024 * 1024;
