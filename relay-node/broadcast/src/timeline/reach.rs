//! How far a timeline is filled.

use std::time::{Duration, Instant};

use super::{Frame, Media, millis};

/// The longest composition time that is believed, in milliseconds. Real ones are a few frames; the
/// wire could say two hours, and no destination waits for them.
const COMPOSITION_MAX: u64 = 10_000;

/// The longest step between two frames that is taken for the length of one.
const FRAME_MAX: Duration = Duration::from_secs(1);

/// The length of a frame where only one has been seen, in milliseconds: at 25 pictures a second.
const FRAME_GUESS: u64 = 40;

/// What lies on a timeline.
#[derive(Clone, Debug, Default)]
pub(super) struct Reach {
    /// The furthest frame's time, and when the last one came.
    last: Option<(u64, Instant)>,
    /// The newest frame of each track; a track's number is one byte, so there are few.
    tracks: Vec<Track>,
    /// The largest composition time seen.
    composition: u64,
    audio_frame: u64,
    video_frame: u64,
}

#[derive(Clone, Copy, Debug)]
struct Track {
    media: Media,
    number: u8,
    newest: u64,
}

impl Reach {
    pub(super) fn newest(&self) -> Option<u64> {
        self.last.map(|(time, _)| time)
    }

    pub(super) fn of_track(&self, media: Media, number: u8) -> Option<u64> {
        self.tracks
            .iter()
            .find(|track| track.media == media && track.number == number)
            .map(|track| track.newest)
    }

    /// The earliest time for a frame with this composition time that comes at `arrived` and is
    /// joined to what is there; nothing where there is nothing.
    pub(super) fn after(&self, arrived: Instant, composition: i32) -> Option<u64> {
        let (newest, at) = self.last?;
        let elapsed = millis(arrived.saturating_duration_since(at));
        let early = match composition < 0 {
            true => u64::from(composition.unsigned_abs()).min(COMPOSITION_MAX),
            false => 0,
        };
        let least = self.composition + self.frame() + early;
        Some(newest.saturating_add(elapsed.max(least)))
    }

    /// Puts a frame on it, not before its track's last one, and gives its time.
    pub(super) fn extend(&mut self, arrived: Instant, frame: Frame, time: u64) -> u64 {
        let Frame {
            media,
            track: number,
            composition,
            ..
        } = frame;
        let track = self
            .tracks
            .iter_mut()
            .find(|track| track.media == media && track.number == number);
        let time = match track {
            Some(track) => {
                let step = time.saturating_sub(track.newest);
                track.newest += step;
                if (1..=millis(FRAME_MAX)).contains(&step) {
                    match media {
                        Media::Audio => self.audio_frame = step,
                        Media::Video => self.video_frame = step,
                    }
                }
                track.newest
            }
            None => {
                self.tracks.push(Track {
                    media,
                    number,
                    newest: time,
                });
                time
            }
        };
        let furthest = self.newest().map_or(time, |newest| newest.max(time));
        self.last = Some((furthest, arrived));
        let composition = u64::try_from(composition).unwrap_or_default();
        self.composition = self.composition.max(composition.min(COMPOSITION_MAX));
        time
    }

    fn frame(&self) -> u64 {
        match self.audio_frame.max(self.video_frame) {
            0 => FRAME_GUESS,
            frame => frame,
        }
    }
}
