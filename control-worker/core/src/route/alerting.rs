//! Destinations and policies of notifications.

use shared::id::{DestinationId, PolicyId};

use crate::failure::Failure;
use crate::notification::{no_such_destination, no_such_policy};
use crate::permission::Permission;

/// A route below `/accounts/:account/alerting/v3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlertingRoute {
    /// `POST /destinations/webhooks`
    CreateDestination,
    /// `POST /policies`
    CreatePolicy,
    /// `DELETE /destinations/webhooks/:id`
    DeleteDestination(DestinationId),
    /// `DELETE /policies/:id`
    DeletePolicy(PolicyId),
    /// `GET /destinations/webhooks/:id/deliveries`
    Deliveries(DestinationId),
    /// `GET /destinations/webhooks/:id`
    DestinationDetails(DestinationId),
    /// `GET /destinations/webhooks`
    ListDestinations,
    /// `GET /policies`
    ListPolicies,
    /// `GET /policies/:id`
    PolicyDetails(PolicyId),
    /// `POST /destinations/webhooks/:id/test`
    TestDestination(DestinationId),
    /// `PUT /destinations/webhooks/:id`
    UpdateDestination(DestinationId),
    /// `PUT /policies/:id`
    UpdatePolicy(PolicyId),
}

impl AlertingRoute {
    pub(super) fn permission(self) -> Permission {
        match self {
            Self::Deliveries(_)
            | Self::DestinationDetails(_)
            | Self::ListDestinations
            | Self::ListPolicies
            | Self::PolicyDetails(_) => Permission::NotificationsRead,
            Self::CreateDestination
            | Self::CreatePolicy
            | Self::DeleteDestination(_)
            | Self::DeletePolicy(_)
            | Self::TestDestination(_)
            | Self::UpdateDestination(_)
            | Self::UpdatePolicy(_) => Permission::NotificationsWrite,
        }
    }

    /// `rest` is what follows `/alerting/`, in segments.
    pub(super) fn parse(method: &str, rest: &[&str]) -> Result<Self, Failure> {
        match rest {
            ["v3", "destinations", "webhooks", rest @ ..] => Self::parse_destination(method, rest),
            ["v3", "policies", rest @ ..] => Self::parse_policy(method, rest),
            _ => Err(Failure::no_route()),
        }
    }

    fn parse_destination(method: &str, rest: &[&str]) -> Result<Self, Failure> {
        let id = |id: &str| id.parse().map_err(|_| no_such_destination());
        match (method, rest) {
            ("GET", []) => Ok(Self::ListDestinations),
            ("POST", []) => Ok(Self::CreateDestination),
            (_, []) => Err(Failure::method_not_allowed("GET, POST")),
            ("GET", [one]) => id(one).map(Self::DestinationDetails),
            ("PUT", [one]) => id(one).map(Self::UpdateDestination),
            ("DELETE", [one]) => id(one).map(Self::DeleteDestination),
            (_, [_]) => Err(Failure::method_not_allowed("GET, PUT, DELETE")),
            ("GET", [one, "deliveries"]) => id(one).map(Self::Deliveries),
            (_, [_, "deliveries"]) => Err(Failure::method_not_allowed("GET")),
            ("POST", [one, "test"]) => id(one).map(Self::TestDestination),
            (_, [_, "test"]) => Err(Failure::method_not_allowed("POST")),
            _ => Err(Failure::no_route()),
        }
    }

    fn parse_policy(method: &str, rest: &[&str]) -> Result<Self, Failure> {
        let id = |id: &str| id.parse().map_err(|_| no_such_policy());
        match (method, rest) {
            ("GET", []) => Ok(Self::ListPolicies),
            ("POST", []) => Ok(Self::CreatePolicy),
            (_, []) => Err(Failure::method_not_allowed("GET, POST")),
            ("GET", [one]) => id(one).map(Self::PolicyDetails),
            ("PUT", [one]) => id(one).map(Self::UpdatePolicy),
            ("DELETE", [one]) => id(one).map(Self::DeletePolicy),
            (_, [_]) => Err(Failure::method_not_allowed("GET, PUT, DELETE")),
            _ => Err(Failure::no_route()),
        }
    }
}
