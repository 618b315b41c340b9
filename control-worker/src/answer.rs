//! Answers as HTTP: always JSON, never cached.

use control_core::failure::Failure;
use serde::Serialize;
use serde_json::Map;
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
        let mut all = Map::new();
        if body.is_some() {
            all.insert("content-type".to_owned(), "application/json".into());
        }
        all.insert("cache-control".to_owned(), "no-store".into());
        all.insert("x-content-type-options".to_owned(), "nosniff".into());
        let named = headers.into_iter().chain(more);
        all.extend(named.map(|(name, value)| (name.to_owned(), value.into())));
        let all = serde_json::to_string(&all)?;
        Ok(glue::answer(status, &all, body.as_deref())?)
    }
}

/// A success in the envelope.
pub(crate) fn success<T: Serialize>(result: Option<T>) -> Result<Answer, Failure> {
    json(&Envelope::success(result))
}

/// A success of the link, whose bodies have no envelope.
pub(crate) fn json<T: Serialize>(body: &T) -> Result<Answer, Failure> {
    // The error of a serialiser could show what it was given: it is not looked at.
    let body = serde_json::to_vec(body).map_err(|_| Failure::internal())?;
    Ok(Answer::Json {
        status: OK,
        headers: Vec::new(),
        body: Some(body),
    })
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
