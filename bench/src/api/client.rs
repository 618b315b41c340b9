//! One connection to one side.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use serde_json::Value;
use shared::id::AccountId;

use super::scene::Ids;

/// Longer than any answer takes; a measurement that waits longer is broken.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// Tells the floor which end point is asked: it looks at nothing else. Our Worker does not know it.
const END_POINT_HEADER: &str = "x-end-point";

/// Keeps one connection, and asks one thing at a time.
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
    account: AccountId,
    token: String,
    operator: String,
}

/// What is asked, with names in the place of ids.
pub(crate) struct Question {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) query: &'static str,
    pub(crate) body: Option<&'static str>,
}

impl Client {
    pub(crate) fn new(url: &str, account: AccountId, token: &str, operator: &str) -> Result<Self> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .http1_only()
            .pool_max_idle_per_host(1)
            .tcp_nodelay(true)
            .timeout(ANSWER_WITHIN)
            .build()?;
        Ok(Self {
            http,
            base: format!("{url}/client/v4"),
            account,
            token: token.to_owned(),
            operator: operator.to_owned(),
        })
    }

    /// Asks, and takes the time from the first byte out to the last byte in.
    pub(crate) async fn ask(
        &self,
        question: &Question,
        ids: &Ids,
    ) -> Result<(Instant, Instant, Vec<u8>)> {
        let Question {
            method,
            path: template,
            query,
            body,
        } = question;
        let account = self.account.to_string();
        let named = |text: &str| {
            let ids = ids.iter().map(|(name, id)| (*name, id.as_str()));
            let ids = ids.chain([(":account", account.as_str())]);
            ids.fold(text.to_owned(), |text, (name, id)| text.replace(name, id))
        };
        let path = named(template);
        let secret = match *template {
            "/accounts" => &self.operator,
            _ => &self.token,
        };
        let mut request = self
            .http
            .request(
                Method::from_bytes(method.as_bytes())?,
                format!("{}{path}{query}", self.base),
            )
            .header(END_POINT_HEADER, format!("{method} {template}"))
            .bearer_auth(secret);
        if let Some(body) = body {
            request = request.body(named(body));
        }
        let start = Instant::now();
        let answer = request.send().await?;
        let status = answer.status();
        let body = answer.bytes().await?;
        let end = Instant::now();
        ensure!(
            status.is_success(),
            "{method} {path}: {status} {}",
            String::from_utf8_lossy(&body)
        );
        Ok((start, end, body.into()))
    }
}

/// The id of what was made; a webhook has none.
pub(crate) fn id(answer: &[u8]) -> Result<String> {
    let answer: Value = serde_json::from_slice(answer)?;
    let result = answer.get("result").context("an answer without a result")?;
    let id = result.get("uid").or_else(|| result.get("id"));
    Ok(id.and_then(Value::as_str).unwrap_or_default().to_owned())
}
