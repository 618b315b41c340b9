//! Answers as HTTP: always JSON, never cached.

use control_core::failure::Failure;
use serde::{Serialize, Serializer as _};
use serde_json::Serializer;
use shared::envelope::Envelope;
use worker::web_sys;

use crate::glue;

/// What is answered to a request.
pub(crate) enum Answer {
    /// JSON, or nothing.
    Json {
        status: u16,
        headers: Vec<(&'static str, String)>,
        body: Option<Vec<u8>>,
    },
    /// What an object or the assets answered, and nobody changes: an upgrade, the page.
    Whole(worker::Response),
}

impl Answer {
    /// With another status.
    pub(crate) fn with_status(mut self, other: u16) -> Self {
        if let Self::Json { status, .. } = &mut self {
            *status = other;
        }
        self
    }

    /// For the runtime, with the headers that all answers carry and `more`.
    pub(crate) fn finish(
        self,
        more: Vec<(&'static str, String)>,
    ) -> worker::Result<web_sys::Response> {
        let (status, headers, body) = match self {
            Self::Json {
                status,
                headers,
                body,
            } => (status, headers, body),
            Self::Whole(response) => return Ok(response.into()),
        };
        let kind = body
            .is_some()
            .then_some(("content-type", "application/json"));
        let always = [
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
        ];
        let named = headers.iter().chain(&more);
        let named = named.map(|(name, value)| (*name, value.as_str()));
        let all = to_object(kind.into_iter().chain(always).chain(named))?;
        Ok(glue::answer(status, &all, body.as_deref())?)
    }
}

/// Names and values as an object in JSON. Of a name that comes twice, the last value is read.
fn to_object<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> worker::Result<String> {
    let mut text = Vec::with_capacity(HEADERS_BYTES);
    Serializer::new(&mut text).collect_map(pairs)?;
    String::from_utf8(text).map_err(|error| worker::Error::RustError(error.to_string()))
}

/// Room for the headers of nearly every answer.
const HEADERS_BYTES: usize = 256;

/// A success in the envelope.
pub(crate) fn success<T: Serialize>(result: Option<T>) -> Result<Answer, Failure> {
    json(&Envelope::success(result))
}

/// A success of the link, whose bodies have no envelope.
pub(crate) fn json<T: Serialize>(body: &T) -> Result<Answer, Failure> {
    written(body).map(of)
}

/// The JSON of a body.
pub(crate) fn written<T: Serialize>(body: &T) -> Result<Vec<u8>, Failure> {
    // The error of a serialiser could show what it was given: it is not looked at.
    serde_json::to_vec(body).map_err(|_| Failure::internal())
}

/// A success of which the JSON is there already.
pub(crate) fn of(body: Vec<u8>) -> Answer {
    Answer::Json {
        status: OK,
        headers: Vec::new(),
        body: Some(body),
    }
}

/// A failure in the envelope.
pub(crate) fn failure(failure: Failure) -> worker::Result<Answer> {
    let headers = failure.headers().into_iter();
    Ok(Answer::Json {
        status: failure.status(),
        headers: headers
            .map(|(name, value)| (name, value.to_owned()))
            .collect(),
        body: Some(serde_json::to_vec(&failure.into_envelope())?),
    })
}

/// What a path can be asked, to whoever asks that.
pub(crate) fn methods(allowed: &str) -> Answer {
    Answer::Json {
        status: NO_CONTENT,
        headers: vec![("allow", allowed.to_owned())],
        body: None,
    }
}

const OK: u16 = 200;

/// The status of an answer without a body.
const NO_CONTENT: u16 = 204;
