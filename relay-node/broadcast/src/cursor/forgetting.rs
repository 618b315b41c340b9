//! Nobody notices what a log has forgotten.

use proptest::prelude::*;

use super::*;
use crate::testing::Rig;

/// What happens next.
#[derive(Clone, Copy, Debug)]
enum Step {
    Send {
        what: What,
        size: usize,
        millis: u32,
    },
    /// The output of this number reads, after its peer has acknowledged so many hundredths of what
    /// is on its way.
    Read {
        who: usize,
        acknowledged: u64,
        messages: usize,
    },
    /// It connects anew: where the broadcast began if it never had anything of it.
    Begin {
        who: usize,
    },
    Session,
}

#[derive(Clone, Copy, Debug)]
enum What {
    Key,
    Inter,
    Audio,
}

const OUTPUTS: usize = 3;

fn step() -> impl Strategy<Value = Step> {
    let what = prop_oneof![1 => Just(What::Key), 12 => Just(What::Inter), 12 => Just(What::Audio)];
    prop_oneof![
        24 => (what, 0_usize..3_000, 1_u32..160)
            .prop_map(|(what, size, millis)| Step::Send { what, size, millis }),
        6 => (0..OUTPUTS, 0_u64..=100, 1_usize..200)
            .prop_map(|(who, acknowledged, messages)| Step::Read { who, acknowledged, messages }),
        1 => (0..OUTPUTS).prop_map(|who| Step::Begin { who }),
        1 => Just(Step::Session),
    ]
}

/// An output at a log.
struct Reader {
    cursor: Cursor,
    unacknowledged: u64,
    need: Need,
}

impl Reader {
    fn new(log: &Log, policy: StartPolicy) -> Self {
        let cursor = Cursor::new(policy);
        Self {
            need: cursor.need(log, Backlog::default()),
            cursor,
            unacknowledged: 0,
        }
    }

    fn read(&mut self, rig: &Rig, acknowledged: u64, messages: usize) -> (Vec<SendItem>, Read) {
        self.unacknowledged -= self.unacknowledged * acknowledged / 100;
        let backlog = Backlog {
            unacknowledged: self.unacknowledged,
            ..Backlog::default()
        };
        let room = Room {
            messages,
            ..Room::default()
        };
        let mut items = Vec::new();
        self.need = self.cursor.need(&rig.log, backlog);
        let read = self
            .cursor
            .read(&rig.log, rig.now, backlog, room, &mut items);
        let given: usize = items.iter().map(|item| item.payload.len()).sum();
        self.unacknowledged += given as u64;
        (items, read)
    }
}

/// A log and its outputs.
struct Side {
    rig: Rig,
    readers: Vec<Reader>,
}

impl Side {
    fn new(rig: Rig) -> Self {
        let readers = (0..OUTPUTS).map(|_| Reader::new(&rig.log, StartPolicy::FirstKeyframe));
        Self {
            readers: readers.collect(),
            rig,
        }
    }

    /// Takes the step. Returns what a reader was given and has skipped.
    fn take(&mut self, step: Step) -> Option<(Vec<SendItem>, Read, Skipped)> {
        let Self { rig, readers } = self;
        match step {
            Step::Send { what, size, millis } => {
                rig.pass(millis);
                let (kind, head): (_, &[u8]) = match what {
                    What::Key => (MessageType::VIDEO, &[0x17, 1, 0, 0, 0]),
                    What::Inter => (MessageType::VIDEO, &[0x27, 1, 0, 0, 0]),
                    What::Audio => (MessageType::AUDIO, &[0xaf, 1]),
                };
                rig.tag(kind, head, size);
                None
            }
            Step::Read {
                who,
                acknowledged,
                messages,
            } => {
                let reader = &mut readers[who];
                let (items, read) = reader.read(rig, acknowledged, messages);
                Some((items, read, reader.cursor.skipped()))
            }
            Step::Begin { who } => {
                let policy = match readers[who].need {
                    Need::First => StartPolicy::FirstKeyframe,
                    Need::Nothing | Need::From(_) => StartPolicy::CachedGop,
                };
                readers[who] = Reader::new(&rig.log, policy);
                None
            }
            Step::Session => {
                rig.log.begin_session();
                None
            }
        }
    }

    fn forget(&mut self) {
        let needs = self.readers.iter().map(|reader| reader.need);
        let needed = needs.clone().filter_map(|need| match need {
            Need::From(seq) => Some(seq),
            Need::Nothing | Need::First => None,
        });
        let (needed, waits) = (needed.min(), needs.clone().any(|need| need == Need::First));
        let now = self.rig.now;
        self.rig.log.forget(now, needed.unwrap_or(u64::MAX), waits);
    }
}

proptest! {
    #[test]
    fn outputs_get_the_same_from_a_log_that_forgets(
        steps in proptest::collection::vec(step(), 1..800),
    ) {
        let [mut whole, mut forgetful] = [0, 1].map(|_| Side::new(Rig::with_headers(0)));
        for step in steps {
            prop_assert_eq!(whole.take(step), forgetful.take(step), "{:?}", step);
            forgetful.forget();
            prop_assert!(forgetful.rig.log.cost() <= whole.rig.log.cost());
        }
    }
}

impl Side {
    /// A second of pictures, the first of them a keyframe or not, read at once by that many outputs.
    fn second(&mut self, key: bool, reading: usize) {
        for number in 0..FRAMES {
            self.rig.pass(10);
            match key && number == 0 {
                true => self.rig.key(),
                false => self.rig.inter(),
            };
            for reader in self.readers.iter_mut().take(reading) {
                let _ = reader.read(&self.rig, 100, 1000);
            }
            self.forget();
        }
    }

    fn kept(&self) -> u64 {
        self.rig.log.end() - self.rig.log.front()
    }
}

/// Pictures a second.
const FRAMES: u64 = 100;

#[test]
fn what_all_have_is_kept_while_a_new_output_would_begin_with_it() {
    let mut side = Side::new(Rig::with_headers(0));
    for _ in 0..10 {
        side.second(true, OUTPUTS);
        assert!((FRAMES..=FRAMES + LOOK_BACK).contains(&side.kept()));
    }
    for age in 2..=CACHED_GOP_AGE.as_secs() {
        side.second(false, OUTPUTS);
        assert!(side.kept() >= age * FRAMES);
    }
    side.second(false, OUTPUTS);
    assert_eq!(side.kept(), LOOK_BACK);
}

#[test]
fn what_somebody_has_not_acknowledged_is_kept() {
    let mut side = Side::new(Rig::with_headers(0));
    side.second(true, OUTPUTS);
    let end = side.rig.log.end();
    for _ in 0..6 {
        side.second(true, OUTPUTS - 1);
        assert!(side.rig.log.front() <= end);
    }
    let late = &mut side.readers[OUTPUTS - 1];
    // What it has just read is not acknowledged.
    let _ = late.read(&side.rig, 100, 1000);
    side.forget();
    assert!(side.rig.log.front() <= end);
    side.second(true, OUTPUTS);
    assert!(side.rig.log.front() > end);
}

#[test]
fn the_beginning_is_kept_while_somebody_waits_for_it() {
    let mut side = Side::new(Rig::with_headers(0));
    let seconds = FIRST_KEYFRAME_LAG.as_secs();
    for _ in 0..seconds {
        side.second(true, OUTPUTS - 1);
    }
    assert_eq!(side.rig.log.front(), 0);
    side.second(true, OUTPUTS - 1);
    assert!(
        side.rig.log.front() > 0,
        "it would not begin there any more"
    );
}
