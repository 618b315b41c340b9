//! How much one account may do at one node.

use std::fmt;
use std::time::{Duration, Instant};

/// Live inputs that an account may have on air: as many as it may have at all, unless the operator
/// says otherwise.
pub const DEFAULT_ACCOUNT_INPUTS: u32 = 1000;

/// Outputs that an account may have connected: a hundred inputs with fifty each, as many as a node
/// carries.
pub const DEFAULT_ACCOUNT_OUTPUTS: u32 = 5000;

/// Megabits a second that an account may send: half of what a machine with a 10-gigabit port has.
pub const DEFAULT_ACCOUNT_MBPS: u32 = 5000;

/// For how long an account may send more than its bound: encoders send more while a picture is new.
pub const EXCESS_MAX: Duration = Duration::from_secs(5);

/// The bounds of each account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Live inputs on air.
    pub inputs: u32,
    /// Outputs connected, or connecting.
    pub outputs: u32,
    /// Bits a second that all outputs send together.
    pub bits: u64,
}

impl Default for Quota {
    fn default() -> Self {
        Self {
            inputs: DEFAULT_ACCOUNT_INPUTS,
            outputs: DEFAULT_ACCOUNT_OUTPUTS,
            bits: u64::from(DEFAULT_ACCOUNT_MBPS) * 1_000_000,
        }
    }
}

/// What is beyond a bound, with the bound. Reads as a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Excess {
    /// Live inputs on air.
    Inputs(u32),
    /// Outputs connected.
    Outputs(u32),
    /// Bits a second.
    Bits(u64),
}

impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inputs(most) => write!(
                f,
                "the account has {most} live inputs on air at this relay, and may have no more"
            ),
            Self::Outputs(most) => write!(
                f,
                "the account has {most} outputs connected at this relay, and may have no more"
            ),
            Self::Bits(most) => write!(
                f,
                "the account sends more than the {} Mbit/s that it may at this relay",
                most / 1_000_000
            ),
        }
    }
}

/// What an account does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Live inputs on air.
    pub inputs: u32,
    /// Outputs connected, or connecting.
    pub outputs: u32,
    /// Bits a second that were sent lately.
    pub bits: u64,
    /// How often something was refused because of a bound.
    pub refused: u64,
    /// Since when more is sent than may be.
    pub over_since: Option<Instant>,
}

impl Usage {
    /// One more live input wants to be on air.
    ///
    /// # Errors
    ///
    /// It may not, and is counted as refused.
    pub fn begin(&mut self, quota: &Quota) -> Result<(), Excess> {
        let full = (self.inputs >= quota.inputs).then_some(Excess::Inputs(quota.inputs));
        self.admit(quota, full)?;
        self.inputs += 1;
        Ok(())
    }

    /// One is off air.
    pub fn end(&mut self) {
        self.inputs = self.inputs.saturating_sub(1);
    }

    /// One more output wants to connect.
    ///
    /// # Errors
    ///
    /// It may not, and is counted as refused.
    pub fn connect(&mut self, quota: &Quota) -> Result<(), Excess> {
        let full = (self.outputs >= quota.outputs).then_some(Excess::Outputs(quota.outputs));
        self.admit(quota, full)?;
        self.outputs += 1;
        Ok(())
    }

    /// One is gone.
    pub fn disconnect(&mut self) {
        self.outputs = self.outputs.saturating_sub(1);
    }

    /// So many bits a second were sent lately. Whether something must go, because there have been too
    /// many for [`EXCESS_MAX`]; then there is as much time until the next.
    pub fn sends(&mut self, now: Instant, bits: u64, quota: &Quota) -> bool {
        self.bits = bits;
        if bits <= quota.bits {
            self.over_since = None;
            return false;
        }
        let since = *self.over_since.get_or_insert(now);
        let is_due = now.saturating_duration_since(since) >= EXCESS_MAX;
        if is_due {
            self.over_since = Some(now);
            self.refused += 1;
        }
        is_due
    }

    fn admit(&mut self, quota: &Quota, full: Option<Excess>) -> Result<(), Excess> {
        let over = (self.bits > quota.bits).then_some(Excess::Bits(quota.bits));
        match full.or(over) {
            Some(excess) => {
                self.refused += 1;
                Err(excess)
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUOTA: Quota = Quota {
        inputs: 2,
        outputs: 3,
        bits: 8_000_000,
    };

    #[test]
    fn inputs_and_outputs_are_counted_up_to_their_bounds_and_down_again() {
        let mut usage = Usage::default();
        for _ in 0..QUOTA.inputs {
            usage.begin(&QUOTA).unwrap();
        }
        for _ in 0..QUOTA.outputs {
            usage.connect(&QUOTA).unwrap();
        }
        assert_eq!(usage.begin(&QUOTA), Err(Excess::Inputs(2)));
        assert_eq!(usage.connect(&QUOTA), Err(Excess::Outputs(3)));
        assert_eq!((usage.inputs, usage.outputs, usage.refused), (2, 3, 2));
        usage.end();
        usage.disconnect();
        assert_eq!(
            (usage.begin(&QUOTA), usage.connect(&QUOTA)),
            (Ok(()), Ok(()))
        );
    }

    #[test]
    fn nothing_begins_while_too_much_is_sent() {
        let (mut usage, now) = (Usage::default(), Instant::now());
        usage.sends(now, QUOTA.bits, &QUOTA);
        assert_eq!(
            (usage.begin(&QUOTA), usage.connect(&QUOTA)),
            (Ok(()), Ok(()))
        );
        usage.sends(now, QUOTA.bits + 1, &QUOTA);
        let excess = Err(Excess::Bits(QUOTA.bits));
        assert_eq!(
            (usage.begin(&QUOTA), usage.connect(&QUOTA)),
            (excess, excess)
        );
        usage.sends(now, 0, &QUOTA);
        assert_eq!(usage.begin(&QUOTA), Ok(()));
    }

    #[test]
    fn one_thing_goes_each_time_that_too_much_was_sent_for_long() {
        let (mut usage, begun) = (Usage::default(), Instant::now());
        let too_many = QUOTA.bits + 1;
        let mut at = |after: Duration, bits| usage.sends(begun + after, bits, &QUOTA);
        let moment = Duration::from_millis(1);
        assert!(!at(Duration::ZERO, too_many));
        assert!(!at(EXCESS_MAX - moment, too_many));
        assert!(at(EXCESS_MAX, too_many));
        assert!(!at(2 * EXCESS_MAX - moment, too_many));
        assert!(at(2 * EXCESS_MAX, too_many));
        // A second within the bound, and it has all the time again.
        assert!(!at(3 * EXCESS_MAX - moment, QUOTA.bits));
        assert!(!at(3 * EXCESS_MAX, too_many));
        assert!(!at(4 * EXCESS_MAX - moment, too_many));
    }

    #[test]
    fn what_is_beyond_is_said_with_its_bound() {
        assert_eq!(
            Excess::Bits(8_000_000).to_string(),
            "the account sends more than the 8 Mbit/s that it may at this relay"
        );
    }
}
