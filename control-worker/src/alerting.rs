//! `/alerting/v3`: destinations and policies of notifications.

use control_core::failure::Failure;
use control_core::keys::Place;
use control_core::notification::{self as shown, no_such_destination, no_such_policy};
use control_core::permission::Permission::{self, NotificationsRead, NotificationsWrite};
use control_core::request::{DestinationBody, NewPolicy, PolicyUpdate};
use control_core::route::AlertingRoute;
use control_core::sql::{
    AnyRow, DestinationRow, DestinationValues, MAX_DESTINATIONS, MAX_POLICIES, PolicyRow,
};
use control_core::webhook::{LastAttempts, Target, TestMessage};
use futures_util::future::join;
use serde::Serialize;
use serde_json::json;
use shared::api::{Destination, Policy};
use shared::id::{DestinationId, PolicyId};

use crate::answer::{self, Answer};
use crate::request::Request;
use crate::webhooks::{ask, ask_object, change, deliveries, read, test};
use crate::{Caller, log, random, settings};

/// Answers a request about an account's notifications.
pub(crate) async fn serve(
    caller: &Caller<'_>,
    route: AlertingRoute,
    request: &Request,
) -> Result<Answer, Failure> {
    match route {
        AlertingRoute::CreateDestination => create_destination(caller, request).await,
        AlertingRoute::CreatePolicy => create_policy(caller, request).await,
        AlertingRoute::DeleteDestination(id) => delete_destination(caller, id).await,
        AlertingRoute::DeletePolicy(id) => delete_policy(caller, id).await,
        AlertingRoute::Deliveries(id) => {
            let (row, deliveries) = join(
                destination_row(caller, id, NotificationsRead),
                deliveries(caller, Target::Destination(id)),
            )
            .await;
            row?;
            answer::success(Some(deliveries?))
        }
        AlertingRoute::DestinationDetails(id) => {
            let mut shown = destinations(caller).await?.into_iter();
            let found = shown.find(|destination| destination.id == id);
            answer::success(Some(found.ok_or_else(no_such_destination)?))
        }
        AlertingRoute::ListDestinations => answer::success(Some(destinations(caller).await?)),
        AlertingRoute::ListPolicies => answer::success(Some(policies(caller).await?)),
        AlertingRoute::PolicyDetails(id) => {
            let mut policies = policies(caller).await?.into_iter();
            let found = policies.find(|policy| policy.id == id);
            answer::success(Some(found.ok_or_else(no_such_policy)?))
        }
        AlertingRoute::TestDestination(id) => {
            let row = destination_row(caller, id, NotificationsWrite).await?;
            test(caller, Target::Destination(id), row.into()).await
        }
        AlertingRoute::UpdateDestination(id) => update_destination(caller, id, request).await,
        AlertingRoute::UpdatePolicy(id) => update_policy(caller, id, request).await,
    }
}

async fn create_destination(caller: &Caller<'_>, request: &Request) -> Result<Answer, Failure> {
    let policy = settings::receiver_policy(caller.env)?;
    let body = DestinationBody::parse(&request.body().await?, &policy)?;
    let drawn =
        || -> worker::Result<_> { Ok((random::bytes()?, random::bytes()?, random::bytes()?)) };
    let (id, signing, nonce) = drawn().map_err(log::internal("drawing random bytes"))?;
    let id = DestinationId::from_random(id);
    let signing_sealed = settings::keyring(caller.env)?
        .seal(
            &Place::destination_signing(caller.account, id),
            nonce,
            &shown::signing_secret(signing),
        )
        .map_err(log::internal("sealing a signing secret"))?;
    let batch = ask(caller, NotificationsWrite).create_destination(
        id,
        values(caller, id, body)?,
        signing_sealed,
    );
    let made: DestinationRow =
        change(caller, &batch, MAX_DESTINATIONS, no_such_destination).await?;
    // It is made whatever becomes of the test: the deliveries show it, and it can be repeated.
    let test = TestMessage {
        target: Target::Destination(id),
        receiver: made.into(),
    };
    let tested: Result<(), Failure> = ask_object(caller, "/test-later", &test).await;
    drop(tested);
    Ok(id_of(id)?.with_status(201))
}

async fn update_destination(
    caller: &Caller<'_>,
    id: DestinationId,
    request: &Request,
) -> Result<Answer, Failure> {
    let policy = settings::receiver_policy(caller.env)?;
    let body = DestinationBody::parse(&request.body().await?, &policy)?;
    let batch = ask(caller, NotificationsWrite).update_destination(id, values(caller, id, body)?);
    change::<AnyRow>(caller, &batch, MAX_DESTINATIONS, no_such_destination).await?;
    id_of(id)
}

async fn delete_destination(caller: &Caller<'_>, id: DestinationId) -> Result<Answer, Failure> {
    let batch = ask(caller, NotificationsWrite).delete_destination(id);
    change::<AnyRow>(caller, &batch, MAX_DESTINATIONS, no_such_destination).await?;
    answer::success::<()>(None)
}

async fn create_policy(caller: &Caller<'_>, request: &Request) -> Result<Answer, Failure> {
    let NewPolicy(values) = NewPolicy::parse(&request.body().await?)?;
    let id = random::bytes().map_err(log::internal("drawing random bytes"))?;
    let id = PolicyId::from_random(id);
    let batch = ask(caller, NotificationsWrite).create_policy(id, values);
    change::<AnyRow>(caller, &batch, MAX_POLICIES, no_such_policy).await?;
    id_of(id)
}

async fn update_policy(
    caller: &Caller<'_>,
    id: PolicyId,
    request: &Request,
) -> Result<Answer, Failure> {
    let PolicyUpdate(update) = PolicyUpdate::parse(&request.body().await?)?;
    let batch = ask(caller, NotificationsWrite).update_policy(id, update);
    change::<AnyRow>(caller, &batch, MAX_POLICIES, no_such_policy).await?;
    id_of(id)
}

async fn delete_policy(caller: &Caller<'_>, id: PolicyId) -> Result<Answer, Failure> {
    let batch = ask(caller, NotificationsWrite).delete_policy(id);
    change::<AnyRow>(caller, &batch, MAX_POLICIES, no_such_policy).await?;
    answer::success::<()>(None)
}

async fn destination_row(
    caller: &Caller<'_>,
    id: DestinationId,
    permission: Permission,
) -> Result<DestinationRow, Failure> {
    let rows: Vec<DestinationRow> = read(caller, &ask(caller, permission).destinations()).await?;
    let row = rows.into_iter().find(|row| row.id == id);
    row.ok_or_else(no_such_destination)
}

/// All destinations, with what the account's object knows of each.
async fn destinations(caller: &Caller<'_>) -> Result<Vec<Destination>, Failure> {
    let batch = ask(caller, NotificationsRead).destinations();
    let attempts = ask_object::<Vec<LastAttempts>>(caller, "/attempts", &());
    let (rows, attempts) = join(read::<DestinationRow>(caller, &batch), attempts).await;
    let (rows, attempts) = (rows?.into_iter(), attempts?);
    let keyring = settings::keyring(caller.env)?;
    rows.map(|row| shown::destination(row, &attempts, caller.account, &keyring))
        .collect()
}

async fn policies(caller: &Caller<'_>) -> Result<Vec<Policy>, Failure> {
    let rows: Vec<PolicyRow> = read(caller, &ask(caller, NotificationsRead).policies()).await?;
    rows.into_iter().map(shown::policy).collect()
}

fn values(
    caller: &Caller<'_>,
    id: DestinationId,
    body: DestinationBody,
) -> Result<DestinationValues, Failure> {
    let secret_sealed = match body.secret {
        None => None,
        Some(secret) if secret.expose().is_empty() => Some(None),
        Some(secret) => {
            let nonce = random::bytes().map_err(log::internal("drawing random bytes"))?;
            let place = Place::destination_secret(caller.account, id);
            let sealed = settings::keyring(caller.env)?.seal(&place, nonce, &secret);
            Some(Some(sealed.map_err(log::internal("sealing a secret"))?))
        }
    };
    Ok(DestinationValues {
        name: body.name,
        url: body.url,
        secret_sealed,
    })
}

/// What Cloudflare answers to create and update: the id alone.
fn id_of(id: impl Serialize) -> Result<Answer, Failure> {
    answer::success(Some(json!({ "id": id })))
}
