//! Queries, and pages of lists.

use std::str::FromStr;

use shared::envelope::ResultInfo;
use shared::limits::{DEFAULT_ITEMS_PER_PAGE, MAX_ITEMS_PER_PAGE};
use url::form_urlencoded;

use crate::failure::Failure;

/// The parameters of a query. Those that nobody asks for are ignored; one that is given twice is
/// refused.
#[derive(Clone, Debug, Default)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Reads what follows the `?` of a URL.
    pub fn parse(text: &str) -> Self {
        let pairs = form_urlencoded::parse(text.as_bytes());
        Self(pairs.into_owned().collect())
    }

    /// The text of a parameter.
    ///
    /// # Errors
    ///
    /// 400/10005 where it is given twice.
    pub fn get(&self, name: &str) -> Result<Option<&str>, Failure> {
        let mut found = self.0.iter().filter(|(found, _)| found == name);
        let value = found.next().map(|(_, value)| value.as_str());
        match found.next() {
            Some(_) => Err(Failure::query(name, "given once")),
            None => Ok(value),
        }
    }

    /// The value of a parameter that reads as `form`.
    ///
    /// # Errors
    ///
    /// 400/10005 where it does not.
    pub fn value<T: FromStr>(&self, name: &str, form: &str) -> Result<Option<T>, Failure> {
        let value = self.get(name)?.map(str::parse).transpose();
        value.map_err(|_| Failure::query(name, form))
    }

    /// The value of a parameter that is one of a few words.
    ///
    /// # Errors
    ///
    /// 400/10005 where it is none of them.
    pub fn choice<T: Copy>(&self, name: &str, choices: &[(&str, T)]) -> Result<Option<T>, Failure> {
        let Some(text) = self.get(name)? else {
            return Ok(None);
        };
        let chosen = choices.iter().find(|(word, _)| *word == text);
        chosen.map(|(_, value)| Some(*value)).ok_or_else(|| {
            let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
            Failure::query(name, &format!("one of {}", words.join(", ")))
        })
    }

    /// The value of a parameter that is `true` or `false`.
    ///
    /// # Errors
    ///
    /// 400/10005 where it is neither.
    pub fn truth(&self, name: &str) -> Result<Option<bool>, Failure> {
        self.choice(name, &[("true", true), ("false", false)])
    }

    /// The value of a parameter that is a whole number from 1 to `most`.
    ///
    /// # Errors
    ///
    /// 400/10005 where it is none.
    pub fn number(&self, name: &str, most: u32) -> Result<Option<u32>, Failure> {
        let Some(text) = self.get(name)? else {
            return Ok(None);
        };
        // Clients in typed languages declare these as floating-point numbers.
        let text = text.strip_suffix(".0").unwrap_or(text);
        // `+1` is a number to `parse`.
        let is_plain = text.bytes().all(|b| b.is_ascii_digit());
        let number = text.parse().ok().filter(|_| is_plain);
        let number = number.filter(|number| (1..=most).contains(number));
        let form = format!("a whole number from 1 to {most}");
        number.map(Some).ok_or_else(|| Failure::query(name, &form))
    }
}

/// Which part of a list is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// From 1.
    pub number: u32,
    /// Items of a page.
    pub size: u32,
}

impl Page {
    /// Reads `page` and `per_page`.
    ///
    /// # Errors
    ///
    /// 400/10005 where one of them is out of its bounds.
    pub fn parse(query: &Query) -> Result<Self, Failure> {
        let size = query.number("per_page", MAX_ITEMS_PER_PAGE)?;
        Ok(Self {
            number: query.number("page", MAX_PAGE)?.unwrap_or(1),
            size: size.unwrap_or(DEFAULT_ITEMS_PER_PAGE),
        })
    }

    /// What the answer says of a page with `count` of `total` items.
    pub fn info(self, count: usize, total: u64) -> ResultInfo {
        ResultInfo {
            count: count as u64,
            page: Some(self.number),
            per_page: self.size,
            total_count: Some(total),
            cursor: None,
        }
    }
}

/// The last page that can be asked for: far beyond every list, and far from overflow.
const MAX_PAGE: u32 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn page(query: &str) -> Result<(u32, u32), String> {
        let page = Page::parse(&Query::parse(query));
        page.map(|page| (page.number, page.size))
            .map_err(|failure| failure.to_string())
    }

    #[test]
    fn pages_are_numbers_within_their_bounds() {
        for (query, expected) in [
            ("", Ok((1, DEFAULT_ITEMS_PER_PAGE))),
            ("page=2&per_page=50", Ok((2, 50))),
            ("page=2.0&per_page=1", Ok((2, 1))),
            ("page=1&page=1", Err("400/10005".to_owned())),
            ("page=%2B1", Err("400/10005".to_owned())),
            ("per_page=100", Ok((1, MAX_ITEMS_PER_PAGE))),
            ("page=1000000", Ok((MAX_PAGE, DEFAULT_ITEMS_PER_PAGE))),
            ("other=x", Ok((1, DEFAULT_ITEMS_PER_PAGE))),
            ("per_page=101", Err("400/10005".to_owned())),
            ("per_page=0", Err("400/10005".to_owned())),
            ("page=0", Err("400/10005".to_owned())),
            ("page=1000001", Err("400/10005".to_owned())),
            ("page=-1", Err("400/10005".to_owned())),
            ("page=1.5", Err("400/10005".to_owned())),
            ("page=", Err("400/10005".to_owned())),
        ] {
            assert_eq!(page(query), expected, "{query}");
        }
    }

    #[test]
    fn values_are_decoded() {
        let query = Query::parse("name=Stream+Read&scope=a%2Fb&empty=");
        let get = |name| query.get(name).unwrap();
        assert_eq!(get("name"), Some("Stream Read"));
        assert_eq!(get("scope"), Some("a/b"));
        assert_eq!(get("empty"), Some(""));
        assert_eq!(get("none"), None);
        let choices = [("asc", 1), ("desc", 2)];
        assert_eq!(
            Query::parse("d=desc").choice("d", &choices).unwrap(),
            Some(2)
        );
        assert_eq!(Query::parse("").choice("d", &choices).unwrap(), None);
        assert_eq!(
            Query::parse("d=up")
                .choice("d", &choices)
                .unwrap_err()
                .to_string(),
            "400/10005"
        );
    }
}
