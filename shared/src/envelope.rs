//! The envelope of every API answer, and the codes of its errors.

use serde::{Deserialize, Serialize};

/// What every answer of the API is wrapped in. All four keys are always there: Cloudflare's
/// clients in Go and Rust refuse an answer that lacks one.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Envelope<T> {
    /// The answer, or null where there is none.
    pub result: Option<T>,
    /// Whether the request did what it asked for.
    pub success: bool,
    /// Why it did not; empty on success.
    pub errors: Vec<Notice>,
    /// Remarks that are not errors.
    pub messages: Vec<Notice>,
    /// Which part of a list this is, where the request asks for a part or the answer is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result_info: Option<ResultInfo>,
}

impl<T> Envelope<T> {
    /// A success that carries `result`.
    pub fn success(result: Option<T>) -> Self {
        Self {
            result,
            success: true,
            errors: Vec::new(),
            messages: Vec::new(),
            result_info: None,
        }
    }

    /// A failure for the reason given.
    pub fn failure(error: Notice) -> Self {
        Self {
            result: None,
            success: false,
            errors: vec![error],
            messages: Vec::new(),
            result_info: None,
        }
    }
}

/// Which part of a list an answer is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct ResultInfo {
    /// How many are shown.
    pub count: u64,
    /// The page's number, counted from 1, where pages were asked for by number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<u32>,
    /// How many are shown at most.
    pub per_page: u32,
    /// How many there are, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_count: Option<u64>,
    /// What to ask the next part with; absent in the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// An error or a message of the API.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Notice {
    /// A stable number that a program can act on, 1000 to 65535 (Cloudflare's Rust client reads
    /// 16 bits).
    pub code: u16,
    /// A sentence for people: what happened, and what to change.
    pub message: String,
    /// Where in the request's body the fault lies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// Narrower reasons, as Cloudflare's gateway gives them for malformed headers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub error_chain: Vec<Self>,
}

impl Notice {
    /// A notice without a place in the body.
    pub fn new(code: u16, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            source: None,
            error_chain: Vec::new(),
        }
    }

    /// The same notice, about the field at `pointer`.
    #[must_use]
    pub fn at(mut self, pointer: impl Into<String>) -> Self {
        self.source = Some(Source {
            pointer: pointer.into(),
        });
        self
    }

    /// The same notice, with a narrower reason.
    #[must_use]
    pub fn because(mut self, reason: Self) -> Self {
        self.error_chain.push(reason);
        self
    }
}

/// The place of a fault.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Source {
    /// A JSON pointer (RFC 6901) into the request's body, such as `/streamKey`.
    pub pointer: String,
}

/// The codes of errors and messages, Cloudflare's where it has one.
pub mod code {
    /// Request headers that cannot be read (400).
    pub const INVALID_HEADERS: u16 = 6003;
    /// In the chain of [`INVALID_HEADERS`]: `Authorization` is not `Bearer <token>`.
    pub const INVALID_AUTHORIZATION: u16 = 6111;
    /// In the chain of [`INVALID_HEADERS`]: `X-Auth-Key` cannot be a key.
    pub const INVALID_AUTH_KEY: u16 = 6103;
    /// The path names an object whose id cannot be one, or nothing at all (404).
    pub const NO_ROUTE: u16 = 7003;
    /// `X-Auth-Key` and `X-Auth-Email`, which nobody has here (403).
    pub const UNKNOWN_AUTH_KEY: u16 = 9103;
    /// No credentials (400).
    pub const MISSING_CREDENTIALS: u16 = 9106;
    /// A token that is unknown or revoked (403).
    pub const INVALID_TOKEN: u16 = 9109;
    /// A token that is good, but not for this account or this use (403).
    pub const FORBIDDEN: u16 = 10000;
    /// As a message: the token that was sent is good (200).
    pub const TOKEN_IS_GOOD: u16 = 10000;
    /// No such live input or output (404).
    pub const NOT_FOUND: u16 = 10003;
    /// A body that cannot be read, or a field with a value that it may not have (400).
    pub const BAD_REQUEST: u16 = 10005;
    /// A body over its bound (413).
    pub const BODY_TOO_LARGE: u16 = 10413;
    /// A remark: another output of the input sends to the same place with the same key (200).
    pub const ALIKE: u16 = 10200;
    /// An `Idempotency-Key` that was used for another request, or for what is deleted (409).
    pub const IDEMPOTENCY: u16 = 10409;
    /// As many live inputs or outputs as the limit allows are there (403).
    pub const LIMIT_REACHED: u16 = 10011;
    /// A path that exists, but not for this method (405).
    pub const METHOD_NOT_ALLOWED: u16 = 10405;
    /// As many requests as a minute may have (429).
    pub const RATE_LIMITED: u16 = 10429;
    /// We failed (500).
    pub const INTERNAL: u16 = 10500;
    /// We cannot answer now: try again (503).
    pub const UNAVAILABLE: u16 = 10503;
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn always_has_its_four_keys() {
        let success = serde_json::to_value(Envelope::<Value>::success(None)).unwrap();
        assert_eq!(
            success,
            json!({"result": null, "success": true, "errors": [], "messages": []})
        );
    }

    #[test]
    fn names_the_field_at_fault() {
        let notice = Notice::new(code::BAD_REQUEST, "No.").at("/url");
        let failure = serde_json::to_value(Envelope::<Value>::failure(notice)).unwrap();
        assert_eq!(
            failure["errors"],
            json!([{"code": 10005, "message": "No.", "source": {"pointer": "/url"}}])
        );
    }
}
