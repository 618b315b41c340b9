//! What a destination settles on when a stream begins, and cannot change while it runs.

use super::codec::Codec;
use super::{Tag, TagClass};
use crate::message::MessageType;

/// The format of an audio track, as far as its tags say it. What they do not say is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AudioFormat {
    /// How it is coded; nothing for a code that is not known.
    pub codec: Option<Codec>,
    /// Samples a second.
    pub rate: u32,
    /// How many channels.
    pub channels: u8,
}

impl AudioFormat {
    /// What an audio tag, already inspected, says of the format; nothing where the format is said
    /// by another tag, which is the sequence header of codecs that have one.
    pub fn of(tag: Tag, payload: &[u8]) -> Option<Self> {
        let (&first, rest) = payload.split_first()?;
        let codec = tag.codec;
        let format = |(rate, channels)| Self {
            codec,
            rate,
            channels,
        };
        match tag.class {
            TagClass::AudioSequenceHeader => {
                let configuration = configuration(first, rest);
                let read = match codec {
                    Some(Codec::Aac) => aac(configuration),
                    Some(Codec::Opus) => opus(configuration),
                    Some(Codec::Flac) => flac(configuration),
                    _ => None,
                };
                Some(format(read.unwrap_or_default()))
            }
            TagClass::AudioFrame => match codec {
                Some(Codec::Aac | Codec::Opus | Codec::Flac) => None,
                _ if first >> 4 == EXTENDED => Some(format((0, 0))),
                _ => Some(format(classic(first))),
            },
            _ => None,
        }
    }
}

/// The sound format that says: the rest is as Enhanced RTMP has it.
const EXTENDED: u8 = 9;

/// What follows the tag's own header: one byte of packet type, or four characters.
///
/// With modifiers or several tracks there is more before it; then nothing is read, and such a
/// stream is told from another by its codec alone.
fn configuration(first: u8, rest: &[u8]) -> &[u8] {
    let before = if first >> 4 == EXTENDED { 4 } else { 1 };
    let plain = first >> 4 != EXTENDED || first & 0xF == 0;
    rest.get(before..).filter(|_| plain).unwrap_or_default()
}

/// Rate and channels from the first byte of a classic tag.
fn classic(first: u8) -> (u32, u8) {
    let rate = [5_512, 11_025, 22_050, 44_100]
        .get(usize::from(first >> 2 & 3))
        .copied()
        .unwrap_or_default();
    (rate, 1 + (first & 1))
}

/// An AudioSpecificConfig (ISO 14496-3, 1.6.2.1).
fn aac(configuration: &[u8]) -> Option<(u32, u8)> {
    const RATES: [u32; 13] = [
        96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025,
        8_000, 7_350,
    ];
    const ESCAPED_TYPE: u32 = 31;
    const ESCAPED_RATE: u32 = 15;
    let mut bits = Bits(configuration, 0);
    if bits.take(5)? == ESCAPED_TYPE {
        bits.take(6)?;
    }
    let rate = match bits.take(4)? {
        ESCAPED_RATE => bits.take(24)?,
        index => *RATES.get(usize::try_from(index).ok()?)?,
    };
    // Seven means eight channels (7.1).
    let channels = match bits.take(4)? {
        7 => 8,
        channels => u8::try_from(channels).ok()?,
    };
    Some((rate, channels))
}

/// An identification header (RFC 7845, 5.1); Opus always decodes to 48 kHz.
fn opus(configuration: &[u8]) -> Option<(u32, u8)> {
    let header = configuration.strip_prefix(b"OpusHead")?;
    Some((48_000, *header.get(1)?))
}

/// `fLaC` and STREAMINFO (RFC 9639, 8.2).
fn flac(configuration: &[u8]) -> Option<(u32, u8)> {
    let mut bits = Bits(configuration.strip_prefix(b"fLaC")?.get(4 + 10..)?, 0);
    let rate = bits.take(20)?;
    let channels = u8::try_from(bits.take(3)?).ok()?;
    Some((rate, channels + 1))
}

struct Bits<'b>(&'b [u8], usize);

impl Bits<'_> {
    fn take(&mut self, count: usize) -> Option<u32> {
        let mut value = 0;
        for _ in 0..count {
            let byte = self.0.get(self.1 / 8)?;
            value = value << 1 | u32::from(byte >> (7 - self.1 % 8) & 1);
            self.1 += 1;
        }
        Some(value)
    }
}

/// The format of a stream's first video and first audio track.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamFormat {
    video: Option<Codec>,
    audio: Option<AudioFormat>,
}

impl StreamFormat {
    /// Takes notice of a tag, already inspected, and tells whether the format is another from here
    /// on: another video codec; another audio codec, rate or number of channels. New parameters
    /// of the same codec are the same format, and so is a kind of media that comes in addition.
    pub fn note(&mut self, kind: MessageType, tag: Tag, payload: &[u8]) -> bool {
        if tag.track != 0 {
            return false;
        }
        match kind {
            MessageType::VIDEO => {
                let begins = matches!(
                    tag.class,
                    TagClass::VideoSequenceHeader | TagClass::VideoKeyframe
                );
                let Some(codec) = tag.codec.filter(|_| begins) else {
                    return false;
                };
                self.video.replace(codec).is_some_and(|old| old != codec)
            }
            MessageType::AUDIO => {
                let known = AudioFormat::of(tag, payload).filter(|format| format.codec.is_some());
                let Some(format) = known else {
                    return false;
                };
                self.audio.replace(format).is_some_and(|old| old != format)
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::inspect;
    use super::*;

    fn audio(payload: &[u8]) -> Option<(Option<Codec>, u32, u8)> {
        let format = AudioFormat::of(inspect(MessageType::AUDIO, payload), payload)?;
        Some((format.codec, format.rate, format.channels))
    }

    #[test]
    fn the_format_of_each_codec() {
        let flac = [
            &b"\x90fLaCfLaC\x80\x00\x00\x22"[..],
            &[0; 10],
            &[0x0b, 0xb8, 0x02, 0xf0],
        ]
        .concat();
        for (payload, codec, rate, channels) in [
            (&b"\xaf\x00\x12\x10"[..], Codec::Aac, 44_100, 2),
            (b"\xaf\x00\x11\x88", Codec::Aac, 48_000, 1),
            (b"\xaf\x00\x11\xb8", Codec::Aac, 48_000, 8),
            (b"\xaf\x00\x17\x80\x5d\xc0\x10", Codec::Aac, 48_000, 2),
            (b"\xaf\x00\xf9\x46\x40", Codec::Aac, 48_000, 2),
            (b"\x90mp4a\x12\x10", Codec::Aac, 44_100, 2),
            (b"\x90OpusOpusHead\x01\x02\x38\x01", Codec::Opus, 48_000, 2),
            (&flac, Codec::Flac, 48_000, 2),
            (b"\x2f\xff\xfb", Codec::Mp3, 44_100, 2),
            (b"\x22\xff\xfb", Codec::Mp3, 5_512, 1),
            (b"\x91ac-3\x0b\x77", Codec::Ac3, 0, 0),
            // What is cut short or wrapped is told by its codec.
            (b"\xaf\x00\x12", Codec::Aac, 0, 0),
            (b"\x90Opus", Codec::Opus, 0, 0),
            (b"\x95\x00mp4a\x00\x12\x10", Codec::Aac, 0, 0),
        ] {
            assert_eq!(
                audio(payload),
                Some((Some(codec), rate, channels)),
                "{payload:02x?}"
            );
        }
    }

    #[test]
    fn frames_of_codecs_with_a_header_say_nothing() {
        for payload in [&b"\xaf\x01\x21"[..], b"\x91Opus\xfc", b"\x91fLaC\xff", b""] {
            assert_eq!(audio(payload), None, "{payload:02x?}");
        }
    }

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
        assert!(!audio(b"\x95\x00mp4a\x01\x12\x10"), "another track");
    }
}
