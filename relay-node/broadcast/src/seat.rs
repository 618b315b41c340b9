//! Who feeds a broadcast, and what happens when nobody does.

use std::net::IpAddr;
use std::time::{Duration, Instant};

/// How often a publisher that is sending can be replaced from another address: two encoders that
/// each connect again as soon as they are cut must not fight for ever.
pub const TAKEOVER_INTERVAL: Duration = Duration::from_secs(30);

/// How long a publisher may have sent nothing and still hold its seat against others. An encoder
/// sends many times a second; what is silent for longer is mostly a connection whose other end is
/// gone, and nobody has to wait for it.
pub const SENDING_WITHIN: Duration = Duration::from_secs(5);

/// The place of a broadcast's one publisher.
///
/// It knows sessions by number, and decides who may sit down, what it means that one has left, and
/// how long the broadcast waits for another.
#[derive(Clone, Debug)]
pub struct Seat {
    rules: Rules,
    held: Held,
    /// When a publisher that was sending was last replaced from another address.
    fought: Option<Instant>,
}

/// How a live input's publishers are treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// How long the broadcast waits for a publisher that has vanished.
    pub window: Duration,
    /// Whether it waits as well for one that has said goodbye.
    pub hold: bool,
    /// Whether a publisher that is sending can be replaced at all.
    pub takeover: bool,
}

/// Somebody who wants to sit down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The number of its session.
    pub session: u64,
    /// Where it comes from; nothing where that is not known, which is a place of its own.
    pub from: Option<IpAddr>,
}

/// That somebody sits down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seated {
    /// In the place of another, who must go.
    Instead,
    /// After a time in which nobody sat there.
    Returned,
}

/// Why somebody does not sit down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// The input takes no second publisher while one is sending.
    Reserved,
    /// The publisher has been replaced a moment ago.
    Contested,
}

/// What it means that a publisher has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// Nothing: another sits there, or nobody sat there.
    Nothing,
    /// The broadcast is over.
    Over,
    /// The broadcast waits until [`Seat::deadline`].
    Waits,
}

#[derive(Clone, Copy, Debug)]
enum Held {
    By(Claim),
    Empty { since: Instant },
}

impl Seat {
    /// A seat that its first publisher has taken.
    pub fn new(rules: Rules, first: Claim) -> Self {
        Self {
            rules,
            held: Held::By(first),
            fought: None,
        }
    }

    /// Changes the rules; a wait that has begun is measured by the new ones.
    pub fn set_rules(&mut self, rules: Rules) {
        self.rules = rules;
    }

    /// Seats another publisher, or says why not. `heard` is when the present one last sent
    /// anything.
    ///
    /// # Errors
    ///
    /// The present publisher stays.
    pub fn claim(
        &mut self,
        now: Instant,
        heard: Option<Instant>,
        claim: Claim,
    ) -> Result<Seated, Taken> {
        let present = match self.held {
            Held::By(present) => present,
            Held::Empty { .. } => {
                self.held = Held::By(claim);
                return Ok(Seated::Returned);
            }
        };
        if self.is_reserved(now, heard) {
            return Err(Taken::Reserved);
        }
        if sends(now, heard) {
            let same_place = claim.from.is_some() && claim.from == present.from;
            if !same_place {
                let recent = |fought| now.saturating_duration_since(fought) < TAKEOVER_INTERVAL;
                if self.fought.is_some_and(recent) {
                    return Err(Taken::Contested);
                }
                self.fought = Some(now);
            }
        }
        self.held = Held::By(claim);
        Ok(Seated::Instead)
    }

    /// Whether there is a publisher that is sending and that nobody may replace. `heard` is when it
    /// last sent anything.
    pub fn is_reserved(&self, now: Instant, heard: Option<Instant>) -> bool {
        let is_held = matches!(self.held, Held::By(_));
        is_held && !self.rules.takeover && sends(now, heard)
    }

    /// The publisher of that session has left, with a goodbye or without.
    pub fn leave(&mut self, now: Instant, session: u64, goodbye: bool) -> Left {
        if self.session() != Some(session) {
            return Left::Nothing;
        }
        if (goodbye && !self.rules.hold) || self.rules.window.is_zero() {
            return Left::Over;
        }
        self.held = Held::Empty { since: now };
        Left::Waits
    }

    /// The session of the present publisher.
    pub fn session(&self) -> Option<u64> {
        match self.held {
            Held::By(claim) => Some(claim.session),
            Held::Empty { .. } => None,
        }
    }

    /// Since when nobody has been sitting there.
    pub fn empty_since(&self) -> Option<Instant> {
        match self.held {
            Held::By(_) => None,
            Held::Empty { since } => Some(since),
        }
    }

    /// When the broadcast has waited long enough.
    pub fn deadline(&self) -> Option<Instant> {
        self.empty_since().map(|since| since + self.rules.window)
    }
}

fn sends(now: Instant, heard: Option<Instant>) -> bool {
    heard.is_some_and(|heard| now.saturating_duration_since(heard) <= SENDING_WITHIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Rules = Rules {
        window: Duration::from_secs(60),
        hold: false,
        takeover: true,
    };

    fn claim(session: u64, from: u8) -> Claim {
        Claim {
            session,
            from: Some(IpAddr::from([192, 0, 2, from])),
        }
    }

    fn after(now: Instant, millis: u64) -> Instant {
        now + Duration::from_millis(millis)
    }

    #[test]
    fn one_that_vanishes_is_waited_for_and_may_come_back_from_anywhere() {
        let now = Instant::now();
        let mut seat = Seat::new(RULES, claim(1, 1));
        assert_eq!((seat.session(), seat.deadline()), (Some(1), None));
        assert_eq!(seat.leave(now, 1, false), Left::Waits);
        assert_eq!(seat.session(), None);
        assert_eq!(seat.deadline(), Some(after(now, 60_000)));
        let back = seat.claim(after(now, 59_999), None, claim(2, 9));
        assert_eq!(back, Ok(Seated::Returned));
        assert_eq!((seat.session(), seat.deadline()), (Some(2), None));
    }

    #[test]
    fn a_goodbye_ends_it_unless_the_input_holds() {
        let now = Instant::now();
        let seat = Seat::new(RULES, claim(1, 1));
        assert_eq!(seat.clone().leave(now, 1, true), Left::Over);
        let mut held = seat;
        held.set_rules(Rules {
            hold: true,
            ..RULES
        });
        assert_eq!(held.leave(now, 1, true), Left::Waits);
    }

    #[test]
    fn without_a_window_nobody_is_waited_for() {
        let now = Instant::now();
        for hold in [false, true] {
            let rules = Rules {
                window: Duration::ZERO,
                hold,
                ..RULES
            };
            let mut seat = Seat::new(rules, claim(1, 1));
            assert_eq!(seat.leave(now, 1, false), Left::Over);
        }
    }

    #[test]
    fn a_wait_follows_the_rules_as_they_change() {
        let now = Instant::now();
        let mut seat = Seat::new(RULES, claim(1, 1));
        seat.leave(now, 1, false);
        seat.set_rules(Rules {
            window: Duration::from_secs(5),
            ..RULES
        });
        assert_eq!(seat.deadline(), Some(after(now, 5_000)));
    }

    #[test]
    fn one_that_was_replaced_leaves_without_a_trace() {
        let now = Instant::now();
        let mut seat = Seat::new(RULES, claim(1, 1));
        assert_eq!(seat.claim(now, Some(now), claim(2, 1)), Ok(Seated::Instead));
        assert_eq!(seat.leave(now, 1, true), Left::Nothing);
        assert_eq!(seat.session(), Some(2));
        seat.leave(now, 2, false);
        assert_eq!(seat.leave(now, 2, true), Left::Nothing);
    }

    #[test]
    fn two_places_fight_once_in_thirty_seconds() {
        let begun = Instant::now();
        let mut seat = Seat::new(RULES, claim(1, 1));
        let mut tries = |millis, session, from| {
            let now = after(begun, millis);
            seat.claim(now, Some(now), claim(session, from))
        };
        assert_eq!(tries(0, 2, 2), Ok(Seated::Instead));
        assert_eq!(tries(1, 3, 1), Err(Taken::Contested));
        assert_eq!(tries(29_999, 4, 1), Err(Taken::Contested));
        assert_eq!(tries(29_999, 5, 2), Ok(Seated::Instead), "its own place");
        assert_eq!(tries(30_000, 6, 1), Ok(Seated::Instead));
        assert_eq!(tries(59_999, 7, 2), Err(Taken::Contested));
        assert_eq!(seat.session(), Some(6));
    }

    #[test]
    fn a_silent_one_gives_way_at_once_and_however_often() {
        let now = Instant::now();
        for takeover in [true, false] {
            let mut seat = Seat::new(Rules { takeover, ..RULES }, claim(1, 1));
            for session in 2..9 {
                let heard = now.checked_sub(SENDING_WITHIN + Duration::from_millis(1));
                let claimed = seat.claim(now, heard, claim(session, session as u8));
                assert_eq!(claimed, Ok(Seated::Instead));
            }
            // One that has yet to send its first byte is no better.
            assert_eq!(seat.claim(now, None, claim(9, 9)), Ok(Seated::Instead));
        }
    }

    #[test]
    fn a_reserved_seat_is_taken_while_its_publisher_sends() {
        let now = Instant::now();
        let rules = Rules {
            takeover: false,
            ..RULES
        };
        let mut seat = Seat::new(rules, claim(1, 1));
        let heard = Some(now);
        let edge = now + SENDING_WITHIN;
        assert_eq!(seat.claim(edge, heard, claim(2, 1)), Err(Taken::Reserved));
        assert!(seat.is_reserved(edge, heard));
        assert!(!seat.is_reserved(edge + Duration::from_nanos(1), heard));
        seat.leave(now, 1, false);
        assert!(!seat.is_reserved(now, heard));
        assert_eq!(seat.claim(now, heard, claim(3, 2)), Ok(Seated::Returned));
    }

    #[test]
    fn places_that_are_not_known_are_not_the_same() {
        let now = Instant::now();
        let nowhere = |session| Claim {
            session,
            from: None,
        };
        let mut seat = Seat::new(RULES, nowhere(1));
        assert_eq!(seat.claim(now, Some(now), nowhere(2)), Ok(Seated::Instead));
        assert_eq!(
            seat.claim(now, Some(now), nowhere(3)),
            Err(Taken::Contested)
        );
    }
}
