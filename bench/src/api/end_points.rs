//! What is asked: every end point of the API that waits for storage and for nobody else.

use anyhow::{Result, ensure};
use serde::Serialize;

/// An end point, and how it is asked again and again.
#[derive(Clone, Copy)]
pub(crate) struct EndPoint {
    pub(crate) method: &'static str,
    /// With names of what it is about in place of ids.
    pub(crate) path: &'static str,
    pub(crate) query: &'static str,
    pub(crate) body: Option<&'static str>,
    /// What must be there for it, in the order in which it is made.
    pub(crate) scene: &'static [Kind],
    pub(crate) course: Course,
    /// How many may ask at the same time, where an account's limits allow no more.
    pub(crate) most: usize,
    pub(crate) steps: Steps,
}

/// What happens outside of the measured time, so that the thousandth answer is no longer than the
/// first.
#[derive(Clone, Copy)]
pub(crate) enum Course {
    /// Nothing.
    Plain,
    /// What it made is taken away.
    Undone(Kind),
    /// What it takes away is made before.
    Remade(Kind),
}

/// The order in which the Worker waits for storage, for its floor to do the same.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Steps {
    /// The look-up of the token.
    Token,
    /// The batch, for whoever asks.
    Public,
    /// The look-up, then the batch.
    Batch,
    /// The look-up, then the batch beside a live input's object, which knows its state.
    BatchAndInput,
    /// The look-up, then the batch beside an account's object, which runs statements of its own.
    BatchAndAccount,
    /// The look-up, the batch, then an account's object, which sends a test message afterwards.
    BatchThenAccount,
    /// The look-up, then a live input's object, which stores its intent, runs the batch, and stores
    /// that it is done. Afterwards it tells the account's object.
    Change,
}

/// Something that can be made and taken away.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Input,
    Output,
    Token,
    Destination,
    Policy,
    Webhook,
}

impl Kind {
    /// Its name in paths.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Input => ":input",
            Self::Output => ":output",
            Self::Token => ":token",
            Self::Destination => ":destination",
            Self::Policy => ":policy",
            Self::Webhook => ":webhook",
        }
    }

    /// How one is made: method, path and body.
    pub(crate) fn made_by(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Input => ("POST", INPUTS, INPUT),
            Self::Output => ("POST", OUTPUTS, OUTPUT),
            Self::Token => ("POST", TOKENS, TOKEN),
            Self::Destination => ("POST", DESTINATIONS, DESTINATION),
            Self::Policy => ("POST", POLICIES, POLICY),
            Self::Webhook => ("PUT", WEBHOOK, HOOK),
        }
    }

    /// Where one is taken away.
    pub(crate) fn deleted_at(self) -> &'static str {
        match self {
            Self::Input => ONE_INPUT,
            Self::Output => ONE_OUTPUT,
            Self::Token => ONE_TOKEN,
            Self::Destination => ONE_DESTINATION,
            Self::Policy => ONE_POLICY,
            Self::Webhook => WEBHOOK,
        }
    }
}

impl EndPoint {
    const fn new(method: &'static str, path: &'static str, steps: Steps) -> Self {
        Self {
            method,
            path,
            query: "",
            body: None,
            scene: &[],
            course: Course::Plain,
            most: usize::MAX,
            steps,
        }
    }

    const fn body(self, body: &'static str) -> Self {
        let body = Some(body);
        Self { body, ..self }
    }

    const fn query(self, query: &'static str) -> Self {
        Self { query, ..self }
    }

    const fn with(self, scene: &'static [Kind]) -> Self {
        Self { scene, ..self }
    }

    const fn course(self, course: Course) -> Self {
        Self { course, ..self }
    }

    const fn at_most(self, most: usize) -> Self {
        Self { most, ..self }
    }

    /// As tables show it.
    pub(crate) fn name(&self) -> String {
        let path = self.path.strip_prefix("/accounts/:account");
        let path = path.filter(|path| !path.is_empty()).unwrap_or(self.path);
        format!("{} {path}{}", self.method, self.query)
    }
}

/// That every end point is measured or left out on purpose.
pub(crate) fn check() -> Result<()> {
    let all = include_str!("../../../control-worker/core/src/route/end_points.json");
    for (method, path, who) in serde_json::from_str::<Vec<(String, String, String)>>(all)? {
        let is_known = who == "relay"
            || LEFT_OUT.contains(&path.as_str())
            || ALL
                .iter()
                .any(|one| (one.method, one.path) == (&method, &path));
        ensure!(is_known, "{method} {path} is not measured");
    }
    Ok(())
}

/// They wait for no storage, or for a receiver's answer, are streams that go on, or work in batches.
const LEFT_OUT: [&str; 7] = [
    "/health",
    "/openapi.json",
    "/keys/reseal",
    "/accounts/:account/stream/live_inputs/events",
    "/accounts/:account/stream/live_inputs/:input/events",
    "/accounts/:account/stream/webhook/test",
    "/accounts/:account/alerting/v3/destinations/webhooks/:destination/test",
];

const INPUTS: &str = "/accounts/:account/stream/live_inputs";
const ONE_INPUT: &str = "/accounts/:account/stream/live_inputs/:input";
const OUTPUTS: &str = "/accounts/:account/stream/live_inputs/:input/outputs";
const ONE_OUTPUT: &str = "/accounts/:account/stream/live_inputs/:input/outputs/:output";
const WEBHOOK: &str = "/accounts/:account/stream/webhook";
const TOKENS: &str = "/accounts/:account/tokens";
const ONE_TOKEN: &str = "/accounts/:account/tokens/:token";
const DESTINATIONS: &str = "/accounts/:account/alerting/v3/destinations/webhooks";
const ONE_DESTINATION: &str = "/accounts/:account/alerting/v3/destinations/webhooks/:destination";
const POLICIES: &str = "/accounts/:account/alerting/v3/policies";
const ONE_POLICY: &str = "/accounts/:account/alerting/v3/policies/:policy";

/// The query of the list.
pub(crate) const LIST: &str = "limit=1000";

pub(crate) const INPUT: &str = r#"{"meta":{"name":"a live input"}}"#;
pub(crate) const SWITCH: &str = r#"{"enabled":true}"#;
pub(crate) const OUTPUT: &str =
    r#"{"url":"rtmps://b.rtmps.example.com/live2","streamKey":"uzya-f19y-g2g9-a2ee-51j2"}"#;
pub(crate) const TOKEN: &str = r#"{"name":"a token","policies":[{"effect":"allow","resources":{"com.cloudflare.api.account.:account":"*"},"permission_groups":[{"id":"de21485a24744b76a004aa153898f7fe"}]}]}"#;
pub(crate) const NAMED: &str = r#"{"name":"another name"}"#;
/// Nothing listens there: what becomes of the test message is not measured.
pub(crate) const DESTINATION: &str =
    r#"{"name":"a receiver","url":"http://127.0.0.1:9/","secret":"open sesame"}"#;
pub(crate) const POLICY: &str = r#"{"name":"a policy","alert_type":"stream_live_notifications","mechanisms":{"webhooks":[{"id":":destination"}]}}"#;
pub(crate) const HOOK: &str = r#"{"notificationUrl":"http://127.0.0.1:9/"}"#;
pub(crate) const ACCOUNT: &str = r#"{"name":"an account"}"#;

/// An account has at most 20 destinations and 50 policies, and one webhook.
const FEW: usize = 16;

use Course::{Remade, Undone};
use Kind::{Destination, Input, Output, Policy, Token, Webhook};
use Steps::{Batch, BatchAndAccount, BatchAndInput, BatchThenAccount, Change, Public};

/// The list first: the others make more live inputs, and it is the list of 1000.
pub(crate) const ALL: [EndPoint; 39] = [
    EndPoint::new("GET", INPUTS, Batch).query("?limit=1000"),
    EndPoint::new("GET", ONE_INPUT, BatchAndInput).with(&[Input]),
    EndPoint::new("POST", INPUTS, Change)
        .body(INPUT)
        .course(Undone(Input)),
    EndPoint::new("PUT", ONE_INPUT, Change)
        .body(SWITCH)
        .with(&[Input]),
    EndPoint::new("DELETE", ONE_INPUT, Change).course(Remade(Input)),
    EndPoint::new(
        "POST",
        "/accounts/:account/stream/live_inputs/:input/rotate_keys",
        Change,
    )
    .with(&[Input]),
    EndPoint::new(
        "GET",
        "/accounts/:account/stream/live_inputs/:input/videos",
        Batch,
    )
    .with(&[Input]),
    EndPoint::new("GET", "/:input/lifecycle", Public).with(&[Input]),
    // As many as most people have destinations.
    EndPoint::new("GET", OUTPUTS, BatchAndInput)
        .with(&[Input, Output, Output, Output, Output, Output]),
    EndPoint::new("GET", ONE_OUTPUT, BatchAndInput).with(&[Input, Output]),
    EndPoint::new("POST", OUTPUTS, Change)
        .body(OUTPUT)
        .with(&[Input])
        .course(Undone(Output)),
    EndPoint::new("PUT", ONE_OUTPUT, Change)
        .body(SWITCH)
        .with(&[Input, Output]),
    EndPoint::new("DELETE", ONE_OUTPUT, Change)
        .with(&[Input])
        .course(Remade(Output)),
    EndPoint::new(
        "POST",
        "/accounts/:account/stream/live_inputs/:input/outputs/:output/retry",
        Change,
    )
    .with(&[Input, Output]),
    EndPoint::new("GET", WEBHOOK, Batch).with(&[Webhook]),
    EndPoint::new("PUT", WEBHOOK, Batch).body(HOOK),
    EndPoint::new("DELETE", WEBHOOK, Batch)
        .course(Remade(Webhook))
        .at_most(1),
    EndPoint::new(
        "GET",
        "/accounts/:account/stream/webhook/deliveries",
        BatchAndAccount,
    )
    .with(&[Webhook]),
    EndPoint::new("GET", DESTINATIONS, BatchAndAccount)
        .with(&[Destination])
        .at_most(FEW),
    EndPoint::new("GET", ONE_DESTINATION, BatchAndAccount)
        .with(&[Destination])
        .at_most(FEW),
    EndPoint::new("POST", DESTINATIONS, BatchThenAccount)
        .body(DESTINATION)
        .course(Undone(Destination))
        .at_most(FEW),
    EndPoint::new("PUT", ONE_DESTINATION, Batch)
        .body(DESTINATION)
        .with(&[Destination])
        .at_most(FEW),
    EndPoint::new("DELETE", ONE_DESTINATION, Batch)
        .course(Remade(Destination))
        .at_most(FEW),
    EndPoint::new(
        "GET",
        "/accounts/:account/alerting/v3/destinations/webhooks/:destination/deliveries",
        BatchAndAccount,
    )
    .with(&[Destination])
    .at_most(FEW),
    EndPoint::new("GET", POLICIES, Batch)
        .with(&[Destination, Policy])
        .at_most(FEW),
    EndPoint::new("GET", ONE_POLICY, Batch)
        .with(&[Destination, Policy])
        .at_most(FEW),
    EndPoint::new("POST", POLICIES, Batch)
        .body(POLICY)
        .with(&[Destination])
        .course(Undone(Policy))
        .at_most(FEW),
    EndPoint::new("PUT", ONE_POLICY, Batch)
        .body(POLICY)
        .with(&[Destination, Policy])
        .at_most(FEW),
    EndPoint::new("DELETE", ONE_POLICY, Batch)
        .with(&[Destination])
        .course(Remade(Policy))
        .at_most(FEW),
    EndPoint::new("GET", TOKENS, Batch).with(&[Token]),
    EndPoint::new("GET", ONE_TOKEN, Batch).with(&[Token]),
    EndPoint::new("POST", TOKENS, Batch)
        .body(TOKEN)
        .course(Undone(Token)),
    EndPoint::new("PUT", ONE_TOKEN, Batch)
        .body(NAMED)
        .with(&[Token]),
    EndPoint::new("PUT", "/accounts/:account/tokens/:token/value", Batch).with(&[Token]),
    EndPoint::new("DELETE", ONE_TOKEN, Batch).course(Remade(Token)),
    EndPoint::new("GET", "/accounts/:account/tokens/verify", Batch),
    EndPoint::new("GET", "/user/tokens/verify", Batch),
    EndPoint::new(
        "GET",
        "/accounts/:account/tokens/permission_groups",
        Steps::Token,
    ),
    // They stay.
    EndPoint::new("POST", "/accounts", Public).body(ACCOUNT),
];

#[cfg(test)]
mod tests {
    #[test]
    fn no_end_point_is_forgotten() {
        super::check().unwrap();
    }
}
