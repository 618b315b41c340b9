//! `/live_inputs`: what the API does with live inputs.

use control_core::answer as shown;
use control_core::change::{Change, ChangeAnswer, ChangeRequest, Limits};
use control_core::failure::Failure;
use control_core::request::{InputQuery, InputUpdate, NewInput};
use control_core::sql::{self, InputList, InputRead, InputRow, OutputRow, Results};
use shared::id::InputUid;
use shared::stream_key::StreamKey;
use worker::{Env, Request, Response};

use crate::{Caller, answer, body, clock, d1, log, object, random, settings};

/// `GET /live_inputs`
pub(crate) async fn list(caller: &Caller<'_>, request: &Request) -> Result<Response, Failure> {
    let url = request
        .url()
        .map_err(log::internal("reading a request's URL"))?;
    let is_sdk = request.headers().has("x-stainless-lang").unwrap_or(false);
    let query = InputQuery::parse(url.query().unwrap_or_default(), is_sdk)?;
    let list = InputList {
        account: caller.account,
        query: &query,
    };
    let results = d1::batch(caller.env, &list.batch()).await;
    let results = results.map_err(log::unavailable("listing live inputs"))?;
    let page = list
        .outcome(&results)
        .map_err(log::internal("listing live inputs"))?;
    answer::json(&shown::input_list(page, &query)?)
}

/// `POST /live_inputs`
pub(crate) async fn create(
    caller: &Caller<'_>,
    request: &mut Request,
) -> Result<Response, Failure> {
    let body = NewInput::parse(&body::read(request).await?)?;
    let random = log::internal("drawing random bytes");
    let (uid, secret, nonce) = draw_key().map_err(random)?;
    let input = InputUid::from_random(uid);
    let key = StreamKey::from_random(input, secret);
    let keyring = settings::keyring(caller.env)?;
    let change = Change::create_input(body, caller.account, &key, nonce, &keyring)
        .map_err(log::internal("sealing a stream key"))?;
    let row = changed_input(caller, input, change).await?;
    show(caller, row)
}

/// `GET /live_inputs/:input`
pub(crate) async fn details(caller: &Caller<'_>, input: InputUid) -> Result<Response, Failure> {
    let (row, _) = read(caller, input).await?;
    show(caller, row)
}

/// `PUT /live_inputs/:input`
pub(crate) async fn update(
    caller: &Caller<'_>,
    input: InputUid,
    request: &mut Request,
) -> Result<Response, Failure> {
    let InputUpdate { meta, enabled } = InputUpdate::parse(&body::read(request).await?)?;
    let row = changed_input(caller, input, Change::UpdateInput { meta, enabled }).await?;
    show(caller, row)
}

/// `DELETE /live_inputs/:input`
pub(crate) async fn delete(caller: &Caller<'_>, input: InputUid) -> Result<Response, Failure> {
    match change(caller, input, Change::DeleteInput).await? {
        ChangeAnswer::Deleted => answer::success::<()>(None),
        _ => Err(Failure::internal()),
    }
}

/// `GET /live_inputs/:input/videos`: nothing is recorded.
pub(crate) async fn videos(caller: &Caller<'_>, input: InputUid) -> Result<Response, Failure> {
    read(caller, input).await?;
    answer::success(Some([(); 0]))
}

/// `GET /:input/lifecycle`, without an envelope, as players read it.
pub(crate) async fn lifecycle(env: &Env, input: InputUid) -> Result<Response, Failure> {
    let results = d1::batch(env, &[sql::lifecycle(input)]).await;
    let results = results.map_err(log::unavailable("reading a lifecycle"))?;
    let row = results
        .first(0)
        .map_err(log::internal("reading a lifecycle"))?;
    answer::json(&shown::lifecycle(row.ok_or_else(Failure::no_such_input)?))
}

/// Reads a live input with its outputs, for a caller who may see their keys.
pub(crate) async fn read(
    caller: &Caller<'_>,
    input: InputUid,
) -> Result<(InputRow, Vec<OutputRow>), Failure> {
    let read = InputRead {
        token: caller.token.clone(),
        account: caller.account,
        input,
        now: clock::now(),
    };
    let results = d1::batch(caller.env, &read.batch()).await;
    let results = results.map_err(log::unavailable("reading a live input"))?;
    let outcome = read.outcome(&results);
    Ok(outcome.map_err(log::internal("reading a live input"))??)
}

/// Has the input's object make a change. The answer is one of those that say it was made.
pub(crate) async fn change(
    caller: &Caller<'_>,
    input: InputUid,
    change: Change,
) -> Result<ChangeAnswer, Failure> {
    let request = ChangeRequest {
        token: caller.token.clone(),
        account: caller.account,
        input,
        now: clock::now(),
        limits: Limits {
            inputs_per_account: settings::max_inputs(caller.env)?,
            outputs_per_input: settings::max_outputs(caller.env)?,
        },
        change,
    };
    let object = object::live_input(caller.env, input)
        .map_err(log::internal("finding a live input's object"))?;
    let answer: ChangeAnswer =
        object::call(&object, "/change", &request)
            .await
            .map_err(|error| {
                log::failed("changing a live input", &error);
                Failure::undecided()
            })?;
    match answer {
        ChangeAnswer::NotMade => Err(Failure::unavailable()),
        ChangeAnswer::Refused(refusal) => Err(refusal.into()),
        ChangeAnswer::Undecided => Err(Failure::undecided()),
        made => Ok(made),
    }
}

async fn changed_input(
    caller: &Caller<'_>,
    input: InputUid,
    wanted: Change,
) -> Result<InputRow, Failure> {
    match change(caller, input, wanted).await? {
        ChangeAnswer::Input(row) => Ok(row),
        _ => Err(Failure::internal()),
    }
}

fn show(caller: &Caller<'_>, row: InputRow) -> Result<Response, Failure> {
    let (url, keyring) = (
        settings::ingest_url(caller.env)?,
        settings::keyring(caller.env)?,
    );
    answer::success(Some(shown::live_input(row, &url, &keyring)?))
}

fn draw_key() -> worker::Result<([u8; 16], [u8; 16], [u8; 12])> {
    Ok((random::bytes()?, random::bytes()?, random::bytes()?))
}
