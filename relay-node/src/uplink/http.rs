//! The link's two questions over HTTP: may this key publish, and what is new.

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use reqwest::redirect::Policy;
use serde::Serialize;
use serde::de::DeserializeOwned;
use shared::link::{
    PUBLISH_PATH, PublishAnswer, PublishRequest, Reconciliation, Report, poll_path,
};
use tokio::time;

use super::Config;
use super::endpoint::Endpoint;
use super::failure::Failure;

/// An HTTP client for the control plane.
#[derive(Clone)]
pub(super) struct Http {
    client: reqwest::Client,
    endpoint: Endpoint,
}

impl Http {
    /// A client that trusts what `config` trusts.
    pub(super) fn new(config: &Config, endpoint: Endpoint) -> reqwest::Result<Self> {
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(config.tls.as_ref().clone())
            // The token goes to the configured control plane and to nobody else.
            .redirect(Policy::none())
            .no_proxy()
            .build()?;
        Ok(Self { client, endpoint })
    }

    /// May this key publish? Asked a second time if the connection broke: a control plane that is
    /// being deployed drops connections, and takes new ones in the next moment.
    pub(super) async fn publish(&self, request: &PublishRequest) -> Result<PublishAnswer, Failure> {
        within(PUBLISH_WITHIN, async {
            match self.post(PUBLISH_PATH, request).await {
                Err(Failure::Unreachable(_)) => {
                    time::sleep(PUBLISH_RETRY_AFTER).await;
                    self.post(PUBLISH_PATH, request).await
                }
                outcome => outcome,
            }
        })
        .await
    }

    /// What is newer than this report?
    pub(super) async fn poll(&self, report: &Report) -> Result<Reconciliation, Failure> {
        let path = poll_path(self.endpoint.node());
        within(POLL_WITHIN, self.post(&path, report)).await
    }

    async fn post<A: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<A, Failure> {
        let body = serde_json::to_vec(body).map_err(|error| Failure::Unreadable(error.into()))?;
        let mut response = self
            .client
            .post(self.endpoint.http_url(path))
            .header(AUTHORIZATION, self.endpoint.authorization())
            .header(CONTENT_TYPE, "application/json")
            .body(body)
            .send()
            .await
            .map_err(|error| Failure::of_transport(&error.without_url()))?;
        if !response.status().is_success() {
            return Err(Failure::of_status(response.status().as_u16()));
        }
        let mut answer = Vec::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| Failure::of_transport(&error.without_url()))?
        {
            if answer.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err(Failure::TooLong(MAX_ANSWER_BYTES));
            }
            answer.extend_from_slice(&chunk);
        }
        serde_json::from_slice(&answer).map_err(|error| Failure::Unreadable(error.into()))
    }
}

async fn within<T>(
    limit: Duration,
    exchange: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    time::timeout(limit, exchange)
        .await
        .unwrap_or(Err(Failure::TimedOut(limit)))
}

/// An encoder that waits longer for its publish to be accepted gives up: OBS after 10 s.
const PUBLISH_WITHIN: Duration = Duration::from_secs(5);

/// The pause before the second attempt of a publish.
const PUBLISH_RETRY_AFTER: Duration = Duration::from_millis(250);

/// A poll that takes longer is lost; the next one follows within the promised 30 s.
const POLL_WITHIN: Duration = Duration::from_secs(5);

/// Bytes of an answer. The largest snapshot is below 350 kB, and one poll that changes more than 40
/// of them at once goes on with the next.
const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;
