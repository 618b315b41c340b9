//! What is asked, and what must be there for it.

use std::time::Instant;

use anyhow::Result;
use futures_util::future::try_join_all;
use reqwest::Method;

use super::client::{Client, uid};
use crate::spread::Spread;

/// Outputs of the input whose outputs are listed: as many as most people have destinations.
const OUTPUTS: usize = 5;

/// Live inputs of the account, at the least, when they are listed: the product's limit.
const LISTED_INPUTS: usize = 1000;

/// The query of the list.
pub(crate) const LIST: &str = "limit=1000";

pub(crate) const INPUT: &str = r#"{"meta":{"name":"a live input"}}"#;
pub(crate) const SWITCH: &str = r#"{"enabled":true}"#;
pub(crate) const OUTPUT: &str =
    r#"{"url":"rtmps://b.rtmps.example.com/live2","streamKey":"uzya-f19y-g2g9-a2ee-51j2"}"#;

/// An end point.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum EndPoint {
    ListThousand,
    InputDetails,
    ListOutputs,
    CreateInput,
    UpdateInput,
    DeleteInput,
    CreateOutput,
    UpdateOutput,
    DeleteOutput,
}

impl EndPoint {
    /// The list first: the others make more live inputs, and it is the list of 1000.
    pub(crate) const ALL: [Self; 9] = [
        Self::ListThousand,
        Self::InputDetails,
        Self::ListOutputs,
        Self::CreateInput,
        Self::UpdateInput,
        Self::DeleteInput,
        Self::CreateOutput,
        Self::UpdateOutput,
        Self::DeleteOutput,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ListThousand => "GET /live_inputs (1000)",
            Self::InputDetails => "GET /live_inputs/:i",
            Self::ListOutputs => "GET /live_inputs/:i/outputs (5)",
            Self::CreateInput => "POST /live_inputs",
            Self::UpdateInput => "PUT /live_inputs/:i",
            Self::DeleteInput => "DELETE /live_inputs/:i",
            Self::CreateOutput => "POST /live_inputs/:i/outputs",
            Self::UpdateOutput => "PUT /live_inputs/:i/outputs/:o",
            Self::DeleteOutput => "DELETE /live_inputs/:i/outputs/:o",
        }
    }
}

fn list() -> String {
    format!("?{LIST}")
}

/// One side with its connections, each with a live input of its own.
pub(crate) struct Scene {
    end_point: EndPoint,
    connections: Vec<Connection>,
}

struct Connection {
    client: Client,
    input: String,
    output: String,
}

impl Scene {
    /// Makes what the end point asks for.
    pub(crate) async fn prepare(end_point: EndPoint, clients: Vec<Client>) -> Result<Self> {
        let connections = clients.into_iter().map(|client| async move {
            let input = client.make("", INPUT).await?;
            let mut output = String::new();
            for _ in 0..OUTPUTS {
                output = client.make(&format!("/{input}/outputs"), OUTPUT).await?;
            }
            Ok::<_, anyhow::Error>(Connection {
                client,
                input,
                output,
            })
        });
        let scene = Self {
            end_point,
            connections: try_join_all(connections).await?,
        };
        if end_point == EndPoint::ListThousand {
            scene.fill_list().await?;
        }
        Ok(scene)
    }

    async fn fill_list(&self) -> Result<()> {
        let Some(connection) = self.connections.first() else {
            return Ok(());
        };
        let (_, _, listed) = connection.client.ask(Method::GET, &list(), None).await?;
        let there = String::from_utf8_lossy(&listed).matches("\"uid\"").count();
        for _ in there..LISTED_INPUTS {
            connection.client.make("", INPUT).await?;
        }
        Ok(())
    }

    /// Every connection asks so often, all of them at the same time.
    pub(crate) async fn round(&self, requests: usize, times: &mut Spread) -> Result<()> {
        let end_point = self.end_point;
        let rounds = self.connections.iter().map(|connection| async move {
            let mut times = Vec::with_capacity(requests);
            for _ in 0..requests {
                times.push(connection.once(end_point).await?);
            }
            Ok::<_, anyhow::Error>(times)
        });
        for (start, end) in try_join_all(rounds).await?.into_iter().flatten() {
            times.add(start, end);
        }
        Ok(())
    }
}

impl Connection {
    /// Asks once. What is made is taken away again, and what is taken away made before, outside of
    /// the time: the thousandth answer is no longer than the first.
    async fn once(&self, end_point: EndPoint) -> Result<(Instant, Instant)> {
        let Self {
            client,
            input,
            output,
        } = self;
        let one = format!("/{input}");
        let outputs = format!("/{input}/outputs");
        let timed = async |method, path: &str, body| {
            let (start, end, _) = client.ask(method, path, body).await?;
            Ok::<_, anyhow::Error>((start, end))
        };
        let delete = async |path: String| client.ask(Method::DELETE, &path, None).await;
        match end_point {
            EndPoint::ListThousand => timed(Method::GET, &list(), None).await,
            EndPoint::InputDetails => timed(Method::GET, &one, None).await,
            EndPoint::ListOutputs => timed(Method::GET, &outputs, None).await,
            EndPoint::UpdateInput => timed(Method::PUT, &one, Some(SWITCH)).await,
            EndPoint::UpdateOutput => {
                let path = format!("{outputs}/{output}");
                timed(Method::PUT, &path, Some(SWITCH)).await
            }
            EndPoint::CreateInput => {
                let (start, end, answer) = client.ask(Method::POST, "", Some(INPUT)).await?;
                delete(format!("/{}", uid(&answer)?)).await?;
                Ok((start, end))
            }
            EndPoint::CreateOutput => {
                let (start, end, answer) = client.ask(Method::POST, &outputs, Some(OUTPUT)).await?;
                delete(format!("{outputs}/{}", uid(&answer)?)).await?;
                Ok((start, end))
            }
            EndPoint::DeleteInput => {
                let path = format!("/{}", client.make("", INPUT).await?);
                timed(Method::DELETE, &path, None).await
            }
            EndPoint::DeleteOutput => {
                let path = format!("{outputs}/{}", client.make(&outputs, OUTPUT).await?);
                timed(Method::DELETE, &path, None).await
            }
        }
    }
}
