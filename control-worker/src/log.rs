//! The log: what failed on our side, for the operator. Never what a request or a row holds.

use std::fmt::Display;

use control_core::failure::Failure;
use shared::id::NodeName;
use shared::link::Applied;
use worker::{console_error, console_warn};

use crate::scope;

/// Something of ours failed.
pub(crate) fn failed(what: &str, error: &impl Display) {
    match scope::current() {
        Some(ray) => console_error!("{ray}: {what} failed: {error}"),
        None => console_error!("{what} failed: {error}"),
    }
}

/// A node is older than the control plane, and does not know what a snapshot wants of it.
pub(crate) fn unknown_wish(node: &NodeName, applied: &Applied) {
    let Applied { input, rev, .. } = applied;
    console_warn!(
        "the relay node {node} does not know what snapshot {rev} of live input {input} wants, and goes on as before: update the node"
    );
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
