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
    /// being deployed drops connections, and takes new ones in the next moment. `patience` is at
    /// most [`PUBLISH_WITHIN`].
    pub(super) async fn publish(
        &self,
        request: &PublishRequest,
        patience: Duration,
    ) -> Result<PublishAnswer, Failure> {
        within(patience, async {
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
pub(super) const PUBLISH_WITHIN: Duration = Duration::from_secs(5);

/// The pause before the second attempt of a publish.
const PUBLISH_RETRY_AFTER: Duration = Duration::from_millis(250);

/// A poll that takes longer is lost; the next one follows within the promised 30 s.
const POLL_WITHIN: Duration = Duration::from_secs(5);

/// Bytes of an answer. The largest snapshot is below 350 kB, and one poll that changes more than 40
/// of them at once goes on with the next.
const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use shared::id::Instance;
    use shared::link::LINK_VERSION;
    use shared::secret::Secret;
    use tokio::task::JoinHandle;
    use tokio::time::Instant;

    use super::super::fake::{self, Fake};
    use super::*;

    fn http(fake: &Fake) -> Http {
        let config = fake::config(&fake.url());
        Http::new(&config, Endpoint::new(&config).unwrap()).unwrap()
    }

    fn publish(fake: &Fake) -> JoinHandle<Result<PublishAnswer, Failure>> {
        let http = http(fake);
        let request = PublishRequest {
            version: LINK_VERSION,
            node: "fra-1".parse().unwrap(),
            instance: Instance::from_random([7; 16]),
            key: Secret::new("key"),
        };
        tokio::spawn(async move { http.publish(&request, PUBLISH_WITHIN).await })
    }

    fn poll(fake: &Fake) -> JoinHandle<Result<Reconciliation, Failure>> {
        let http = http(fake);
        let report = Report {
            version: LINK_VERSION,
            instance: Instance::from_random([7; 16]),
            revs: BTreeMap::new(),
            events: Vec::new(),
            figures: Vec::new(),
        };
        tokio::spawn(async move { http.poll(&report).await })
    }

    /// Why an exchange failed that is not answered, on a clock that jumps; and how long it took.
    async fn unanswered<T: std::fmt::Debug>(
        fake: &mut Fake,
        exchange: JoinHandle<Result<T, Failure>>,
    ) -> (Failure, Duration) {
        let _post = fake.post().await;
        time::pause();
        let began = Instant::now();
        let failure = exchange.await.unwrap().unwrap_err();
        time::resume();
        (failure, began.elapsed())
    }

    #[tokio::test]
    async fn what_is_not_answered_is_given_up_in_time() {
        let mut fake = Fake::start().await;
        let asked = publish(&fake);
        let published = unanswered(&mut fake, asked).await;
        let asked = poll(&fake);
        let polled = unanswered(&mut fake, asked).await;
        for ((failure, took), limit) in [(published, PUBLISH_WITHIN), (polled, POLL_WITHIN)] {
            assert_eq!(failure, Failure::TimedOut(limit));
            // It began a little before the clock was stopped.
            assert!(took.abs_diff(limit) < Duration::from_secs(1), "{took:?}");
        }
    }

    #[tokio::test]
    async fn a_connection_that_broke_is_followed_by_one_more_after_a_pause() {
        let mut fake = Fake::start().await;
        let asked = publish(&fake);
        let first = fake.post().await;
        let before = Instant::now();
        drop(first);
        drop(fake.post().await);
        assert!(before.elapsed() >= PUBLISH_RETRY_AFTER);
        let failure = asked.await.unwrap().unwrap_err();
        assert!(matches!(failure, Failure::Unreachable(_)), "{failure:?}");
    }

    #[tokio::test]
    async fn an_answer_is_read_to_its_bound() {
        let mut fake = Fake::start().await;
        // The quotation marks count.
        for (length, is_read) in [(MAX_ANSWER_BYTES - 2, true), (MAX_ANSWER_BYTES - 1, false)] {
            let asked = poll(&fake);
            fake.post().await.answer(200, &"a".repeat(length));
            let failure = asked.await.unwrap().unwrap_err();
            match is_read {
                true => assert!(matches!(failure, Failure::Unreadable(_)), "{failure:?}"),
                false => assert_eq!(failure, Failure::TooLong(MAX_ANSWER_BYTES)),
            }
        }
    }
}
