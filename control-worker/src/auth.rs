//! Whose token a request carries: KV remembers good ones, D1 knows all.

use control_core::auth::{CACHE_SECONDS, Credentials, TokenHash, TokenId, TokenRecord, authorize};
use control_core::failure::Failure;
use control_core::route::Access;
use control_core::sql::{Results, token_by_hash};
use worker::{Context, Env, Headers, Result};

use crate::{clock, d1, log};

/// Finds the token of the request and checks that it may take the route.
pub(crate) async fn authenticate(
    headers: &Headers,
    access: Access,
    env: &Env,
    context: &Context,
) -> std::result::Result<TokenId, Failure> {
    let header = |name| headers.get(name).ok().flatten();
    let authorization = header("authorization");
    let (email, key) = (header("x-auth-email"), header("x-auth-key"));
    let credentials = Credentials {
        authorization: authorization.as_deref(),
        email: email.as_deref(),
        key: key.as_deref(),
    };
    let hash = TokenHash::of(&credentials.token()?);
    if let Some(record) = cached(env, &hash).await {
        return authorize(Some(record), access, clock::now());
    }
    let record = stored(env, &hash).await?;
    if let Some(record) = &record {
        cache(env, context, &hash, record);
    }
    authorize(record, access, clock::now())
}

/// Without KV the answer is D1's alone: slower, and as right.
async fn cached(env: &Env, hash: &TokenHash) -> Option<TokenRecord> {
    let text = env.kv("TOKENS").ok()?.get(&hash.cache_key()).text().await;
    TokenRecord::from_cache(&text.ok()??)
}

async fn stored(env: &Env, hash: &TokenHash) -> std::result::Result<Option<TokenRecord>, Failure> {
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
        Ok(put) => context.wait_until(async move {
            if let Err(error) = put.execute().await {
                log::failed("remembering a token", &error);
            }
        }),
        Err(error) => log::failed("remembering a token", &error),
    }
}
