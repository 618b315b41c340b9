//! `/keys`: what the operator does with the keyring.

use control_core::failure::Failure;
use control_core::resealing::{Page, Resealed};
use worker::{Env, Request, Response};

use crate::{answer, clock, d1, log, random, settings};

/// `POST /keys/reseal`
pub(crate) async fn reseal(env: &Env, request: &Request) -> Result<Response, Failure> {
    let url = request
        .url()
        .map_err(log::internal("reading a request's URL"))?;
    let page = Page::parse(url.query().unwrap_or_default())?;
    let keyring = settings::keyring(env)?;
    let batch = page.batch(&keyring, clock::now());
    let batch = batch.map_err(log::internal("reading the keyring"))?;
    let found = d1::batch(env, &batch).await;
    let found = found.map_err(log::unavailable("reading what is sealed"))?;
    let nonces = std::iter::from_fn(|| random::bytes().ok());
    let resealed =
        Resealed::of(&found, &keyring, nonces).map_err(log::internal("reading what is sealed"))?;
    let written = d1::batch(env, resealed.batch()).await;
    let written = written.map_err(log::unavailable("sealing anew"))?;
    let shown = resealed.shown(&written);
    answer::success(Some(shown.map_err(log::internal("sealing anew"))?))
}
