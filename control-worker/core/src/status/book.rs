//! The book that the object of a live input keeps.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::json;
use shared::api::{ApiEvent, CurrentStatus, InputState, OutputStatus};
use shared::id::{AccountId, InputUid, OutputUid};
use shared::link::Owner;
use shared::time::Timestamp;

use super::facts::{Facts, Holder, OutputFacts};
use super::news::{News, Numbered};
use super::words;
use crate::sql::{OutputRow, Param, Results, RowError, Statement};

/// The tables of the object's own database, each made where it is not there yet.
pub const SCHEMA: &[&str] = &[
    "CREATE TABLE IF NOT EXISTS status (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT",
    "CREATE TABLE IF NOT EXISTS events (
        number INTEGER PRIMARY KEY,
        at INTEGER NOT NULL,
        json TEXT NOT NULL
    ) STRICT",
];

/// What must be written to the object's own database, all of it or nothing.
pub type Kept = Vec<Statement>;

/// The status of a live input, how it came about, and who was told of it.
#[derive(Clone, Debug)]
pub struct StatusBook {
    pub(super) input: InputUid,
    pub(super) facts: Facts,
    pub(super) outputs: BTreeMap<OutputUid, OutputFacts>,
    pub(super) facts_changed: bool,
    pub(super) outputs_changed: BTreeSet<OutputUid>,
    pub(super) happened: Vec<ApiEvent>,
}

impl StatusBook {
    /// An empty book.
    pub fn new(input: InputUid) -> Self {
        Self {
            input,
            facts: Facts::default(),
            outputs: BTreeMap::new(),
            facts_changed: false,
            outputs_changed: BTreeSet::new(),
            happened: Vec::new(),
        }
    }

    /// The statement that reads what is stored.
    pub fn stored() -> Statement {
        Statement::new("SELECT key, value FROM status", [])
    }

    /// The book as it is stored; what does not read is left out: the node's next words bring it
    /// back.
    ///
    /// # Errors
    ///
    /// Where the rows, the first of `results`, are not those of [`stored`](Self::stored).
    pub fn load(input: InputUid, results: &impl Results) -> Result<Self, RowError> {
        let mut book = Self::new(input);
        for StoredRow { key, value } in results.rows(0)? {
            if key == FACTS_KEY {
                book.facts = serde_json::from_str(&value).unwrap_or_default();
            } else if let Ok(facts) = serde_json::from_str::<OutputFacts>(&value) {
                book.outputs.insert(facts.output, facts);
            }
        }
        Ok(book)
    }

    /// What changed since the last call. Write it before anything that follows from the change
    /// leaves the object.
    pub fn take_changes(&mut self) -> Kept {
        let mut kept = Vec::new();
        let put = |key: String, value: serde_json::Value| {
            Statement::new(
                "INSERT OR REPLACE INTO status (key, value) VALUES (?1, ?2)",
                [Param::Text(key), Param::text(value)],
            )
        };
        for output in std::mem::take(&mut self.outputs_changed) {
            kept.push(match self.outputs.get(&output) {
                Some(facts) => put(output.to_string(), json!(facts)),
                None => Statement::new("DELETE FROM status WHERE key = ?1", [Param::text(output)]),
            });
        }
        let happened = std::mem::take(&mut self.happened);
        if let Some(last) = happened.last().map(|event| event.id.number) {
            kept.extend(happened.iter().map(|event| {
                Statement::new(
                    "INSERT OR REPLACE INTO events (number, at, json) VALUES (?1, ?2, ?3)",
                    [
                        Param::rev(event.id.number),
                        event.at.into(),
                        Param::text(json!(event)),
                    ],
                )
            }));
            kept.push(Statement::new(
                "DELETE FROM events WHERE number <= ?1",
                [Param::rev(last.saturating_sub(MAX_EVENTS))],
            ));
        }
        if std::mem::take(&mut self.facts_changed) {
            kept.push(put(FACTS_KEY.to_owned(), json!(self.facts)));
        }
        kept
    }

    /// The events since the last [`take_changes`](Self::take_changes).
    pub fn happened(&self) -> &[ApiEvent] {
        &self.happened
    }

    /// From now on `owner` speaks for the input, which is `account`'s.
    pub fn held_by(&mut self, owner: &Owner, epoch: u64, account: AccountId) {
        self.facts_changed = true;
        self.facts.account = Some(account);
        match &mut self.facts.holder {
            Some(holder) if holder.instance == owner.instance => holder.epoch = epoch,
            holder => {
                *holder = Some(Holder {
                    instance: owner.instance,
                    epoch,
                    sequence: 0,
                    number: 0,
                    spoke: false,
                });
                self.facts.applied = None;
            }
        }
    }

    /// Takes a piece of news. What comes again, and what a former holder says, changes nothing.
    pub fn take(&mut self, told: &Numbered, now: Timestamp) {
        if self.facts.closed {
            return;
        }
        let Some(holder) = &mut self.facts.holder else {
            return;
        };
        if holder.instance != told.instance || told.number <= holder.number {
            return;
        }
        holder.number = told.number;
        self.facts_changed = true;
        match &told.news {
            News::Event(event) => {
                if event.sequence > holder.sequence {
                    holder.sequence = event.sequence;
                    self.happen(event, now);
                }
            }
            News::Applied {
                rev,
                unsupported,
                unknown_wish,
            } => self.applied(*rev, unsupported.as_deref(), *unknown_wish, now),
            News::Heard => self.heard(now),
            News::Over { epoch } => self.end(words::NODE_LOST, *epoch, now),
            News::Silent { since } => self.silent(*since, now),
        }
    }

    /// The input is gone.
    pub fn close(&mut self, now: Timestamp) {
        if !self.facts.closed {
            self.end(words::DELETED, u64::MAX, now);
            self.facts.closed = true;
            self.facts_changed = true;
        }
    }

    /// Whether the input is gone.
    pub fn is_closed(&self) -> bool {
        self.facts.closed
    }

    /// The input has these outputs, and no others.
    pub fn keep_outputs(&mut self, rows: &[OutputRow]) {
        let gone: Vec<OutputUid> = self
            .outputs
            .keys()
            .filter(|output| !rows.iter().any(|row| row.uid == **output))
            .copied()
            .collect();
        for output in gone {
            self.outputs.remove(&output);
            self.outputs_changed.insert(output);
        }
    }

    pub(super) fn stands(&self) -> Option<InputState> {
        let before = self.facts.before_silence.as_ref().map(|(state, _)| *state);
        before.or_else(|| Some(self.facts.current.as_ref()?.state))
    }

    /// Whether an encoder feeds the input, or is waited for, as far as anybody knows.
    pub(super) fn is_on_air(&self) -> bool {
        matches!(
            self.stands(),
            Some(InputState::Connected | InputState::Reconnecting)
        )
    }

    pub(super) fn is_silent(&self) -> bool {
        self.facts.before_silence.is_some()
    }

    pub(super) fn output_status(&self, output: OutputUid) -> Option<OutputStatus> {
        let facts = self.outputs.get(&output)?;
        let silence = self.facts.current.as_ref().filter(|_| self.is_silent());
        Some(match silence {
            Some(current) if facts.is_active() => facts.unknown(current.status_entered_at),
            _ => facts.status(),
        })
    }

    pub(super) fn current(&self) -> Option<CurrentStatus> {
        Some(CurrentStatus {
            base: self.facts.current.clone()?,
            connected_since: self.facts.connected_since,
            encoder: self.facts.encoder.clone(),
            bitrate: None,
            idle_ms: None,
            video: None,
            audio: None,
            audio_ahead_ms: None,
            warnings: Vec::new(),
            last_error: self.facts.last_error.clone(),
        })
    }
}

#[derive(Deserialize)]
struct StoredRow {
    key: String,
    value: String,
}

/// Events of an input that are kept, for streams that are taken up again and for the account's
/// object if that cannot be reached: some hours of fifty outputs on a bad line.
pub const MAX_EVENTS: u64 = 2000;

const FACTS_KEY: &str = "facts";
