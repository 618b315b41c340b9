//! Which request means what.

use shared::id::{AccountId, InputUid, NodeName, OutputUid};
use shared::link::PUBLISH_PATH;

use crate::failure::Failure;

/// What a request asks for, by its method and path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// `POST …/live_inputs`
    CreateInput {
        /// The account in the path.
        account: AccountId,
    },
    /// `POST …/live_inputs/:input/outputs`
    CreateOutput {
        /// The account in the path.
        account: AccountId,
        /// The live input in the path.
        input: InputUid,
    },
    /// `DELETE …/live_inputs/:input`
    DeleteInput {
        /// The account in the path.
        account: AccountId,
        /// The live input in the path.
        input: InputUid,
    },
    /// `DELETE …/live_inputs/:input/outputs/:output`
    DeleteOutput {
        /// The account in the path.
        account: AccountId,
        /// The live input in the path.
        input: InputUid,
        /// The output in the path.
        output: OutputUid,
    },
    /// `GET /health`
    Health,
    /// `GET …/live_inputs/:input`
    InputDetails {
        /// The account in the path.
        account: AccountId,
        /// The live input in the path.
        input: InputUid,
    },
    /// `GET …/live_inputs`
    ListInputs {
        /// The account in the path.
        account: AccountId,
    },
    /// `GET …/live_inputs/:input/outputs`
    ListOutputs {
        /// The account in the path.
        account: AccountId,
        /// The live input in the path.
        input: InputUid,
    },
    /// `GET` [`link_path`](shared::link::link_path)
    NodeLink {
        /// The node in the path.
        node: NodeName,
    },
    /// `POST` [`poll_path`](shared::link::poll_path)
    NodePoll {
        /// The node in the path.
        node: NodeName,
    },
    /// `POST` [`PUBLISH_PATH`]
    Publish,
    /// `PUT …/live_inputs/:input`
    UpdateInput {
        /// The account in the path.
        account: AccountId,
        /// The live input in the path.
        input: InputUid,
    },
    /// `PUT …/live_inputs/:input/outputs/:output`
    UpdateOutput {
        /// The account in the path.
        account: AccountId,
        /// The live input in the path.
        input: InputUid,
        /// The output in the path.
        output: OutputUid,
    },
}

impl Route {
    /// Reads a request's method and path (without its query).
    ///
    /// # Errors
    ///
    /// 404/7003 where nothing is served, an account id that cannot be one included (Cloudflare's
    /// gateway knows accounts, and answers so); 404/10003 for the uid of an input or output that
    /// cannot be one (its Stream service alone knows those, and finds nothing); 405/10405 for
    /// another method.
    pub fn parse(method: &str, path: &str) -> Result<Self, Failure> {
        if path == "/health" {
            return match method {
                "GET" => Ok(Self::Health),
                _ => Err(Failure::method_not_allowed("GET")),
            };
        }
        if path == PUBLISH_PATH {
            return match method {
                "POST" => Ok(Self::Publish),
                _ => Err(Failure::method_not_allowed("POST")),
            };
        }
        if let Some(rest) = path.strip_prefix("/relay/v1/nodes/") {
            return Self::parse_node(method, rest);
        }
        // Cloudflare's clients append to whatever base URL they are given, so both are served.
        let rest = path.strip_prefix("/client/v4").unwrap_or(path);
        let (account, rest) = rest
            .strip_prefix("/accounts/")
            .and_then(|rest| rest.split_once("/stream/"))
            .ok_or_else(Failure::no_route)?;
        let account = account.parse().map_err(|_| Failure::no_route())?;
        Self::parse_stream(method, account, rest)
    }

    /// Who may take this route.
    pub fn access(&self) -> Access {
        match self {
            Self::Health => Access::Anybody,
            Self::NodeLink { .. } | Self::NodePoll { .. } | Self::Publish => Access::Relay,
            Self::CreateInput { account }
            | Self::CreateOutput { account, .. }
            | Self::DeleteInput { account, .. }
            | Self::DeleteOutput { account, .. }
            | Self::InputDetails { account, .. }
            | Self::ListInputs { account }
            | Self::ListOutputs { account, .. }
            | Self::UpdateInput { account, .. }
            | Self::UpdateOutput { account, .. } => Access::Account(*account),
        }
    }

    fn parse_node(method: &str, rest: &str) -> Result<Self, Failure> {
        let (node, what) = rest.split_once('/').ok_or_else(Failure::no_route)?;
        let node = node.parse().map_err(|_| Failure::no_route())?;
        match (method, what) {
            ("GET", "link") => Ok(Self::NodeLink { node }),
            (_, "link") => Err(Failure::method_not_allowed("GET")),
            ("POST", "poll") => Ok(Self::NodePoll { node }),
            (_, "poll") => Err(Failure::method_not_allowed("POST")),
            _ => Err(Failure::no_route()),
        }
    }

    fn parse_stream(method: &str, account: AccountId, rest: &str) -> Result<Self, Failure> {
        let mut segments = rest.split('/');
        if segments.next() != Some("live_inputs") {
            return Err(Failure::no_route());
        }
        let (uid, outputs, output_uid) = (segments.next(), segments.next(), segments.next());
        if segments.next().is_some() || outputs.is_some_and(|name| name != "outputs") {
            return Err(Failure::no_route());
        }
        let Some(uid) = uid else {
            return match method {
                "GET" => Ok(Self::ListInputs { account }),
                "POST" => Ok(Self::CreateInput { account }),
                _ => Err(Failure::method_not_allowed("GET, POST")),
            };
        };
        let input = || uid.parse().map_err(|_| Failure::no_such_input());
        match (method, outputs, output_uid) {
            ("GET", None, _) => Ok(Self::InputDetails {
                account,
                input: input()?,
            }),
            ("PUT", None, _) => Ok(Self::UpdateInput {
                account,
                input: input()?,
            }),
            ("DELETE", None, _) => Ok(Self::DeleteInput {
                account,
                input: input()?,
            }),
            (_, None, _) => Err(Failure::method_not_allowed("GET, PUT, DELETE")),
            ("GET", Some(_), None) => Ok(Self::ListOutputs {
                account,
                input: input()?,
            }),
            ("POST", Some(_), None) => Ok(Self::CreateOutput {
                account,
                input: input()?,
            }),
            (_, Some(_), None) => Err(Failure::method_not_allowed("GET, POST")),
            ("PUT", Some(_), Some(output)) => Ok(Self::UpdateOutput {
                account,
                input: input()?,
                output: output.parse().map_err(|_| Failure::no_such_output())?,
            }),
            ("DELETE", Some(_), Some(output)) => Ok(Self::DeleteOutput {
                account,
                input: input()?,
                output: output.parse().map_err(|_| Failure::no_such_output())?,
            }),
            (_, Some(_), Some(_)) => Err(Failure::method_not_allowed("PUT, DELETE")),
        }
    }
}

/// Who may take a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// An API token of this account.
    Account(AccountId),
    /// Anybody, without credentials.
    Anybody,
    /// A relay token.
    Relay,
}

#[cfg(test)]
mod tests {
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
            ("GET", &inputs, Route::ListInputs { account }),
            ("POST", &inputs, Route::CreateInput { account }),
            ("GET", &one, Route::InputDetails { account, input }),
            ("PUT", &one, Route::UpdateInput { account, input }),
            ("DELETE", &one, Route::DeleteInput { account, input }),
            ("GET", &outputs, Route::ListOutputs { account, input }),
            ("POST", &outputs, Route::CreateOutput { account, input }),
            (
                "PUT",
                &one_output,
                Route::UpdateOutput {
                    account,
                    input,
                    output,
                },
            ),
            (
                "DELETE",
                &one_output,
                Route::DeleteOutput {
                    account,
                    input,
                    output,
                },
            ),
        ] {
            for base in ["", "/client/v4"] {
                let found = Route::parse(method, &format!("{base}{path}")).unwrap();
                assert_eq!(found, route, "{method} {path}");
                assert_eq!(found.access(), Access::Account(account));
            }
        }
    }

    #[test]
    fn nodes_have_their_routes() {
        let node: NodeName = "fra-1".parse().unwrap();
        for (method, path, route) in [
            (
                "GET",
                link_path(&node),
                Route::NodeLink { node: node.clone() },
            ),
            (
                "POST",
                poll_path(&node),
                Route::NodePoll { node: node.clone() },
            ),
            ("POST", PUBLISH_PATH.to_owned(), Route::Publish),
        ] {
            let found = Route::parse(method, &path).unwrap();
            assert_eq!(found, route);
            assert_eq!(found.access(), Access::Relay);
        }
        let health = Route::parse("GET", "/health").unwrap();
        assert_eq!(
            (&health, health.access()),
            (&Route::Health, Access::Anybody)
        );
    }

    #[test]
    fn another_method_is_told_what_to_use() {
        let inputs = format!("/accounts/{ACCOUNT}/stream/live_inputs");
        for (method, path, allow) in [
            ("DELETE", inputs.clone(), "GET, POST"),
            ("POST", format!("{inputs}/{INPUT}"), "GET, PUT, DELETE"),
            ("PUT", format!("{inputs}/{INPUT}/outputs"), "GET, POST"),
            (
                "GET",
                format!("{inputs}/{INPUT}/outputs/{OUTPUT}"),
                "PUT, DELETE",
            ),
            ("POST", "/health".into(), "GET"),
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
            (format!("{inputs}/{INPUT}/videos"), "404/7003"),
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
