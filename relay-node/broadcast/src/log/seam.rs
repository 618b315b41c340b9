//! Where one session, or one clock of an encoder, ends and the next has not begun.

use std::collections::VecDeque;
use std::time::Instant;

use rtmp::flv::Tag;
use rtmp::{Message, MessageType};

use crate::cursor::AUDIO_ALONE;
use crate::timeline::{Frame, JUMP, SLIP_MAX};

/// How many messages wait at a seam for the keyframe; past it the oldest goes. A second of several
/// tracks of audio is no more.
pub const SEAM_MAX: usize = 256;

/// The same in bytes: a second of several tracks of audio that is not compressed.
pub const SEAM_MAX_BYTES: usize = 1024 * 1024;

/// What came since the last session ended, and waits for the keyframe that the timeline is anchored
/// at; headers and metadata are with the log.
#[derive(Debug, Default)]
pub(super) struct Seam {
    waiting: VecDeque<Waiting>,
    bytes: usize,
    /// When the audio that waits, or the promise of a picture, began.
    since: Option<Instant>,
}

/// A message that waits.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) arrived: Instant,
    pub(super) tag: Tag,
    pub(super) message: Message,
    /// What it is by the encoder's clock, if it is audio.
    pub(super) frame: Option<Frame>,
}

impl Seam {
    /// A header of video came: a picture will follow, for which audio waits.
    pub(super) fn promise(&mut self, now: Instant) {
        self.since = Some(now);
    }

    /// Keeps a message until the timeline is anchored.
    pub(super) fn keep(&mut self, waiting: Waiting) {
        if let Some(frame) = waiting.frame {
            let last =
                self.waiting.iter().rev().find_map(|earlier| {
                    earlier.frame.filter(|earlier| earlier.track == frame.track)
                });
            // What came before the clock jumped again cannot be told from what comes after it.
            if last.is_some_and(|last| is_jump(last.wire, frame.wire)) {
                self.waiting.retain(|earlier| earlier.frame.is_none());
                self.bytes = self.waiting.iter().map(Waiting::bytes).sum();
                self.since = None;
            }
            self.since.get_or_insert(waiting.arrived);
        }
        self.bytes += waiting.bytes();
        self.waiting.push_back(waiting);
        while self.waiting.len() > SEAM_MAX || self.bytes > SEAM_MAX_BYTES {
            let Some(oldest) = self.waiting.pop_front() else {
                break;
            };
            self.bytes -= oldest.bytes();
        }
    }

    /// The audio frame to anchor at, if audio has waited long enough by `now`.
    pub(super) fn audio_alone(&self, now: Instant) -> Option<(Instant, Frame)> {
        let waited = now.saturating_duration_since(self.since?);
        let (arrived, frame) = self
            .waiting
            .iter()
            .find_map(|waiting| Some((waiting.arrived, waiting.frame?)))?;
        (waited >= AUDIO_ALONE).then_some((arrived, frame))
    }

    /// What waits, in order: first what belongs to video, then audio.
    pub(super) fn open(self) -> (Vec<Waiting>, Vec<Waiting>) {
        self.waiting
            .into_iter()
            .partition(|waiting| waiting.message.kind == MessageType::VIDEO)
    }
}

impl Waiting {
    fn bytes(&self) -> usize {
        self.message.payload.len()
    }
}

fn is_jump(from: u32, to: u32) -> bool {
    // As the timeline sees it.
    let step = i64::from(to.wrapping_sub(from) as i32);
    let ahead = i64::try_from(JUMP.as_millis()).unwrap_or(i64::MAX);
    let back = -i64::try_from(SLIP_MAX).unwrap_or(i64::MAX);
    step > ahead || step < back
}
