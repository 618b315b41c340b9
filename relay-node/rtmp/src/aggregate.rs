use bytes::{Buf, Bytes};

use crate::message::{Message, MessageType};

/// Takes an aggregate message apart (RTMP 1.0, section 7.1.6): FLV tags, one behind another.
///
/// Ends at the first tag that isn't whole. What can't be the media of a publisher is left out.
pub(crate) struct Parts {
    rest: Bytes,
    stream_id: u32,
    /// The aggregate's own time, on which its first tag lies.
    base: u32,
    first: Option<u32>,
}

impl Parts {
    pub(crate) fn new(aggregate: Message) -> Self {
        Self {
            rest: aggregate.payload,
            stream_id: aggregate.stream_id,
            base: aggregate.timestamp,
            first: None,
        }
    }
}

impl Iterator for Parts {
    type Item = Message;

    fn next(&mut self) -> Option<Message> {
        loop {
            let header: [u8; TAG_HEADER] = *self.rest.first_chunk()?;
            // Type, 24 bits of length, 24 of time with the high byte behind, the stream's id.
            let [kind, l1, l2, l3, t2, t3, t4, t1, ..] = header;
            let length = usize::try_from(u32::from_be_bytes([0, l1, l2, l3])).ok()?;
            let time = u32::from_be_bytes([t1, t2, t3, t4]);
            self.rest.advance(TAG_HEADER);
            if self.rest.len() < length {
                self.rest.clear();
                return None;
            }
            let payload = self.rest.split_to(length);
            // The length once more; some leave it out behind the last tag.
            self.rest.advance(BACK_POINTER.min(self.rest.len()));

            let first = *self.first.get_or_insert(time);
            let kind = MessageType(kind);
            if matches!(
                kind,
                MessageType::AUDIO
                    | MessageType::VIDEO
                    | MessageType::DATA_AMF0
                    | MessageType::DATA_AMF3
            ) {
                return Some(Message {
                    kind,
                    timestamp: self.base.wrapping_add(time.wrapping_sub(first)),
                    stream_id: self.stream_id,
                    payload,
                });
            }
        }
    }
}

const TAG_HEADER: usize = 11;
const BACK_POINTER: usize = 4;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tag(kind: u8, time: u32, payload: &[u8]) -> Vec<u8> {
        let [t1, t2, t3, t4] = time.to_be_bytes();
        let [_, l1, l2, l3] = (payload.len() as u32).to_be_bytes();
        let mut tag = vec![kind, l1, l2, l3, t2, t3, t4, t1, 0, 0, 0];
        tag.extend_from_slice(payload);
        tag.extend_from_slice(&(payload.len() as u32 + 11).to_be_bytes());
        tag
    }

    fn aggregate(timestamp: u32, payload: Vec<u8>) -> Message {
        Message {
            kind: MessageType::AGGREGATE,
            timestamp,
            stream_id: 1,
            payload: payload.into(),
        }
    }

    fn parts(timestamp: u32, payload: Vec<u8>) -> Vec<(u8, u32, Vec<u8>)> {
        Parts::new(aggregate(timestamp, payload))
            .map(|part| (part.kind.0, part.timestamp, part.payload.to_vec()))
            .collect()
    }

    #[test]
    fn parts_keep_their_distance_from_the_time_of_the_whole() {
        let payload = [
            tag(9, 0x0100_0000, b"v"),
            tag(8, 0x0100_0017, b"aa"),
            tag(18, 0x0100_0017, b""),
        ];
        assert_eq!(
            parts(u32::MAX, payload.concat()),
            [
                (9, u32::MAX, b"v".to_vec()),
                (8, 0x16, b"aa".to_vec()),
                (18, 0x16, vec![])
            ]
        );
    }

    #[test]
    fn commands_and_aggregates_inside_are_left_out() {
        let payload = [
            tag(20, 0, b"c"),
            tag(22, 0, &tag(9, 0, b"x")),
            tag(9, 5, b"v"),
        ];
        assert_eq!(parts(0, payload.concat()), [(9, 5, b"v".to_vec())]);
    }

    #[test]
    fn a_tag_that_is_cut_ends_it() {
        let whole = [tag(9, 0, b"one"), tag(9, 1, b"two")].concat();
        let first = tag(9, 0, b"one").len();
        for cut in 0..whole.len() {
            let complete = match cut {
                _ if cut < first - 4 => 0,
                _ if cut < whole.len() - 4 => 1,
                _ => 2,
            };
            assert_eq!(
                parts(0, whole[..cut].to_vec()).len(),
                complete,
                "cut at {cut}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parts(0, bytes);
        }
    }
}
