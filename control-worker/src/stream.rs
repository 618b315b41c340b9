//! `/accounts/:account/stream`: which resource answers.

use control_core::failure::Failure;
use control_core::route::StreamRoute;

use crate::answer::Answer;
use crate::request::Request;
use crate::{Caller, live_inputs, outputs, webhooks};

/// Answers a request of an account's Stream service.
pub(crate) async fn serve(
    caller: &Caller<'_>,
    route: StreamRoute,
    request: &Request,
) -> Result<Answer, Failure> {
    match route {
        // They are opened before anybody is called.
        StreamRoute::AccountEvents | StreamRoute::InputEvents { .. } => {
            Err(Failure::upgrade_required())
        }
        StreamRoute::CreateInput => live_inputs::create(caller, request).await,
        StreamRoute::CreateOutput { input } => outputs::create(caller, input, request).await,
        StreamRoute::DeleteInput { input } => live_inputs::delete(caller, input).await,
        StreamRoute::DeleteOutput { input, output } => outputs::delete(caller, input, output).await,
        StreamRoute::InputDetails { input } => live_inputs::details(caller, input).await,
        StreamRoute::ListInputs => live_inputs::list(caller, request).await,
        StreamRoute::ListOutputs { input } => outputs::list(caller, input).await,
        StreamRoute::ListVideos { input } => live_inputs::videos(caller, input).await,
        StreamRoute::OutputDetails { input, output } => {
            outputs::details(caller, input, output).await
        }
        StreamRoute::RetryOutput { input, output } => outputs::retry(caller, input, output).await,
        StreamRoute::RotateKeys { input } => live_inputs::rotate_keys(caller, input, request).await,
        StreamRoute::UpdateInput { input } => live_inputs::update(caller, input, request).await,
        StreamRoute::UpdateOutput { input, output } => {
            outputs::update(caller, input, output, request).await
        }
        StreamRoute::Webhook(route) => webhooks::serve(caller, route, request).await,
    }
}
