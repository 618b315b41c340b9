use crate::stream_name::StreamName;

/// Finds the stream key in what an encoder sent, whose users split `rtmps://host/live/<key>` in
/// every way there is.
///
/// | what the user gave | `app` | name in `publish` |
/// | --- | --- | --- |
/// | OBS: `…/live` or `…/live/` and the key | `live`, `live/` | `<key>` |
/// | FFmpeg: `…/live/<key>` | `live` | `<key>` |
/// | OBS: `…/live/<key>` and no key, FFmpeg: `…/live/<key>/` | `live/<key>` | empty |
///
/// White space round a key is what a paste leaves behind; a query is addressed to servers that
/// have one. Both are ignored.
#[derive(Debug)]
pub(super) struct Address {
    /// What follows the application in `app`, if anything.
    inner: Option<StreamName>,
}

impl Address {
    /// The address that `app` begins, or `None` if it is of another application than `served`.
    pub(super) fn of_app(app: &str, served: &str) -> Option<Self> {
        let path = essence(app);
        let (name, inner) = match path.split_once('/') {
            Some((name, inner)) => (name, essence(inner)),
            None => (path, ""),
        };
        if name != served {
            return None;
        }
        let inner = (!inner.is_empty()).then(|| StreamName::new(inner));
        Some(Self { inner })
    }

    /// The key, given the name in a command.
    pub(super) fn key(&self, name: &str) -> Result<StreamName, NoKey> {
        let name = essence(name);
        match &self.inner {
            None if name.is_empty() => Err(NoKey::Empty),
            None => Ok(StreamName::new(name)),
            Some(inner) if name.is_empty() || name == inner.expose() => Ok(inner.clone()),
            // `live/a` and `b`: we have no application `live/a`.
            Some(_) => Err(NoKey::OtherApplication),
        }
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum NoKey {
    Empty,
    OtherApplication,
}

/// A part of a path without query, slashes and white space round it.
fn essence(part: &str) -> &str {
    let path = part.split_once('?').map_or(part, |(path, _)| path);
    path.trim_matches(|c: char| c == '/' || c.is_whitespace() || c == '\0')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(app: &str, name: &str) -> Option<Result<String, NoKey>> {
        let address = Address::of_app(app, "live")?;
        Some(address.key(name).map(|key| key.expose().to_owned()))
    }

    #[test]
    fn every_way_to_split_the_address_gives_the_same_key() {
        for (app, name) in [
            ("live", "KEY"),
            ("live/", "KEY"),
            ("/live", "KEY"),
            ("/live/", "KEY"),
            ("live//", "/KEY"),
            ("live/KEY", ""),
            ("live/KEY/", ""),
            ("/live/KEY", " "),
            ("live/KEY", "KEY"),
            ("live", " KEY\r\n"),
            ("live", "\tKEY "),
            ("live ", "KEY/"),
            ("live", "KEY?backup=1&x=/y"),
            ("live?vhost=a/b", "KEY"),
            ("live/KEY?x=1", "?x=1"),
            ("live/?x", "KEY ?x"),
        ] {
            assert_eq!(key(app, name), Some(Ok("KEY".into())), "{app:?} {name:?}");
        }
    }

    #[test]
    fn another_application_is_another_application() {
        for app in ["", "/", "lives", "Live", "app", "app/live", "?live"] {
            assert_eq!(key(app, "KEY"), None, "{app:?}");
        }
        assert_eq!(key("live/a", "b"), Some(Err(NoKey::OtherApplication)));
    }

    #[test]
    fn no_key_is_no_key() {
        for (app, name) in [
            ("live", ""),
            ("live/", " \n"),
            ("live", "?x=1"),
            ("live//", "/"),
        ] {
            assert_eq!(key(app, name), Some(Err(NoKey::Empty)), "{app:?} {name:?}");
        }
    }
}
