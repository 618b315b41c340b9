//! The way in: a place for each connection, a judgement for each key, a reason for each refusal.

use std::net::IpAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rtmp::server::Refusal;
use sha2::{Digest as _, Sha256};
use shared::secret::Secret;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::admission::{Admission, Full, Origin, Ticket};
use super::bounds::Bounds;
use super::keys::{Answer, Judgement, KeyHash, Keys};
use super::refusals::Refusals;
use crate::clock;

/// What all connections of encoders have in common.
pub struct Door {
    bounds: Bounds,
    admission: Mutex<Admission<CancellationToken>>,
    keys: Mutex<Keys>,
    /// A key was asked about.
    answered: Notify,
    refusals: Mutex<Refusals>,
    /// Makes the hashes of keys those of this process alone.
    salt: [u8; 32],
}

/// What there is to count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DoorFigures {
    /// Connections that have not begun to publish.
    pub pending: usize,
    /// Encoders that publish.
    pub publishers: usize,
    /// Connections turned away, by reason.
    pub refused: Vec<(&'static str, u64)>,
}

impl Door {
    /// Keeps to `bounds`; `salt` is random.
    pub fn new(bounds: Bounds, salt: [u8; 32]) -> Arc<Self> {
        Arc::new(Self {
            admission: Mutex::new(Admission::new(bounds.places)),
            keys: Mutex::new(Keys::new(bounds.wrong_keys)),
            answered: Notify::new(),
            refusals: Mutex::default(),
            salt,
            bounds,
        })
    }

    /// What it keeps to.
    pub fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    /// A place for a connection that has just been accepted; another may lose its place for it.
    pub fn arrive(self: &Arc<Self>, address: Option<IpAddr>) -> Place {
        let origin = Origin::of(address);
        let lost = CancellationToken::new();
        let (ticket, displaced) = lock(&self.admission).arrive(origin, lost.clone());
        if let Some(displaced) = displaced {
            displaced.cancel();
        }
        Place {
            door: Arc::clone(self),
            origin,
            ticket,
            lost,
        }
    }

    /// What there is to count.
    pub fn figures(&self) -> DoorFigures {
        let (pending, publishers) = {
            let admission = lock(&self.admission);
            (admission.pending(), admission.publishers())
        };
        DoorFigures {
            pending,
            publishers,
            refused: lock(&self.refusals).counts().collect(),
        }
    }

    fn hash(&self, key: &Secret) -> KeyHash {
        let mut hash = Sha256::new();
        hash.update(self.salt);
        hash.update(key.expose());
        let whole: [u8; 32] = hash.finalize().into();
        let mut first = KeyHash::default();
        first
            .iter_mut()
            .zip(whole)
            .for_each(|(to, from)| *to = from);
        first
    }
}

/// A connection's place, until it is dropped.
pub struct Place {
    door: Arc<Door>,
    origin: Origin,
    ticket: Ticket,
    lost: CancellationToken,
}

impl Place {
    /// Waits until somebody else needs the place more.
    pub async fn lost(&self) {
        self.lost.cancelled().await;
    }

    /// Says that the connection has said something to the purpose.
    pub fn speaks(&self) {
        lock(&self.door.admission).speaks(self.ticket);
    }

    /// What to keep to.
    pub fn bounds(&self) -> &Bounds {
        self.door.bounds()
    }

    /// Counts that the connection is turned away, and logs it unless its origin was logged lately.
    pub fn refused(&self, reason: &'static str) {
        let suppressed = lock(&self.door.refusals).note(clock::now(), self.origin, reason);
        if let Some(suppressed) = suppressed {
            tracing::info!(reason, suppressed, "encoder refused");
        }
    }

    /// Asks `question` about `key` and is seated, unless it is known what the answer would be, or
    /// there is no seat.
    pub async fn publish<P>(
        &self,
        key: &Secret,
        question: impl Future<Output = Result<P, Refusal>>,
    ) -> Result<P, Refusal> {
        let door = &*self.door;
        let key = door.hash(key);
        let mut asking = loop {
            let mut answered = pin!(door.answered.notified());
            answered.as_mut().enable();
            let judgement = lock(&door.keys).judge(clock::now(), self.origin, key);
            match judgement {
                Judgement::Ask => {
                    break Asking {
                        door,
                        key,
                        answer: Answer::None,
                    };
                }
                Judgement::Wait => answered.await,
                Judgement::Wrong => return Err(Refusal::UnknownKey),
                Judgement::TooMany => return Err(Refusal::TooManyWrongKeys),
            }
        };
        lock(&door.admission)
            .seat(self.ticket)
            .map_err(|full| match full {
                Full::Node => Refusal::Full,
                Full::Origin => Refusal::FullForAddress,
            })?;
        let answer = question.await;
        asking.answer = match &answer {
            Err(Refusal::UnknownKey) => Answer::Wrong,
            // Somebody may be there already whether the key is right or not.
            Err(Refusal::TryAgain | Refusal::ControlUnreachable | Refusal::Occupied) => {
                Answer::None
            }
            Ok(_) | Err(_) => Answer::Right,
        };
        answer
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.door.admission).leave(self.ticket);
    }
}

/// A key is being asked about.
struct Asking<'d> {
    door: &'d Door,
    key: KeyHash,
    answer: Answer,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        lock(&self.door.keys).answered(clock::now(), self.key, self.answer);
        self.door.answered.notify_waiters();
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each change leaves it whole.
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
