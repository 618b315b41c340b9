//! The query of `GET …/live_inputs`.

use std::fmt;
use std::str::FromStr;

use shared::id::InputUid;
use shared::limits::MAX_LISTED_INPUTS;
use shared::time::Timestamp;
use url::form_urlencoded;

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
    /// Parameters that we don't know are ignored.
    ///
    /// # Errors
    ///
    /// 400/10005 with the parameter at fault.
    pub fn parse(query: &str, is_sdk: bool) -> Result<Self, Failure> {
        let parameters = Parameters::parse(query)?;
        let per_page = parameters.number("per_page", MAX_LISTED_INPUTS)?;
        let limit = parameters.number("limit", MAX_LISTED_INPUTS)?;
        let page = parameters.number("page", u32::MAX)?;
        let cursor = parameters.value("cursor", "the cursor of an earlier answer")?;
        let start = match (cursor, page) {
            (Some(cursor), _) => PageStart::After(cursor),
            (None, Some(page)) => PageStart::Page(page),
            (None, None) => PageStart::First,
        };
        let search = parameters.text("search").filter(|text| !text.is_empty());
        if search.is_some_and(|text| text.chars().count() > MAX_SEARCH_CHARACTERS) {
            let message = format!("is too long: use at most {MAX_SEARCH_CHARACTERS} characters");
            return Err(fault("search", &message));
        }
        let is_paged = limit.or(per_page).or(page).is_some() || cursor.is_some();
        Ok(Self {
            search: search.map(str::to_owned),
            state: parameters.state()?,
            created_from: parameters.value("start", A_TIME)?,
            created_before: parameters.value("end", A_TIME)?,
            ascending: parameters.truth("asc")?.unwrap_or(true),
            limit: limit.or(per_page).unwrap_or(MAX_LISTED_INPUTS),
            start,
            is_paged,
            is_counted: parameters.truth("include_counts")?.unwrap_or(false) || is_sdk,
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

/// The parameters that we know, each at most once.
struct Parameters(Vec<(&'static str, String)>);

impl Parameters {
    fn parse(query: &str) -> Result<Self, Failure> {
        let mut known: Vec<(&'static str, String)> = Vec::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let Some(name) = NAMES.into_iter().find(|one| *one == name) else {
                continue;
            };
            if known.iter().any(|(one, _)| *one == name) {
                return Err(fault(name, "is given twice: give it once"));
            }
            known.push((name, value.into_owned()));
        }
        Ok(Self(known))
    }

    fn text(&self, name: &'static str) -> Option<&str> {
        let found = self.0.iter().find(|(one, _)| *one == name);
        found.map(|(_, value)| value.as_str())
    }

    fn value<T: FromStr>(&self, name: &'static str, form: &str) -> Result<Option<T>, Failure> {
        let value = self.text(name).map(str::parse);
        value
            .transpose()
            .map_err(|_| fault(name, &format!("must be {form}")))
    }

    fn number(&self, name: &'static str, most: u32) -> Result<Option<u32>, Failure> {
        let form = format!("a number from 1 to {most}");
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        // `+1` is a number to `parse`.
        let is_plain = text.bytes().all(|b| b.is_ascii_digit());
        let number = text.parse().ok().filter(|_| is_plain);
        let number = number.filter(|number| (1..=most).contains(number));
        number
            .map(Some)
            .ok_or_else(|| fault(name, &format!("must be {form}")))
    }

    fn truth(&self, name: &'static str) -> Result<Option<bool>, Failure> {
        match self.text(name) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => Err(fault(name, "must be true or false")),
        }
    }

    fn state(&self) -> Result<Option<&'static str>, Failure> {
        let Some(text) = self.text("status") else {
            return Ok(None);
        };
        let found = STATES.into_iter().find(|one| *one == text);
        let wrong = || fault("status", &format!("must be one of {}", STATES.join(", ")));
        found.map(Some).ok_or_else(wrong)
    }
}

fn fault(name: &str, what: &str) -> Failure {
    Failure::field(format!("/{name}"), format!("The parameter {name} {what}."))
}

/// All that is known.
const NAMES: [&str; 10] = [
    "asc",
    "cursor",
    "end",
    "include_counts",
    "limit",
    "page",
    "per_page",
    "search",
    "start",
    "status",
];

/// The states of a live input, and that before any.
const STATES: [&str; 5] = [
    "connected",
    "disconnected",
    "reconnecting",
    "unknown",
    "null",
];

const A_TIME: &str = "a time such as 2026-01-31T12:00:00Z";

/// Microseconds beyond which JavaScript's numbers are not exact: the year 2255.
const END_OF_TIME: i64 = 1 << 53;

/// Characters of `search`: more than in any name that a person types, and each row is searched for
/// them.
const MAX_SEARCH_CHARACTERS: usize = 256;
