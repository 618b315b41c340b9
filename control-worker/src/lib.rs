//! Workers adapters of the control plane.
//!
//! One file a resource, one a Durable Object: each takes a request apart, calls the core's rules,
//! and carries out what they say. Panics are impossible by lint, because one would cost every
//! object of the isolate its memory.

mod answer;
mod auth;
mod body;
mod clock;
mod d1;
#[expect(missing_docs, reason = "`durable_object` makes methods without")]
mod live_input;
mod live_inputs;
mod log;
mod object;
mod object_sql;
mod outputs;
mod random;
mod relay;
#[expect(missing_docs, reason = "`durable_object` makes methods without")]
mod relay_node;
mod settings;
mod stream;
#[expect(missing_docs, reason = "`durable_object` makes methods without")]
mod webhook;

use control_core::auth::TokenId;
use control_core::failure::Failure;
use control_core::openapi;
use control_core::route::{Access, Route};
use serde_json::json;
use shared::id::AccountId;
use worker::{Context, Env, Request, Response, Result, event};

pub use live_input::LiveInput;
pub use relay_node::RelayNode;
pub use webhook::Webhook;

/// Answers a request of an API client or of a relay node.
#[event(fetch)]
async fn fetch(mut request: Request, env: Env, context: Context) -> Result<Response> {
    let request_id = random::id()?;
    let served = serve(&mut request, &env, &context).await;
    body::drain(&mut request).await;
    let response = match served {
        Ok(response) => response,
        Err(failure) => {
            if failure.status() >= 500 {
                log::failed(&request_id, &failure);
            }
            answer::failure(failure)?
        }
    };
    answer::finish(response, &request_id)
}

async fn serve(
    request: &mut Request,
    env: &Env,
    context: &Context,
) -> std::result::Result<Response, Failure> {
    // Of `worker`'s own type for methods, an unknown one would be a GET.
    let route = Route::parse(&request.inner().method(), &request.path())?;
    let token = match route.access() {
        Access::Anybody => return public(&route, env).await,
        access => auth::authenticate(request.headers(), access, env, context).await?,
    };
    match route {
        Route::Health | Route::Lifecycle { .. } | Route::OpenApi => public(&route, env).await,
        Route::Relay(route) => relay::serve(env, token, route, request).await,
        Route::Stream { account, route } => {
            let token = &token;
            let caller = Caller {
                env,
                token,
                account,
            };
            stream::serve(&caller, route, request).await
        }
    }
}

/// What needs no credentials.
async fn public(route: &Route, env: &Env) -> std::result::Result<Response, Failure> {
    match route {
        Route::Lifecycle { input } => live_inputs::lifecycle(env, *input).await,
        Route::OpenApi => answer::json(&openapi::document()?),
        _ => answer::success(Some(json!({"status": "ok"}))),
    }
}

/// Who asks on behalf of which account.
struct Caller<'a> {
    env: &'a Env,
    token: &'a TokenId,
    account: AccountId,
}
