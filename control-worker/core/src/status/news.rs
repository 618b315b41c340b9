//! What the object of a node tells the object of a live input.

use serde::{Deserialize, Serialize};
use shared::id::{Instance, NodeName, OutputUid};
use shared::link::Event;
use shared::time::{Timestamp, micros};

/// News of a live input, in the order of their numbers. Told again until the input's object has
/// kept them.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Told {
    /// The node whose object tells.
    pub node: NodeName,
    /// What is new.
    pub news: Vec<Numbered>,
}

/// One piece of news.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Numbered {
    /// Rises with each piece of news from the node's object: a lower one has come before.
    pub number: u64,
    /// The process of the node that it is about.
    pub instance: Instance,
    /// What is new.
    pub news: News,
}

/// What is new.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum News {
    /// The node has acknowledged a snapshot.
    Applied {
        /// Its `rev`.
        rev: u64,
        /// Outputs that the node cannot serve, where it said which.
        unsupported: Option<Vec<OutputUid>>,
        /// Whether it does not know what the snapshot wants, and goes on as before.
        unknown_wish: bool,
    },
    /// Something happened.
    Event(Event),
    /// The process is heard again, after it was silent; what happened meanwhile came before this.
    Heard,
    /// The process holds nothing of the input any more, without having said why.
    Over {
        /// The epoch under which it held it.
        epoch: u64,
    },
    /// Nothing is heard of the process.
    Silent {
        /// When it was last heard.
        #[serde(with = "micros")]
        since: Timestamp,
    },
}
