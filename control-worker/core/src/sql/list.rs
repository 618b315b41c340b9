//! The list of live inputs: one round trip, of one statement unless counts are asked for.

use shared::id::AccountId;

use super::{CountsRow, ListedRow, Param, Results, RowError, Statement};
use crate::request::{Cursor, InputQuery, PageStart};

/// Reads a page of an account's live inputs. Shows no secret, and so needs no guard.
#[derive(Clone, Debug)]
pub struct InputList<'a> {
    /// Whose.
    pub account: AccountId,
    /// Which.
    pub query: &'a InputQuery,
}

/// A page of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputPage {
    /// The live inputs on it.
    pub rows: Vec<ListedRow>,
    /// Where the next page begins, if there is one.
    pub next: Option<Cursor>,
    /// How many there are in all, if that was asked for.
    pub counts: Option<CountsRow>,
}

impl InputList<'_> {
    /// The statements.
    pub fn batch(&self) -> Vec<Statement> {
        let (page, counts) = match self.query.ascending {
            true => (PAGE_ASCENDING, COUNTS_ASCENDING),
            false => (PAGE_DESCENDING, COUNTS_DESCENDING),
        };
        let offset = match self.query.start {
            PageStart::Page(page) => u64::from(page - 1) * u64::from(self.query.limit),
            PageStart::First | PageStart::After(_) => 0,
        };
        // One more than is shown tells whether there is a next page.
        let more = [
            Param::from(self.query.limit + 1),
            Param::Integer(i64::try_from(offset).unwrap_or(i64::MAX)),
        ];
        let mut batch = vec![Statement::new(page, self.filters().into_iter().chain(more))];
        if self.query.needs_counts() {
            batch.push(Statement::new(counts, self.filters()));
        }
        batch
    }

    fn filters(&self) -> [Param; 7] {
        let after = match &self.query.start {
            PageStart::After(cursor) => Some(*cursor),
            PageStart::First | PageStart::Page(_) => None,
        };
        [
            Param::text(self.account),
            Param::optional(self.query.search.clone()),
            Param::optional(self.query.state.map(str::to_owned)),
            Param::optional(self.query.created_from),
            Param::optional(self.query.created_before),
            Param::optional(after.map(|cursor| cursor.created)),
            Param::optional(after.map(|cursor| cursor.uid.to_string())),
        ]
    }

    /// What they say.
    ///
    /// # Errors
    ///
    /// Where the rows are not what was asked for.
    pub fn outcome(&self, results: &impl Results) -> Result<InputPage, RowError> {
        let mut rows: Vec<ListedRow> = results.rows(0)?;
        let limit = usize::try_from(self.query.limit).unwrap_or(usize::MAX);
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        let last = rows.last().filter(|_| has_more);
        Ok(InputPage {
            next: last.map(|row| Cursor {
                created: row.created,
                uid: row.uid,
            }),
            counts: match self.query.needs_counts() {
                true => results.first(1)?,
                false => None,
            },
            rows,
        })
    }
}

/// `?1` account; NULL asks for all: `?2` a part of the name or uid, `?3` state (`null` before the
/// first encoder), `?4` created from here, `?5` and before.
macro_rules! matching {
    () => {
        "FROM live_inputs
        WHERE account_id = ?1
            AND (?2 IS NULL OR instr(uid, lower(?2)) > 0
                OR instr(lower(meta ->> '$.name'), lower(?2)) > 0)
            AND (?3 IS NULL OR coalesce(state, 'null') = ?3)
            AND (?4 IS NULL OR created >= ?4)
            AND (?5 IS NULL OR created < ?5)"
    };
}

/// `?6` and `?7` time and uid of the last live input before the page, or NULL.
macro_rules! beyond {
    ($than:literal) => {
        concat!("(?6 IS NULL OR (created, uid) ", $than, " (?6, ?7))")
    };
}

/// `?8` at most so many, `?9` after so many.
macro_rules! page {
    ($than:literal, $order:literal) => {
        concat!(
            "SELECT uid, meta, enabled, created, modified, state, state_since, outputs_up,
                (SELECT count(*) FROM outputs WHERE input_uid = live_inputs.uid) AS outputs ",
            matching!(),
            " AND ",
            beyond!($than),
            $order,
            " LIMIT ?8 OFFSET ?9"
        )
    };
}

macro_rules! counts {
    ($than:literal) => {
        concat!(
            "SELECT count(*) AS total, count(*) FILTER (WHERE ",
            beyond!($than),
            ") AS range ",
            matching!()
        )
    };
}

const PAGE_ASCENDING: &str = page!(">", " ORDER BY created, uid");
const PAGE_DESCENDING: &str = page!("<", " ORDER BY created DESC, uid DESC");
const COUNTS_ASCENDING: &str = counts!(">");
const COUNTS_DESCENDING: &str = counts!("<");
