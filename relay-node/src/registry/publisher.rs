//! An encoder on air, as ingest holds it.

use std::sync::Arc;

use rtmp::Message;
use rtmp::server::Refusal;
use tokio::sync::oneshot;

use crate::clock;
use crate::feed::Feed;

/// The right to feed a broadcast. Dropping it says that the encoder is gone.
pub struct Publisher {
    feed: Arc<Feed>,
    cut: oneshot::Receiver<Refusal>,
    leave: Option<Box<dyn FnOnce() + Send>>,
}

impl Publisher {
    pub(super) fn new(
        feed: Arc<Feed>,
        cut: oneshot::Receiver<Refusal>,
        leave: impl FnOnce() + Send + 'static,
    ) -> Self {
        Self {
            feed,
            cut,
            leave: Some(Box::new(leave)),
        }
    }

    /// Feeds the broadcast.
    pub fn append(&self, messages: impl IntoIterator<Item = Message>) {
        self.feed.append(clock::now(), messages);
    }

    /// Waits until the encoder must go, and tells why.
    pub async fn cut(&mut self) -> Refusal {
        // The broadcast always says why before it goes.
        (&mut self.cut).await.unwrap_or(Refusal::Replaced)
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        if let Some(leave) = self.leave.take() {
            leave();
        }
    }
}
