//! What a destination settles on when a stream begins, and cannot change while it runs.

use super::codec::Codec;
use super::configuration::{SoundFormat, sound_format};
use super::{Tag, TagClass};
use crate::message::MessageType;

/// The format of a stream's first video and first audio track.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamFormat {
    video: Option<Codec>,
    audio: Option<AudioFormat>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct AudioFormat {
    codec: Codec,
    /// Nothing where no tag could be read that says it.
    sound: Option<SoundFormat>,
}

impl StreamFormat {
    /// Takes notice of a tag, already inspected, and tells whether the format is another from here
    /// on: another video codec; another audio codec, rate or number of channels. New parameters
    /// of the same codec are the same format, and so is a kind of media that comes in addition.
    pub fn note(&mut self, kind: MessageType, tag: Tag, payload: &[u8]) -> bool {
        let Some(codec) = tag.codec.filter(|_| tag.track == 0) else {
            return false;
        };
        match (kind, tag.class) {
            (MessageType::VIDEO, TagClass::VideoSequenceHeader | TagClass::VideoKeyframe) => {
                self.video.replace(codec).is_some_and(|old| old != codec)
            }
            (MessageType::AUDIO, _) => self.note_audio(codec, payload),
            _ => false,
        }
    }

    fn note_audio(&mut self, codec: Codec, payload: &[u8]) -> bool {
        let sound = sound_format(payload);
        match &mut self.audio {
            Some(old) if old.codec == codec => {
                // What cannot be read says nothing new.
                let is_other = sound.is_some() && old.sound.is_some() && sound != old.sound;
                old.sound = sound.or(old.sound);
                is_other
            }
            old => old.replace(AudioFormat { codec, sound }).is_some(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::inspect;
    use super::*;

    #[test]
    fn what_is_another_format_and_what_is_not() {
        let mut format = StreamFormat::default();
        let mut video = |payload: &[u8]| {
            let tag = inspect(MessageType::VIDEO, payload);
            format.note(MessageType::VIDEO, tag, payload)
        };
        assert!(!video(b"\x17\x00\x00\x00\x00\x01\x64"));
        assert!(!video(b"\x17\x00\x00\x00\x00\x01\x42"), "new parameters");
        assert!(!video(b"\x17\x01\x00\x00\x00"));
        assert!(!video(b"\x90avc1\x01"), "the same codec by another name");
        assert!(!video(b"\x96\x00hvc1\x01\x01"), "another track");
        assert!(!video(b"\x90abcd"), "nobody knows what it is");
        assert!(!video(b"\xa1hvc1\x00"), "no beginning");
        assert!(video(b"\x91hvc1\x00"));
        assert!(!video(b"\x91hvc1\x00"));
        assert!(video(b"\x17\x00\x00\x00\x00\x01\x64"));

        let mut audio = |payload: &[u8]| {
            let tag = inspect(MessageType::AUDIO, payload);
            format.note(MessageType::AUDIO, tag, payload)
        };
        assert!(!audio(b"\xaf\x00\x12\x10"), "audio in addition");
        assert!(!audio(b"\xaf\x01\x21"));
        assert!(!audio(b"\x9f\x01\x02"), "nobody knows what it is");
        assert!(!audio(b"\xaf\x00\x12\x10\x56\xe5\x00"), "new parameters");
        assert!(audio(b"\xaf\x00\x11\x90"), "another rate");
        assert!(audio(b"\xaf\x00\x11\x88"), "other channels");
        assert!(audio(b"\x90OpusOpusHead\x01\x01"));
        assert!(!audio(b"\x91Opus\xfc"), "a frame");
        assert!(!audio(b"\x95\x00mp4a\x01\x12\x10"), "another track");
        assert!(!audio(b"\x90OpusOpusHe"), "cut short");
        assert!(!audio(b"\x90OpusOpusHead\x01\x01"), "what it was");

        // In whichever clothes it comes: several tracks, modifiers.
        assert!(audio(b"\x95\x00mp4a\x00\x12\x10"));
        assert!(!audio(b"\x90mp4a\x12\x10"));
        assert!(audio(b"\x95\x00mp4a\x00\x11\x90"));
        assert!(audio(b"\x97\x00\xaa\x00mp4a\x12\x10"));

        // Codecs whose frames say it.
        let ac3 = |acmod: u8| [b"\x91ac-3\x0b\x77\0\0\x14\x40", &[acmod << 5, 0][..]].concat();
        assert!(audio(&ac3(2)));
        assert!(!audio(&ac3(2)));
        assert!(!audio(b"\x91ac-3\x0b"), "cut short");
        assert!(audio(&ac3(1)), "other channels");
        assert!(audio(b"\x2f\xff\xfb\x90\x00"));
        assert!(audio(b"\x2f\xff\xfb\x94\x00"), "another rate");
        assert!(!audio(b"\x2f\x00"), "no frame of MP3");
        // Those of which the tag itself does.
        assert!(audio(b"\x3e\x00"));
        assert!(!audio(b"\x3e\x01"));
        assert!(audio(b"\x3f\x00"), "other channels");
    }
}
