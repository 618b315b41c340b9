//! A client of the public API that keeps the time.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

use crate::secrets::Secrets;
use crate::wait;

/// The API as one account's user sees it.
pub struct Api {
    runtime: Runtime,
    client: reqwest::Client,
    base: String,
    token: String,
    secrets: Secrets,
}

/// An answer and when it was there.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The envelope.
    pub body: Value,
    /// When its last byte had come.
    pub at: Instant,
}

/// A live input as its maker knows it.
#[derive(Clone, Debug)]
pub struct Input {
    /// Its uid.
    pub uid: String,
    /// The URL for encoders.
    pub url: String,
    /// The key for encoders.
    pub key: String,
}

/// An output, and when the API had answered that it is there.
#[derive(Clone, Debug)]
pub struct Output {
    /// Its uid.
    pub uid: String,
    /// When the answer was there.
    pub at: Instant,
}

impl Api {
    /// The API at `api` (which ends in `/client/v4`) for `account`.
    pub fn new(api: &str, account: &str, token: &str, secrets: Secrets) -> Result<Self> {
        secrets.add("the API token", token);
        Ok(Self {
            runtime: Builder::new_current_thread().enable_all().build()?,
            client: reqwest::Client::builder()
                .no_proxy()
                .timeout(ANSWER_WITHIN)
                // Each request tells whether the control plane takes connections.
                .pool_max_idle_per_host(0)
                .build()?,
            base: format!("{api}/accounts/{account}/stream"),
            token: token.to_owned(),
            secrets,
        })
    }

    /// Makes a live input.
    pub fn create_input(&self, name: &str) -> Result<Input> {
        let body = json!({"meta": {"name": name}});
        let answer = self.successful(Method::POST, "/live_inputs", Some(&body))?;
        let input = Input {
            uid: answer.text("/result/uid")?,
            url: answer.text("/result/rtmps/url")?,
            key: answer.text("/result/rtmps/streamKey")?,
        };
        self.secrets.add_stream_key(&input.key);
        Ok(input)
    }

    /// Adds an output.
    pub fn add_output(&self, input: &Input, url: &str, key: &str) -> Result<Output> {
        self.secrets.add("an output's key", key);
        let path = format!("/live_inputs/{}/outputs", input.uid);
        let body = json!({"url": url, "streamKey": key});
        let answer = self.successful(Method::POST, &path, Some(&body))?;
        Ok(Output {
            uid: answer.text("/result/uid")?,
            at: answer.at,
        })
    }

    /// Switches an output on or off; when the answer was there.
    pub fn enable_output(&self, input: &Input, output: &Output, enabled: bool) -> Result<Instant> {
        let path = format!("/live_inputs/{}/outputs/{}", input.uid, output.uid);
        let body = json!({"enabled": enabled});
        Ok(self.successful(Method::PUT, &path, Some(&body))?.at)
    }

    /// Has an output send elsewhere, to another key there, or both; when the answer was there.
    pub fn move_output(
        &self,
        input: &Input,
        output: &Output,
        url: Option<&str>,
        key: &str,
    ) -> Result<Instant> {
        self.secrets.add("an output's key", key);
        let path = format!("/live_inputs/{}/outputs/{}", input.uid, output.uid);
        let body = match url {
            Some(url) => json!({"url": url, "streamKey": key}),
            None => json!({"streamKey": key}),
        };
        Ok(self.successful(Method::PUT, &path, Some(&body))?.at)
    }

    /// Replaces a live input's key, the old one being good for so many seconds more; when the answer
    /// was there.
    pub fn rotate_key(&self, input: &mut Input, grace: u64) -> Result<Instant> {
        let path = format!("/live_inputs/{}/rotate_keys", input.uid);
        let body = json!({"gracePeriodSeconds": grace});
        let answer = self.successful(Method::POST, &path, Some(&body))?;
        input.key = answer.text("/result/rtmps/streamKey")?;
        self.secrets.add_stream_key(&input.key);
        Ok(answer.at)
    }

    /// Switches a live input on or off; when the answer was there.
    pub fn enable_input(&self, input: &Input, enabled: bool) -> Result<Instant> {
        let path = format!("/live_inputs/{}", input.uid);
        let body = json!({"enabled": enabled});
        Ok(self.successful(Method::PUT, &path, Some(&body))?.at)
    }

    /// Changes settings of a live input, and returns when they have taken effect.
    pub fn treat_input(&self, input: &Input, settings: &Value) -> Result<()> {
        let path = format!("/live_inputs/{}", input.uid);
        self.successful(Method::PUT, &path, Some(settings))?;
        wait::until("the settings", ANSWER_WITHIN, || {
            let read = self.input(&input.uid)?;
            let stands = read
                .pointer("/result/configuration")
                .and_then(Value::as_str);
            Ok((stands == Some("applied")).then_some(()))
        })
    }

    /// Deletes an output; when the answer was there.
    pub fn delete_output(&self, input: &Input, output: &Output) -> Result<Instant> {
        let path = format!("/live_inputs/{}/outputs/{}", input.uid, output.uid);
        Ok(self.successful(Method::DELETE, &path, None)?.at)
    }

    /// Deletes a live input; when the answer was there.
    pub fn delete_input(&self, input: &Input) -> Result<Instant> {
        let path = format!("/live_inputs/{}", input.uid);
        Ok(self.successful(Method::DELETE, &path, None)?.at)
    }

    /// The details of a live input.
    pub fn input(&self, uid: &str) -> Result<Value> {
        let path = format!("/live_inputs/{uid}");
        Ok(self.successful(Method::GET, &path, None)?.body)
    }

    /// Whether the control plane answers at all.
    pub fn answers(&self) -> bool {
        let answer = self.request(Method::GET, "/live_inputs", None);
        answer.is_ok_and(|answer| answer.status == 200)
    }

    /// Any request below `/stream`.
    pub fn request(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer> {
        self.request_as(&self.token, method, path, body)
    }

    /// Any request below `/stream`, with another token.
    pub fn request_as(
        &self,
        token: &str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer> {
        let mut request = self
            .client
            .request(method.clone(), format!("{}{path}", self.base))
            .bearer_auth(token);
        if let Some(body) = body {
            request = request.body(body.to_string());
        }
        let (status, text) = self.runtime.block_on(async {
            let response = request.send().await?;
            let status = response.status().as_u16();
            response.text().await.map(|text| (status, text))
        })?;
        let at = Instant::now();
        if status >= 400 {
            self.secrets.add_answer(&format!("{method} {path}"), &text);
        }
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Ok(Answer { status, body, at })
    }

    fn successful(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer> {
        let answer = self.request(method.clone(), path, body)?;
        let errors = answer.body.get("errors");
        ensure!(
            (200..300).contains(&answer.status),
            "{method} {path}: status {}, {errors:?}",
            answer.status
        );
        Ok(answer)
    }
}

impl Answer {
    /// The text at a JSON pointer.
    pub fn text(&self, pointer: &str) -> Result<String> {
        let text = self.body.pointer(pointer).and_then(Value::as_str);
        let text = text.with_context(|| format!("the answer has no {pointer}"))?;
        Ok(text.to_owned())
    }
}

/// GETs something of the relay node's own HTTP server.
pub fn get(url: &str) -> Result<String> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(ANSWER_WITHIN)
        .build()?;
    let text = runtime.block_on(async { client.get(url).send().await?.text().await })?;
    Ok(text)
}

/// An answer that takes longer is none: far beyond what workerd takes on a busy machine.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
