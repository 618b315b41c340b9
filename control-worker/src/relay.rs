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
use worker::{Env, Method, Request, Response};

use crate::event_streams::is_upgrade;
use crate::{answer, body, clock, d1, log, object, settings};

/// Answers a relay node.
pub(crate) async fn serve(
    env: &Env,
    token: TokenId,
    route: RelayRoute,
    request: &mut Request,
) -> Result<Response, Failure> {
    match route {
        RelayRoute::Link { node } => link(env, &node, request).await,
        RelayRoute::Poll { node } => poll(env, &node, request).await,
        RelayRoute::Publish => publish(env, token, request).await,
    }
}

/// May this key publish? It is checked before any object is touched, so that a wrong one makes
/// none.
async fn publish(env: &Env, token: TokenId, request: &mut Request) -> Result<Response, Failure> {
    let body = body::read(request).await?;
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
    let object = object::live_input(env, key.input())
        .map_err(log::internal("finding a live input's object"))?;
    let outcome = object::call(&object, "/publish", &publish).await;
    match outcome.map_err(log::unavailable("asking a live input's object"))? {
        PublishOutcome::Answer(told) => answer::json(&told),
        PublishOutcome::TokenRevoked => Err(Failure::invalid_token()),
    }
}

/// Opens a node's socket at the node's object.
async fn link(env: &Env, node: &NodeName, request: &Request) -> Result<Response, Failure> {
    if !is_upgrade(request) {
        return Err(Failure::upgrade_required());
    }
    let open = async {
        let mut forwarded = Request::new(&object::url("/link"), Method::Get)?;
        forwarded.headers_mut()?.set("upgrade", "websocket")?;
        object::name_caller(&mut forwarded)?;
        let object = object::relay_node(env, node)?;
        object.fetch_with_request(forwarded).await
    };
    open.await
        .map_err(log::unavailable("opening a node's socket"))
}

/// Answers a node whose socket is down.
async fn poll(env: &Env, node: &NodeName, request: &mut Request) -> Result<Response, Failure> {
    let body = body::within(request, MAX_LINK_FRAME_BYTES).await?;
    let report: Report = relay_request::parse(&body)?;
    let object =
        object::relay_node(env, node).map_err(log::internal("finding a relay node's object"))?;
    let answered = object::call(&object, "/report", &report).await;
    let reconciliation: Reconciliation =
        answered.map_err(log::unavailable("asking a relay node's object"))?;
    answer::json(&reconciliation)
}
