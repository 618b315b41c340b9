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
mod clock;
mod d1;
mod delay;
mod event_streams;
mod glue;
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
mod request;
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
use worker::{Context, Env, Result, event, web_sys};

use crate::answer::Answer;
use crate::event_streams::EventStream;
use crate::request::Request;
use crate::scope::Scope;

pub use live_input::LiveInput;
pub use relay_node::RelayNode;
pub use webhook::Webhook;

/// Answers a request of an API client, of a relay node, or for the dashboard.
#[event(fetch)]
async fn fetch(request: web_sys::Request, env: Env, context: Context) -> Result<web_sys::Response> {
    let request = Request::of(request)?;
    let ray = scope::of_client(&request)?;
    let answer = answer(&request, &env, &context, &ray);
    Scope::new(Some(ray.clone()), answer).await
}

async fn answer(
    request: &Request,
    env: &Env,
    context: &Context,
    ray: &Ray,
) -> Result<web_sys::Response> {
    if page_paths::is_asked(request.method(), request.path()) {
        let page = page::serve(env).await.or_else(answer::failure)?;
        return page.finish(Vec::new());
    }
    let origins = settings::origins(env);
    // Where there is none to allow, it is not looked at.
    let origin = match origins.is_empty() {
        true => None,
        false => request.header("origin"),
    };
    let origin = origin.as_deref();
    let mut headers = origins.headers(origin);
    headers.push((scope::HEADER, ray.as_str().to_owned()));
    let mut allowance = None;
    let served = serve(request, env, context, &mut allowance).await;
    request.drain().await;
    headers.extend(allowance.into_iter().flat_map(Allowance::headers));
    let answer = match served {
        Ok(answer) => answer,
        Err(failure) => match failure.allowed_methods() {
            Some(methods) if request.method() == "OPTIONS" => {
                headers.extend(origins.preflight(origin, methods));
                answer::methods(methods)
            }
            _ => {
                if failure.status() >= 500 {
                    log::failed("answering a request", &failure);
                }
                answer::failure(failure)?
            }
        },
    };
    answer.finish(headers)
}

async fn serve(
    request: &Request,
    env: &Env,
    context: &Context,
    allowance: &mut Option<Allowance>,
) -> std::result::Result<Answer, Failure> {
    let method = match request.method() {
        // The runtime leaves the body out.
        "HEAD" => "GET",
        method => method,
    };
    let route = Route::parse(method, request.path())?;
    let events = EventStream::of(&route);
    if let Some(events) = events.filter(|_| EventStream::is_opened_blindly(request)) {
        return events.open_blindly(env, request, allowance).await;
    }
    let token = match route.access() {
        Access::Anybody => return public(&route, env).await,
        Access::Operator => {
            auth::authenticate_operator(request, env, allowance).await?;
            return match route {
                Route::Reseal => keys::reseal(env, request).await,
                _ => accounts::create(env, request).await,
            };
        }
        access => auth::authenticate(request, access, env, context, allowance).await?,
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
async fn public(route: &Route, env: &Env) -> std::result::Result<Answer, Failure> {
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
