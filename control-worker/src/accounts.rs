//! `/accounts`: what the operator does with accounts.

use control_core::account::NewAccount;
use control_core::failure::Failure;
use control_core::request::account_name;
use control_core::token;
use shared::id::{AccountId, TokenTag};
use worker::Env;

use crate::answer::{self, Answer};
use crate::request::Request;
use crate::{clock, d1, log, random};

/// `POST /accounts`
pub(crate) async fn create(env: &Env, request: &Request) -> Result<Answer, Failure> {
    let name = account_name(&request.body().await?)?;
    let account = draw(name).map_err(log::internal("drawing random bytes"))?;
    let made = d1::batch(env, &account.batch()).await;
    made.map_err(|error| {
        log::failed("making an account", &error);
        Failure::undecided()
    })?;
    answer::success(Some(account.shown()))
}

fn draw(name: String) -> worker::Result<NewAccount> {
    Ok(NewAccount {
        account: AccountId::from_random(random::bytes()?),
        name,
        tag: TokenTag::from_random(random::bytes()?),
        secret: token::secret(random::bytes()?),
        now: clock::now(),
    })
}
