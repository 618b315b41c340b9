//! What is wrong in a TOML file, and where.

use std::fmt;

/// A mistake in a TOML file: its place and what is wrong.
///
/// Unlike the parser's own text it never repeats a line or a value of the file, since either may
/// be a key that somebody put in the wrong place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TomlError {
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
    /// What is wrong, naming the key if there is one.
    pub message: String,
}

impl TomlError {
    pub(crate) fn new(text: &str, error: &toml::de::Error) -> Self {
        let start = error.span().map_or(0, |span| span.start);
        let before = text.get(..start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let in_line = before.get(line_start..).unwrap_or_default();
        Self {
            line: 1 + before.matches('\n').count(),
            column: 1 + in_line.chars().count(),
            message: without_values(error.message()),
        }
    }
}

impl fmt::Display for TomlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "line {}, column {}: {}",
            self.line, self.column, self.message
        )
    }
}

impl std::error::Error for TomlError {}

/// serde says `invalid type: string "…", expected …`: the first half shows the value.
fn without_values(message: &str) -> String {
    match message.split_once(", expected ") {
        Some((found, expected)) if found.starts_with("invalid ") => {
            format!("wrong value, expected {expected}")
        }
        _ => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read by the parser")]
    struct File {
        key: String,
    }

    fn mistake(text: &str) -> TomlError {
        TomlError::new(text, &toml::from_str::<File>(text).unwrap_err())
    }

    #[test]
    fn names_the_place() {
        let error = mistake("# é\nkey = \"a\"\n  kye = 1\n");
        assert_eq!((error.line, error.column), (3, 3));
        assert!(error.message.contains("kye"), "{error}");
    }

    #[test]
    fn never_repeats_a_value() {
        for text in [
            "key = 83758\n",
            "key = \"83758\nx",
            "key = \"a\" 83758",
            "key = [\"83758\"]",
        ] {
            assert!(
                !mistake(text).to_string().contains("83758"),
                "{}",
                mistake(text)
            );
        }
    }
}
