//! An encoder on air, as ingest holds it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rtmp::Message;
use rtmp::server::Refusal;
use shared::link::{Departure, Protocol};
use tokio::sync::oneshot;

use crate::clock;
use crate::feed::Feed;
use crate::shards::Shard;

/// The right to feed a broadcast. Dropping it says that the encoder is lost.
pub struct Publisher {
    feed: Arc<Feed>,
    session: u64,
    cut: oneshot::Receiver<Refusal>,
    leave: Option<Leave>,
}

type Leave = Box<dyn FnOnce(Departure) + Send>;

impl Publisher {
    pub(super) fn new(
        feed: Arc<Feed>,
        session: u64,
        cut: oneshot::Receiver<Refusal>,
        leave: impl FnOnce(Departure) + Send + 'static,
    ) -> Self {
        Self {
            feed,
            session,
            cut,
            leave: Some(Box::new(leave)),
        }
    }

    /// Feeds the broadcast; see [`Feed::append`].
    pub fn append(&self, messages: impl IntoIterator<Item = Message>) -> bool {
        self.feed.append(self.session, clock::now(), messages)
    }

    /// Tells the outputs of what was appended.
    pub fn tell(&self) {
        self.feed.tell();
    }

    /// How long what was appended may wait before they are told.
    pub fn gather(&self) -> Duration {
        self.feed.gather()
    }

    /// From where windows that are common to all broadcasts are counted.
    pub fn origin(&self) -> Instant {
        self.feed.origin()
    }

    /// How many outputs are told.
    pub fn outputs(&self) -> usize {
        self.feed.readers()
    }

    /// The thread of the broadcast.
    pub fn shard(&self) -> &Shard {
        self.feed.shard()
    }

    /// Says that the encoder is gone, and why.
    pub fn leave(mut self, why: Departure) {
        self.depart(why);
    }

    fn depart(&mut self, why: Departure) {
        if let Some(leave) = self.leave.take() {
            // What was gathered waits for nothing more.
            self.tell();
            leave(why);
        }
    }

    /// Waits until the encoder must go, and tells why.
    pub async fn cut(&mut self) -> Refusal {
        // The broadcast always says why before it goes.
        (&mut self.cut).await.unwrap_or(Refusal::Replaced)
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.depart(Departure::Lost);
    }
}

/// How an encoder is connected, as the log says it.
pub(super) fn scheme(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Rtmp => "rtmp",
        Protocol::Rtmps => "rtmps",
        Protocol::Unknown => "unknown",
    }
}

/// Why an encoder is gone, as the log says it.
pub(super) fn reason(why: Departure) -> &'static str {
    match why {
        Departure::Goodbye => "goodbye",
        Departure::Lost => "lost",
        Departure::Misbehaved => "misbehaved",
        Departure::Deleted => "deleted",
        Departure::Disabled => "disabled",
        Departure::KeyRotated => "key_rotated",
        Departure::Replaced => "replaced",
        Departure::ShuttingDown => "shutting_down",
        Departure::Unknown => "unknown",
    }
}

/// What an encoder's going is called that was told this.
pub fn departure(why: Refusal) -> Departure {
    match why {
        Refusal::Deleted => Departure::Deleted,
        Refusal::Disabled => Departure::Disabled,
        // A key that was good before: replaced, or its input is gone.
        Refusal::KeyReplaced | Refusal::UnknownKey => Departure::KeyRotated,
        Refusal::Replaced => Departure::Replaced,
        Refusal::ShuttingDown => Departure::ShuttingDown,
        _ => Departure::Misbehaved,
    }
}
