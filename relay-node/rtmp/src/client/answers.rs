//! What a destination says, and what it means for the stream.

use std::time::Instant;

use super::{
    CONNECT, CREATE_STREAM, ClientEvent, Demand, FC_PUBLISH, PublishClient, RELEASE_STREAM, State,
    Words,
};
use crate::amf0::Value;
use crate::capabilities::Capabilities;
use crate::command::Command;

/// How much of a code and of a description is kept, in characters: a few sentences. What is longer
/// is cut.
const MAX_WORDS: usize = 512;

impl PublishClient {
    pub(super) fn answer(&mut self, now: Instant, command: &Command) {
        match command.name.as_str() {
            "_result" => self.result(now, command),
            "_error" => self.error(command),
            "onStatus" => self.status(command),
            "close" => self.ended(Words::default()),
            // onBWDone, onFCPublish and whatever else a server has to tell asks for nothing.
            _ => {}
        }
    }

    fn result(&mut self, now: Instant, result: &Command) {
        if result.transaction == CONNECT && self.state == State::Connecting {
            match refusal(result.argument(0)) {
                true => self.refused(result.argument(0)),
                false => {
                    self.capabilities = announced(result);
                    self.create_stream(now);
                }
            }
        } else if result.transaction == CREATE_STREAM && self.state == State::Creating {
            // A server that doesn't say is taken to begin at 1, since 0 is the connection.
            let id = result.argument(0).and_then(Value::as_number);
            self.publish(now, id.map_or(1, |id| id as u32).max(1));
        }
    }

    fn error(&mut self, error: &Command) {
        // Many servers don't know these two, and do very well without.
        if error.transaction == RELEASE_STREAM || error.transaction == FC_PUBLISH {
            return;
        }
        // Where the information is where it should not be, the text is better than none.
        let information = error.argument(0).or_else(|| error.values.first());
        self.refused(information);
    }

    fn status(&mut self, status: &Command) {
        let information = status.argument(0);
        if refusal(information) {
            self.refused(information);
            return;
        }
        match (code(information), self.state) {
            ("NetStream.Publish.Start", State::Starting) => self.live(true),
            (
                "NetStream.Unpublish.Success"
                | "NetConnection.Connect.Closed"
                | "NetConnection.Connect.AppShutdown",
                _,
            ) => self.ended(self.words(information)),
            _ => {}
        }
    }

    fn refused(&mut self, information: Option<&Value>) {
        let demand = match self.state {
            State::Connecting => text(information, "description").and_then(Demand::read),
            _ => None,
        };
        let event = match demand {
            Some(demand) => ClientEvent::Unauthorized(demand),
            None => ClientEvent::Refused(self.words(information)),
        };
        self.close();
        self.events.push_back(event);
    }

    fn ended(&mut self, words: Words) {
        self.close();
        self.events.push_back(ClientEvent::Ended(words));
    }

    fn words(&self, information: Option<&Value>) -> Words {
        let description = text(information, "description").unwrap_or_default();
        Words {
            // A code that we know holds no key, whatever the key is: callers act on it.
            code: match code(information) {
                known if REFUSALS.contains(&known) => known.to_owned(),
                unknown => self.presentable(unknown),
            },
            description: match (self.presentable(description), information) {
                // Some put the text in the place of the object.
                (empty, Some(Value::String(bare))) if empty.is_empty() => self.presentable(bare),
                (description, _) => description,
            },
        }
    }

    /// A text without our secrets, shortened and in one line.
    fn presentable(&self, text: &str) -> String {
        // Redacted first: a cut could leave the half of a key.
        self.target
            .redact(text)
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(MAX_WORDS)
            .collect()
    }
}

/// What an answer to `connect` says of Enhanced RTMP. No version says in which of its two objects
/// that stands: servers put it in either.
fn announced(result: &Command) -> Capabilities {
    let capabilities = Capabilities::read(result.object());
    match result.argument(0) {
        Some(information) if capabilities.is_empty() => Capabilities::read(information),
        _ => capabilities,
    }
}

fn code(information: Option<&Value>) -> &str {
    text(information, "code").unwrap_or_default()
}

fn text<'v>(information: Option<&'v Value>, name: &str) -> Option<&'v str> {
    information?.get(name)?.as_str()
}

/// Whether an information object means no. Some servers refuse at level `status`, or at none.
fn refusal(information: Option<&Value>) -> bool {
    text(information, "level") == Some("error") || REFUSALS.contains(&code(information))
}

/// Codes that mean no at any level.
const REFUSALS: [&str; 8] = [
    "NetConnection.Connect.Failed",
    "NetConnection.Connect.InvalidApp",
    "NetConnection.Connect.Rejected",
    "NetStream.Failed",
    "NetStream.Publish.BadName",
    "NetStream.Publish.Denied",
    "NetStream.Publish.Failed",
    "NetStream.Publish.Rejected",
];
