//! How messages come onto a log, and how sessions are joined on it.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use rtmp::flv::{self, Tag, TagClass};
use rtmp::{Message, MessageType};

use super::seam::{Seam, Waiting};
use super::{ENTRY_COST, Entry, Header, Headers, Log, Point};
use crate::timeline::{Frame, Media, Placed};

impl Log {
    /// Another publisher's session begins, or the same one's anew: its clock, metadata and headers
    /// have nothing to do with the last one's.
    pub fn begin_session(&mut self) {
        self.headers = Arc::default();
        self.first_point = None;
        self.first_audio = None;
        self.last_video = None;
        if !self.timeline.is_new() {
            self.lift();
        }
    }

    /// Says whether outputs go on where the format changes, or connect anew, which is the default.
    pub fn let_format_change(&mut self, may_change: bool) {
        self.format_may_change = may_change;
    }

    /// Puts a message at the end, and forgets what has become too old.
    ///
    /// It takes what an output may be sent: audio, video, data and what is unknown; the protocol's
    /// own messages are the session's affair.
    pub fn append(&mut self, now: Instant, message: Message) {
        let tag = flv::inspect(message.kind, &message.payload);
        self.append_inspected(now, tag, message);
    }

    /// [`append`](Self::append) for who has inspected the message already.
    pub fn append_inspected(&mut self, now: Instant, tag: Tag, message: Message) {
        match frame(tag, &message) {
            Some(frame) => self.append_frame(now, tag, frame, message),
            None => self.append_beside(now, tag, message),
        }
        self.trim();
    }

    fn append_frame(&mut self, now: Instant, tag: Tag, frame: Frame, message: Message) {
        if self.timeline.is_new() {
            let time = self.timeline.anchor(now, frame);
            return self.put(now, tag, time, message.kind, message.payload);
        }
        if self.seam.is_none() {
            match self.timeline.place(now, frame) {
                Placed::At(time) => {
                    return self.put(now, tag, time, message.kind, message.payload);
                }
                Placed::Stray => return,
                Placed::Jumped => self.lift(),
            }
        }
        match frame.media {
            Media::Video if frame.key => self.join(now, frame, Some((now, tag, message))),
            // Nothing to decode it with.
            Media::Video => {}
            Media::Audio => {
                let seam = self.seam.get_or_insert_default();
                seam.keep(Waiting {
                    arrived: now,
                    tag,
                    message,
                    frame: Some(frame),
                });
                if let Some((arrived, first)) = seam.audio_alone(now) {
                    self.join(arrived, first, None);
                }
            }
        }
    }

    fn append_beside(&mut self, now: Instant, tag: Tag, message: Message) {
        let remembered = Headers::concerns(tag.class, message.kind, &message.payload);
        let track = match tag.class {
            TagClass::VideoSequenceHeader | TagClass::VideoOther => Some(Media::Video),
            TagClass::AudioSequenceHeader => Some(Media::Audio),
            _ => None,
        };
        match &mut self.seam {
            Some(seam) if remembered => {
                if tag.class == TagClass::VideoSequenceHeader {
                    seam.promise(now);
                }
                self.note(self.end(), tag, message.kind, &message.payload);
            }
            Some(seam) if track.is_some() => seam.keep(Waiting {
                arrived: now,
                tag,
                message,
                frame: None,
            }),
            _ => {
                let track = track.map(|media| (media, tag.track));
                let time = self.timeline.beside(track, message.timestamp);
                self.put(now, tag, time, message.kind, message.payload);
            }
        }
    }

    fn lift(&mut self) {
        self.timeline.lift();
        self.seam = Some(Seam::default());
    }

    /// Anchors the timeline at a frame that came at `arrived`, and puts there what waited for it.
    fn join(&mut self, arrived: Instant, first: Frame, picture: Option<(Instant, Tag, Message)>) {
        let time = self.timeline.anchor(arrived, first);
        self.clock.pass_over(time);
        let headers: Vec<_> = self.headers.all().cloned().collect();
        let mut changed = false;
        for Header { kind, payload, .. } in &headers {
            let tag = flv::inspect(*kind, payload);
            changed |= self.format.note(*kind, tag, payload);
        }
        if let Some((_, tag, picture)) = &picture {
            changed |= self.format.note(picture.kind, *tag, &picture.payload);
        }
        if changed {
            self.break_off();
        }
        for Header { kind, payload, .. } in headers {
            let tag = flv::inspect(kind, &payload);
            self.put(arrived, tag, time, kind, payload);
        }
        let (pictures, sounds) = self.seam.take().unwrap_or_default().open();
        for Waiting {
            arrived,
            tag,
            message,
            ..
        } in pictures
        {
            self.put(arrived, tag, time, message.kind, message.payload);
        }
        if let Some((arrived, tag, message)) = picture {
            self.put(arrived, tag, time, message.kind, message.payload);
        }
        for Waiting {
            arrived,
            tag,
            message,
            frame,
        } in sounds
        {
            let placed = match frame {
                Some(frame) => self.timeline.place(arrived, frame),
                None => Placed::At(time),
            };
            if let Placed::At(time) = placed {
                self.put(arrived, tag, time, message.kind, message.payload);
            }
        }
    }

    /// What comes next is of another format.
    fn break_off(&mut self) {
        if !self.format_may_change {
            self.breaks.push_back(self.end());
        }
    }

    fn note(&mut self, seq: u64, tag: Tag, kind: MessageType, payload: &Bytes) {
        // Copies only while a point holds the older ones, which is what the cost is for.
        Arc::make_mut(&mut self.headers).note(seq, tag, kind, payload);
    }

    fn put(&mut self, now: Instant, tag: Tag, timestamp: u64, kind: MessageType, payload: Bytes) {
        if self.format.note(kind, tag, &payload) {
            self.break_off();
        }
        let class = tag.class;
        let seq = self.end();
        if frame_media(class).is_some() {
            self.clock.advance(timestamp);
        }
        let mut cost = ENTRY_COST + payload.len();
        let remembered = Headers::concerns(class, kind, &payload);
        if remembered {
            self.note(seq, tag, kind, &payload);
            cost += self.headers.footprint();
        }
        if kind == MessageType::VIDEO {
            self.last_video = Some(now);
        }
        let point = || Point {
            seq,
            timestamp,
            arrived: now,
            headers: self.headers.clone(),
        };
        match class {
            TagClass::VideoKeyframe => {
                let same = self.points.back().is_some_and(|last| {
                    last.timestamp == timestamp && self.is_whole_from(last.seq)
                });
                if !same {
                    self.points.push_back(point());
                }
                self.first_point.get_or_insert(seq);
            }
            // A configuration is no sound.
            TagClass::AudioFrame if self.first_audio.is_none() && !remembered => {
                self.first_audio = Some(point());
            }
            _ => {}
        }

        let length = payload.len() as u64;
        self.entries.push_back(Entry {
            seq,
            class,
            kind,
            timestamp,
            arrived: now,
            payload,
            elapsed: self.clock.elapsed(),
            offset: self.offset,
            cost,
        });
        self.offset += length;
        self.cost.take(cost);
    }
}

/// An audio or video frame as the timeline takes it; nothing for anything else.
fn frame(tag: Tag, message: &Message) -> Option<Frame> {
    let media = frame_media(tag.class)?;
    Some(Frame {
        media,
        track: tag.track,
        wire: message.timestamp,
        composition: match media {
            Media::Audio => 0,
            Media::Video => flv::composition_time(&message.payload),
        },
        key: tag.class != TagClass::VideoInterframe,
    })
}

fn frame_media(class: TagClass) -> Option<Media> {
    match class {
        TagClass::AudioFrame => Some(Media::Audio),
        TagClass::VideoKeyframe | TagClass::VideoInterframe => Some(Media::Video),
        TagClass::AudioSequenceHeader
        | TagClass::VideoSequenceHeader
        | TagClass::VideoOther
        | TagClass::Metadata
        | TagClass::Data => None,
    }
}
