//! What relay nodes ask.

use shared::id::NodeName;

use crate::failure::Failure;

/// A route of the link, [`shared::link`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RelayRoute {
    /// `GET` [`link_path`](shared::link::link_path)
    Link {
        /// The node in the path.
        node: NodeName,
    },
    /// `POST` [`poll_path`](shared::link::poll_path)
    Poll {
        /// The node in the path.
        node: NodeName,
    },
    /// `POST` [`PUBLISH_PATH`](shared::link::PUBLISH_PATH)
    Publish,
}

impl RelayRoute {
    pub(super) fn parse_publish(method: &str) -> Result<Self, Failure> {
        match method {
            "POST" => Ok(Self::Publish),
            _ => Err(Failure::method_not_allowed("POST")),
        }
    }

    /// `rest` is what follows `/relay/v1/nodes/`.
    pub(super) fn parse_node(method: &str, rest: &str) -> Result<Self, Failure> {
        let (node, what) = rest.split_once('/').ok_or_else(Failure::no_route)?;
        let node = node.parse().map_err(|_| Failure::no_route())?;
        match (method, what) {
            ("GET", "link") => Ok(Self::Link { node }),
            (_, "link") => Err(Failure::method_not_allowed("GET")),
            ("POST", "poll") => Ok(Self::Poll { node }),
            (_, "poll") => Err(Failure::method_not_allowed("POST")),
            _ => Err(Failure::no_route()),
        }
    }
}
