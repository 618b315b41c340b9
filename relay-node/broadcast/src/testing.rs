//! A small publisher for tests: real tags with numbered bodies, on a clock that is held.

use std::time::{Duration, Instant};

use bytes::Bytes;
use rtmp::{Message, MessageType};

use crate::{Backlog, Budget, Cursor, Log, Read, Room, SendItem};

/// An AVC sequence header of legacy FLV.
pub(crate) const VIDEO_HEADER: &[u8] = &[0x17, 0, 0, 0, 0, 1];
/// An AAC sequence header of legacy FLV.
pub(crate) const AUDIO_HEADER: &[u8] = &[0xaf, 0, 0x12, 0x10];
/// `@setDataFrame`, `onMetaData`, an empty object.
pub(crate) const METADATA: &[u8] =
    b"\x02\x00\x0d@setDataFrame\x02\x00\x0aonMetaData\x03\x00\x00\x09";

/// A sequence header of Enhanced RTMP for one of several video tracks.
pub(crate) fn multitrack_video_header(track: u8) -> Bytes {
    Bytes::from([&[0x96, 0x00][..], b"avc1", &[track, 1]].concat())
}

/// A log, its publisher and the clock that both are held by. Wire timestamps follow the clock from
/// `first`.
pub(crate) struct Rig {
    pub(crate) log: Log,
    pub(crate) now: Instant,
    pub(crate) wire: u32,
    count: u32,
}

impl Rig {
    pub(crate) fn new(first: u32) -> Self {
        Self {
            log: Log::default(),
            now: Instant::now(),
            wire: first,
            count: 0,
        }
    }

    /// One whose log shares a budget.
    pub(crate) fn under(budget: &Budget) -> Self {
        Self {
            log: Log::under(budget.clone()),
            ..Self::new(0)
        }
    }

    /// A publisher that has sent metadata and both sequence headers.
    pub(crate) fn with_headers(first: u32) -> Self {
        let mut rig = Self::new(first);
        rig.send(MessageType::DATA_AMF0, METADATA);
        rig.send(MessageType::VIDEO, VIDEO_HEADER);
        rig.send(MessageType::AUDIO, AUDIO_HEADER);
        rig
    }

    /// Lets time pass, and with it the publisher's timestamps.
    pub(crate) fn pass(&mut self, millis: u32) {
        self.now += Duration::from_millis(millis.into());
        self.wire = self.wire.wrapping_add(millis);
    }

    /// The same, with a picture each second, but for its end: what nobody sends nobody lags by.
    pub(crate) fn pass_with_pictures(&mut self, millis: u32) {
        let seconds = millis.saturating_sub(1) / 1_000;
        for _ in 0..seconds {
            self.pass(1_000);
            self.inter();
        }
        self.pass(millis - 1_000 * seconds);
    }

    pub(crate) fn send(&mut self, kind: MessageType, payload: impl AsRef<[u8]>) -> Bytes {
        self.send_at(self.wire, kind, Bytes::copy_from_slice(payload.as_ref()))
    }

    pub(crate) fn send_at(&mut self, timestamp: u32, kind: MessageType, payload: Bytes) -> Bytes {
        let message = Message {
            kind,
            timestamp,
            stream_id: 1,
            payload: payload.clone(),
        };
        self.log.append(self.now, message);
        payload
    }

    pub(crate) fn key(&mut self) -> Bytes {
        self.tag(MessageType::VIDEO, &[0x17, 1, 0, 0, 0], 0)
    }

    pub(crate) fn inter(&mut self) -> Bytes {
        self.tag(MessageType::VIDEO, &[0x27, 1, 0, 0, 0], 0)
    }

    pub(crate) fn audio(&mut self) -> Bytes {
        self.tag(MessageType::AUDIO, &[0xaf, 1], 0)
    }

    pub(crate) fn audio_at(&mut self, timestamp: u32) -> Bytes {
        let body = self.body(&[0xaf, 1], 0);
        self.send_at(timestamp, MessageType::AUDIO, body)
    }

    /// A GOP of `frames` frames, 40 ms each, with an audio frame after each, `extra` bytes a
    /// picture.
    pub(crate) fn gop(&mut self, frames: u32, extra: usize) {
        for frame in 0..frames {
            let head = if frame == 0 { 0x17 } else { 0x27 };
            self.tag(MessageType::VIDEO, &[head, 1, 0, 0, 0], extra);
            self.audio();
            self.pass(40);
        }
    }

    pub(crate) fn tag(&mut self, kind: MessageType, head: &[u8], extra: usize) -> Bytes {
        let body = self.body(head, extra);
        self.send_at(self.wire, kind, body)
    }

    /// What a cursor is sent now, with nothing on its way, and how the read ended.
    pub(crate) fn read(&self, cursor: &mut Cursor) -> (Vec<SendItem>, Read) {
        self.read_behind(cursor, 0)
    }

    pub(crate) fn read_behind(
        &self,
        cursor: &mut Cursor,
        unacknowledged: u64,
    ) -> (Vec<SendItem>, Read) {
        let backlog = Backlog {
            unwritten: 0,
            unacknowledged,
            may_be_less: false,
        };
        let room = Room {
            messages: usize::MAX,
            bytes: usize::MAX,
        };
        let mut out = Vec::new();
        let read = cursor.read(&self.log, self.now, backlog, room, &mut out);
        (out, read)
    }

    /// Bodies are numbered, so that no two are the same.
    fn body(&mut self, head: &[u8], extra: usize) -> Bytes {
        self.count += 1;
        let mut body = [head, &self.count.to_be_bytes()].concat();
        body.resize(body.len() + extra, 0);
        Bytes::from(body)
    }
}
