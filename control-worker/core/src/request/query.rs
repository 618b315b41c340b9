//! The query of `GET …/live_inputs`.

use std::fmt;
use std::str::FromStr;

use shared::id::InputUid;
use shared::limits::MAX_LISTED_INPUTS;
use shared::time::Timestamp;

use super::page::Query;
use crate::failure::Failure;

/// Which live inputs are listed, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputQuery {
    /// A part of the name or of the uid.
    pub search: Option<String>,
    /// How they stand: a state, or `null` for those that never had an encoder.
    pub state: Option<&'static str>,
    /// Created then or later.
    pub created_from: Option<Timestamp>,
    /// Created before.
    pub created_before: Option<Timestamp>,
    /// The oldest first, as in the product document's example, unless asked otherwise.
    pub ascending: bool,
    /// At most so many.
    pub limit: u32,
    /// Where the page begins.
    pub start: PageStart,
    /// Whether the request speaks of pages, so that the answer must.
    pub is_paged: bool,
    /// Whether the answer is an object with counts. Cloudflare's documents say it is; their service
    /// answers an array, and so does the product document. Their clients expect the object.
    pub is_counted: bool,
}

/// Where a page of a list begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageStart {
    /// After this one.
    After(Cursor),
    /// With the first.
    First,
    /// At the page with this number, counted from 1.
    Page(u32),
}

impl InputQuery {
    /// Reads the part of a URL behind the `?`; `is_sdk` says that one of Cloudflare's clients asks.
    ///
    /// # Errors
    ///
    /// 400/10005 with the parameter at fault.
    pub fn parse(query: &str, is_sdk: bool) -> Result<Self, Failure> {
        let query = Query::parse(query);
        let per_page = query.number("per_page", MAX_LISTED_INPUTS)?;
        let limit = query.number("limit", MAX_LISTED_INPUTS)?;
        let page = query.number("page", u32::MAX)?;
        let cursor = query.value("cursor", "the cursor of an earlier answer")?;
        let start = match (cursor, page) {
            (Some(cursor), _) => PageStart::After(cursor),
            (None, Some(page)) => PageStart::Page(page),
            (None, None) => PageStart::First,
        };
        let search = query.get("search")?.filter(|text| !text.is_empty());
        if search.is_some_and(|text| text.chars().count() > MAX_SEARCH_CHARACTERS) {
            let form = format!("at most {MAX_SEARCH_CHARACTERS} characters long");
            return Err(Failure::query("search", &form));
        }
        let is_paged = limit.or(per_page).or(page).is_some() || cursor.is_some();
        Ok(Self {
            search: search.map(str::to_owned),
            state: query.choice("status", &STATES)?,
            created_from: query.value("start", A_TIME)?,
            created_before: query.value("end", A_TIME)?,
            ascending: query.truth("asc")?.unwrap_or(true),
            limit: limit.or(per_page).unwrap_or(MAX_LISTED_INPUTS),
            start,
            is_paged,
            is_counted: query.truth("include_counts")?.unwrap_or(false) || is_sdk,
        })
    }

    /// Whether the answer says how many there are.
    pub fn needs_counts(&self) -> bool {
        self.is_counted || matches!(self.start, PageStart::Page(_))
    }
}

/// The last live input before a page: the list goes on behind it, even when it was deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// When it was created.
    pub created: Timestamp,
    /// Its id.
    pub uid: InputUid,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.created.as_micros(), self.uid)
    }
}

impl FromStr for Cursor {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (created, uid) = text.split_once('-').ok_or(())?;
        if !created.bytes().all(|b| b.is_ascii_digit()) {
            return Err(());
        }
        let created: i64 = created.parse().map_err(|_| ())?;
        if created >= END_OF_TIME {
            return Err(());
        }
        Ok(Self {
            created: Timestamp::from_micros(created),
            uid: uid.parse().map_err(|_| ())?,
        })
    }
}

/// The states of a live input, and that before any.
const STATES: [(&str, &str); 5] = [
    ("connected", "connected"),
    ("disconnected", "disconnected"),
    ("reconnecting", "reconnecting"),
    ("unknown", "unknown"),
    ("null", "null"),
];

const A_TIME: &str = "a time such as 2026-01-31T12:00:00Z";

/// Microseconds beyond which JavaScript's numbers are not exact: the year 2255.
const END_OF_TIME: i64 = 1 << 53;

/// Characters of `search`: more than in any name that a person types, and each row is searched for
/// them.
const MAX_SEARCH_CHARACTERS: usize = 256;
