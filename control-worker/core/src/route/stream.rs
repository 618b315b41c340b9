//! The Stream service of an account: live inputs and their outputs.

use shared::id::{InputUid, OutputUid};

use super::WebhookRoute;
use crate::failure::Failure;
use crate::permission::Permission;

/// A route below `/accounts/:account/stream`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamRoute {
    /// `GET /live_inputs/events`
    AccountEvents,
    /// `POST /live_inputs`
    CreateInput,
    /// `POST /live_inputs/:input/outputs`
    CreateOutput {
        /// The live input in the path.
        input: InputUid,
    },
    /// `DELETE /live_inputs/:input`
    DeleteInput {
        /// The live input in the path.
        input: InputUid,
    },
    /// `DELETE /live_inputs/:input/outputs/:output`
    DeleteOutput {
        /// The live input in the path.
        input: InputUid,
        /// The output in the path.
        output: OutputUid,
    },
    /// `GET /live_inputs/:input`
    InputDetails {
        /// The live input in the path.
        input: InputUid,
    },
    /// `GET /live_inputs/:input/events`
    InputEvents {
        /// The live input in the path.
        input: InputUid,
    },
    /// `GET /live_inputs`
    ListInputs,
    /// `GET /live_inputs/:input/outputs`
    ListOutputs {
        /// The live input in the path.
        input: InputUid,
    },
    /// `GET /live_inputs/:input/videos`
    ListVideos {
        /// The live input in the path.
        input: InputUid,
    },
    /// `GET /live_inputs/:input/outputs/:output`
    OutputDetails {
        /// The live input in the path.
        input: InputUid,
        /// The output in the path.
        output: OutputUid,
    },
    /// `POST /live_inputs/:input/outputs/:output/retry`
    RetryOutput {
        /// The live input in the path.
        input: InputUid,
        /// The output in the path.
        output: OutputUid,
    },
    /// `POST /live_inputs/:input/rotate_keys`
    RotateKeys {
        /// The live input in the path.
        input: InputUid,
    },
    /// `PUT /live_inputs/:input`
    UpdateInput {
        /// The live input in the path.
        input: InputUid,
    },
    /// `PUT /live_inputs/:input/outputs/:output`
    UpdateOutput {
        /// The live input in the path.
        input: InputUid,
        /// The output in the path.
        output: OutputUid,
    },
    /// `/webhook…`
    Webhook(WebhookRoute),
}

impl StreamRoute {
    pub(super) fn permission(self) -> Permission {
        match self {
            Self::AccountEvents
            | Self::InputDetails { .. }
            | Self::InputEvents { .. }
            | Self::ListInputs
            | Self::ListOutputs { .. }
            | Self::ListVideos { .. }
            | Self::OutputDetails { .. } => Permission::StreamRead,
            Self::CreateInput
            | Self::CreateOutput { .. }
            | Self::DeleteInput { .. }
            | Self::DeleteOutput { .. }
            | Self::RotateKeys { .. }
            | Self::RetryOutput { .. }
            | Self::UpdateInput { .. }
            | Self::UpdateOutput { .. } => Permission::StreamWrite,
            Self::Webhook(route) => route.permission(),
        }
    }

    /// `rest` is what follows `/stream/`.
    pub(super) fn parse(method: &str, rest: &str) -> Result<Self, Failure> {
        let segments: Vec<&str> = rest.split('/').collect();
        match segments.as_slice() {
            ["live_inputs"] => match method {
                "GET" => Ok(Self::ListInputs),
                "POST" => Ok(Self::CreateInput),
                _ => Err(Failure::method_not_allowed("GET, POST")),
            },
            ["live_inputs", "events"] => match method {
                "GET" => Ok(Self::AccountEvents),
                _ => Err(Failure::method_not_allowed("GET")),
            },
            ["live_inputs", input, "events"] => {
                let input = input.parse().map_err(|_| Failure::no_such_input());
                match method {
                    "GET" => Ok(Self::InputEvents { input: input? }),
                    _ => Err(Failure::method_not_allowed("GET")),
                }
            }
            ["live_inputs", input] => {
                let input = || input.parse().map_err(|_| Failure::no_such_input());
                match method {
                    "GET" => Ok(Self::InputDetails { input: input()? }),
                    "PUT" => Ok(Self::UpdateInput { input: input()? }),
                    "DELETE" => Ok(Self::DeleteInput { input: input()? }),
                    _ => Err(Failure::method_not_allowed("GET, PUT, DELETE")),
                }
            }
            ["live_inputs", input, "outputs"] => {
                let input = || input.parse().map_err(|_| Failure::no_such_input());
                match method {
                    "GET" => Ok(Self::ListOutputs { input: input()? }),
                    "POST" => Ok(Self::CreateOutput { input: input()? }),
                    _ => Err(Failure::method_not_allowed("GET, POST")),
                }
            }
            ["live_inputs", input, "outputs", output] => {
                let input = || input.parse().map_err(|_| Failure::no_such_input());
                let output = || output.parse().map_err(|_| Failure::no_such_output());
                match method {
                    "GET" => Ok(Self::OutputDetails {
                        input: input()?,
                        output: output()?,
                    }),
                    "PUT" => Ok(Self::UpdateOutput {
                        input: input()?,
                        output: output()?,
                    }),
                    "DELETE" => Ok(Self::DeleteOutput {
                        input: input()?,
                        output: output()?,
                    }),
                    _ => Err(Failure::method_not_allowed("GET, PUT, DELETE")),
                }
            }
            ["live_inputs", input, "outputs", output, "retry"] => {
                let input = input.parse().map_err(|_| Failure::no_such_input());
                let output = output.parse().map_err(|_| Failure::no_such_output());
                match method {
                    "POST" => Ok(Self::RetryOutput {
                        input: input?,
                        output: output?,
                    }),
                    _ => Err(Failure::method_not_allowed("POST")),
                }
            }
            ["live_inputs", input, "rotate_keys"] => {
                let input = input.parse().map_err(|_| Failure::no_such_input());
                match method {
                    "POST" => Ok(Self::RotateKeys { input: input? }),
                    _ => Err(Failure::method_not_allowed("POST")),
                }
            }
            ["live_inputs", input, "videos"] => {
                let input = input.parse().map_err(|_| Failure::no_such_input());
                match method {
                    "GET" => Ok(Self::ListVideos { input: input? }),
                    _ => Err(Failure::method_not_allowed("GET")),
                }
            }
            ["webhook", rest @ ..] => WebhookRoute::parse(method, rest).map(Self::Webhook),
            _ => Err(Failure::no_route()),
        }
    }
}
