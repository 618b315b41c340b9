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
use futures_util::future::{Either, select};
use shared::id::InputUid;
use shared::stream_key::StreamKey;
use worker::Env;

use crate::answer::{self, Answer};
use crate::delay::Delay;
use crate::object::Object;
use crate::request::Request;
use crate::{Caller, clock, d1, log, random, settings};

/// `GET /live_inputs`
pub(crate) async fn list(caller: &Caller<'_>, request: &Request) -> Result<Answer, Failure> {
    let is_sdk = request.header("x-stainless-lang").is_some();
    let query = InputQuery::parse(request.query(), is_sdk)?;
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
pub(crate) async fn create(caller: &Caller<'_>, request: &Request) -> Result<Answer, Failure> {
    let bytes = request.body().await?;
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
    request: &Request,
) -> Result<Answer, Failure> {
    let body = KeyRotation::parse(&request.body().await?)?;
    let random = log::internal("drawing random bytes");
    let (_, secret, nonce) = draw_key().map_err(random)?;
    let key = StreamKey::from_random(input, secret);
    let keyring = settings::keyring(caller.env)?;
    let change = Change::rotate_keys(body, caller.account, &key, clock::now(), nonce, &keyring)
        .map_err(log::internal("sealing a stream key"))?;
    changed_input(caller, input, change).await
}

/// `GET /live_inputs/:input`
pub(crate) async fn details(caller: &Caller<'_>, input: InputUid) -> Result<Answer, Failure> {
    let (row, _, view) = read(caller, input).await?;
    show(caller, row, view)
}

/// `PUT /live_inputs/:input`
pub(crate) async fn update(
    caller: &Caller<'_>,
    input: InputUid,
    request: &Request,
) -> Result<Answer, Failure> {
    let body = InputUpdate::parse(&request.body().await?)?;
    let change = Change::UpdateInput {
        meta: body.meta,
        enabled: body.enabled,
        settings: body.settings,
    };
    changed_input(caller, input, change).await
}

/// `DELETE /live_inputs/:input`
pub(crate) async fn delete(caller: &Caller<'_>, input: InputUid) -> Result<Answer, Failure> {
    match change(caller, input, Change::DeleteInput).await?.answer {
        ChangeAnswer::Deleted => answer::success::<()>(None),
        _ => Err(Failure::internal()),
    }
}

/// `GET /live_inputs/:input/videos`: nothing is recorded.
pub(crate) async fn videos(caller: &Caller<'_>, input: InputUid) -> Result<Answer, Failure> {
    read_rows(caller, input).await?;
    answer::success(Some([(); 0]))
}

/// `GET /:input/lifecycle`, without an envelope, as players read it.
pub(crate) async fn lifecycle(env: &Env, input: InputUid) -> Result<Answer, Failure> {
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
    let rows = pin!(read_rows(caller, input));
    let asked = pin!(view(caller, input));
    let ((row, outputs), view) = match select(rows, asked).await {
        Either::Left((rows, asked)) => (rows?, in_time(asked).await),
        Either::Right((view, rows)) => (rows.await?, view),
    };
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

/// What goes on, as the input's object says; else that nobody knows.
async fn view(caller: &Caller<'_>, input: InputUid) -> View {
    let object = Object::of_input(caller.env, input);
    object.ask("/view", &()).await.unwrap_or_else(|error| {
        log::failed("asking a live input's object", &error);
        status::unavailable(clock::now())
    })
}

/// What goes on, if it is said in time; else that nobody knows.
async fn in_time(view: impl Future<Output = View> + Unpin) -> View {
    match select(view, Delay::from(VIEW_TIMEOUT)).await {
        Either::Left((view, _)) => view,
        Either::Right(((), _)) => {
            log::failed("asking a live input's object", &"it did not answer in time");
            status::unavailable(clock::now())
        }
    }
}

/// The key by which the request may be repeated.
pub(crate) fn idempotency_key(request: &Request) -> Option<String> {
    request.header("idempotency-key")
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
    let object = Object::of_input(caller.env, input);
    let changed: Changed = object.ask("/change", &request).await.map_err(|error| {
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
) -> Result<Answer, Failure> {
    let Changed { answer, view } = change(caller, input, wanted).await?;
    match answer {
        ChangeAnswer::Input(row) => show(caller, row, view),
        _ => Err(Failure::internal()),
    }
}

fn show(caller: &Caller<'_>, row: InputRow, view: View) -> Result<Answer, Failure> {
    let (url, keyring) = (
        settings::ingest_url(caller.env)?,
        settings::keyring(caller.env)?,
    );
    answer::success(Some(shown::live_input(row, view, &url, &keyring)?))
}

/// How long a read waits for what goes on once it has the rows: an object on another continent that
/// must be woken takes half of it.
const VIEW_TIMEOUT: Duration = Duration::from_secs(2);

fn draw_key() -> worker::Result<([u8; 16], [u8; 16], [u8; 12])> {
    Ok((random::bytes()?, random::bytes()?, random::bytes()?))
}
