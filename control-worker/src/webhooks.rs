//! `/stream/webhook`: the one webhook of an account.

use control_core::failure::Failure;
use control_core::keys::Place;
use control_core::notification::{self as shown, no_webhook, refused};
use control_core::permission::Permission;
use control_core::request::WebhookUpdate;
use control_core::route::WebhookRoute;
use control_core::sql::{
    AnyRow, NotificationAsk, ReceiverRow, Statement, StreamWebhookRow, notification_change,
    notification_rows,
};
use control_core::webhook::{Target, TestMessage};
use futures_util::future::join;
use serde::de::DeserializeOwned;
use shared::api::Delivery;

use crate::answer::{self, Answer};
use crate::d1::{self, Rows};
use crate::object::Object;
use crate::request::Request;
use crate::{Caller, clock, log, random, settings};

/// Answers a request about the account's webhook.
pub(crate) async fn serve(
    caller: &Caller<'_>,
    route: WebhookRoute,
    request: &Request,
) -> Result<Answer, Failure> {
    match route {
        WebhookRoute::Delete => delete(caller).await,
        WebhookRoute::Deliveries => {
            let (row, deliveries) = join(
                details_row(caller, Permission::StreamRead),
                deliveries(caller, Target::Stream),
            )
            .await;
            row?;
            answer::success(Some(deliveries?))
        }
        WebhookRoute::Details => {
            let row = details_row(caller, Permission::StreamRead).await?;
            show(caller, row)
        }
        WebhookRoute::Put => put(caller, request).await,
        WebhookRoute::Test => {
            let row = details_row(caller, Permission::StreamWrite).await?;
            test(caller, Target::Stream, row.into()).await
        }
    }
}

async fn put(caller: &Caller<'_>, request: &Request) -> Result<Answer, Failure> {
    let policy = settings::receiver_policy(caller.env)?;
    let WebhookUpdate { url } = WebhookUpdate::parse(&request.body().await?, &policy)?;
    let drawn = || Ok((random::bytes()?, random::bytes()?));
    let (secret, nonce): ([u8; 16], [u8; 12]) =
        drawn().map_err(log::internal::<worker::Error>("drawing random bytes"))?;
    let sealed = settings::keyring(caller.env)?
        .seal(
            &Place::webhook_secret(caller.account),
            nonce,
            &shown::signing_secret(secret),
        )
        .map_err(log::internal("sealing a webhook's secret"))?;
    let batch = ask(caller, Permission::StreamWrite).put_webhook(&url, &sealed);
    let row = change(caller, &batch, 1, no_webhook).await?;
    show(caller, row)
}

async fn delete(caller: &Caller<'_>) -> Result<Answer, Failure> {
    let batch = ask(caller, Permission::StreamWrite).delete_webhook();
    change::<AnyRow>(caller, &batch, 1, no_webhook).await?;
    answer::success(Some("ok"))
}

async fn details_row(
    caller: &Caller<'_>,
    permission: Permission,
) -> Result<StreamWebhookRow, Failure> {
    let rows = read(caller, &ask(caller, permission).webhook()).await?;
    rows.into_iter().next().ok_or_else(no_webhook)
}

fn show(caller: &Caller<'_>, row: StreamWebhookRow) -> Result<Answer, Failure> {
    let keyring = settings::keyring(caller.env)?;
    answer::success(Some(shown::stream_webhook(row, caller.account, &keyring)?))
}

/// Who asks, for the statements.
pub(crate) fn ask(caller: &Caller<'_>, permission: Permission) -> NotificationAsk {
    NotificationAsk {
        token: caller.token.clone(),
        permission,
        account: caller.account,
        now: clock::now(),
    }
}

/// Reads rows, for a caller who may see them.
pub(crate) async fn read<T: DeserializeOwned>(
    caller: &Caller<'_>,
    batch: &[Statement],
) -> Result<Vec<T>, Failure> {
    let results = d1::batch(caller.env, batch).await;
    let results = results.map_err(log::unavailable("reading where notifications go"))?;
    let rows = notification_rows(&results);
    let rows = rows.map_err(log::internal("reading where notifications go"))?;
    rows.map_err(|refusal| refused(refusal, Failure::no_route))
}

/// Makes a change; `missing` is said where there is nothing to change.
pub(crate) async fn change<T: DeserializeOwned>(
    caller: &Caller<'_>,
    batch: &[Statement],
    limit: u32,
    missing: fn() -> Failure,
) -> Result<T, Failure> {
    let results: Rows = d1::batch(caller.env, batch).await.map_err(|error| {
        log::failed("changing where notifications go", &error);
        Failure::undecided()
    })?;
    let outcome = notification_change(&results, limit);
    let outcome = outcome.map_err(log::internal("changing where notifications go"))?;
    outcome.map_err(|refusal| refused(refusal, missing))
}

/// What became of the last notifications to a receiver. To be asked for beside the question whether
/// the caller may know it.
pub(crate) async fn deliveries(
    caller: &Caller<'_>,
    target: Target,
) -> Result<Vec<Delivery>, Failure> {
    ask_object(caller, "/deliveries", &target).await
}

/// Sends a test message, and shows what became of it.
pub(crate) async fn test(
    caller: &Caller<'_>,
    target: Target,
    receiver: ReceiverRow,
) -> Result<Answer, Failure> {
    let test = TestMessage { target, receiver };
    let delivery: Delivery = ask_object(caller, "/test", &test).await?;
    answer::success(Some(delivery))
}

/// Asks the account's object.
pub(crate) async fn ask_object<A: DeserializeOwned>(
    caller: &Caller<'_>,
    path: &str,
    question: &impl serde::Serialize,
) -> Result<A, Failure> {
    let object = Object::of_account(caller.env, caller.account);
    let answer = object.ask(path, question).await;
    answer.map_err(log::unavailable("asking an account's object"))
}
