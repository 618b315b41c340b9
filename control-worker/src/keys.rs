//! `/keys`: what the operator does with the keyring.

use control_core::failure::Failure;
use control_core::resealing::{Page, Resealed};
use worker::Env;

use crate::answer::{self, Answer};
use crate::request::Request;
use crate::{clock, d1, log, random, settings};

/// `POST /keys/reseal`
pub(crate) async fn reseal(env: &Env, request: &Request) -> Result<Answer, Failure> {
    let page = Page::parse(request.query())?;
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
