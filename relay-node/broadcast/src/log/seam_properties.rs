//! Any sequence of sessions and jumps, received by an output that keeps up.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::testing::{AUDIO_HEADER, METADATA, Rig, VIDEO_HEADER};
use crate::{Cursor, Read, SendItem, StartPolicy};

/// What an encoder does next.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A picture, shown so many frames later, every so often a keyframe; and audio.
    Frame { key: bool, late: u8, audio: bool },
    /// Nothing comes for so long, and then another session.
    Lost { away: u32, wire: u32 },
    /// The encoder's clock jumps to somewhere else.
    Jump { wire: u32 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        60 => (prop::bool::weighted(0.1), 0_u8..4, any::<bool>())
            .prop_map(|(key, late, audio)| Step::Frame { key, late, audio }),
        1 => (0_u32..90_000, any::<u32>()).prop_map(|(away, wire)| Step::Lost { away, wire }),
        1 => any::<u32>().prop_map(|wire| Step::Jump { wire }),
    ]
}

const FRAME: u32 = 40;

fn send(rig: &mut Rig, key: bool, late: u8) {
    // No picture of a GOP is shown before its keyframe, nor later than three frames after that.
    let composition = u32::from(if key { 0 } else { late }) * FRAME;
    let [_, high, middle, low] = composition.to_be_bytes();
    let head = if key { 0x17 } else { 0x27 };
    rig.tag(MessageType::VIDEO, &[head, 1, high, middle, low], 0);
}

fn headers(rig: &mut Rig) {
    rig.send(MessageType::DATA_AMF0, METADATA);
    rig.send(MessageType::VIDEO, VIDEO_HEADER);
    rig.send(MessageType::AUDIO, AUDIO_HEADER);
}

fn is_key(item: &SendItem) -> bool {
    item.payload.starts_with(&[0x17, 1])
}

fn is_picture(item: &SendItem) -> bool {
    item.kind == MessageType::VIDEO && item.payload.get(1) == Some(&1)
}

fn shown(item: &SendItem) -> u32 {
    item.timestamp + u32::from(item.payload[4])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn time_never_steps_back_nor_overlaps_and_resumes_are_whole(
        first in any::<u32>(),
        steps in prop::collection::vec(step(), 1..400),
    ) {
        let mut rig = Rig::new(first);
        headers(&mut rig);
        send(&mut rig, true, 0);
        let mut cursor = Cursor::new(StartPolicy::FirstKeyframe);
        let mut got = Vec::new();
        // Where in `got` something was lost or jumped.
        let mut seams = Vec::new();
        for step in steps {
            match step {
                Step::Frame { key, late, audio } => {
                    rig.pass(FRAME);
                    send(&mut rig, key, late);
                    if audio {
                        rig.audio();
                    }
                }
                Step::Lost { away, wire } => {
                    rig.pass(away);
                    rig.wire = wire;
                    rig.log.begin_session();
                    headers(&mut rig);
                    seams.push(got.len());
                }
                Step::Jump { wire } => {
                    let jump = wire.wrapping_sub(rig.wire) as i32;
                    rig.wire = wire;
                    if !(-250..=10_000).contains(&jump) {
                        seams.push(got.len());
                    }
                }
            }
            let (items, read) = rig.read(&mut cursor);
            prop_assert_eq!(read, Read::CaughtUp);
            got.extend(items);
        }

        for kind in [MessageType::VIDEO, MessageType::AUDIO] {
            let times = got.iter().filter(|item| item.kind == kind);
            let times: Vec<_> = times.map(|item| item.timestamp).collect();
            prop_assert!(times.is_sorted(), "{:?}: {:?}", kind, times);
        }
        seams.dedup();
        for &seam in &seams {
            let (before, after) = got.split_at(seam);
            let Some(next) = after.iter().position(is_picture) else { continue };
            prop_assert!(is_key(&after[next]), "a resume begins with a keyframe");
            let resumed = &after[..=next];
            let media = |item: &&SendItem| item.payload.starts_with(&[0xaf, 1]);
            // Audio may have begun alone, if the keyframe was more than a second away.
            let begins = resumed.iter().position(|item| media(&item)).unwrap_or(next);
            let headers = [METADATA, VIDEO_HEADER, AUDIO_HEADER];
            let is_last = !seams.iter().any(|later| (seam + 1..=seam + next).contains(later));
            if before.iter().any(is_picture) || before.is_empty() && is_last {
                let said = resumed[..begins].iter().map(|item| &item.payload[..]);
                prop_assert_eq!(said.collect::<Vec<_>>(), headers);
            } else {
                // It had begun with the headers of a session that lost its encoder before there
                // was a picture, and is told those of the next one like anybody; those of video
                // come with the picture.
                let said = resumed[..next].iter().filter(|item| !media(item));
                let said: BTreeSet<_> = said.map(|item| &item.payload[..]).collect();
                prop_assert_eq!(said, BTreeSet::from(headers));
            }
            let last = before.iter().filter(|item| is_picture(item)).map(shown).max();
            let first = after[next..].iter().filter(|item| is_picture(item)).map(shown).min();
            prop_assert!(last < first, "shown {:?} before {:?}", last, first);
        }
    }
}
