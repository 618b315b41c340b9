//! Which paths belong to the dashboard rather than to the API.

/// Whether a request is for the dashboard's page.
///
/// A page has one document, whatever part of it a path names: the script in it reads the path. Only
/// what begins as a path of the dashboard does is meant, so that no request of an API client ever
/// gets a page for an answer.
pub fn is_asked(method: &str, path: &str) -> bool {
    matches!(method, "GET" | "HEAD")
        // A lifecycle is the API's wherever it stands.
        && !path.ends_with("/lifecycle")
        && (matches!(path, "/" | "/webhooks" | "/tokens")
            || path
                .strip_prefix("/inputs/")
                .is_some_and(|rest| !rest.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "66be4bf738797e01e1fca35a7bdecdcd";

    #[test]
    fn parts_of_the_page_are_pages() {
        for path in ["/", "/webhooks", "/tokens"] {
            assert!(is_asked("GET", path) && is_asked("HEAD", path), "{path}");
            assert!(!is_asked("POST", path), "{path}");
        }
        assert!(is_asked("GET", &format!("/inputs/{ID}")));
        assert!(is_asked("GET", &format!("/inputs/{ID}/history")));
    }

    #[test]
    fn what_the_api_serves_is_no_page() {
        for path in [
            "",
            "/health",
            "/openapi.json",
            "/accounts",
            "/accounts/1/stream/live_inputs",
            "/accounts/1/tokens",
            "/client/v4",
            "/client/v4/inputs/1",
            "/user/tokens/verify",
            "/relay/v1/publish",
            "/inputs/lifecycle",
            "/inputs/1/lifecycle",
            "/inputs/",
            "/inputs",
            "/webhooks/1",
        ] {
            assert!(!is_asked("GET", path), "{path}");
        }
        assert!(!is_asked("GET", &format!("/{ID}/lifecycle")));
    }
}
