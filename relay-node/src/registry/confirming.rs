//! Broadcasts that began by an earlier answer of the control plane, and what it says to them when
//! it can be asked again.

use std::sync::Arc;
use std::time::Duration;

use broadcast::RevisionGuard;
use shared::id::InputUid;
use shared::link::Snapshot;
use shared::secret::Secret;
use tokio::time::timeout;

use super::on_air::Ending;
use super::{Asking, Broadcasts, Registry, Relay, refusal, revision};
use crate::control::{Accepted, Refused};
use crate::uplink::backoff::Backoff;
use crate::uplink::random;

impl Registry {
    /// Asks the control plane about every broadcast that began without it, one after the other,
    /// and has its answers take effect. Never returns.
    pub async fn confirm_cached(self: &Arc<Self>) {
        let mut backoff = Backoff::default();
        // Not one input all the time, if that is the one for which there is no answer.
        let mut last = None;
        loop {
            let Some((input, key)) = self.next_unconfirmed(last) else {
                self.unconfirmed.notified().await;
                continue;
            };
            last = Some(input);
            match self.confirm(input, &key).await {
                Ok(()) => backoff.reset(),
                Err(Unanswered) => {
                    let wait: Duration = backoff.next(random());
                    // Over sooner where the link shows it.
                    let _ = timeout(wait, self.control.reached()).await;
                }
            }
        }
    }

    fn next_unconfirmed(&self, last: Option<InputUid>) -> Option<(InputUid, Secret)> {
        let broadcasts = self.lock();
        let unconfirmed = || {
            let on_air = broadcasts.on_air.iter();
            on_air.filter_map(|(input, on_air)| Some((*input, on_air.unconfirmed.clone()?)))
        };
        let next = unconfirmed().find(|(input, _)| Some(*input) > last);
        next.or_else(|| unconfirmed().next())
    }

    async fn confirm(self: &Arc<Self>, input: InputUid, key: &Secret) -> Result<(), Unanswered> {
        let _asking = Asking::begin(self);
        let answer = self.control.confirm(key).await;
        let mut broadcasts = self.lock();
        let on_air = broadcasts.on_air.get(&input);
        if on_air.is_none_or(|on_air| on_air.unconfirmed.as_ref() != Some(key)) {
            // It has ended, or was answered for another publisher.
            return Ok(());
        }
        let granted = match answer {
            Err(Refused::Unavailable) => return Err(Unanswered),
            Err(refused) => Err(refusal(refused)),
            Ok(Accepted { snapshot, key, .. }) => {
                let newest = broadcasts.newest(snapshot, |early| self.owns(early));
                newest.map(|snapshot| (snapshot, key))
            }
        };
        if let Err(refusal) = granted.and_then(|(snapshot, key)| {
            let wanted = self.verdict_on(&snapshot, key)?;
            if let Some(on_air) = broadcasts.on_air.get_mut(&input) {
                on_air.key = key;
            }
            self.confirmed(&mut broadcasts, &snapshot, wanted);
            Ok(())
        }) {
            tracing::info!(%input, %refusal, "what was on air by an earlier answer may not be");
            self.end(&mut broadcasts, input, Ending::Cut(refusal));
        }
        Ok(())
    }

    /// The control plane has made this node the owner of a broadcast that began without it.
    pub(super) fn confirmed(
        self: &Arc<Self>,
        broadcasts: &mut Broadcasts,
        snapshot: &Snapshot,
        wanted: Option<Relay<'_>>,
    ) {
        let Some(on_air) = broadcasts.on_air.get_mut(&snapshot.input) else {
            return;
        };
        on_air.unconfirmed = None;
        // Whatever was remembered: the answer counts.
        on_air.guard = RevisionGuard::new(revision(snapshot));
        tracing::info!(
            input = %snapshot.input,
            epoch = snapshot.epoch,
            rev = snapshot.rev,
            "the control plane confirms what was on air by an earlier answer",
        );
        self.obey(broadcasts, snapshot, wanted);
    }
}

/// The control plane cannot be asked yet.
struct Unanswered;
