//! Messages in one piece, made once for all outputs that write the same.

use std::sync::{Arc, Mutex, PoisonError};

use broadcast::SendItem;
use bytes::{Bytes, BytesMut};
use rtmp::ChunkedMessage;
use rtmp::client::{Framing, PublishClient};

/// How large a piece is made, in bytes of payload: what a read of the log gives, unless its last
/// message is very large. Beyond it messages are written from where they are, so that the copies
/// stay small beside the log.
const BATCH_MAX: usize = 512 * 1024;

/// Whole messages, one after the other as they go onto the wire.
#[derive(Debug)]
pub struct Batch {
    bytes: Bytes,
    /// Where each message ends.
    ends: Vec<usize>,
}

/// The batch that was asked for last by an output of a broadcast. Outputs that are in step ask for
/// the same one after the other
/// ([0053](../../../docs/decisions/0053-the-same-bytes-are-made-once.md)).
#[derive(Debug, Default)]
pub struct Batches(Mutex<Option<Last>>);

#[derive(Debug)]
struct Last {
    framing: Framing,
    items: Vec<SendItem>,
    /// Made when it is asked for again: many outputs are in step with nobody.
    batch: Option<Arc<Batch>>,
}

impl Batch {
    /// All of it.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Up to the end of the message of which something is in the first `begun` bytes.
    pub fn begun(&self, begun: usize) -> Bytes {
        let end = self.ends.iter().find(|end| **end >= begun);
        self.bytes.slice(..end.copied().unwrap_or(self.bytes.len()))
    }

    pub(super) fn of(messages: &[ChunkedMessage]) -> Self {
        let size = messages.iter().map(|message| message.len()).sum();
        let mut bytes = BytesMut::with_capacity(size);
        let mut ends = Vec::with_capacity(messages.len());
        for message in messages {
            message.put(&mut bytes);
            ends.push(bytes.len());
        }
        Self {
            bytes: bytes.freeze(),
            ends,
        }
    }
}

impl Batches {
    /// `items` as `client` writes them, if another output has just asked for the same.
    pub fn ask(&self, client: &PublishClient, items: &[SendItem]) -> Option<Arc<Batch>> {
        let size: usize = items.iter().map(|item| item.payload.len()).sum();
        if items.is_empty() || size > BATCH_MAX {
            return None;
        }
        // It is whole at any moment.
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let framing = client.framing();
        match &mut *last {
            Some(last) if last.framing == framing && are_same(&last.items, items) => {
                if last.batch.is_none() {
                    let messages: Result<Vec<_>, _> = items
                        .iter()
                        .map(|item| client.message(item.kind, item.timestamp, item.payload.clone()))
                        .collect();
                    // What cannot be written is for each output to tell.
                    last.batch = Some(Arc::new(Batch::of(&messages.ok()?)));
                }
                last.batch.clone()
            }
            _ => {
                *last = Some(Last {
                    framing,
                    items: items.to_vec(),
                    batch: None,
                });
                None
            }
        }
    }
}

/// Whether these are the very same payloads at the same times.
fn are_same(some: &[SendItem], others: &[SendItem]) -> bool {
    some.len() == others.len()
        && some.iter().zip(others).all(|(one, other)| {
            one.kind == other.kind
                && one.timestamp == other.timestamp
                && one.payload.as_ptr() == other.payload.as_ptr()
                && one.payload.len() == other.payload.len()
        })
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use rtmp::client::{Login, PublishTarget};
    use rtmp::server::{ServerConfig, ServerEvent, ServerSession};
    use rtmp::{Capabilities, MessageType, StreamName};

    use super::*;

    fn client() -> PublishClient {
        let target = PublishTarget {
            app: "live".to_owned(),
            tc_url: "rtmp://a.example/live".to_owned(),
            stream_name: StreamName::new("stream"),
            capabilities: Capabilities::default(),
            credentials: None,
            login: Login::default(),
        };
        PublishClient::new(target, Instant::now()).unwrap()
    }

    /// One that publishes.
    fn live() -> PublishClient {
        let now = Instant::now();
        let mut client = client();
        let mut server = ServerSession::new(ServerConfig::default(), now);
        while client.poll_event().is_none() {
            while let Some(bytes) = client.poll_output() {
                server.input(now, &bytes).unwrap();
            }
            while let Some(event) = server.poll_event() {
                if let ServerEvent::PublishRequested(_) = event {
                    server.accept(now).unwrap();
                }
            }
            while let Some(bytes) = server.poll_output() {
                client.input(now, &bytes).unwrap();
            }
        }
        client
    }

    fn item(timestamp: u32, payload: &Bytes) -> SendItem {
        SendItem {
            kind: MessageType::VIDEO,
            timestamp,
            payload: payload.clone(),
        }
    }

    #[test]
    fn what_outputs_in_step_write_is_made_once_and_for_them_alone() {
        let batches = Batches::default();
        let (first, second) = (live(), live());
        let payload = Bytes::from(vec![7; 70_000]);
        let items = [item(40, &payload), item(80, &payload)];
        assert!(batches.ask(&first, &items).is_none(), "nobody else may");
        let batch = batches.ask(&second, &items).unwrap();
        let mut expected = Vec::new();
        for item in items.clone() {
            let message = first.message(item.kind, item.timestamp, item.payload);
            expected.extend_from_slice(&message.unwrap().to_bytes());
        }
        assert_eq!(batch.bytes(), expected);
        let again = batches.ask(&first, &items).unwrap();
        assert!(Arc::ptr_eq(&again, &batch));

        let another = Bytes::from(vec![8; 70_000]);
        let of_another_kind = SendItem {
            kind: MessageType::AUDIO,
            ..items[1].clone()
        };
        for others in [
            vec![item(40, &payload), item(81, &payload)],
            vec![item(40, &payload), item(80, &another)],
            vec![item(40, &payload), item(80, &payload.slice(1..))],
            vec![item(40, &payload), item(80, &payload.slice(..69_999))],
            vec![item(40, &payload), of_another_kind],
            vec![item(40, &payload)],
        ] {
            batches.ask(&first, &items);
            assert!(batches.ask(&first, &items).is_some());
            assert!(batches.ask(&first, &others).is_none(), "{others:?}");
        }
        // Its destination has not been told of our chunk size.
        batches.ask(&first, &items);
        assert!(batches.ask(&client(), &items).is_none());
    }

    #[test]
    fn what_is_larger_is_written_from_where_it_is() {
        let batches = Batches::default();
        let client = live();
        let payload = Bytes::from(vec![7; BATCH_MAX / 2 + 1]);
        for (items, is_made) in [
            ([item(40, &payload), item(80, &payload.slice(2..))], true),
            ([item(40, &payload), item(80, &payload.slice(1..))], false),
        ] {
            batches.ask(&client, &items);
            assert_eq!(batches.ask(&client, &items).is_some(), is_made);
        }
    }
}
