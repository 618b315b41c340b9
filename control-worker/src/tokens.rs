//! `/tokens`: what the API does with tokens.

use std::cell::OnceCell;

use control_core::auth::TokenRecord;
use control_core::failure::Failure;
use control_core::permission::Permission;
use control_core::request::{NewToken, Query, TokenPage, TokenUpdate};
use control_core::route::TokenRoute;
use control_core::sql::Results as _;
use control_core::token::{self, TokenChange, TokenRequest, TokenRow};
use shared::envelope::{Envelope, Notice, code};
use shared::id::TokenTag;
use worker::Env;

use crate::answer::{self, Answer};
use crate::request::Request;
use crate::{Caller, clock, d1, log, random};

/// Answers a request about the tokens of an account.
pub(crate) async fn serve(
    caller: &Caller<'_>,
    route: TokenRoute,
    request: &Request,
) -> Result<Answer, Failure> {
    let asked = TokenRequest {
        token: caller.token.clone(),
        account: caller.account,
        now: clock::now(),
    };
    let tokens = Tokens {
        env: caller.env,
        asked,
    };
    match route {
        TokenRoute::CreateToken => tokens.create(request).await,
        TokenRoute::DeleteToken { token } => tokens.delete(token).await,
        TokenRoute::ListTokens => tokens.list(request).await,
        TokenRoute::PermissionGroups => groups(request),
        TokenRoute::RollToken { token } => tokens.roll(token).await,
        TokenRoute::TokenDetails { token } => tokens.details(token).await,
        TokenRoute::UpdateToken { token } => tokens.update(token, request).await,
        TokenRoute::VerifyToken => tokens.verify().await,
    }
}

/// `GET /user/tokens/verify`: as `…/tokens/verify`, of whichever account the token is.
pub(crate) async fn verify(env: &Env, token: TokenRecord) -> Result<Answer, Failure> {
    let asked = TokenRequest {
        token: token.id,
        account: token.account.ok_or_else(Failure::forbidden)?,
        now: clock::now(),
    };
    Tokens { env, asked }.verify().await
}

struct Tokens<'a> {
    env: &'a Env,
    asked: TokenRequest,
}

impl Tokens<'_> {
    async fn create(&self, request: &Request) -> Result<Answer, Failure> {
        let TokenRequest { account, now, .. } = self.asked;
        let body = NewToken::parse(&request.body().await?, account, now)?;
        let (tag, secret) = draw()?;
        let row = self.run(&self.asked.create(tag, &secret, &body)).await?;
        answer::success(Some(row.shown_with(secret, account, now)?))
    }

    async fn update(&self, tag: TokenTag, request: &Request) -> Result<Answer, Failure> {
        let TokenRequest { account, now, .. } = self.asked;
        let body = TokenUpdate::parse(&request.body().await?, account, now)?;
        let row = self.run(&self.asked.update(tag, &body)).await?;
        self.show(&row)
    }

    /// The answer is the new secret, and nothing else.
    async fn roll(&self, tag: TokenTag) -> Result<Answer, Failure> {
        let (id, secret) = draw()?;
        self.run(&self.asked.roll(tag, &secret, id)).await?;
        answer::success(Some(secret.expose()))
    }

    async fn delete(&self, tag: TokenTag) -> Result<Answer, Failure> {
        self.run(&self.asked.delete(tag)).await?;
        answer::success(Some(token::deleted(tag)))
    }

    async fn details(&self, tag: TokenTag) -> Result<Answer, Failure> {
        let row = self.run(&self.asked.details(tag)).await?;
        self.show(&row)
    }

    async fn list(&self, request: &Request) -> Result<Answer, Failure> {
        let page = TokenPage::parse(&query(request))?;
        let results = d1::batch(self.env, &self.asked.list(&page)).await;
        let results = results.map_err(log::unavailable("listing tokens"))?;
        let listed = self.asked.listed(&page, &results);
        let (rows, info) = listed.map_err(log::internal("listing tokens"))??;
        let TokenRequest { account, now, .. } = self.asked;
        let shown: Result<Vec<_>, _> = rows.iter().map(|row| row.shown(account, now)).collect();
        let mut envelope = Envelope::success(Some(shown?));
        envelope.result_info = Some(info);
        answer::json(&envelope)
    }

    /// Asks the database, whatever is remembered of the token: to know is what this is for.
    async fn verify(&self) -> Result<Answer, Failure> {
        let results = d1::batch(self.env, &[self.asked.own()]).await;
        let results = results.map_err(log::unavailable("verifying a token"))?;
        let row: Option<TokenRow> = results
            .first(0)
            .map_err(log::internal("verifying a token"))?;
        let row = row.ok_or_else(Failure::invalid_token)?;
        let mut envelope = Envelope::success(Some(row.verified(self.asked.now)));
        let good = "This API Token is valid and active";
        envelope
            .messages
            .push(Notice::new(code::TOKEN_IS_GOOD, good));
        answer::json(&envelope)
    }

    async fn run(&self, change: &TokenChange) -> Result<TokenRow, Failure> {
        let results = d1::batch(self.env, change.batch()).await;
        // A change that timed out may have been made: nobody must take it for undone.
        let results = results.map_err(|error| {
            log::failed("asking for a token", &error);
            change.failed()
        })?;
        let outcome = change.outcome(&results);
        outcome.map_err(log::internal("reading a token"))?
    }

    fn show(&self, row: &TokenRow) -> Result<Answer, Failure> {
        answer::success(Some(row.shown(self.asked.account, self.asked.now)?))
    }
}

/// The permission groups that a token can have. All of them are written once.
fn groups(request: &Request) -> Result<Answer, Failure> {
    if request.query().is_empty() {
        let all = GROUPS.with(|all| match all.get() {
            Some(all) => Ok(all.clone()),
            None => {
                let written = write_groups(request)?;
                Ok(all.get_or_init(|| written).clone())
            }
        });
        return all.map(answer::of);
    }
    write_groups(request).map(answer::of)
}

fn write_groups(request: &Request) -> Result<Vec<u8>, Failure> {
    let groups = Permission::named(&query(request))?.map(Permission::shown);
    let groups: Vec<_> = groups.collect();
    answer::written(&Envelope::success(Some(groups)))
}

thread_local! {
    static GROUPS: OnceCell<Vec<u8>> = const { OnceCell::new() };
}

fn query(request: &Request) -> Query {
    Query::parse(request.query())
}

fn draw() -> Result<(TokenTag, shared::secret::Secret), Failure> {
    let random = log::internal("drawing random bytes");
    let drawn = || Ok((random::bytes()?, random::bytes()?));
    let (tag, secret) = drawn().map_err(|error: worker::Error| random(error))?;
    Ok((TokenTag::from_random(tag), token::secret(secret)))
}
