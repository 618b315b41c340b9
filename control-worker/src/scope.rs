//! On behalf of which request something is done: the log says it in every line.
//!
//! Requests of an isolate take turns at each `await`, so the request at hand is known only while its
//! future is polled: [`Scope`] says so around each poll, and nobody has to hand it on.

use std::cell::RefCell;
use std::pin::Pin;
use std::task::{Context, Poll};

use control_core::ray::Ray;
use worker::Result;

use crate::random;
use crate::request::Request;

thread_local! {
    static CURRENT: RefCell<Option<Ray>> = const { RefCell::new(None) };
}

/// The header that carries the id: from the platform, between objects, and to the client.
pub(crate) const HEADER: &str = "cf-ray";

/// The request at hand, if there is one: an alarm has none.
pub(crate) fn current() -> Option<Ray> {
    CURRENT.with_borrow(Clone::clone)
}

/// The id of a client's request: the platform's, or a new one.
pub(crate) fn of_client(request: &Request) -> Result<Ray> {
    match request.ray() {
        Some(ray) => Ok(ray),
        None => random::bytes().map(Ray::random),
    }
}

/// A future whose work is on behalf of a request.
pub(crate) struct Scope<F> {
    ray: Option<Ray>,
    inner: Pin<Box<F>>,
}

impl<F: Future> Scope<F> {
    pub(crate) fn new(ray: Option<Ray>, inner: F) -> Self {
        Self {
            ray,
            inner: Box::pin(inner),
        }
    }
}

impl<F: Future> Future for Scope<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let before = CURRENT.replace(self.ray.clone());
        let polled = self.inner.as_mut().poll(context);
        CURRENT.set(before);
        polled
    }
}
