//! The node's side of the link to the control plane.
//!
//! One WebSocket carries snapshots down and acknowledgements and events up; while it is down the
//! node polls over plain HTTP. Whether a key may publish is asked over HTTP in any case.
//!
//! `link` decides what is said and when, and knows neither sockets nor clocks; `driver` is the task
//! that does it, with `socket` and `http`.

pub(crate) mod backoff;
mod cache;
mod driver;
mod endpoint;
pub(crate) mod events;
mod failure;
mod figures;
mod http;
mod link;
mod socket;

#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustls::ClientConfig;
use shared::id::{InputUid, Instance, NodeName};
use shared::link::{Applied, LINK_VERSION, PublishAnswer, PublishRequest, Snapshot, What};
use shared::secret::Secret;
use shared::time::Timestamp;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};
use url::Url;

use crate::control::{Accepted, LinkState, Refused, Revs};
pub use cache::KeyCache;
use driver::{Driver, now};
use endpoint::Endpoint;
use failure::Failure;
pub use figures::Gather;
use http::{Http, PUBLISH_WITHIN};
use link::{Link, TOKEN_ADVICE};

/// What the uplink must know.
pub struct Config {
    /// The control plane's URL, `https://host[:port][/prefix]`; `http` serves for development.
    pub control: Url,
    /// The relay token.
    pub token: Secret,
    /// The node's name, for which the token was made.
    pub node: NodeName,
    /// This run of the node's process.
    pub instance: Instance,
    /// How to speak TLS with the control plane: the certificate authorities to trust.
    pub tls: Arc<ClientConfig>,
    /// What is remembered of its answers.
    pub cache: Arc<KeyCache>,
}

/// Why an uplink cannot be made of a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidConfig {
    /// Neither `http` nor `https`.
    #[error("the control plane's URL must begin with https:// (or http://, on this machine)")]
    Scheme,
    /// No HTTP client can be made of the TLS configuration.
    #[error("the TLS configuration cannot be used for the control plane")]
    Tls,
    /// A token that no HTTP header can carry.
    #[error("the token holds characters that no token has: copy it again")]
    Token,
    /// A URL without a host, or with a part that must not be there.
    #[error(
        "the control plane's URL must be https://host[:port][/path], without user name, query or fragment"
    )]
    Url,
}

/// The running uplink, as the node sees it.
pub struct Handle {
    shared: Arc<Shared>,
    http: Http,
    node: NodeName,
    instance: Instance,
    cache: Arc<KeyCache>,
}

impl Handle {
    /// Asks the control plane whether `key` may publish; where it gives no answer, what it said of
    /// a key seen before still counts.
    pub async fn authorise(&self, key: &Secret) -> Result<Accepted, Refused> {
        let patience = match self.cache.look_up(key) {
            Some(_) => KNOWN_WITHIN,
            None => PUBLISH_WITHIN,
        };
        match self.ask(key, patience).await {
            Err(Unanswered::Silence) => {
                // What came meanwhile counts.
                let known = self.cache.look_up(key).ok_or(Refused::Unavailable)?;
                warn!(
                    input = %known.snapshot.input,
                    "a key seen before is honoured until the control plane can be asked"
                );
                Ok(known)
            }
            Err(Unanswered::Unauthorised) => Err(Refused::Unavailable),
            Ok(answer) => answer,
        }
    }

    /// Asks the control plane, and nobody else, whether `key` may publish.
    pub async fn confirm(&self, key: &Secret) -> Result<Accepted, Refused> {
        let answer = self.ask(key, PUBLISH_WITHIN).await;
        answer.unwrap_or(Err(Refused::Unavailable))
    }

    /// Waits until changes come from the control plane that did not.
    pub async fn reached(&self) {
        self.shared.reached.notified().await;
    }

    async fn ask(
        &self,
        key: &Secret,
        patience: Duration,
    ) -> Result<Result<Accepted, Refused>, Unanswered> {
        let request = PublishRequest {
            version: LINK_VERSION,
            node: self.node.clone(),
            instance: self.instance,
            key: key.clone(),
        };
        match self.http.publish(&request, patience).await {
            Ok(PublishAnswer::Accepted {
                snapshot,
                key: number,
            }) => {
                let accepted = Accepted {
                    snapshot,
                    key: number,
                    cached: false,
                };
                self.cache.accepted(key, &accepted);
                Ok(Ok(accepted))
            }
            Ok(PublishAnswer::Refused { reason }) => {
                self.cache.refused(key, reason);
                Ok(Err(Refused::Denied(reason)))
            }
            Err(failure @ Failure::Unauthorised(_)) => {
                error!(%failure, "{TOKEN_ADVICE}");
                Err(Unanswered::Unauthorised)
            }
            Err(failure) => {
                warn!(%failure, "the control plane cannot be asked whether a key may publish");
                Err(Unanswered::Silence)
            }
        }
    }

    /// Acknowledges a snapshot.
    pub fn applied(&self, applied: Applied) {
        self.shared.link().applied(applied);
        self.shared.changed.notify_one();
    }

    /// Tells that something happened `at` that time to `input` under `epoch`.
    pub fn tell(&self, input: InputUid, epoch: u64, at: Timestamp, what: What) {
        self.shared.link().happened(input, epoch, at, what);
        self.shared.changed.notify_one();
    }

    /// How changes reach the node at this moment.
    pub fn state(&self) -> LinkState {
        self.shared.link().state()
    }
}

/// The uplink's task, to be run.
pub struct Uplink(Driver);

impl Uplink {
    /// An uplink that reports `revs`, and the receiver of the snapshots that come down, as they
    /// come: some old, some repeated.
    pub fn new(
        config: Config,
        revs: Arc<Revs>,
    ) -> Result<(Self, Handle, mpsc::Receiver<Snapshot>), InvalidConfig> {
        let endpoint = Endpoint::new(&config)?;
        if Endpoint::is_exposed(&config.control) {
            warn!(
                "the control plane's URL is http: the token and all keys cross the network in clear"
            );
        }
        let http = Http::new(&config, endpoint.clone()).map_err(|_| InvalidConfig::Tls)?;
        let shared = Arc::new(Shared {
            link: Mutex::new(Link::new(config.instance, random, now())),
            changed: Notify::new(),
            reached: Notify::new(),
            acted: Notify::new(),
        });
        let handle = Handle {
            shared: Arc::clone(&shared),
            http: http.clone(),
            node: config.node,
            instance: config.instance,
            cache: Arc::clone(&config.cache),
        };
        let (snapshots, receiver) = mpsc::channel(QUEUED_SNAPSHOTS);
        let driver = Driver {
            shared,
            instance: config.instance,
            revs,
            snapshots,
            http,
            endpoint,
            tls: config.tls,
            cache: config.cache,
        };
        Ok((Self(driver), handle, receiver))
    }

    /// Runs until the receiver of snapshots is dropped, or until `shutdown`, by a second at most.
    /// `figures` says how every broadcast on air is doing.
    pub async fn run(self, figures: &Gather<'_>, shutdown: CancellationToken) {
        let cache = Arc::clone(&self.0.cache);
        tokio::join!(cache.keep(shutdown.clone()), self.0.run(figures, shutdown));
    }
}

/// What the handle and the task have in common.
struct Shared {
    link: Mutex<Link>,
    /// The handle has told the link something.
    changed: Notify,
    /// Changes have begun to come that did not.
    reached: Notify,
    /// The task has done all that was due.
    acted: Notify,
}

impl Shared {
    fn link(&self) -> MutexGuard<'_, Link> {
        // A panic while it was held would have been a bug in `link`; going on with what it left is
        // better than to lose the control plane.
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why there is no answer.
enum Unanswered {
    /// Nobody is there who could give one.
    Silence,
    /// The control plane does not speak with this node: what it said before counts no more.
    Unauthorised,
}

/// How long an encoder whose key was seen before waits for the answer.
const KNOWN_WITHIN: Duration = Duration::from_secs(2);

/// Jitter; without a random source of the system all waits are the longest.
pub(crate) fn random() -> u64 {
    getrandom::u64().unwrap_or(u64::MAX)
}

/// Snapshots between the uplink and the node. The node takes them without waiting for anything, so
/// that this only evens out bursts.
const QUEUED_SNAPSHOTS: usize = 64;
