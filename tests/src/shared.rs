//! One copy of the product for all tests of a file.

use std::ops::Deref;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use anyhow::Result;

use crate::destination::Destination;
use crate::dev::{Dev, Options};
use crate::{ports, process};

/// What the tests of a file share: started by the first, stopped after the last that waits for its
/// turn. They take turns, because what one does to the product another would notice.
pub struct Shared {
    running: Mutex<Weak<House>>,
    turn: Mutex<()>,
}

/// The product, and a destination that it trusts.
pub struct House {
    /// The product.
    pub dev: Dev,
    /// The destination.
    pub destination: Destination,
}

/// A test's turn.
pub struct Turn {
    // Given back before the house is, so that another test can keep the house.
    _turn: MutexGuard<'static, ()>,
    house: Arc<House>,
    passed: bool,
}

impl Turn {
    /// Ends a test that has passed but for the search for secrets.
    pub fn pass(mut self) -> Result<()> {
        self.house.dev.pass()?;
        self.passed = true;
        Ok(())
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if !self.passed {
            self.house.dev.fail();
            process::show_end("nginx", &self.house.destination.log().unwrap_or_default());
        }
    }
}

impl Shared {
    /// Nothing is started yet.
    pub const fn new() -> Self {
        Self {
            running: Mutex::new(Weak::new()),
            turn: Mutex::new(()),
        }
    }

    /// Waits for this test's turn.
    pub fn enter(&'static self) -> Result<Turn> {
        let house = {
            let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            match running.upgrade() {
                Some(house) => house,
                None => {
                    let house = Arc::new(House::build()?);
                    *running = Arc::downgrade(&house);
                    house
                }
            }
        };
        // A test that failed in its turn leaves the product as any user may.
        let turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Turn {
            _turn: turn,
            house,
            passed: false,
        })
    }
}

impl Default for Shared {
    fn default() -> Self {
        Self::new()
    }
}

impl House {
    fn build() -> Result<Self> {
        let destination = Destination::start()?;
        let dev = Dev::start(&Options {
            port_base: ports::base()?,
            output_ca: Some(destination.authority().to_owned()),
            ..Options::default()
        })?;
        Ok(Self { dev, destination })
    }

    /// The certificate authority of the ingest.
    pub fn ingest_authority(&self) -> &PathBuf {
        &self.dev.line.ca_certificate
    }
}

impl Deref for Turn {
    type Target = House;

    fn deref(&self) -> &House {
        &self.house
    }
}
