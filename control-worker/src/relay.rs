//! `/relay/v1`: what relay nodes ask.

use std::str::FromStr as _;

use control_core::auth::TokenId;
use control_core::failure::Failure;
use control_core::live_input::{Publish, PublishOutcome};
use control_core::relay_request;
use control_core::route::RelayRoute;
use control_core::sql::{InputRow, PublishCheck};
use shared::id::NodeName;
use shared::limits::MAX_LINK_FRAME_BYTES;
use shared::link::{Owner, PublishAnswer, PublishRefusal, PublishRequest, Reconciliation, Report};
use shared::stream_key::StreamKey;
use worker::{Env, Method};

use crate::answer::{self, Answer};
use crate::event_streams::is_upgrade;
use crate::object::{self, Object};
use crate::request::Request;
use crate::{clock, d1, log, settings};

/// Answers a relay node.
pub(crate) async fn serve(
    env: &Env,
    token: TokenId,
    route: RelayRoute,
    request: &Request,
) -> Result<Answer, Failure> {
    match route {
        RelayRoute::Link { node } => link(env, &node, request).await,
        RelayRoute::Poll { node } => poll(env, &node, request).await,
        RelayRoute::Publish => publish(env, token, request).await,
    }
}

/// May this key publish? It is checked before any object is touched, so that a wrong one makes
/// none.
async fn publish(env: &Env, token: TokenId, request: &Request) -> Result<Answer, Failure> {
    let body = request.body().await?;
    let asked: PublishRequest = relay_request::parse(&body)?;
    let unknown = PublishAnswer::Refused {
        reason: PublishRefusal::UnknownKey,
    };
    let Ok(key) = StreamKey::from_str(asked.key.expose()) else {
        return answer::json(&unknown);
    };
    let check = PublishCheck {
        token: token.clone(),
        input: key.input(),
    };
    let results = d1::batch(env, &check.batch()).await;
    let results = results.map_err(log::unavailable("checking a stream key"))?;
    let wanted = check
        .outcome(&results)
        .map_err(log::internal("checking a stream key"))??;
    let keyring = settings::keyring(env)?;
    let number = |row: &InputRow| row.number_of(&key, &keyring, clock::now());
    let Some(number) = wanted.input.as_ref().and_then(number) else {
        return answer::json(&unknown);
    };
    let publish = Publish {
        token,
        owner: Owner {
            node: asked.node,
            instance: asked.instance,
        },
        key: number,
    };
    let object = Object::of_input(env, key.input());
    let outcome = object.ask("/publish", &publish).await;
    match outcome.map_err(log::unavailable("asking a live input's object"))? {
        PublishOutcome::Answer(told) => answer::json(&told),
        PublishOutcome::TokenRevoked => Err(Failure::invalid_token()),
    }
}

/// Opens a node's socket at the node's object.
async fn link(env: &Env, node: &NodeName, request: &Request) -> Result<Answer, Failure> {
    if !is_upgrade(request) {
        return Err(Failure::upgrade_required());
    }
    let open = async {
        let mut forwarded = worker::Request::new(&object::url("/link"), Method::Get)?;
        forwarded.headers_mut()?.set("upgrade", "websocket")?;
        Object::of_node(env, node).open(forwarded).await
    };
    let opened: worker::Result<_> = open.await;
    opened
        .map(Answer::Whole)
        .map_err(log::unavailable("opening a node's socket"))
}

/// Answers a node whose socket is down.
async fn poll(env: &Env, node: &NodeName, request: &Request) -> Result<Answer, Failure> {
    let body = request.body_within(MAX_LINK_FRAME_BYTES).await?;
    let report: Report = relay_request::parse(&body)?;
    let answered = Object::of_node(env, node).ask("/report", &report).await;
    let reconciliation: Reconciliation =
        answered.map_err(log::unavailable("asking a relay node's object"))?;
    answer::json(&reconciliation)
}
