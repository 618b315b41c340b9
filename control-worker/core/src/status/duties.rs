//! What the book makes its keeper do: hand events to the account's object, and have the database
//! say how the input stands.

use std::time::Duration;

use serde::Deserialize;
use shared::api::{ApiEvent, EventId};
use shared::id::AccountId;
use shared::link::OutputState;
use shared::time::Timestamp;

use super::book::{MAX_EVENTS, StatusBook};
use super::facts::{Mirror, OutputFacts};
use super::words;
use crate::event_stream::{EVENTS_AT_ONCE, Start};
use crate::sql::{MIRROR, Param, Results, RowError, Statement};

/// Events on their way to the object of the account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Whose they are.
    pub account: AccountId,
    /// The first of them.
    pub after: u64,
}

impl StatusBook {
    /// Whether events wait for the account's object.
    pub fn has_news(&self) -> bool {
        self.facts.account.is_some() && self.facts.handed_through < self.facts.last_event
    }

    /// When something is to be done, if anything is.
    pub fn alarm(&self) -> Option<Timestamp> {
        let handing = self.has_news().then_some(self.facts.retry_at);
        let mirroring = self.stale_mirror().map(|_| self.mirror_at());
        handing.into_iter().chain(mirroring).min()
    }

    /// What the input's row must say now; [`mirrored`](Self::mirrored) once it does. At most once
    /// in [`MIRROR_EVERY`].
    pub fn mirror(&mut self, now: Timestamp) -> Option<Mirror> {
        let mirror = self.stale_mirror()?;
        if now < self.mirror_at() {
            return None;
        }
        self.facts.mirrored_at = now;
        self.facts_changed = true;
        Some(mirror)
    }

    /// The statement that has the input's row say so.
    pub fn write_mirror(&self, mirror: &Mirror) -> Statement {
        Statement::new(
            MIRROR,
            [
                Param::text(self.input),
                Param::text(words::input_state(mirror.state)),
                mirror.since.into(),
                mirror.outputs_up.into(),
            ],
        )
    }

    /// The input's row says so.
    pub fn mirrored(&mut self, mirror: Mirror) {
        self.facts.mirrored = Some(mirror);
        self.facts_changed = true;
    }

    fn mirror_at(&self) -> Timestamp {
        self.facts.mirrored_at.after(MIRROR_EVERY)
    }

    /// What the row must say, if it says something else.
    fn stale_mirror(&self) -> Option<Mirror> {
        let current = self.facts.current.as_ref().filter(|_| !self.facts.closed)?;
        let is_up = |facts: &&OutputFacts| {
            matches!(facts.state, OutputState::Live | OutputState::Stalled) && !self.is_silent()
        };
        let up = self.outputs.values().filter(is_up).count();
        let mirror = Mirror {
            state: current.state,
            since: current.status_entered_at,
            outputs_up: u32::try_from(up).unwrap_or(u32::MAX),
        };
        (self.facts.mirrored.as_ref() != Some(&mirror)).then_some(mirror)
    }

    /// The events to hand to the account's object now; read them by [`waiting`](Self::waiting).
    /// Until [`handed`](Self::handed) says otherwise, this was in vain.
    pub fn hand(&mut self, now: Timestamp) -> Option<Batch> {
        let account = self.facts.account?;
        if !self.has_news() || now < self.facts.retry_at {
            return None;
        }
        let factor = 1 << self.facts.tries.min(MAX_RETRY_DOUBLINGS);
        self.facts.tries = self.facts.tries.saturating_add(1);
        self.facts.retry_at = now.after(FIRST_RETRY * factor);
        self.facts_changed = true;
        Some(Batch {
            account,
            after: self.facts.handed_through,
        })
    }

    /// The statement that reads events after that number, as many as go in one message.
    pub fn waiting(after: u64) -> Statement {
        Statement::new(
            "SELECT json FROM events WHERE number > ?1 ORDER BY number LIMIT ?2",
            [Param::rev(after), Param::from(MAX_BATCH)],
        )
    }

    /// Where the event stream of a client begins that has seen the event `since`, if it has: there, or
    /// with what comes next where some of what it missed is kept no more.
    pub fn start(&self, since: Option<EventId>) -> Start {
        let last = self.facts.last_event;
        let oldest = last.saturating_sub(MAX_EVENTS);
        let resumes =
            |since: &EventId| since.input == self.input && (oldest..=last).contains(&since.number);
        let resumed = since.filter(resumes);
        let number = resumed.map_or(last, |since| since.number);
        Start {
            last: Some(EventId {
                input: self.input,
                number,
            }),
            number,
            resumed: resumed.is_some(),
        }
    }

    /// The statement that reads events after that number for an event stream, rows of
    /// [`StoredEvent`](crate::event_stream::StoredEvent).
    pub fn events_after(&self, number: u64) -> Statement {
        Statement::new(
            "SELECT number, ?1 || '-' || number AS id, json,
                (SELECT min(number) FROM events) AS oldest
            FROM events WHERE number > ?2 ORDER BY number LIMIT ?3",
            [
                Param::text(self.input),
                Param::rev(number),
                EVENTS_AT_ONCE.into(),
            ],
        )
    }

    /// Reads the rows of [`waiting`](Self::waiting), the first of `results`.
    ///
    /// # Errors
    ///
    /// Where they are not those.
    pub fn read_events(results: &impl Results) -> Result<Vec<ApiEvent>, RowError> {
        let rows: Vec<EventRow> = results.rows(0)?;
        let events = rows.iter().map(|row| serde_json::from_str(&row.json));
        events
            .collect::<Result<_, _>>()
            .map_err(|_| RowError { statement: 0 })
    }

    /// The account's object has the events up to that number.
    pub fn handed(&mut self, through: u64) {
        self.facts.handed_through = through.max(self.facts.handed_through);
        self.facts.tries = 0;
        self.facts.retry_at = Timestamp::default();
        self.facts_changed = true;
    }
}

#[derive(Deserialize)]
struct EventRow {
    json: String,
}

/// Events handed over in one message: some hundred kilobytes.
const MAX_BATCH: u32 = 200;

/// Before events are handed over again: an object that restarts is back by then.
const FIRST_RETRY: Duration = Duration::from_secs(1);

/// The delay doubles up to 64 s: what fails so long needs a person, not more tries.
const MAX_RETRY_DOUBLINGS: u32 = 6;

/// How often the input's row follows at most: lists may be so old, and a bad line costs the
/// database no more.
pub const MIRROR_EVERY: Duration = Duration::from_secs(10);
