//! The dashboard: its document out of the static assets.

use control_core::failure::Failure;
use worker::Env;

use crate::answer::Answer;
use crate::log;

/// The document, for any path of the dashboard. Its headers are those that the assets have; what
/// carries them cannot be changed.
pub(crate) async fn serve(env: &Env) -> Result<Answer, Failure> {
    let assets = env
        .assets(BINDING)
        .map_err(log::internal("finding the page"))?;
    let page = assets.fetch(DOCUMENT, None).await;
    page.map(Answer::Whole)
        .map_err(log::internal("reading the page"))
}

/// The binding's name in `wrangler.toml`.
const BINDING: &str = "ASSETS";

/// The path counts; assets have no host.
const DOCUMENT: &str = "https://assets.invalid/";
