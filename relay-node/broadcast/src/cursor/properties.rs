//! Any stream, read by any mix of quick and slow outputs.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::log::{LOG_MAX_AGE, LOG_MAX_BYTES};
use crate::testing::Rig;

/// What happens next.
#[derive(Clone, Copy, Debug)]
enum Step {
    Send {
        what: What,
        size: usize,
        millis: u32,
    },
    /// The slow output of this number reads, with so much on its way and so little room.
    Read {
        who: usize,
        unacknowledged: u64,
        messages: usize,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Key,
    Inter,
    Audio,
    Data,
    VideoHeader,
    AudioHeader,
}

const SLOW: usize = 3;

fn step() -> impl Strategy<Value = Step> {
    let what = prop_oneof![
        1 => Just(What::Key),
        12 => Just(What::Inter),
        12 => Just(What::Audio),
        1 => Just(What::Data),
        1 => Just(What::VideoHeader),
        1 => Just(What::AudioHeader),
    ];
    prop_oneof![
        24 => (what, 0_usize..3_000, 1_u32..160)
            .prop_map(|(what, size, millis)| Step::Send { what, size, millis }),
        1 => (0..SLOW, 0_u64..300_000, 1_usize..200)
            .prop_map(|(who, unacknowledged, messages)| {
                Step::Read { who, unacknowledged, messages }
            }),
    ]
}

/// What the publisher sent.
struct Sent {
    what: What,
    wire: u32,
    payload: Bytes,
}

fn send(rig: &mut Rig, what: What, size: usize) -> Sent {
    let (kind, head): (_, &[u8]) = match what {
        What::Key => (MessageType::VIDEO, &[0x17, 1, 0, 0, 0]),
        What::Inter => (MessageType::VIDEO, &[0x27, 1, 0, 0, 0]),
        What::Audio => (MessageType::AUDIO, &[0xaf, 1]),
        What::Data => (MessageType(33), &[]),
        What::VideoHeader => (MessageType::VIDEO, &[0x17, 0, 0, 0, 0]),
        What::AudioHeader => (MessageType::AUDIO, &[0xaf, 0]),
    };
    Sent {
        what,
        wire: rig.wire,
        payload: rig.tag(kind, head, size),
    }
}

/// What an output that keeps up must get: the headers, then all from the first keyframe on.
fn all_from_the_first_keyframe(sent: &[Sent]) -> Vec<Bytes> {
    let Some(key) = sent.iter().position(|sent| sent.what == What::Key) else {
        return Vec::new();
    };
    let (before, after) = sent.split_at(key);
    let last = |what| {
        before
            .iter()
            .rfind(|sent| sent.what == what)
            .map(|sent| sent.payload.clone())
    };
    let headers = [last(What::VideoHeader), last(What::AudioHeader)]
        .into_iter()
        .flatten();
    headers
        .chain(after.iter().map(|sent| sent.payload.clone()))
        .collect()
}

/// Checks what a slow output got: in order, nothing twice but headers, each picture decodable.
fn check_slow(got: &[SendItem], sent: &[Sent]) -> Result<(), TestCaseError> {
    let index: HashMap<&Bytes, usize> = sent
        .iter()
        .enumerate()
        .map(|(index, sent)| (&sent.payload, index))
        .collect();
    let mut base = None;
    let (mut video, mut audio) = (None, None);
    let (mut video_header, mut audio_header) = (None, None);
    for item in got {
        let at = index[&item.payload];
        let original = &sent[at];
        let newest = |what| sent[..at].iter().rposition(|sent| sent.what == what);
        match original.what {
            What::VideoHeader => video_header = Some(at),
            What::AudioHeader => audio_header = Some(at),
            What::Key | What::Inter => {
                prop_assert!(video < Some(at), "pictures in order, and once");
                let is_picture = |sent: &Sent| matches!(sent.what, What::Key | What::Inter);
                let follows = sent[..at].iter().rposition(is_picture) == video;
                let is_key = original.what == What::Key;
                prop_assert!(is_key || follows, "a picture needs those before it");
                prop_assert_eq!(
                    video_header,
                    newest(What::VideoHeader),
                    "and the right header"
                );
                video = Some(at);
            }
            What::Audio => {
                prop_assert!(audio < Some(at), "audio in order, and once");
                prop_assert_eq!(audio_header, newest(What::AudioHeader));
                audio = Some(at);
            }
            What::Data => {}
        }
        if matches!(original.what, What::Key | What::Inter | What::Audio) {
            let base = *base.get_or_insert(original.wire);
            prop_assert_eq!(item.timestamp, original.wire.wrapping_sub(base));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn quick_outputs_get_all_and_slow_ones_what_can_be_decoded(
        first in any::<u32>(),
        steps in prop::collection::vec(step(), 1..800),
    ) {
        let mut rig = Rig::new(first);
        let mut sent = Vec::new();
        let mut quick = (Cursor::new(StartPolicy::FirstKeyframe), Vec::new());
        let mut slow: [_; SLOW] =
            std::array::from_fn(|_| (Some(Cursor::new(StartPolicy::CachedGop)), Vec::new()));
        // A picture to begin with, or audio may begin alone, which has tests of its own.
        sent.push(send(&mut rig, What::VideoHeader, 0));
        sent.push(send(&mut rig, What::Key, 0));

        for step in steps {
            match step {
                Step::Send { what, size, millis } => {
                    rig.pass(millis);
                    sent.push(send(&mut rig, what, size));
                    let (cursor, got) = &mut quick;
                    let (items, read) = rig.read(cursor);
                    prop_assert_eq!(read, Read::CaughtUp);
                    got.extend(items);
                }
                Step::Read { who, unacknowledged, messages } => {
                    let (cursor, got) = &mut slow[who];
                    let Some(reader) = cursor else { continue };
                    let backlog = Backlog { unacknowledged, ..Backlog::default() };
                    let room = Room { messages, bytes: 64 * 1024 };
                    let mut items = Vec::new();
                    let read = reader.read(&rig.log, rig.now, backlog, room, &mut items);
                    prop_assert!(items.len() <= messages + 20, "bounded");
                    got.extend(items);
                    if read == Read::TooSlow {
                        *cursor = None;
                    }
                }
            }
            let oldest = rig.log.position(rig.log.front()).1;
            let newest = rig.log.position(rig.log.end()).1;
            prop_assert!(newest - oldest <= LOG_MAX_AGE);
            prop_assert!(rig.log.cost() <= LOG_MAX_BYTES);
        }

        let (cursor, got) = &mut quick;
        got.extend(rig.read(cursor).0);
        prop_assert_eq!(cursor.skipped(), Skipped::default());
        let got: Vec<_> = got.iter().map(|item| item.payload.clone()).collect();
        prop_assert_eq!(got, all_from_the_first_keyframe(&sent));
        for (_, got) in &slow {
            check_slow(got, &sent)?;
        }
    }

    #[test]
    fn outputs_in_step_get_what_each_would_get_alone(
        first in any::<u32>(),
        begins in prop::collection::vec(prop_oneof![Just(0), 0..50_usize], 1..6),
        steps in prop::collection::vec(step(), 1..300),
    ) {
        let mut rig = Rig::new(first);
        let mut stride = Stride::default();
        let (mut room, mut on_its_way) = (Room::default(), [0; SLOW]);
        let mut pairs = Vec::new();
        send(&mut rig, What::VideoHeader, 0);
        send(&mut rig, What::Key, 0);
        for (number, step) in steps.into_iter().enumerate() {
            let begin = begins.iter().filter(|begin| **begin == number);
            pairs.extend(begin.map(|_| [(); 2].map(|()| Cursor::new(StartPolicy::CachedGop))));
            match step {
                Step::Send { what, size, millis } => {
                    rig.pass(millis);
                    send(&mut rig, what, size);
                }
                Step::Read { who, unacknowledged, messages } => {
                    room.messages = messages;
                    on_its_way[who] = unacknowledged;
                }
            }
            for (who, [in_step, alone]) in pairs.iter_mut().enumerate() {
                let unacknowledged = on_its_way.get(who).copied().unwrap_or_default();
                let backlog = Backlog { unacknowledged, ..Backlog::default() };
                let mut items = Vec::new();
                let need = alone.need(&rig.log, backlog);
                let read = alone.read(&rig.log, rig.now, backlog, room, &mut items);
                let got = in_step.read_in_step(&rig.log, rig.now, backlog, room, &mut stride);
                prop_assert_eq!((got.0, got.1, got.2.as_slice()), (need, read, &items[..]));
                prop_assert_eq!(in_step.skipped(), alone.skipped());
            }
        }
    }
}
