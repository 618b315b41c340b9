//! `/live_inputs/:input/outputs`: what the API does with outputs.

use control_core::answer as shown;
use control_core::change::{Change, ChangeAnswer, Changed};
use control_core::failure::Failure;
use control_core::idempotency::{Attempt, Made};
use control_core::request::{NewOutput, OutputUpdate};
use shared::id::{InputUid, OutputUid};

use crate::answer::{self, Answer};
use crate::request::Request;
use crate::{Caller, live_inputs, log, random, settings};

/// `GET /live_inputs/:input/outputs`
pub(crate) async fn list(caller: &Caller<'_>, input: InputUid) -> Result<Answer, Failure> {
    let (_, rows, view) = live_inputs::read(caller, input).await?;
    let keyring = settings::keyring(caller.env)?;
    let show = |row| shown::output(row, &view, caller.account, &keyring);
    let outputs: Result<Vec<_>, _> = rows.into_iter().map(show).collect();
    answer::success(Some(outputs?))
}

/// `GET /live_inputs/:input/outputs/:output`
pub(crate) async fn details(
    caller: &Caller<'_>,
    input: InputUid,
    uid: OutputUid,
) -> Result<Answer, Failure> {
    let (_, rows, view) = live_inputs::read(caller, input).await?;
    let row = rows.into_iter().find(|row| row.uid == uid);
    let row = row.ok_or_else(Failure::no_such_output)?;
    let keyring = settings::keyring(caller.env)?;
    answer::success(Some(shown::output(row, &view, caller.account, &keyring)?))
}

/// `POST /live_inputs/:input/outputs`
pub(crate) async fn create(
    caller: &Caller<'_>,
    input: InputUid,
    request: &Request,
) -> Result<Answer, Failure> {
    let policy = settings::destinations(caller.env)?;
    let bytes = request.body().await?;
    let header = live_inputs::idempotency_key(request);
    let attempt = Attempt::parse(header.as_deref(), Some(input), &bytes)?;
    let body = NewOutput::parse(&bytes, &policy)?;
    let (uid, nonces) = draw_uid().map_err(log::internal("drawing random bytes"))?;
    let uid = OutputUid::from_random(uid);
    let keyring = settings::keyring(caller.env)?;
    let change = Change::create_output(body, caller.account, uid, nonces, &keyring)
        .map_err(log::internal("sealing an output's key"))?;
    let made = live_inputs::create_once(caller, input, change, attempt.as_ref()).await?;
    match made.answer {
        ChangeAnswer::Repeated(Made {
            output: Some(output),
            ..
        }) => live_inputs::existing(details(caller, input, output).await),
        _ => show_changed(caller, made),
    }
}

/// `PUT /live_inputs/:input/outputs/:output`
pub(crate) async fn update(
    caller: &Caller<'_>,
    input: InputUid,
    uid: OutputUid,
    request: &Request,
) -> Result<Answer, Failure> {
    let policy = settings::destinations(caller.env)?;
    let body = OutputUpdate::parse(&request.body().await?, &policy)?;
    let nonces = draw_nonces().map_err(log::internal("drawing random bytes"))?;
    let keyring = settings::keyring(caller.env)?;
    let change = Change::update_output(body, caller.account, uid, nonces, &keyring)
        .map_err(log::internal("sealing an output's key"))?;
    changed(caller, input, change).await
}

/// `POST /live_inputs/:input/outputs/:output/retry`
pub(crate) async fn retry(
    caller: &Caller<'_>,
    input: InputUid,
    uid: OutputUid,
) -> Result<Answer, Failure> {
    changed(caller, input, Change::RetryOutput { uid }).await
}

/// `DELETE /live_inputs/:input/outputs/:output`
pub(crate) async fn delete(
    caller: &Caller<'_>,
    input: InputUid,
    uid: OutputUid,
) -> Result<Answer, Failure> {
    let changed = live_inputs::change(caller, input, Change::DeleteOutput { uid }).await?;
    match changed.answer {
        ChangeAnswer::Deleted => answer::success::<()>(None),
        _ => Err(Failure::internal()),
    }
}

async fn changed(caller: &Caller<'_>, input: InputUid, change: Change) -> Result<Answer, Failure> {
    let changed = live_inputs::change(caller, input, change).await?;
    show_changed(caller, changed)
}

fn show_changed(caller: &Caller<'_>, changed: Changed) -> Result<Answer, Failure> {
    match changed.answer {
        ChangeAnswer::Output { output, alike } => {
            let keyring = settings::keyring(caller.env)?;
            answer::json(&shown::changed_output(
                output,
                alike,
                &changed.view,
                caller.account,
                &keyring,
            )?)
        }
        _ => Err(Failure::internal()),
    }
}

fn draw_uid() -> worker::Result<([u8; 16], [[u8; 12]; 2])> {
    Ok((random::bytes()?, draw_nonces()?))
}

fn draw_nonces() -> worker::Result<[[u8; 12]; 2]> {
    Ok([random::bytes()?, random::bytes()?])
}
