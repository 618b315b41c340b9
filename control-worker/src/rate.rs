//! How often somebody may ask: the runtime's limiter where one is bound, else a count in this
//! isolate.

use std::cell::RefCell;

use control_core::rate::{Allowance, Limiter};
use worker::Env;

use crate::{clock, log, settings};

thread_local! {
    static COUNTS: RefCell<Limiter> = RefCell::default();
}

/// What is left to `key` in this isolate; none where the operator wants no limit.
pub(crate) fn look(env: &Env, key: &str) -> Option<Allowance> {
    let limit = settings::requests_per_minute(env)?;
    Some(COUNTS.with_borrow(|counts| counts.look(key, limit, clock::now())))
}

/// Counts a request of `key` in this isolate alone.
pub(crate) fn count_here(env: &Env, key: &str) {
    if let Some(limit) = settings::requests_per_minute(env) {
        COUNTS.with_borrow_mut(|counts| counts.count(key, limit, clock::now()));
    }
}

/// Counts a request of `key`; none where the operator wants no limit.
pub(crate) async fn count(env: &Env, key: &str) -> Option<Allowance> {
    let limit = settings::requests_per_minute(env)?;
    let now = clock::now();
    if let Ok(runtime) = env.rate_limiter("RATE_LIMITER") {
        match runtime.limit(key.to_owned()).await {
            Ok(outcome) => return Some(Allowance::of_runtime(limit, outcome.success, now)),
            // Better to count here alone than not to answer.
            Err(error) => log::failed("asking the runtime's rate limiter", &error),
        }
    }
    Some(COUNTS.with_borrow_mut(|counts| counts.count(key, limit, now)))
}
