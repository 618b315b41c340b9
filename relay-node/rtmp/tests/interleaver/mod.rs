//! A chunk writer that does all that the specification allows, and that no sane encoder does.

use std::collections::VecDeque;

use rtmp::{ChunkSize, Message};

use super::{Step, set_chunk_size};

/// Sends several queues of messages, each on a chunk stream of its own, with their chunks mixed:
/// all header formats where they apply, extended timestamps repeated or not, changes of the chunk
/// size in the middle of messages.
pub(crate) struct Interleaver {
    lanes: Vec<Lane>,
    choices: Vec<u8>,
    next_choice: usize,
    chunk_size: ChunkSize,
    wire: Vec<u8>,
    completed: Vec<Message>,
}

struct Lane {
    chunk_stream: u32,
    waiting: VecDeque<Step>,
    current: Option<(Message, usize)>,
    last: Option<Last>,
}

/// What the receiver remembers of a chunk stream.
struct Last {
    message: Message,
    delta: u32,
}

impl Interleaver {
    /// `choices` decide, over and over, about everything that may go one way or another.
    pub(crate) fn new(queues: Vec<Vec<Step>>, choices: Vec<u8>) -> Self {
        // One-, two- and three-byte ids.
        let ids = [4, 63, 64, 319, 320, 65_599];
        let lanes = queues
            .into_iter()
            .zip(ids)
            .map(|(queue, chunk_stream)| Lane {
                chunk_stream,
                waiting: queue.into(),
                current: None,
                last: None,
            });
        Self {
            lanes: lanes.collect(),
            choices,
            next_choice: 0,
            chunk_size: ChunkSize::INITIAL,
            wire: Vec::new(),
            completed: Vec::new(),
        }
    }

    /// The bytes, and the messages in the order in which they are complete.
    pub(crate) fn run(mut self) -> (Vec<u8>, Vec<Message>) {
        loop {
            let busy: Vec<usize> = (0..self.lanes.len())
                .filter(|&lane| {
                    let lane = &self.lanes[lane];
                    lane.current.is_some() || !lane.waiting.is_empty()
                })
                .collect();
            if busy.is_empty() {
                // A last chunk that begins as an extended timestamp would is told from one by what
                // comes after it.
                self.write_chunk_size(self.chunk_size);
                return (self.wire, self.completed);
            }
            let lane = busy[self.choose(busy.len())];
            self.write_chunk(lane);
        }
    }

    fn choose(&mut self, among: usize) -> usize {
        let choice = self.choices[self.next_choice % self.choices.len()];
        self.next_choice += 1;
        usize::from(choice) % among
    }

    fn write_chunk(&mut self, index: usize) {
        match self.lanes[index].current.take() {
            Some((message, sent)) => {
                self.write_basic(3, index);
                let delta = self.lanes[index].last.as_ref().unwrap().delta;
                if delta >= 0xFF_FFFF && self.choose(2) == 0 {
                    self.wire.extend(delta.to_be_bytes());
                }
                self.write_payload(index, message, sent);
            }
            None => {
                let step = self.lanes[index].waiting.pop_front().unwrap();
                if let Some(size) = step.chunk_size {
                    self.write_chunk_size(size);
                }
                self.write_start(index, &step);
            }
        }
    }

    fn write_start(&mut self, index: usize, step: &Step) {
        let last = self.lanes[index].last.take();
        let before = last.as_ref().map_or(0, |last| last.message.timestamp);
        let message = step.message(before.wrapping_add(step.later));
        // The formats that can say it, from the longest.
        let formats = match &last {
            Some(Last { message: old, .. }) if old.stream_id != message.stream_id => 1,
            None => 1,
            Some(Last { message: old, .. })
                if old.kind != message.kind || old.payload.len() != message.payload.len() =>
            {
                2
            }
            Some(Last { delta, .. }) if *delta != step.later => 3,
            Some(_) => 4,
        };
        let format = self.choose(formats) as u8;
        let time = if format == 0 {
            message.timestamp
        } else {
            step.later
        };
        self.write_basic(format, index);
        if format < 3 {
            self.wire.extend(&time.min(0xFF_FFFF).to_be_bytes()[1..]);
        }
        if format < 2 {
            self.wire
                .extend(&(message.payload.len() as u32).to_be_bytes()[1..]);
            self.wire.push(message.kind.0);
        }
        if format == 0 {
            self.wire.extend(message.stream_id.to_le_bytes());
        }
        if time >= 0xFF_FFFF && (format < 3 || self.choose(2) == 0) {
            self.wire.extend(time.to_be_bytes());
        }
        self.lanes[index].last = Some(Last {
            message: message.clone(),
            delta: time,
        });
        self.write_payload(index, message, 0);
    }

    fn write_payload(&mut self, index: usize, message: Message, sent: usize) {
        let end = message
            .payload
            .len()
            .min(sent + self.chunk_size.get() as usize);
        self.wire.extend(&message.payload[sent..end]);
        if end == message.payload.len() {
            self.completed.push(message);
        } else {
            self.lanes[index].current = Some((message, end));
        }
    }

    fn write_basic(&mut self, format: u8, index: usize) {
        let format = format << 6;
        let chunk_stream = self.lanes[index].chunk_stream;
        match chunk_stream {
            id @ 2..=63 => self.wire.push(format | id as u8),
            id @ 64..=319 if self.choose(2) == 0 => self.wire.extend([format, (id - 64) as u8]),
            id => {
                let [low, high] = ((id - 64) as u16).to_le_bytes();
                self.wire.extend([format | 1, low, high]);
            }
        }
    }

    fn write_chunk_size(&mut self, size: ChunkSize) {
        let payload = set_chunk_size(size).payload;
        self.wire.extend([2, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0]);
        for (index, chunk) in payload.chunks(self.chunk_size.get() as usize).enumerate() {
            self.wire.extend(if index > 0 { &[0xC2][..] } else { &[] });
            self.wire.extend(chunk);
        }
        self.chunk_size = size;
    }
}
