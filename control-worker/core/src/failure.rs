//! What a client reads when a request fails.

use std::fmt;

use shared::envelope::{Envelope, Notice, code};

use crate::permission::Permission;

/// A failed request: the HTTP status, the one error of the envelope, and headers that go with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    status: u16,
    notice: Box<Notice>,
    allow: Option<&'static str>,
    retry: Retry,
}

impl Failure {
    /// A failure that repeating the request cannot mend.
    pub fn new(status: u16, notice: Notice) -> Self {
        Self {
            status,
            notice: Box::new(notice),
            allow: None,
            retry: Retry::Never,
        }
    }

    /// A field of the body, named by its JSON pointer, has a value that it may not have.
    pub fn field(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(400, Notice::new(code::BAD_REQUEST, message).at(pointer))
    }

    /// The body as a whole cannot be read.
    pub fn body(message: impl Into<String>) -> Self {
        Self::field("", message)
    }

    /// The body is over its bound of `limit` bytes.
    pub fn body_too_large(limit: usize) -> Self {
        Self::new(
            413,
            Notice::new(
                code::BODY_TOO_LARGE,
                format!("The request body is too large: send at most {limit} bytes."),
            ),
        )
    }

    /// Nothing is served at this path.
    pub fn no_route() -> Self {
        Self::new(
            404,
            Notice::new(
                code::NO_ROUTE,
                "Nothing is served at this path: check it, and that the account id is 32 \
                 lowercase hexadecimal digits.",
            ),
        )
    }

    /// The path is served, but for other methods: `allow` names them, separated by commas.
    pub fn method_not_allowed(allow: &'static str) -> Self {
        Self {
            allow: Some(allow),
            ..Self::new(
                405,
                Notice::new(
                    code::METHOD_NOT_ALLOWED,
                    format!("This path does not serve that method: use {allow}."),
                ),
            )
        }
    }

    /// No such live input in this account.
    pub fn no_such_input() -> Self {
        Self::new(
            404,
            Notice::new(
                code::NOT_FOUND,
                "This account has no such live input: check its uid against the list of live \
                 inputs.",
            ),
        )
    }

    /// No such output of this live input.
    pub fn no_such_output() -> Self {
        Self::new(
            404,
            Notice::new(
                code::NOT_FOUND,
                "This live input has no such output: check its uid against the list of outputs.",
            ),
        )
    }

    /// No such token in this account.
    pub fn no_such_token() -> Self {
        Self::new(
            404,
            Notice::new(
                code::NOT_FOUND,
                "This account has no such token: check its id against the list of tokens.",
            ),
        )
    }

    /// A parameter of the query has a value that it may not have; `form` says what it must be.
    pub fn query(name: &str, form: &str) -> Self {
        Self::field(
            format!("/{name}"),
            format!("The parameter {name} must be {form}."),
        )
    }

    /// The account has as many tokens as it may.
    pub fn too_many_tokens(limit: u32) -> Self {
        Self::new(
            403,
            Notice::new(
                code::LIMIT_REACHED,
                format!(
                    "This account has {limit} tokens, as many as it may: delete one, then try \
                     again."
                ),
            ),
        )
    }

    /// A token wants to end its own right to manage tokens, which could be the last.
    pub fn own_token() -> Self {
        Self::new(
            403,
            Notice::new(
                code::FORBIDDEN,
                "A token can neither delete itself nor end its own right to manage tokens: use \
                 another token for that.",
            ),
        )
    }

    /// No account can be made here by the API.
    pub fn no_bootstrap() -> Self {
        Self::new(
            403,
            Notice::new(
                code::FORBIDDEN,
                "This control plane makes no accounts by its API: its operator has not set the \
                 secret BOOTSTRAP_TOKEN to 40 to 80 letters, digits, - and _.",
            ),
        )
    }

    /// The account has as many live inputs as it may.
    pub fn too_many_inputs(limit: u32) -> Self {
        Self::new(
            403,
            Notice::new(
                code::LIMIT_REACHED,
                format!(
                    "This account has {limit} live inputs, as many as it may: delete one, then \
                     try again."
                ),
            ),
        )
    }

    /// The live input has as many outputs as it may.
    pub fn too_many_outputs(limit: u32) -> Self {
        Self::new(
            403,
            Notice::new(
                code::LIMIT_REACHED,
                format!(
                    "This live input has {limit} outputs, as many as it may: delete one, then \
                     try again."
                ),
            ),
        )
    }

    /// The `Idempotency-Key` was used for another request.
    pub fn idempotency_key_taken() -> Self {
        Self::new(
            409,
            Notice::new(
                code::IDEMPOTENCY,
                "This Idempotency-Key was used for another request: choose a new one for each.",
            ),
        )
    }

    /// What the `Idempotency-Key` was used for is gone.
    pub fn idempotency_key_of_the_deleted() -> Self {
        Self::new(
            409,
            Notice::new(
                code::IDEMPOTENCY,
                "What was created with this Idempotency-Key was deleted: choose a new one.",
            ),
        )
    }

    /// The token is unknown or revoked.
    pub fn invalid_token() -> Self {
        Self::new(
            403,
            Notice::new(
                code::INVALID_TOKEN,
                "This token is unknown, or was taken away: use a valid one.",
            ),
        )
    }

    /// The token is outside its time.
    pub fn token_expired() -> Self {
        Self::new(
            403,
            Notice::new(
                code::INVALID_TOKEN,
                "This token has expired: use another one, or give it a later `expires_on`.",
            ),
        )
    }

    /// The token's time has not come.
    pub fn token_not_yet_valid() -> Self {
        Self::new(
            403,
            Notice::new(
                code::INVALID_TOKEN,
                "This token is not valid yet: its `not_before` lies ahead.",
            ),
        )
    }

    /// The token is good, and of this account, but lacks a permission.
    pub fn lacks_permission(permission: Permission) -> Self {
        Self::new(
            403,
            Notice::new(
                code::FORBIDDEN,
                format!(
                    "This token lacks the permission {permission}: use one that has it, or give it \
                     that permission."
                ),
            ),
        )
    }

    /// The token is good, but not for this.
    pub fn forbidden() -> Self {
        Self::new(
            403,
            Notice::new(
                code::FORBIDDEN,
                "This token may not do that: use a token of this account, made for this use.",
            ),
        )
    }

    /// As many requests came in this minute as may. When the next one may come stands in the
    /// headers of [`Allowance`](crate::rate::Allowance).
    pub fn too_many_requests() -> Self {
        Self::new(
            429,
            Notice::new(
                code::RATE_LIMITED,
                "Please wait and consider throttling your request speed: the headers say how many \
                 requests a minute holds, and when the next one begins.",
            ),
        )
    }

    /// The path opens a WebSocket, and the request does not ask for one.
    pub fn upgrade_required() -> Self {
        Self::new(
            426,
            Notice::new(
                code::BAD_REQUEST,
                "This path opens a WebSocket: send the headers that ask for one.",
            ),
        )
    }

    /// We failed, and would again.
    pub fn internal() -> Self {
        Self::new(
            500,
            Notice::new(
                code::INTERNAL,
                "The control plane failed: its log says why. Repeating the request will not help.",
            ),
        )
    }

    /// Nothing was changed; the same request may succeed in a moment.
    pub fn unavailable() -> Self {
        Self {
            retry: Retry::Soon,
            ..Self::new(
                503,
                Notice::new(
                    code::UNAVAILABLE,
                    "The control plane cannot answer now, and nothing was changed: try again in \
                     a moment.",
                ),
            )
        }
    }

    /// A change whose fate is not known yet: repeating it blindly could make it twice.
    pub fn undecided() -> Self {
        Self::new(
            503,
            Notice::new(
                code::UNAVAILABLE,
                "It is not known yet whether the change was made: look in a minute, and repeat \
                 the request if it was not.",
            ),
        )
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The error that the envelope carries.
    pub fn notice(&self) -> &Notice {
        &self.notice
    }

    /// The methods that the path has, where the request's is none of them.
    pub fn allowed_methods(&self) -> Option<&'static str> {
        self.allow
    }

    /// Headers that go with the status, names in lower case.
    ///
    /// Cloudflare's clients repeat 409 and 5xx up to ten times unless told not to.
    pub fn headers(&self) -> Vec<(&'static str, &'static str)> {
        let mut headers = Vec::new();
        if let Some(allow) = self.allow {
            headers.push(("allow", allow));
        }
        match self.retry {
            Retry::Never if self.status == 409 || self.status >= 500 => {
                headers.push(("x-should-retry", "false"));
            }
            Retry::Never => {}
            Retry::Soon => headers.push(("retry-after", RETRY_AFTER_SECONDS)),
        }
        headers
    }

    /// The body of the answer.
    pub fn into_envelope(self) -> Envelope<()> {
        Envelope::failure(*self.notice)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.status, self.notice.code)
    }
}

impl std::error::Error for Failure {}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Retry {
    Never,
    Soon,
}

/// Long enough for a database or an object to come back from a restart.
const RETRY_AFTER_SECONDS: &str = "1";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn is_wrapped_in_the_envelope() {
        let failure = Failure::field("/url", "Change it.");
        assert_eq!(failure.status(), 400);
        assert_eq!(
            serde_json::to_value(failure.into_envelope()).unwrap(),
            json!({
                "result": null, "success": false, "messages": [],
                "errors": [{"code": 10005, "message": "Change it.", "source": {"pointer": "/url"}}],
            })
        );
    }

    #[test]
    fn says_whether_to_repeat() {
        assert_eq!(Failure::internal().headers(), [("x-should-retry", "false")]);
        assert_eq!(
            Failure::undecided().headers(),
            [("x-should-retry", "false")]
        );
        assert_eq!(Failure::unavailable().headers(), [("retry-after", "1")]);
        assert_eq!(Failure::no_such_input().headers(), []);
        assert_eq!(
            Failure::method_not_allowed("GET, POST").headers(),
            [("allow", "GET, POST")]
        );
    }

    #[test]
    fn every_message_is_a_sentence() {
        for failure in [
            Failure::body_too_large(1),
            Failure::no_route(),
            Failure::method_not_allowed("GET"),
            Failure::no_such_input(),
            Failure::no_such_output(),
            Failure::no_such_token(),
            Failure::query("page", "a whole number"),
            Failure::too_many_tokens(1),
            Failure::own_token(),
            Failure::no_bootstrap(),
            Failure::too_many_inputs(1),
            Failure::too_many_outputs(1),
            Failure::idempotency_key_taken(),
            Failure::idempotency_key_of_the_deleted(),
            Failure::invalid_token(),
            Failure::token_expired(),
            Failure::token_not_yet_valid(),
            Failure::lacks_permission(Permission::StreamWrite),
            Failure::forbidden(),
            Failure::too_many_requests(),
            Failure::upgrade_required(),
            Failure::internal(),
            Failure::unavailable(),
            Failure::undecided(),
        ] {
            let message = &failure.notice().message;
            assert!(message.ends_with('.'), "{message}");
            assert!(message.starts_with(char::is_uppercase), "{message}");
            assert!(!message.contains("  "), "{message}");
        }
    }
}
