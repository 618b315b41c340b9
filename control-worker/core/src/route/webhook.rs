//! The one webhook of an account.

use crate::failure::Failure;
use crate::permission::Permission;

/// A route of `/accounts/:account/stream/webhook`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebhookRoute {
    /// `DELETE /webhook`
    Delete,
    /// `GET /webhook/deliveries`
    Deliveries,
    /// `GET /webhook`
    Details,
    /// `PUT /webhook`
    Put,
    /// `POST /webhook/test`
    Test,
}

impl WebhookRoute {
    pub(super) fn permission(self) -> Permission {
        match self {
            Self::Deliveries | Self::Details => Permission::StreamRead,
            Self::Delete | Self::Put | Self::Test => Permission::StreamWrite,
        }
    }

    /// `rest` is what follows `/stream/webhook`, in segments.
    pub(super) fn parse(method: &str, rest: &[&str]) -> Result<Self, Failure> {
        match (method, rest) {
            ("GET", []) => Ok(Self::Details),
            ("PUT", []) => Ok(Self::Put),
            ("DELETE", []) => Ok(Self::Delete),
            (_, []) => Err(Failure::method_not_allowed("GET, PUT, DELETE")),
            ("GET", ["deliveries"]) => Ok(Self::Deliveries),
            (_, ["deliveries"]) => Err(Failure::method_not_allowed("GET")),
            ("POST", ["test"]) => Ok(Self::Test),
            (_, ["test"]) => Err(Failure::method_not_allowed("POST")),
            _ => Err(Failure::no_route()),
        }
    }
}
