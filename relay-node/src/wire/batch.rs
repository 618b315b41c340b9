//! Messages in one piece, made once for all outputs that write the same.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
pub struct Batches(Mutex<Asked>);

#[derive(Debug, Default)]
struct Asked {
    last: Option<Last>,
    /// Whether the one before the last was shared.
    was_shared: bool,
}

#[derive(Debug)]
struct Last {
    framing: Framing,
    items: Arc<Vec<SendItem>>,
    /// Made when it is asked for again, or at once where the one before it was: many outputs are in
    /// step with nobody, and who was will be.
    batch: Option<Arc<Batch>>,
    is_shared: bool,
}

impl Asked {
    /// Forgets the last.
    fn put_away(&mut self) {
        if let Some(last) = self.last.take() {
            self.was_shared = last.is_shared;
        }
    }
}

impl Last {
    /// Makes it, if all of it can be written: what cannot is for each output to tell.
    #[cold]
    fn make(&mut self, client: &PublishClient) -> Option<Arc<Batch>> {
        let messages: Result<Vec<_>, _> = self
            .items
            .iter()
            .map(|item| client.message(item.kind, item.timestamp, item.payload.clone()))
            .collect();
        let batch = Arc::new(Batch::of(&messages.ok()?));
        Some(Arc::clone(self.batch.insert(batch)))
    }
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
    /// `items` as `client`, whose framing this is, writes them, if another output has just asked for
    /// the very same list.
    pub fn ask(
        &self,
        framing: Framing,
        client: &PublishClient,
        items: &Arc<Vec<SendItem>>,
    ) -> Option<Arc<Batch>> {
        let mut asked = self.lock();
        if let Some(last) = &mut asked.last
            && last.framing == framing
            && Arc::ptr_eq(&last.items, items)
        {
            last.is_shared = true;
            return last.batch.clone().or_else(|| last.make(client));
        }
        let size: usize = items.iter().map(|item| item.payload.len()).sum();
        if items.is_empty() || size > BATCH_MAX {
            return None;
        }
        asked.put_away();
        let was_shared = asked.was_shared;
        let new = asked.last.insert(Last {
            framing,
            items: Arc::clone(items),
            batch: None,
            is_shared: false,
        });
        was_shared.then(|| new.make(client)).flatten()
    }

    /// Lets go of the last, when all in step have had it: so its memory, which is still in the
    /// processor's caches, is that of the next broadcast's.
    pub fn put_away(&self) {
        self.lock().put_away();
    }

    fn lock(&self) -> MutexGuard<'_, Asked> {
        // It is whole at any moment.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
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

    /// As a client writes them by itself.
    fn written(client: &PublishClient, items: &[SendItem]) -> Vec<u8> {
        let messages = items.iter().map(|item| {
            let message = client.message(item.kind, item.timestamp, item.payload.clone());
            message.unwrap().to_bytes()
        });
        messages.flatten().collect()
    }

    fn ask(
        batches: &Batches,
        client: &PublishClient,
        items: &Arc<Vec<SendItem>>,
    ) -> Option<Arc<Batch>> {
        batches.ask(client.framing(), client, items)
    }

    #[test]
    fn what_outputs_in_step_write_is_made_once_and_for_them_alone() {
        let batches = Batches::default();
        let (first, second) = (live(), live());
        let payload = Bytes::from(vec![7; 70_000]);
        let items = Arc::new(vec![item(40, &payload), item(80, &payload)]);
        assert!(ask(&batches, &first, &items).is_none(), "nobody else may");
        let batch = ask(&batches, &second, &items).unwrap();
        assert_eq!(batch.bytes(), written(&first, &items));
        let again = ask(&batches, &first, &items).unwrap();
        assert!(Arc::ptr_eq(&again, &batch));

        let others = Arc::new(vec![item(40, &payload), item(81, &payload)]);
        let batch = ask(&batches, &first, &others).unwrap();
        assert_eq!(batch.bytes(), written(&first, &others));
        // Its destination has not been told of our chunk size.
        let new = client();
        ask(&batches, &first, &items);
        ask(&batches, &first, &items);
        let batch = ask(&batches, &new, &items).unwrap();
        assert_eq!(batch.bytes(), written(&new, &items));
    }

    #[test]
    fn it_is_made_at_once_while_others_ask_for_it_too() {
        let batches = Batches::default();
        let client = live();
        let payload = Bytes::from_static(b"one");
        let lists = [0, 40, 80, 120, 160, 200, 240].map(|at| Arc::new(vec![item(at, &payload)]));
        let asks = |list: usize| ask(&batches, &client, &lists[list]).is_some();
        assert_eq!([asks(0), asks(1), asks(2)], [false; 3], "nobody shares");
        assert_eq!([asks(2), asks(3), asks(3)], [true; 3]);
        assert_eq!([asks(4), asks(5), asks(6)], [true, false, false]);
    }

    #[test]
    fn what_was_put_away_is_made_at_once_the_next_time() {
        let batches = Batches::default();
        let client = live();
        let payload = Bytes::from_static(b"one");
        let lists = [0, 40, 80].map(|at| Arc::new(vec![item(at, &payload)]));
        assert!(ask(&batches, &client, &lists[0]).is_none());
        let batch = ask(&batches, &client, &lists[0]).unwrap();
        batches.put_away();
        assert_eq!(Arc::strong_count(&batch), 1);
        // Nobody has asked since.
        batches.put_away();
        assert!(ask(&batches, &client, &lists[1]).is_some());
        batches.put_away();
        assert!(ask(&batches, &client, &lists[2]).is_none(), "nobody shared");
    }

    #[test]
    fn what_is_larger_is_written_from_where_it_is() {
        let batches = Batches::default();
        let client = live();
        let payload = Bytes::from(vec![7; BATCH_MAX / 2 + 1]);
        for (cut, is_made) in [(2, true), (1, false)] {
            let items = Arc::new(vec![item(40, &payload), item(80, &payload.slice(cut..))]);
            ask(&batches, &client, &items);
            assert_eq!(ask(&batches, &client, &items).is_some(), is_made);
        }
    }
}
