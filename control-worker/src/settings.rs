//! What the operator configured: variables and secrets of `wrangler.toml`.

use control_core::cors::Origins;
use control_core::destination::DestinationPolicy;
use control_core::failure::Failure;
use control_core::keys::Keyring;
use control_core::rate::DEFAULT_REQUESTS_PER_MINUTE;
use control_core::webhook::ReceiverPolicy;
use shared::limits::{DEFAULT_MAX_INPUTS_PER_ACCOUNT, DEFAULT_MAX_OUTPUTS_PER_INPUT};
use worker::Env;

use crate::log;

/// The keyring by which keys are sealed and checked: the secret `KEY_ENCRYPTION_KEYS`.
pub(crate) fn keyring(env: &Env) -> Result<Keyring, Failure> {
    let secret = env.secret("KEY_ENCRYPTION_KEYS");
    let text = secret.map_err(log::internal("reading the secret KEY_ENCRYPTION_KEYS"))?;
    Keyring::parse(&text.to_string())
        .map_err(log::internal("reading the secret KEY_ENCRYPTION_KEYS"))
}

/// What the operator makes accounts with, if anything: the secret `BOOTSTRAP_TOKEN`.
pub(crate) fn bootstrap_token(env: &Env) -> Option<String> {
    env.secret("BOOTSTRAP_TOKEN")
        .ok()
        .map(|secret| secret.to_string())
}

/// Requests that a token may make in a minute: the variable `RATE_LIMIT_PER_MINUTE`, of which 0
/// means no limit. What is no number leaves the limit where it was.
pub(crate) fn requests_per_minute(env: &Env) -> Option<u32> {
    let text = env.var("RATE_LIMIT_PER_MINUTE").ok();
    let number = text.and_then(|text| text.to_string().trim().parse().ok());
    Some(number.unwrap_or(DEFAULT_REQUESTS_PER_MINUTE)).filter(|number| *number > 0)
}

/// Origins whose pages may ask: the variable `DASHBOARD_ORIGINS`.
pub(crate) fn origins(env: &Env) -> Origins {
    let list = env.var("DASHBOARD_ORIGINS").ok();
    Origins::parse(&list.map(|list| list.to_string()).unwrap_or_default())
}

/// Where encoders publish, as the API shows it: the variable `INGEST_RTMPS_URL`.
pub(crate) fn ingest_url(env: &Env) -> Result<String, Failure> {
    let url = env.var("INGEST_RTMPS_URL");
    let url = url.map_err(log::internal("reading the variable INGEST_RTMPS_URL"))?;
    Ok(url.to_string())
}

/// Where outputs may send: the variable `OUTPUT_NETWORKS` names networks that are allowed beside
/// what is public.
pub(crate) fn destinations(env: &Env) -> Result<DestinationPolicy, Failure> {
    let networks = env.var("OUTPUT_NETWORKS");
    let networks = networks.map_or_else(|_| String::new(), |text| text.to_string());
    DestinationPolicy::parse(&networks, &ingest_url(env)?)
        .map_err(log::internal("reading the variable OUTPUT_NETWORKS"))
}

/// Where notifications may be sent: the variable `WEBHOOK_NETWORKS` names networks that are allowed
/// beside what is public.
pub(crate) fn receiver_policy(env: &Env) -> Result<ReceiverPolicy, Failure> {
    let networks = env.var("WEBHOOK_NETWORKS");
    let networks = networks.map_or_else(|_| String::new(), |text| text.to_string());
    ReceiverPolicy::parse(&networks).map_err(log::internal("reading the variable WEBHOOK_NETWORKS"))
}

/// Live inputs an account may have: the variable `MAX_INPUTS_PER_ACCOUNT`.
pub(crate) fn max_inputs(env: &Env) -> Result<u32, Failure> {
    limit(
        env,
        "MAX_INPUTS_PER_ACCOUNT",
        DEFAULT_MAX_INPUTS_PER_ACCOUNT,
    )
}

/// Outputs a live input may have: the variable `MAX_OUTPUTS_PER_INPUT`.
pub(crate) fn max_outputs(env: &Env) -> Result<u32, Failure> {
    limit(env, "MAX_OUTPUTS_PER_INPUT", DEFAULT_MAX_OUTPUTS_PER_INPUT)
}

fn limit(env: &Env, name: &'static str, default: u32) -> Result<u32, Failure> {
    let Ok(text) = env.var(name) else {
        return Ok(default);
    };
    text.to_string().trim().parse().map_err(log::internal(name))
}
