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
mod outputs;
mod random;
mod relay;
#[expect(missing_docs, reason = "`durable_object` makes methods without")]
mod relay_node;
mod settings;

use control_core::auth::TokenId;
use control_core::failure::Failure;
use control_core::route::{Access, Route};
use serde_json::json;
use shared::id::AccountId;
use worker::{Context, Env, Request, Response, Result, event};

pub use live_input::LiveInput;
pub use relay_node::RelayNode;

/// Answers a request of an API client or of a relay node.
#[event(fetch)]
async fn fetch(request: Request, env: Env, context: Context) -> Result<Response> {
    let request_id = random::id()?;
    let response = match serve(request, &env, &context).await {
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
    mut request: Request,
    env: &Env,
    context: &Context,
) -> std::result::Result<Response, Failure> {
    // Of `worker`'s own type for methods, an unknown one would be a GET.
    let route = Route::parse(&request.inner().method(), &request.path())?;
    let token = match route.access() {
        Access::Anybody => return health(),
        access => auth::authenticate(request.headers(), access, env, context).await?,
    };
    let caller = |account| Caller {
        env,
        token: &token,
        account,
    };
    match route {
        Route::Health => health(),
        Route::ListInputs { account } => live_inputs::list(env, account).await,
        Route::CreateInput { account } => live_inputs::create(&caller(account), &mut request).await,
        Route::InputDetails { account, input } => {
            live_inputs::details(&caller(account), input).await
        }
        Route::UpdateInput { account, input } => {
            live_inputs::update(&caller(account), input, &mut request).await
        }
        Route::DeleteInput { account, input } => live_inputs::delete(&caller(account), input).await,
        Route::ListOutputs { account, input } => outputs::list(&caller(account), input).await,
        Route::CreateOutput { account, input } => {
            outputs::create(&caller(account), input, &mut request).await
        }
        Route::UpdateOutput {
            account,
            input,
            output,
        } => outputs::update(&caller(account), input, output, &mut request).await,
        Route::DeleteOutput {
            account,
            input,
            output,
        } => outputs::delete(&caller(account), input, output).await,
        Route::Publish => relay::publish(env, token, &mut request).await,
        Route::NodeLink { node } => relay::link(env, &node, &request).await,
        Route::NodePoll { node } => relay::poll(env, &node, &mut request).await,
    }
}

/// The Worker runs; asks nothing of anybody.
fn health() -> std::result::Result<Response, Failure> {
    answer::success(Some(json!({"status": "ok"})))
}

/// Who asks on behalf of which account.
struct Caller<'a> {
    env: &'a Env,
    token: &'a TokenId,
    account: AccountId,
}
