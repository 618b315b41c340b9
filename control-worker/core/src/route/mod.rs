//! Which request means what.

mod accounts;
mod alerting;
mod relay;
mod stream;
mod tokens;
mod webhook;

use shared::id::{AccountId, InputUid};
use shared::link::PUBLISH_PATH;

pub use self::accounts::AccountsRoute;
pub use self::alerting::AlertingRoute;
pub use self::relay::RelayRoute;
pub use self::stream::StreamRoute;
pub use self::tokens::TokenRoute;
pub use self::webhook::WebhookRoute;
use crate::failure::Failure;
use crate::permission::Permission;

/// What a request asks for, by its method and path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// `/accounts`
    Accounts(AccountsRoute),
    /// `/accounts/:account/alerting/…`
    Alerting {
        /// The account in the path.
        account: AccountId,
        /// What follows it.
        route: AlertingRoute,
    },
    /// `GET /health`
    Health,
    /// `GET /:input/lifecycle`
    Lifecycle {
        /// The live input in the path.
        input: InputUid,
    },
    /// `GET /openapi.json`
    OpenApi,
    /// What relay nodes ask.
    Relay(RelayRoute),
    /// `POST /keys/reseal`
    Reseal,
    /// `/accounts/:account/stream/…`
    Stream {
        /// The account in the path.
        account: AccountId,
        /// What follows it.
        route: StreamRoute,
    },
    /// `/accounts/:account/tokens/…`
    Tokens {
        /// The account in the path.
        account: AccountId,
        /// What follows it.
        route: TokenRoute,
    },
    /// `GET /user/tokens/verify`, which tools ask to find out whether a token works.
    VerifyAnyToken,
}

impl Route {
    /// Reads a request's method and path (without its query).
    ///
    /// # Errors
    ///
    /// 404/7003 where nothing is served, an account id that cannot be one included (Cloudflare's
    /// gateway knows accounts, and answers so); 404/10003 for the id of an input, output or token
    /// that cannot be one (its services alone know those, and find nothing); 405/10405 for another
    /// method.
    pub fn parse(method: &str, path: &str) -> Result<Self, Failure> {
        if path == "/health" {
            return match method {
                "GET" => Ok(Self::Health),
                _ => Err(Failure::method_not_allowed("GET")),
            };
        }
        if path == "/openapi.json" {
            return match method {
                "GET" => Ok(Self::OpenApi),
                _ => Err(Failure::method_not_allowed("GET")),
            };
        }
        if path == PUBLISH_PATH {
            return RelayRoute::parse_publish(method).map(Self::Relay);
        }
        if let Some(rest) = path.strip_prefix("/relay/v1/nodes/") {
            return RelayRoute::parse_node(method, rest).map(Self::Relay);
        }
        // Cloudflare's clients append to whatever base URL they are given, so both are served.
        let rest = path.strip_prefix("/client/v4").unwrap_or(path);
        if let Some(input) = rest.strip_suffix("/lifecycle") {
            let input = input.strip_prefix('/').and_then(|input| input.parse().ok());
            return match (input, method) {
                (None, _) => Err(Failure::no_route()),
                (Some(input), "GET") => Ok(Self::Lifecycle { input }),
                (Some(_), _) => Err(Failure::method_not_allowed("GET")),
            };
        }
        match rest {
            "/accounts" => return AccountsRoute::parse(method).map(Self::Accounts),
            "/keys/reseal" => {
                return match method {
                    "POST" => Ok(Self::Reseal),
                    _ => Err(Failure::method_not_allowed("POST")),
                };
            }
            "/user/tokens/verify" => {
                return match method {
                    "GET" => Ok(Self::VerifyAnyToken),
                    _ => Err(Failure::method_not_allowed("GET")),
                };
            }
            _ => {}
        }
        let (account, rest) = rest
            .strip_prefix("/accounts/")
            .and_then(|rest| rest.split_once('/'))
            .ok_or_else(Failure::no_route)?;
        let account = account.parse().map_err(|_| Failure::no_route())?;
        if let Some(rest) = rest.strip_prefix("stream/") {
            let route = StreamRoute::parse(method, rest)?;
            return Ok(Self::Stream { account, route });
        }
        match rest.split('/').collect::<Vec<_>>().as_slice() {
            ["alerting", rest @ ..] => {
                let route = AlertingRoute::parse(method, rest)?;
                Ok(Self::Alerting { account, route })
            }
            ["tokens", rest @ ..] => {
                let route = TokenRoute::parse(method, rest)?;
                Ok(Self::Tokens { account, route })
            }
            _ => Err(Failure::no_route()),
        }
    }

    /// Who may take this route.
    pub fn access(&self) -> Access {
        match self {
            Self::Accounts(AccountsRoute::CreateAccount) | Self::Reseal => Access::Operator,
            Self::Alerting { account, route } => Access::Account(*account, route.permission()),
            Self::Health | Self::Lifecycle { .. } | Self::OpenApi => Access::Anybody,
            Self::Relay(_) => Access::Relay,
            Self::Stream { account, route } => Access::Account(*account, route.permission()),
            Self::Tokens { account, route } => route.access(*account),
            Self::VerifyAnyToken => Access::Holder(None),
        }
    }
}

/// Who may take a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// An API token of this account that has this permission.
    Account(AccountId, Permission),
    /// Anybody, without credentials.
    Anybody,
    /// Any API token, of this account where there is one: what it asks is about itself.
    Holder(Option<AccountId>),
    /// The operator's bootstrap secret, which is no token.
    Operator,
    /// A relay token.
    Relay,
}

#[cfg(test)]
mod tests {
    use shared::id::NodeName;
    use shared::link::{link_path, poll_path};

    use super::*;

    const ACCOUNT: &str = "01ad856eb76821fe32749626a4b39edf";
    const INPUT: &str = "66be4bf738797e01e1fca35a7bdecdcd";
    const OUTPUT: &str = "6f8339ed45fe87daa8e7f0fe4e4ef776";

    #[test]
    fn every_route_is_found_under_both_bases() {
        let account = ACCOUNT.parse().unwrap();
        let input = INPUT.parse().unwrap();
        let output = OUTPUT.parse().unwrap();
        let inputs = format!("/accounts/{ACCOUNT}/stream/live_inputs");
        let one = format!("{inputs}/{INPUT}");
        let outputs = format!("{one}/outputs");
        let one_output = format!("{outputs}/{OUTPUT}");
        for (method, path, route) in [
            ("GET", &inputs, StreamRoute::ListInputs),
            ("POST", &inputs, StreamRoute::CreateInput),
            ("GET", &one, StreamRoute::InputDetails { input }),
            ("PUT", &one, StreamRoute::UpdateInput { input }),
            ("DELETE", &one, StreamRoute::DeleteInput { input }),
            (
                "POST",
                &format!("{one}/rotate_keys"),
                StreamRoute::RotateKeys { input },
            ),
            (
                "GET",
                &format!("{one}/videos"),
                StreamRoute::ListVideos { input },
            ),
            (
                "GET",
                &one_output,
                StreamRoute::OutputDetails { input, output },
            ),
            ("GET", &outputs, StreamRoute::ListOutputs { input }),
            ("POST", &outputs, StreamRoute::CreateOutput { input }),
            (
                "PUT",
                &one_output,
                StreamRoute::UpdateOutput { input, output },
            ),
            (
                "DELETE",
                &one_output,
                StreamRoute::DeleteOutput { input, output },
            ),
            (
                "POST",
                &format!("{one_output}/retry"),
                StreamRoute::RetryOutput { input, output },
            ),
        ] {
            for base in ["", "/client/v4"] {
                let found = Route::parse(method, &format!("{base}{path}")).unwrap();
                assert_eq!(found, Route::Stream { account, route }, "{method} {path}");
            }
        }
    }

    #[test]
    fn a_lifecycle_is_for_everybody() {
        for base in ["", "/client/v4"] {
            let found = Route::parse("GET", &format!("{base}/{INPUT}/lifecycle")).unwrap();
            let input = INPUT.parse().unwrap();
            assert_eq!(found, Route::Lifecycle { input });
            assert_eq!(found.access(), Access::Anybody);
        }
    }

    #[test]
    fn nodes_have_their_routes() {
        let node: NodeName = "fra-1".parse().unwrap();
        for (method, path, route) in [
            (
                "GET",
                link_path(&node),
                RelayRoute::Link { node: node.clone() },
            ),
            (
                "POST",
                poll_path(&node),
                RelayRoute::Poll { node: node.clone() },
            ),
            ("POST", PUBLISH_PATH.to_owned(), RelayRoute::Publish),
        ] {
            let found = Route::parse(method, &path).unwrap();
            assert_eq!(found, Route::Relay(route));
            assert_eq!(found.access(), Access::Relay);
        }
        for (path, route) in [
            ("/health", Route::Health),
            ("/openapi.json", Route::OpenApi),
        ] {
            let found = Route::parse("GET", path).unwrap();
            assert_eq!((&found, found.access()), (&route, Access::Anybody));
        }
    }

    #[test]
    fn another_method_is_told_what_to_use() {
        let inputs = format!("/accounts/{ACCOUNT}/stream/live_inputs");
        for (method, path, allow) in [
            ("DELETE", inputs.clone(), "GET, POST"),
            ("POST", format!("{inputs}/{INPUT}"), "GET, PUT, DELETE"),
            ("PUT", format!("{inputs}/{INPUT}/outputs"), "GET, POST"),
            ("POST", format!("/client/v4/{INPUT}/lifecycle"), "GET"),
            ("PUT", format!("{inputs}/{INPUT}/videos"), "GET"),
            (
                "POST",
                format!("{inputs}/{INPUT}/outputs/{OUTPUT}"),
                "GET, PUT, DELETE",
            ),
            ("POST", "/health".into(), "GET"),
            ("POST", "/openapi.json".into(), "GET"),
            ("GET", PUBLISH_PATH.into(), "POST"),
            ("POST", "/relay/v1/nodes/a/link".into(), "GET"),
            ("GET", "/relay/v1/nodes/a/poll".into(), "POST"),
        ] {
            let failure = Route::parse(method, &path).unwrap_err();
            assert_eq!(failure.to_string(), "405/10405", "{method} {path}");
            assert_eq!(failure.headers(), [("allow", allow)]);
        }
    }

    #[test]
    fn paths_that_lead_nowhere_say_why() {
        let inputs = format!("/accounts/{ACCOUNT}/stream/live_inputs");
        for (path, why) in [
            (String::new(), "404/7003"),
            ("/".into(), "404/7003"),
            ("/client/v4".into(), "404/7003"),
            ("/client/v4/zones".into(), "404/7003"),
            (format!("/client/v5{inputs}"), "404/7003"),
            (format!("/accounts/{ACCOUNT}"), "404/7003"),
            (format!("/accounts/{ACCOUNT}/stream"), "404/7003"),
            (format!("/accounts/{ACCOUNT}/stream/videos"), "404/7003"),
            ("/accounts/me/stream/live_inputs".into(), "404/7003"),
            ("/accounts//stream/live_inputs".into(), "404/7003"),
            (format!("{inputs}/{INPUT}/pictures"), "404/7003"),
            (format!("{inputs}/{INPUT}/lifecycle"), "404/7003"),
            ("/nonsense/lifecycle".into(), "404/7003"),
            ("/lifecycle".into(), "404/7003"),
            (format!("{inputs}/{INPUT}/outputs/{OUTPUT}/x"), "404/7003"),
            (format!("{inputs}/nonsense"), "404/10003"),
            (format!("{inputs}/"), "404/10003"),
            (format!("{inputs}/{}", INPUT.to_uppercase()), "404/10003"),
            (format!("{inputs}/nonsense/outputs"), "404/10003"),
            ("/relay/v1/nodes/A/link".into(), "404/7003"),
            ("/relay/v1/nodes/a/other".into(), "404/7003"),
        ] {
            let failure = Route::parse("GET", &path).unwrap_err();
            assert_eq!(failure.to_string(), why, "{path}");
        }
        let output = format!("{inputs}/{INPUT}/outputs/nonsense");
        assert_eq!(
            Route::parse("DELETE", &output).unwrap_err(),
            Failure::no_such_output()
        );
    }
}
