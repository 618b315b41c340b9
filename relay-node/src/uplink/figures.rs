//! How the broadcasts are doing, in pieces that a frame holds.

use shared::id::InputUid;
use shared::limits::MAX_LINK_FRAME_BYTES;
use shared::link::InputFigures;

/// Says how every broadcast on air is doing, in the order of the inputs.
pub type Gather<'a> = dyn Fn() -> Vec<InputFigures> + Send + Sync + 'a;

/// Figures in frames of at most [`FIGURES_MAX_BYTES`]; none if there are none.
pub(super) fn in_frames(figures: Vec<InputFigures>) -> Vec<Vec<InputFigures>> {
    let mut frames: Vec<Vec<InputFigures>> = Vec::new();
    let mut room = 0;
    for input in figures {
        let size = size(&input);
        match frames.last_mut() {
            Some(frame) if size <= room => {
                room -= size;
                frame.push(input);
            }
            _ => {
                room = FIGURES_MAX_BYTES.saturating_sub(size);
                frames.push(vec![input]);
            }
        }
    }
    frames
}

/// Who comes next where only some find room: a poll is one request.
#[derive(Debug, Default)]
pub(super) struct Turns(Option<InputUid>);

impl Turns {
    /// As many figures as a poll carries, beginning after the last ones that one carried.
    pub(super) fn take(&mut self, mut figures: Vec<InputFigures>) -> Vec<InputFigures> {
        let after = self.0;
        let next = figures.partition_point(|input| after.is_some_and(|last| input.input <= last));
        figures.rotate_left(next);
        let mut taken = in_frames(figures).into_iter();
        let taken = taken.next().unwrap_or_default();
        self.0 = taken.last().map(|input| input.input);
        taken
    }
}

/// As JSON, with the comma.
fn size(input: &InputFigures) -> usize {
    serde_json::to_vec(input).map_or(0, |json| json.len() + 1)
}

/// Bytes of figures in one frame or poll: those of one input have 15 kB at most, and a poll carries
/// events beside them.
const FIGURES_MAX_BYTES: usize = MAX_LINK_FRAME_BYTES / 4;

#[cfg(test)]
mod tests {
    use shared::id::OutputUid;
    use shared::link::{IngestFigures, OutputFigures};

    use super::*;

    /// Inputs with as many outputs as they may have.
    fn figures(count: u32) -> Vec<InputFigures> {
        let id = |number: u32| {
            let mut id = [0; 16];
            id[..4].copy_from_slice(&number.to_be_bytes());
            id
        };
        let outputs = |number| OutputFigures {
            output: OutputUid::from_random(id(number)),
            bytes: u64::MAX,
            bitrate: u64::MAX,
            skipped_ms: u64::MAX,
            connects: u64::MAX,
        };
        (0..count)
            .map(|number| InputFigures {
                input: InputUid::from_random(id(number)),
                epoch: 1,
                ingest: IngestFigures::default(),
                outputs: (0..50).map(outputs).collect(),
            })
            .collect()
    }

    #[test]
    fn frames_are_full_and_no_fuller() {
        assert_eq!(in_frames(Vec::new()), [] as [Vec<_>; 0]);
        let all = figures(100);
        let frames = in_frames(all.clone());
        assert!(frames.len() > 2);
        for frame in &frames {
            let size = serde_json::to_vec(frame).unwrap().len();
            assert!(size <= FIGURES_MAX_BYTES + 1, "{size}");
        }
        let one = size(&all[0]);
        for frame in frames.split_last().unwrap().1 {
            assert!((frame.len() + 1) * one > FIGURES_MAX_BYTES);
        }
        assert_eq!(frames.concat(), all);
    }

    #[test]
    fn polls_take_turns() {
        let all = figures(100);
        let mut turns = Turns::default();
        let mut taken = Vec::new();
        while taken.len() < 2 * all.len() {
            taken.extend(turns.take(all.clone()));
        }
        for (taken, expected) in taken.iter().zip(all.iter().cycle()) {
            assert_eq!(taken.input, expected.input);
        }
        // The one that was last is gone.
        let few = figures(3);
        assert_eq!(turns.take(few.clone()).len(), 3);
        assert_eq!(turns.take(few[..1].to_vec()), few[..1]);
        assert_eq!(turns.take(Vec::new()), []);
        assert_eq!(turns.take(few.clone()), few);
    }
}
