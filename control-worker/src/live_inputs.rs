//! `/live_inputs`: what the API does with live inputs.

use std::pin::pin;
use std::time::Duration;

use control_core::answer as shown;
use control_core::change::{Change, ChangeAnswer, ChangeRequest, Changed, Limits};
use control_core::failure::Failure;
use control_core::idempotency::{Attempt, Once};
use control_core::request::{InputQuery, InputUpdate, KeyRotation, NewInput};
use control_core::sql::{self, InputList, InputRead, InputRow, OutputRow, Results};
use control_core::status::{self, View};
use futures_util::future::{Either, join, select};
use shared::id::InputUid;
use shared::stream_key::StreamKey;
use worker::{Env, Request, Response};

use crate::delay::Delay;
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
    let bytes = body::read(request).await?;
    let header = idempotency_key(request);
    let attempt = Attempt::parse(header.as_deref(), None, &bytes)?;
    let body = NewInput::parse(&bytes)?;
    let random = log::internal("drawing random bytes");
    let (uid, secret, nonce) = draw_key().map_err(random)?;
    let input = InputUid::from_random(uid);
    let key = StreamKey::from_random(input, secret);
    let keyring = settings::keyring(caller.env)?;
    let change = Change::create_input(body, caller.account, &key, nonce, &keyring)
        .map_err(log::internal("sealing a stream key"))?;
    let Changed { answer, view } = create_once(caller, input, change, attempt.as_ref()).await?;
    match answer {
        ChangeAnswer::Input(row) => show(caller, row, view),
        ChangeAnswer::Repeated(made) => {
            let (row, _, view) = existing(read(caller, made.input).await)?;
            show(caller, row, view)
        }
        _ => Err(Failure::internal()),
    }
}

/// `POST /live_inputs/:input/rotate_keys`
pub(crate) async fn rotate_keys(
    caller: &Caller<'_>,
    input: InputUid,
    request: &mut Request,
) -> Result<Response, Failure> {
    let body = KeyRotation::parse(&body::read(request).await?)?;
    let random = log::internal("drawing random bytes");
    let (_, secret, nonce) = draw_key().map_err(random)?;
    let key = StreamKey::from_random(input, secret);
    let keyring = settings::keyring(caller.env)?;
    let change = Change::rotate_keys(body, caller.account, &key, clock::now(), nonce, &keyring)
        .map_err(log::internal("sealing a stream key"))?;
    changed_input(caller, input, change).await
}

/// `GET /live_inputs/:input`
pub(crate) async fn details(caller: &Caller<'_>, input: InputUid) -> Result<Response, Failure> {
    let (row, _, view) = read(caller, input).await?;
    show(caller, row, view)
}

/// `PUT /live_inputs/:input`
pub(crate) async fn update(
    caller: &Caller<'_>,
    input: InputUid,
    request: &mut Request,
) -> Result<Response, Failure> {
    let body = InputUpdate::parse(&body::read(request).await?)?;
    let change = Change::UpdateInput {
        meta: body.meta,
        enabled: body.enabled,
        settings: body.settings,
    };
    changed_input(caller, input, change).await
}

/// `DELETE /live_inputs/:input`
pub(crate) async fn delete(caller: &Caller<'_>, input: InputUid) -> Result<Response, Failure> {
    match change(caller, input, Change::DeleteInput).await?.answer {
        ChangeAnswer::Deleted => answer::success::<()>(None),
        _ => Err(Failure::internal()),
    }
}

/// `GET /live_inputs/:input/videos`: nothing is recorded.
pub(crate) async fn videos(caller: &Caller<'_>, input: InputUid) -> Result<Response, Failure> {
    read_rows(caller, input).await?;
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

/// Reads a live input with its outputs, for a caller who may see their keys, and what goes on.
pub(crate) async fn read(
    caller: &Caller<'_>,
    input: InputUid,
) -> Result<(InputRow, Vec<OutputRow>, View), Failure> {
    let (rows, view) = join(read_rows(caller, input), view(caller, input)).await;
    let (row, outputs) = rows?;
    Ok((row, outputs, view))
}

async fn read_rows(
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

/// What goes on, as the input's object says in time; else that nobody knows.
async fn view(caller: &Caller<'_>, input: InputUid) -> View {
    let asked = async {
        let object = object::live_input(caller.env, input)?;
        object::call(&object, "/view", &()).await
    };
    match select(pin!(asked), Delay::from(VIEW_TIMEOUT)).await {
        Either::Left((Ok(view), _)) => view,
        Either::Left((Err(error), _)) => {
            log::failed("asking a live input's object", &error);
            status::unavailable(clock::now())
        }
        Either::Right(((), _)) => {
            log::failed("asking a live input's object", &"it did not answer in time");
            status::unavailable(clock::now())
        }
    }
}

/// The key by which the request may be repeated.
pub(crate) fn idempotency_key(request: &Request) -> Option<String> {
    request.headers().get("idempotency-key").ok().flatten()
}

/// Of what an earlier request made, that it is gone.
pub(crate) fn existing<T>(read: Result<T, Failure>) -> Result<T, Failure> {
    read.map_err(|failure| match failure.status() {
        404 => Failure::idempotency_key_of_the_deleted(),
        _ => failure,
    })
}

/// Has the input's object create something, unless an earlier attempt did. The answer says what was
/// made, or, if it was this that the earlier attempt asked for, what that made.
pub(crate) async fn create_once(
    caller: &Caller<'_>,
    input: InputUid,
    create: Change,
    attempt: Option<&Attempt<'_>>,
) -> Result<Changed, Failure> {
    let keyring = settings::keyring(caller.env)?;
    let once = attempt.map(|attempt| attempt.once(&keyring)).transpose();
    let once = once.map_err(log::internal("hashing a request"))?;
    let changed = ask(caller, input, create, once).await?;
    if let (ChangeAnswer::Repeated(made), Some(attempt)) = (&changed.answer, attempt) {
        attempt.check(made, &keyring)?;
    }
    Ok(changed)
}

/// Has the input's object make a change. The answer is one of those that say it was made.
pub(crate) async fn change(
    caller: &Caller<'_>,
    input: InputUid,
    change: Change,
) -> Result<Changed, Failure> {
    ask(caller, input, change, None).await
}

async fn ask(
    caller: &Caller<'_>,
    input: InputUid,
    change: Change,
    once: Option<Once>,
) -> Result<Changed, Failure> {
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
        once,
    };
    let object = object::live_input(caller.env, input)
        .map_err(log::internal("finding a live input's object"))?;
    let changed: Changed = object::call(&object, "/change", &request)
        .await
        .map_err(|error| {
            log::failed("changing a live input", &error);
            Failure::undecided()
        })?;
    match changed.answer {
        ChangeAnswer::NotMade => Err(Failure::unavailable()),
        ChangeAnswer::Refused(refusal) => Err(refusal.into()),
        ChangeAnswer::Undecided => Err(Failure::undecided()),
        _ => Ok(changed),
    }
}

async fn changed_input(
    caller: &Caller<'_>,
    input: InputUid,
    wanted: Change,
) -> Result<Response, Failure> {
    let Changed { answer, view } = change(caller, input, wanted).await?;
    match answer {
        ChangeAnswer::Input(row) => show(caller, row, view),
        _ => Err(Failure::internal()),
    }
}

fn show(caller: &Caller<'_>, row: InputRow, view: View) -> Result<Response, Failure> {
    let (url, keyring) = (
        settings::ingest_url(caller.env)?,
        settings::keyring(caller.env)?,
    );
    answer::success(Some(shown::live_input(row, view, &url, &keyring)?))
}

/// How long a read waits for what goes on: an object on another continent that must be woken takes
/// half of it.
const VIEW_TIMEOUT: Duration = Duration::from_secs(2);

fn draw_key() -> worker::Result<([u8; 16], [u8; 16], [u8; 12])> {
    Ok((random::bytes()?, random::bytes()?, random::bytes()?))
}
