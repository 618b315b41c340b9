//! What one account does at this node, counted by everything that belongs to it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use broadcast::{Excess, Quota, Usage};
use shared::id::AccountId;

/// An account with something on air here.
#[derive(Clone)]
pub struct Account {
    id: AccountId,
    quota: Quota,
    usage: Arc<Mutex<Usage>>,
}

/// A live input on air, or an output that is connected, until it is dropped.
pub struct Part {
    account: Account,
    leave: fn(&mut Usage),
}

impl Account {
    /// An account with nothing yet.
    pub fn new(id: AccountId, quota: Quota) -> Self {
        Self {
            id,
            quota,
            usage: Arc::default(),
        }
    }

    /// Whose it is.
    pub fn id(&self) -> AccountId {
        self.id
    }

    /// What it does.
    pub fn usage(&self) -> Usage {
        *self.lock()
    }

    /// One of its live inputs goes on air.
    ///
    /// # Errors
    ///
    /// It may not.
    pub fn begin(&self) -> Result<Part, Excess> {
        self.lock().begin(&self.quota)?;
        Ok(self.part(Usage::end))
    }

    /// One of its outputs connects.
    ///
    /// # Errors
    ///
    /// It may not.
    pub fn connect(&self) -> Result<Part, Excess> {
        self.lock().connect(&self.quota)?;
        Ok(self.part(Usage::disconnect))
    }

    /// Its outputs sent so many bits a second lately. Why one of its live inputs must go, if one must.
    pub fn sends(&self, now: Instant, bits: u64) -> Option<Excess> {
        let must_go = self.lock().sends(now, bits, &self.quota);
        must_go.then_some(Excess::Bits(self.quota.bits))
    }

    fn part(&self, leave: fn(&mut Usage)) -> Part {
        Part {
            account: self.clone(),
            leave,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Usage> {
        // Each change of it is whole.
        self.usage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        (self.leave)(&mut self.account.lock());
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.id, self.usage())
    }
}
