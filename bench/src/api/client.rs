//! One connection to one side.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use reqwest::{Method, StatusCode};
use serde_json::Value;
use shared::id::AccountId;

/// Longer than any answer takes; a measurement that waits longer is broken.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// Keeps one connection, and asks one thing at a time.
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
    token: String,
}

impl Client {
    pub(crate) fn new(url: &str, account: AccountId, token: &str) -> Result<Self> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .http1_only()
            .pool_max_idle_per_host(1)
            .tcp_nodelay(true)
            .timeout(ANSWER_WITHIN)
            .build()?;
        Ok(Self {
            http,
            base: format!("{url}/client/v4/accounts/{account}/stream/live_inputs"),
            token: token.to_owned(),
        })
    }

    /// Asks below `/live_inputs`, and takes the time from the first byte out to the last byte in.
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&'static str>,
    ) -> Result<(Instant, Instant, Vec<u8>)> {
        let mut request = self
            .http
            .request(method.clone(), format!("{}{path}", self.base))
            .bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.body(body);
        }
        let start = Instant::now();
        let answer = request.send().await?;
        let status = answer.status();
        let body = answer.bytes().await?;
        let end = Instant::now();
        ensure!(
            status == StatusCode::OK,
            "{method} {path}: {status} {}",
            String::from_utf8_lossy(&body)
        );
        Ok((start, end, body.into()))
    }

    /// Makes something, and reads its uid.
    pub(crate) async fn make(&self, path: &str, body: &'static str) -> Result<String> {
        let (_, _, answer) = self.ask(Method::POST, path, Some(body)).await?;
        uid(&answer)
    }
}

/// The uid of what was made.
pub(crate) fn uid(answer: &[u8]) -> Result<String> {
    let answer: Value = serde_json::from_slice(answer)?;
    let uid = answer.pointer("/result/uid").and_then(Value::as_str);
    uid.map(str::to_owned).context("an answer without a uid")
}
