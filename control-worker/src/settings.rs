//! What the operator configured: variables and secrets of `wrangler.toml`. Each is read once: another
//! configuration is another deployment, whose isolates are new.

use std::cell::OnceCell;
use std::rc::Rc;
use std::thread::LocalKey;

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
pub(crate) fn keyring(env: &Env) -> Result<Rc<Keyring>, Failure> {
    once(&KEYRING, || {
        let secret = env.secret("KEY_ENCRYPTION_KEYS");
        let text = secret.map_err(log::internal("reading the secret KEY_ENCRYPTION_KEYS"))?;
        Keyring::parse(&text.to_string())
            .map(Rc::new)
            .map_err(log::internal("reading the secret KEY_ENCRYPTION_KEYS"))
    })
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
    REQUESTS_PER_MINUTE.with(|read| {
        *read.get_or_init(|| {
            let text = env.var("RATE_LIMIT_PER_MINUTE").ok();
            let number = text.and_then(|text| text.to_string().trim().parse().ok());
            Some(number.unwrap_or(DEFAULT_REQUESTS_PER_MINUTE)).filter(|number| *number > 0)
        })
    })
}

/// Origins whose pages may ask: the variable `DASHBOARD_ORIGINS`.
pub(crate) fn origins(env: &Env) -> Rc<Origins> {
    ORIGINS.with(|read| {
        let origins = read.get_or_init(|| {
            let list = env.var("DASHBOARD_ORIGINS").ok();
            let list = list.map(|list| list.to_string()).unwrap_or_default();
            Rc::new(Origins::parse(&list))
        });
        Rc::clone(origins)
    })
}

/// Where encoders publish, as the API shows it: the variable `INGEST_RTMPS_URL`.
pub(crate) fn ingest_url(env: &Env) -> Result<Rc<str>, Failure> {
    once(&INGEST_URL, || {
        let url = env.var("INGEST_RTMPS_URL");
        let url = url.map_err(log::internal("reading the variable INGEST_RTMPS_URL"))?;
        Ok(url.to_string().into())
    })
}

/// Where outputs may send: the variable `OUTPUT_NETWORKS` names networks that are allowed beside
/// what is public, `OUTPUT_PORTS` ports of other services.
pub(crate) fn destinations(env: &Env) -> Result<Rc<DestinationPolicy>, Failure> {
    once(&DESTINATIONS, || {
        let text = |name| {
            let value = env.var(name);
            value.map_or_else(|_| String::new(), |text| text.to_string())
        };
        let (networks, ports) = (text("OUTPUT_NETWORKS"), text("OUTPUT_PORTS"));
        DestinationPolicy::parse(&networks, &ports, &ingest_url(env)?)
            .map(Rc::new)
            .map_err(log::internal(
                "reading the variables OUTPUT_NETWORKS and OUTPUT_PORTS",
            ))
    })
}

/// Where notifications may be sent: the variable `WEBHOOK_NETWORKS` names networks that are allowed
/// beside what is public.
pub(crate) fn receiver_policy(env: &Env) -> Result<Rc<ReceiverPolicy>, Failure> {
    once(&RECEIVERS, || {
        let networks = env.var("WEBHOOK_NETWORKS");
        let networks = networks.map_or_else(|_| String::new(), |text| text.to_string());
        ReceiverPolicy::parse(&networks)
            .map(Rc::new)
            .map_err(log::internal("reading the variable WEBHOOK_NETWORKS"))
    })
}

/// Live inputs an account may have: the variable `MAX_INPUTS_PER_ACCOUNT`.
pub(crate) fn max_inputs(env: &Env) -> Result<u32, Failure> {
    once(&MAX_INPUTS, || {
        limit(
            env,
            "MAX_INPUTS_PER_ACCOUNT",
            DEFAULT_MAX_INPUTS_PER_ACCOUNT,
        )
    })
}

/// Outputs a live input may have: the variable `MAX_OUTPUTS_PER_INPUT`.
pub(crate) fn max_outputs(env: &Env) -> Result<u32, Failure> {
    once(&MAX_OUTPUTS, || {
        limit(env, "MAX_OUTPUTS_PER_INPUT", DEFAULT_MAX_OUTPUTS_PER_INPUT)
    })
}

fn limit(env: &Env, name: &'static str, default: u32) -> Result<u32, Failure> {
    let Ok(text) = env.var(name) else {
        return Ok(default);
    };
    text.to_string().trim().parse().map_err(log::internal(name))
}

/// What was read before, or is now; what cannot be read is tried again.
fn once<T: Clone>(
    known: &'static LocalKey<OnceCell<T>>,
    read: impl FnOnce() -> Result<T, Failure>,
) -> Result<T, Failure> {
    known.with(|known| match known.get() {
        Some(value) => Ok(value.clone()),
        None => {
            let value = read()?;
            Ok(known.get_or_init(|| value).clone())
        }
    })
}

thread_local! {
    static DESTINATIONS: OnceCell<Rc<DestinationPolicy>> = const { OnceCell::new() };
    static INGEST_URL: OnceCell<Rc<str>> = const { OnceCell::new() };
    static KEYRING: OnceCell<Rc<Keyring>> = const { OnceCell::new() };
    static MAX_INPUTS: OnceCell<u32> = const { OnceCell::new() };
    static MAX_OUTPUTS: OnceCell<u32> = const { OnceCell::new() };
    static ORIGINS: OnceCell<Rc<Origins>> = const { OnceCell::new() };
    static RECEIVERS: OnceCell<Rc<ReceiverPolicy>> = const { OnceCell::new() };
    static REQUESTS_PER_MINUTE: OnceCell<Option<u32>> = const { OnceCell::new() };
}
