//! The log: what failed on our side, for the operator. Never what a request or a row holds.

use std::fmt::Display;

use control_core::failure::Failure;
use worker::console_error;

/// Something of ours failed.
pub(crate) fn failed(what: &str, error: &impl Display) {
    console_error!("{what} failed: {error}");
}

/// Something failed that may work in a moment, and nothing was changed.
pub(crate) fn unavailable<E: Display>(what: &'static str) -> impl FnOnce(E) -> Failure {
    move |error| {
        failed(what, &error);
        Failure::unavailable()
    }
}

/// Something failed that needs the operator.
pub(crate) fn internal<E: Display>(what: &'static str) -> impl FnOnce(E) -> Failure {
    move |error| {
        failed(what, &error);
        Failure::internal()
    }
}
