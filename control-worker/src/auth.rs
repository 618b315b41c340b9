//! Whose token a request carries: KV remembers good ones, D1 knows all.

use control_core::auth::{
    CACHE_SECONDS, Credentials, TokenHash, TokenRecord, authorize, authorize_operator,
};
use control_core::failure::Failure;
use control_core::rate::Allowance;
use control_core::route::Access;
use control_core::sql::{Results, token_by_hash};
use shared::secret::Secret;
use worker::{Context, Env, Result};

use crate::request::Request;
use crate::scope::Scope;
use crate::{clock, d1, glue, log, rate, scope, settings};

/// Finds the token of the request and checks that it may take the route.
pub(crate) async fn authenticate(
    request: &Request,
    access: Access,
    env: &Env,
    context: &Context,
    allowance: &mut Option<Allowance>,
) -> std::result::Result<TokenRecord, Failure> {
    let hash = TokenHash::of(&sent(request)?);
    // A node asks for every encoder that comes: when it starts anew, all of them at once.
    if access != Access::Relay {
        limit(env, hash.as_str(), allowance).await?;
    }
    if let Some(record) = cached(env, &hash).await {
        return authorize(Some(record), access, clock::now());
    }
    // Whoever guesses asks with another token each time, and each costs the database a look-up.
    let address = request.header("cf-connecting-ip");
    let guesses = format!("guesses of {}", address.unwrap_or_default());
    let left = rate::look(env, &guesses);
    if left.is_some_and(Allowance::is_exceeded) {
        *allowance = left;
        return Err(Failure::too_many_requests());
    }
    let record = stored(env, &hash).await?;
    match &record {
        Some(record) => cache(env, context, &hash, record),
        None => rate::count_here(env, &guesses),
    }
    authorize(record, access, clock::now())
}

/// Checks that the request carries the operator's bootstrap secret.
pub(crate) async fn authenticate_operator(
    request: &Request,
    env: &Env,
    allowance: &mut Option<Allowance>,
) -> std::result::Result<(), Failure> {
    let sent = sent(request)?;
    limit(env, TokenHash::of(&sent).as_str(), allowance).await?;
    authorize_operator(&sent, settings::bootstrap_token(env).as_deref())
}

/// Counts a request of `key`, and says what is left.
async fn limit(
    env: &Env,
    key: &str,
    allowance: &mut Option<Allowance>,
) -> std::result::Result<(), Failure> {
    *allowance = rate::count(env, key).await;
    if allowance.is_some_and(Allowance::is_exceeded) {
        return Err(Failure::too_many_requests());
    }
    Ok(())
}

/// The token or secret that the request carries.
fn sent(request: &Request) -> std::result::Result<Secret, Failure> {
    let authorization = request.authorization();
    // They count only without it.
    let other = |name| match authorization {
        Some(_) => None,
        None => request.header(name),
    };
    let (email, key) = (other("x-auth-email"), other("x-auth-key"));
    let credentials = Credentials {
        authorization,
        email: email.as_deref(),
        key: key.as_deref(),
    };
    credentials.token()
}

/// Without KV the answer is D1's alone: slower, and as right.
async fn cached(env: &Env, hash: &TokenHash) -> Option<TokenRecord> {
    let text = glue::remembered(env, &hash.cache_key()).text().await;
    TokenRecord::from_cache(&text.ok()??)
}

/// What the database knows of a token.
pub(crate) async fn stored(
    env: &Env,
    hash: &TokenHash,
) -> std::result::Result<Option<TokenRecord>, Failure> {
    let results = d1::batch(env, &[token_by_hash(hash)]).await;
    let results = results.map_err(log::unavailable("looking a token up"))?;
    results.first(0).map_err(log::internal("reading a token"))
}

fn cache(env: &Env, context: &Context, hash: &TokenHash, record: &TokenRecord) {
    let put = || -> Result<_> {
        let put = env
            .kv("TOKENS")?
            .put(&hash.cache_key(), record.to_cache())?;
        Ok(put.expiration_ttl(CACHE_SECONDS))
    };
    match put() {
        Ok(put) => context.wait_until(Scope::new(scope::current(), async move {
            if let Err(error) = put.execute().await {
                log::failed("remembering a token", &error);
            }
        })),
        Err(error) => log::failed("remembering a token", &error),
    }
}
