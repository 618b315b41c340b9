//! The bodies of relay nodes' requests.

use serde::de::DeserializeOwned;

use crate::failure::Failure;

/// Reads a body of the link ([`shared::link`]).
///
/// # Errors
///
/// 400/10005 where it is not of the form asked for. Says nothing of its content, which may hold
/// keys.
pub fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(body).map_err(|_| {
        Failure::body("The body is not of the form that the link asks for: update the relay node.")
    })
}

#[cfg(test)]
mod tests {
    use shared::link::PublishRequest;

    use super::*;

    #[test]
    fn quotes_nothing_of_what_it_refuses() {
        let body = br#"{"version": "hunter2", "key": ["hunter2"]}"#;
        let failure = parse::<PublishRequest>(body).unwrap_err();
        assert_eq!(failure.to_string(), "400/10005");
        assert!(!format!("{failure:?}").contains("hunter2"));
    }
}
