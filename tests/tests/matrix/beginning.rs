//! What an output that waited for the encoder is to get of what the encoder sent.
//!
//! It begins with the newest metadata and headers, and then the first picture that can be decoded; from there on
//! everything follows as it came. Sound from before that picture belongs to no picture and is left
//! out.

use system_tests::wire::{AUDIO, DATA, Tag, VIDEO};

/// What a tag is at a beginning; in the order in which one has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Metadata,
    VideoHeader,
    /// HDR's metadata.
    Colours,
    AudioHeader,
    /// A configuration of several channels.
    Channels,
    Keyframe,
    Picture,
    Sound,
    Other,
}

/// All tags that are to come, in their order. Times before the beginning are its own.
pub(crate) fn of(sent: &[Tag]) -> Vec<Tag> {
    let parts: Vec<_> = sent.iter().map(part).collect();
    let position = |wanted| parts.iter().position(|part| *part == wanted);
    // Without pictures it begins with the first sound.
    let Some(first) = position(Part::Keyframe).or_else(|| position(Part::Sound)) else {
        return sent.to_vec();
    };
    let (before, after) = sent.split_at(first);
    let Some((first, after)) = after.split_first() else {
        return sent.to_vec();
    };
    let is_before = |tag: &Tag| tag.time.wrapping_sub(first.time) > u32::MAX / 2;
    let at_first = |tag: &Tag| Tag {
        time: first.time,
        ..tag.clone()
    };

    let mut begun: Vec<Tag> = Vec::new();
    for wanted in [
        Part::Metadata,
        Part::VideoHeader,
        Part::Colours,
        Part::AudioHeader,
        Part::Channels,
    ] {
        let these = before.iter().filter(|tag| part(tag) == wanted);
        let these: Vec<_> = these.map(at_first).collect();
        // The newest overrides the others; of headers, each may be another track's.
        let overridden = match wanted {
            Part::Metadata => these.len().saturating_sub(1),
            _ => 0,
        };
        begun.extend(these.into_iter().skip(overridden));
    }
    begun.push(first.clone());
    let early = before.iter().filter(|tag| part(tag) == Part::Sound);
    begun.extend(early.filter(|tag| !is_before(tag)).cloned());
    let mut heard = false;
    for tag in after {
        let is_sound = part(tag) == Part::Sound;
        heard |= is_sound && !is_before(tag);
        match is_before(tag) {
            true if is_sound && !heard => {}
            true => begun.push(at_first(tag)),
            false => begun.push(tag.clone()),
        }
    }
    begun
}

fn part(tag: &Tag) -> Part {
    match (tag.kind, tag.body.as_slice()) {
        (DATA, body) if body.windows(10).any(|name| name == b"onMetaData") => Part::Metadata,
        (VIDEO, [first, ..]) if first & 0x80 != 0 => match packet_type(&tag.body, VIDEO) {
            Some(0) => Part::VideoHeader,
            Some(4) => Part::Colours,
            Some(1 | 3) if first >> 4 & 7 == 1 => Part::Keyframe,
            _ => Part::Picture,
        },
        (VIDEO, [0x17, 0, ..]) => Part::VideoHeader,
        (VIDEO, [first, ..]) if first >> 4 == 1 => Part::Keyframe,
        (VIDEO, _) => Part::Picture,
        (AUDIO, [first, ..]) if first >> 4 == 9 => match packet_type(&tag.body, AUDIO) {
            Some(0) => Part::AudioHeader,
            Some(4) => Part::Channels,
            _ => Part::Sound,
        },
        (AUDIO, [0xA0..=0xAF, 0, ..]) => Part::AudioHeader,
        (AUDIO, _) => Part::Sound,
        _ => Part::Other,
    }
}

/// The packet type of Enhanced RTMP behind its extensions and in its tracks.
fn packet_type(body: &[u8], kind: u8) -> Option<u8> {
    let (first, mut rest) = body.split_first()?;
    let mut packet_type = first & 0x0F;
    while packet_type == 7 {
        let (size, after) = rest.split_first()?;
        let (size, after) = match size {
            255 => {
                let (size, after) = after.split_first_chunk()?;
                (usize::from(u16::from_be_bytes(*size)) + 1, after)
            }
            size => (usize::from(*size) + 1, after),
        };
        let (next, after) = after.get(size..)?.split_first()?;
        (packet_type, rest) = (next & 0x0F, after);
    }
    let multitrack = if kind == VIDEO { 6 } else { 5 };
    match packet_type == multitrack {
        true => Some(rest.first()? & 0x0F),
        false => Some(packet_type),
    }
}
