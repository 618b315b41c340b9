//! Workers adapters of the control plane.
//!
//! One file a resource, one a Durable Object: each takes a request apart, calls the core's rules,
//! and carries out what they say. Panics are impossible by lint, because one would cost every
//! object of the isolate its memory.

mod accounts;
mod alerting;
mod answer;
mod auth;
mod bell;
mod body;
mod clock;
mod d1;
mod delay;
mod event_streams;
mod keys;
#[expect(missing_docs, reason = "`durable_object` makes methods without")]
mod live_input;
mod live_inputs;
mod log;
mod object;
mod object_sql;
mod outputs;
mod page;
mod pulse;
mod random;
mod rate;
mod relay;
#[expect(missing_docs, reason = "`durable_object` makes methods without")]
mod relay_node;
mod scope;
mod settings;
mod sockets;
mod stream;
mod tokens;
#[expect(missing_docs, reason = "`durable_object` makes methods without")]
mod webhook;
mod webhooks;

use control_core::auth::TokenId;
use control_core::failure::Failure;
use control_core::openapi;
use control_core::page as page_paths;
use control_core::rate::Allowance;
use control_core::ray::Ray;
use control_core::route::{Access, AccountsRoute, Route};
use serde_json::json;
use shared::id::AccountId;
use worker::{Context, Env, Request, Response, Result, event};

use crate::event_streams::EventStream;
use crate::scope::Scope;

pub use live_input::LiveInput;
pub use relay_node::RelayNode;
pub use webhook::Webhook;

/// Answers a request of an API client, of a relay node, or for the dashboard.
#[event(fetch)]
async fn fetch(request: Request, env: Env, context: Context) -> Result<Response> {
    let ray = scope::of_client(request.headers())?;
    Scope::new(Some(ray.clone()), answer(request, &env, &context, &ray)).await
}

async fn answer(mut request: Request, env: &Env, context: &Context, ray: &Ray) -> Result<Response> {
    if page_paths::is_asked(&request.inner().method(), &request.path()) {
        return match page::serve(env).await {
            Ok(page) => Ok(page),
            Err(failure) => answer::failure(failure),
        };
    }
    let origins = settings::origins(env);
    let origin = request.headers().get("origin")?;
    let mut headers = origins.headers(origin.as_deref());
    headers.push((scope::HEADER, ray.to_string()));
    let mut allowance = None;
    let served = serve(&mut request, env, context, &mut allowance).await;
    body::drain(&mut request).await;
    headers.extend(allowance.into_iter().flat_map(Allowance::headers));
    let response = match served {
        Ok(response) => response,
        Err(failure) => match failure.allowed_methods() {
            Some(methods) if request.inner().method() == "OPTIONS" => {
                headers.extend(origins.preflight(origin.as_deref(), methods));
                answer::methods(methods)?
            }
            _ => {
                if failure.status() >= 500 {
                    log::failed("answering a request", &failure);
                }
                answer::failure(failure)?
            }
        },
    };
    answer::finish(response, headers)
}

async fn serve(
    request: &mut Request,
    env: &Env,
    context: &Context,
    allowance: &mut Option<Allowance>,
) -> std::result::Result<Response, Failure> {
    // Of `worker`'s own type for methods, an unknown one would be a GET.
    let method = match request.inner().method() {
        // The runtime leaves the body out.
        method if method == "HEAD" => "GET".to_owned(),
        method => method,
    };
    let route = Route::parse(&method, &request.path())?;
    let events = EventStream::of(&route);
    if let Some(events) = events.filter(|_| EventStream::is_opened_blindly(request)) {
        return events.open_blindly(env, request, allowance).await;
    }
    let token = match route.access() {
        Access::Anybody => return public(&route, env).await,
        Access::Operator => {
            auth::authenticate_operator(request.headers(), env, allowance).await?;
            return match route {
                Route::Reseal => keys::reseal(env, request).await,
                _ => accounts::create(env, request).await,
            };
        }
        access => auth::authenticate(request.headers(), access, env, context, allowance).await?,
    };
    if let Some(events) = events {
        return events.open(env, Some(token.id), request).await;
    }
    let caller = |account| Caller {
        env,
        token: &token.id,
        account,
    };
    match route {
        Route::Accounts(AccountsRoute::CreateAccount) | Route::Reseal => Err(Failure::forbidden()),
        Route::Health | Route::Lifecycle { .. } | Route::OpenApi => public(&route, env).await,
        Route::Relay(route) => relay::serve(env, token.id, route, request).await,
        Route::Alerting { account, route } => {
            alerting::serve(&caller(account), route, request).await
        }
        Route::Stream { account, route } => stream::serve(&caller(account), route, request).await,
        Route::Tokens { account, route } => tokens::serve(&caller(account), route, request).await,
        Route::VerifyAnyToken => tokens::verify(env, token).await,
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
