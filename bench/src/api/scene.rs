//! One side with its connections, each with things of its own to ask about.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::Result;
use futures_util::future::try_join_all;

use super::client::{Client, Question, id};
use super::end_points::{Course, EndPoint, Kind, LIST};
use crate::spread::Spread;

/// Live inputs of the account, at the least, when they are listed: the product's limit.
const LISTED_INPUTS: usize = 1000;

/// One side with its connections.
pub(crate) struct Scene {
    end_point: EndPoint,
    connections: Vec<Connection>,
}

struct Connection {
    client: Client,
    made: Vec<(Kind, String)>,
}

/// Ids by their names in paths.
pub(crate) type Ids = BTreeMap<&'static str, String>;

impl Scene {
    /// Makes what the end point asks about.
    pub(crate) async fn prepare(end_point: EndPoint, clients: Vec<Client>) -> Result<Self> {
        let connections = clients.into_iter().map(|client| async move {
            let mut connection = Connection {
                client,
                made: Vec::new(),
            };
            for &kind in end_point.scene {
                let id = connection.make(kind).await?;
                connection.made.push((kind, id));
            }
            Ok::<_, anyhow::Error>(connection)
        });
        let scene = Self {
            end_point,
            connections: try_join_all(connections).await?,
        };
        if end_point.query.contains(LIST) {
            scene.fill_list().await?;
        }
        Ok(scene)
    }

    async fn fill_list(&self) -> Result<()> {
        let Some(connection) = self.connections.first() else {
            return Ok(());
        };
        let (_, _, listed) = connection.ask(&self.end_point.question(), &[]).await?;
        let there = String::from_utf8_lossy(&listed).matches("\"uid\"").count();
        for _ in there..LISTED_INPUTS {
            connection.make(Kind::Input).await?;
        }
        Ok(())
    }

    /// Every connection asks so often, all of them at the same time.
    pub(crate) async fn round(&self, requests: usize, times: &mut Spread) -> Result<()> {
        let end_point = &self.end_point;
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

    /// Takes away what was made, so that the next end point finds the account's limits as far away.
    pub(crate) async fn clear(self) -> Result<()> {
        for mut connection in self.connections {
            while let Some((kind, id)) = connection.made.pop() {
                // All have the account's one webhook.
                if kind != Kind::Webhook {
                    connection.delete(kind, &id).await?;
                }
            }
        }
        Ok(())
    }
}

impl Connection {
    /// Asks once.
    async fn once(&self, end_point: &EndPoint) -> Result<(Instant, Instant)> {
        let question = end_point.question();
        let (start, end) = match end_point.course {
            Course::Plain => {
                let (start, end, _) = self.ask(&question, &[]).await?;
                (start, end)
            }
            Course::Undone(kind) => {
                let (start, end, answer) = self.ask(&question, &[]).await?;
                self.delete(kind, &id(&answer)?).await?;
                (start, end)
            }
            Course::Remade(kind) => {
                let made = (kind, self.make(kind).await?);
                let (start, end, _) = self.ask(&question, &[made]).await?;
                (start, end)
            }
        };
        Ok((start, end))
    }

    async fn make(&self, kind: Kind) -> Result<String> {
        let (method, path, body) = kind.made_by();
        let question = Question {
            method,
            path,
            query: "",
            body: Some(body),
        };
        let (_, _, answer) = self.ask(&question, &[]).await?;
        id(&answer)
    }

    async fn delete(&self, kind: Kind, id: &str) -> Result<()> {
        let question = Question {
            method: "DELETE",
            path: kind.deleted_at(),
            query: "",
            body: None,
        };
        self.ask(&question, &[(kind, id.to_owned())]).await?;
        Ok(())
    }

    async fn ask(
        &self,
        question: &Question,
        more: &[(Kind, String)],
    ) -> Result<(Instant, Instant, Vec<u8>)> {
        let all = self.made.iter().chain(more);
        let ids: Ids = all.map(|(kind, id)| (kind.name(), id.clone())).collect();
        self.client.ask(question, &ids).await
    }
}

impl EndPoint {
    fn question(&self) -> Question {
        Question {
            method: self.method,
            path: self.path,
            query: self.query,
            body: self.body,
        }
    }
}
