use std::fmt;

use zeroize::Zeroizing;

/// The name a stream is published under: in practice its key, so a secret. Prints as
/// `<redacted>`, and is wiped when dropped.
#[derive(Clone)]
pub struct StreamName(Zeroizing<String>);

impl StreamName {
    /// Takes `name` into custody, byte for byte.
    pub fn new(name: impl Into<String>) -> Self {
        Self(Zeroizing::new(name.into()))
    }

    /// The name itself. Each call is a place to look at in review.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_name_is_never_printed() {
        let name = StreamName::new("hunter2");
        assert_eq!(
            format!("{name} {name:?} {name:#?}"),
            "<redacted> <redacted> <redacted>"
        );
        assert_eq!(name.expose(), "hunter2");
    }
}
