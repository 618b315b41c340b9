//! Encoders come, take over, leave, and are waited for.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use broadcast::{Claim, Left, RevisionGuard, Seat, Seated, Taken, Verdict};
use rtmp::CapsEx;
use rtmp::server::Refusal;
use shared::id::InputUid;
use shared::link::{Departure, Snapshot};
use shared::secret::Secret;
use tokio::sync::oneshot;
use tokio::time::sleep_until;

use super::on_air::{Ending, Membership, OnAir, rules};
use super::teller::Teller;
use super::{Asking, Broadcasts, Publisher, Registry, Relay, publisher, refusal, revision};
use crate::account::Account;
use crate::clock;
use crate::feed::{Encoder, Feed};

/// What an encoder may publish, and why.
pub(super) struct KeyClaim {
    pub(super) snapshot: Snapshot,
    /// The number of its key.
    pub(super) key: u64,
    /// The key itself, if nobody could be asked about it.
    pub(super) unconfirmed: Option<Secret>,
}

/// For rounding.
const HALF_A_SECOND: Duration = Duration::from_millis(500);

impl Registry {
    /// Puts an encoder on air, if its key may publish: as the first publisher of a broadcast, as
    /// one that returns, or in the place of another.
    pub async fn publish(
        self: &Arc<Self>,
        key: Secret,
        encoder: Encoder,
    ) -> Result<Publisher, Refusal> {
        if self.is_occupied_elsewhere(&key, &encoder).await {
            return Err(Refusal::Occupied);
        }
        let asking = Asking::begin(self);
        let accepted = self.control.authorise(&key).await.map_err(refusal)?;
        let mut broadcasts = self.lock();
        let claim = match accepted.cached {
            // What came meanwhile was remembered before this was looked up.
            true => KeyClaim {
                snapshot: accepted.snapshot,
                key: accepted.key,
                unconfirmed: Some(key),
            },
            false => KeyClaim {
                snapshot: broadcasts.newest(accepted.snapshot, |early| self.owns(early))?,
                key: accepted.key,
                unconfirmed: None,
            },
        };
        let publisher = self.seat(&mut broadcasts, claim, encoder);
        drop(broadcasts);
        drop(asking);
        publisher
    }

    /// Whether another process of this node has a publisher of the key's input that this encoder may
    /// not replace. Asked before the key is checked, as the answer to that would make this process the
    /// owner, and so end the other's broadcast.
    async fn is_occupied_elsewhere(&self, key: &Secret, encoder: &Encoder) -> bool {
        let Some(input) = self.control.input_of(key) else {
            return false;
        };
        let is_here = self.lock().on_air.contains_key(&input);
        !is_here && self.rivals.is_occupied(input, encoder.address).await
    }

    /// Whether an encoder that comes to another process of this node from that address may not take
    /// the place of the one here.
    pub fn is_occupied(&self, input: InputUid, from: Option<IpAddr>) -> bool {
        let broadcasts = self.lock();
        let Some(on_air) = broadcasts.on_air.get(&input) else {
            return false;
        };
        let here = on_air.feed.encoder();
        // One that was asked to move connects there before it leaves here.
        let moves = self.handed_over.is_cancelled()
            && here.capabilities.caps_ex & CapsEx::RECONNECT != 0
            && here.address.is_some()
            && here.address == from;
        !moves && on_air.seat.is_reserved(clock::now(), on_air.feed.heard())
    }

    pub(super) fn seat(
        self: &Arc<Self>,
        broadcasts: &mut Broadcasts,
        claim: KeyClaim,
        encoder: Encoder,
    ) -> Result<Publisher, Refusal> {
        let wanted = self.verdict_on(&claim.snapshot, claim.key)?;
        let wanted = wanted.ok_or(Refusal::TryAgain)?;
        let input = claim.snapshot.input;
        broadcasts.sessions += 1;
        let session = broadcasts.sessions;
        let (cut, cut_by) = oneshot::channel();
        let feed = match broadcasts.on_air.contains_key(&input) {
            true => self.join(broadcasts, &claim, wanted, session, encoder, cut)?,
            false => self.begin(broadcasts, &claim, wanted, session, encoder, cut)?,
        };
        let registry = Arc::clone(self);
        Ok(Publisher::new(feed, session, cut_by, move |why| {
            registry.publisher_left(input, session, why);
        }))
    }

    fn begin(
        self: &Arc<Self>,
        broadcasts: &mut Broadcasts,
        claimed: &KeyClaim,
        Relay { outputs, settings }: Relay<'_>,
        session: u64,
        encoder: Encoder,
        cut: oneshot::Sender<Refusal>,
    ) -> Result<Arc<Feed>, Refusal> {
        let snapshot = &claimed.snapshot;
        let input = snapshot.input;
        let account = snapshot.account.map(|id| {
            let account = broadcasts.accounts.entry(id);
            account
                .or_insert_with(|| Account::new(id, self.media.quota))
                .clone()
        });
        let membership = account.map(Membership::begin).transpose();
        let membership = membership.map_err(|excess| {
            tracing::info!(%input, %excess, "broadcast refused");
            Refusal::AccountLimit
        })?;
        broadcasts.totals.broadcasts += 1;
        // Under which epoch it is, an earlier answer cannot say.
        let epoch = claimed.unconfirmed.is_none().then_some(snapshot.epoch);
        let teller = Teller::new(Arc::clone(&self.control), input, epoch);
        teller.connected(&encoder, false);
        let first = Claim {
            session,
            from: encoder.address,
        };
        let (protocol, name) = (encoder.protocol, encoder.name.clone());
        let feed = Arc::new(Feed::new(
            session,
            encoder,
            self.media.gather,
            self.media.budget.clone(),
            self.media.shards.pick(),
            self.since,
        ));
        let guard = RevisionGuard::new(revision(snapshot));
        let seat = Seat::new(rules(settings), first);
        let mut on_air = OnAir::new(
            input,
            teller,
            (seat, claimed.key),
            guard,
            Arc::clone(&feed),
            (self.dialler.clone(), membership),
            cut,
        );
        on_air.unconfirmed = claimed.unconfirmed.clone();
        on_air.treat(settings);
        self.claim(input, snapshot.epoch, outputs, &mut broadcasts.leaving);
        on_air.reconcile(outputs, &mut broadcasts.leaving, OnAir::FROM_THE_START);
        tracing::info!(
            %input,
            epoch = snapshot.epoch,
            rev = snapshot.rev,
            protocol = publisher::scheme(protocol),
            encoder = name,
            outputs = on_air.outputs.len(),
            "broadcast begins",
        );
        match on_air.is_unconfirmed() {
            // To the control plane it is not here before that has made this node its owner.
            true => self.unconfirmed.notify_one(),
            false => {
                self.revs.set(input, snapshot.rev);
                self.control.applied(on_air.acknowledgement());
            }
        }
        broadcasts.on_air.insert(input, on_air);
        Ok(feed)
    }

    /// Seats an encoder at a broadcast that is on air, with a publisher or waiting for one. What
    /// the control plane says in answer to it counts whoever is seated.
    fn join(
        self: &Arc<Self>,
        broadcasts: &mut Broadcasts,
        claimed: &KeyClaim,
        wanted: Relay<'_>,
        session: u64,
        encoder: Encoder,
        cut: oneshot::Sender<Refusal>,
    ) -> Result<Arc<Feed>, Refusal> {
        let snapshot = &claimed.snapshot;
        let input = snapshot.input;
        let Some(on_air) = broadcasts.on_air.get_mut(&input) else {
            return Err(Refusal::TryAgain);
        };
        let offered = revision(snapshot);
        if claimed.unconfirmed.is_some() {
            // What is on air is at least as new as what was remembered.
            if on_air.is_unconfirmed() {
                on_air.unconfirmed.clone_from(&claimed.unconfirmed);
            }
        } else if on_air.is_unconfirmed() {
            self.confirmed(broadcasts, snapshot, Some(wanted));
        } else {
            if on_air.guard.applied().epoch > offered.epoch {
                return Err(Refusal::Replaced);
            }
            if on_air.guard.admit(offered, true) == Verdict::Apply {
                self.obey(broadcasts, snapshot, Some(wanted));
            }
        }
        let Some(on_air) = broadcasts.on_air.get_mut(&input) else {
            return Err(Refusal::TryAgain);
        };
        let claim = Claim {
            session,
            from: encoder.address,
        };
        let away = on_air.seat.empty_since();
        let heard = on_air.feed.heard();
        let seated = on_air.seat.claim(clock::now(), heard, claim);
        let returned = match seated {
            Ok(seated) => seated == Seated::Returned,
            Err(Taken::Reserved) => return Err(Refusal::Occupied),
            Err(Taken::Contested) => return Err(Refusal::Contested),
        };
        let said = match returned {
            true => "encoder is back",
            false => "another encoder takes over",
        };
        tracing::info!(
            %input,
            epoch = offered.epoch,
            protocol = publisher::scheme(encoder.protocol),
            encoder = encoder.name,
            away_ms = away.map(|since| since.elapsed().as_millis()),
            "{said}",
        );
        on_air.cut(Refusal::Replaced);
        on_air.teller().connected(&encoder, returned);
        on_air.feed.begin_session(session, encoder);
        (on_air.key, on_air.cut) = (claimed.key, Some(cut));
        Ok(Arc::clone(&on_air.feed))
    }

    /// The publisher of that session is gone.
    fn publisher_left(self: &Arc<Self>, input: InputUid, session: u64, why: Departure) {
        let mut broadcasts = self.lock();
        let Some(on_air) = broadcasts.on_air.get_mut(&input) else {
            return;
        };
        let goodbye = why == Departure::Goodbye;
        match on_air.seat.leave(clock::now(), session, goodbye) {
            Left::Nothing => {}
            Left::Over => self.end(&mut broadcasts, input, Ending::Left(why)),
            Left::Waits => {
                let window = on_air.seat.deadline();
                let window = window.map(|at| at.saturating_duration_since(clock::now()));
                tracing::info!(
                    %input,
                    reason = publisher::reason(why),
                    waits_s = window.map(|window| (window + HALF_A_SECOND).as_secs()),
                    "encoder is away",
                );
                on_air.departed = why;
                on_air.teller().away(why);
                self.watch_window(input, on_air);
            }
        }
    }

    /// Sees to it that a broadcast without a publisher ends in time.
    pub(super) fn watch_window(self: &Arc<Self>, input: InputUid, on_air: &OnAir) {
        let Some(deadline) = on_air.seat.deadline() else {
            return;
        };
        // A wait that has become longer or shorter is watched anew; the old watch finds that its
        // time is not the deadline, or nothing any more.
        let registry = Arc::downgrade(self);
        tokio::spawn(async move {
            sleep_until(deadline.into()).await;
            if let Some(registry) = registry.upgrade() {
                registry.close_window(input);
            }
        });
    }

    fn close_window(&self, input: InputUid) {
        let mut broadcasts = self.lock();
        let Some(on_air) = broadcasts.on_air.get(&input) else {
            return;
        };
        let deadline = on_air.seat.deadline();
        if deadline.is_some_and(|deadline| deadline <= clock::now()) {
            tracing::info!(%input, "no encoder has come back");
            let why = on_air.departed;
            self.end(&mut broadcasts, input, Ending::Left(why));
        }
    }
}
