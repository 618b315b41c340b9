//! Outputs that come, go and change all the time, and those beside them that must not notice.

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use rtmp::MessageType;
use shared::link::{Target, WantedOutput, Wish};
use shared::secret::Secret;
use tokio::time::interval;

use crate::support::control::Controlled;
use crate::support::destination::{Destination, Seen};
use crate::support::{Piece, headers};

/// Together as many as a live input may have.
const STEADY: u8 = 30;
const CHANGING: u8 = 20;

/// Ten changes a second, and two steps of the stream between them.
const STEP: Duration = Duration::from_millis(50);
const STEPS_A_CHANGE: u32 = 2;

/// A keyframe each second.
const STEPS_A_GROUP: u32 = 20;

#[tokio::test(flavor = "multi_thread")]
async fn steady_outputs_get_every_byte_while_others_come_and_go() {
    churn(Duration::from_secs(30)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes ten minutes"]
async fn steady_outputs_get_every_byte_for_ten_minutes() {
    churn(Duration::from_secs(600)).await;
}

async fn churn(length: Duration) {
    let steps = u32::try_from(length.as_millis() / STEP.as_millis()).unwrap();
    let mut wanted = Vec::new();
    let mut steady = Vec::new();
    let mut changing = Vec::new();
    let streams = Arc::new(AtomicU32::new(0));
    for number in 1..=STEADY + CHANGING {
        // An address of its own, as destinations have: to one, a node connects so often only.
        let mut destination = Destination::at(Ipv4Addr::new(127, 0, 1, number), number).await;
        wanted.push(destination.wanted());
        if number <= STEADY {
            steady.push(tokio::spawn(async move { stream(&mut destination).await }));
        } else {
            let streams = Arc::clone(&streams);
            changing.push(tokio::spawn(async move {
                loop {
                    stream(&mut destination).await;
                    streams.fetch_add(1, Ordering::Relaxed);
                }
            }));
        }
    }
    let mut changes = Changes::new(wanted);

    let mut node = Controlled::new().await;
    let mut encoder = node.publish(0, changes.wish()).await;
    encoder.send(&headers()).await;
    let (mut rev, mut begun) = (1, 0);
    // A step that is late is made up for, as encoders do.
    let mut ticks = interval(STEP);
    for step in 0..steps {
        ticks.tick().await;
        encoder.send(&pieces(step)).await;
        if step % STEPS_A_CHANGE == 0 {
            begun += u32::from(changes.change());
            rev += 1;
            node.push(node.snapshot(rev, changes.wish())).await;
            node.applied(rev).await;
        }
    }
    encoder.stop().await;
    for (number, steady) in (1..).zip(steady) {
        assert_eq!(steady.await.unwrap(), 0..steps, "output {number}");
    }
    for changing in changing {
        assert!(!changing.is_finished(), "{:?}", changing.await);
        changing.abort();
    }
    // Those that the next change catches before they publish are none.
    let streams = streams.load(Ordering::Relaxed);
    assert!(
        streams > begun / 2,
        "{streams} streams of {begun} that were begun"
    );
}

/// Takes one stream from its beginning to a proper end, and fails if it does not have all that was
/// sent from a keyframe on. Which steps it had.
async fn stream(destination: &mut Destination) -> Range<u32> {
    // One that is given up before it publishes may end in any way.
    while !matches!(destination.anything().await, Seen::Publishing(_)) {}
    let mut expected: VecDeque<Piece> = headers().into();
    let mut had: Option<Range<u32>> = None;
    let mut ended = false;
    loop {
        match destination.anything().await {
            Seen::Media(message) if !ended => {
                if expected.is_empty() {
                    let steps = had.get_or_insert_with(|| {
                        let first = step_of(&message.payload);
                        first..first
                    });
                    expected = pieces(steps.end).into();
                    steps.end += 1;
                }
                let (kind, time, payload) = expected.pop_front().unwrap();
                let began = had.as_ref().map_or(0, |steps| steps.start);
                assert_eq!(began % STEPS_A_GROUP, 0, "it does not begin at a keyframe");
                let start = began * STEP.as_millis() as u32;
                assert_eq!(
                    (message.kind, message.timestamp),
                    (kind, time.saturating_sub(start))
                );
                assert!(message.payload == payload, "other bytes");
            }
            Seen::Goodbye => ended = true,
            Seen::Closed { clean } => {
                assert!(clean && ended, "the connection was cut");
                return had.unwrap_or_default();
            }
            other => panic!("{other:?}"),
        }
    }
}

/// A picture and a piece of sound, which hold the number of their step.
fn pieces(step: u32) -> Vec<Piece> {
    let time = step * STEP.as_millis() as u32;
    let (head, length) = match step % STEPS_A_GROUP {
        0 => (b"\x17\x01\0\0\0", 20_000),
        _ => (b"\x27\x01\0\0\0", 2000),
    };
    let noise = |length: u32| (0..length).map(move |i| (i.wrapping_mul(step + 7) >> 3) as u8);
    let number = step.to_be_bytes();
    let picture: Bytes = head
        .iter()
        .copied()
        .chain(number)
        .chain(noise(length))
        .collect();
    let sound: Bytes = b"\xaf\x01"
        .iter()
        .copied()
        .chain(number)
        .chain(noise(300))
        .collect();
    vec![
        (MessageType::VIDEO, time, picture),
        (MessageType::AUDIO, time, sound),
    ]
}

fn step_of(picture: &[u8]) -> u32 {
    u32::from_be_bytes(picture[5..9].try_into().unwrap())
}

/// What is wanted of the outputs, and one change of it after the other.
struct Changes {
    outputs: Vec<Output>,
    random: u32,
}

struct Output {
    wanted: WantedOutput,
    there: bool,
    /// Where it leads while it leads nowhere.
    away: Option<Target>,
    keys: u32,
}

impl Changes {
    fn new(wanted: Vec<WantedOutput>) -> Self {
        let outputs = wanted.into_iter().map(|wanted| Output {
            wanted,
            there: true,
            away: None,
            keys: 0,
        });
        Self {
            outputs: outputs.collect(),
            random: 1,
        }
    }

    fn wish(&self) -> Wish {
        let there = self.outputs.iter().filter(|output| output.there);
        Wish::relay(there.map(|output| output.wanted.clone()).collect())
    }

    /// One of the changing outputs is removed, added, switched, given another key, or sent to where
    /// nobody listens and back. Whether a stream begins by that, or begins anew.
    fn change(&mut self) -> bool {
        let which = STEADY + (self.draw() % u32::from(CHANGING)) as u8;
        let what = self.draw() % 4;
        let output = &mut self.outputs[usize::from(which)];
        match what {
            0 => output.there = !output.there,
            1 => output.wanted.enabled = !output.wanted.enabled,
            2 => {
                output.keys += 1;
                let Target::Rtmp { stream_key, .. } = &mut output.wanted.target else {
                    unreachable!();
                };
                *stream_key = Secret::new(format!("key number {}", output.keys));
            }
            _ => {
                let nowhere = || Target::Rtmp {
                    url: Secret::new("rtmp://127.0.2.1:1024/live"),
                    stream_key: Secret::new("nobody"),
                };
                let other = output.away.take().unwrap_or_else(nowhere);
                let before = std::mem::replace(&mut output.wanted.target, other);
                let Target::Rtmp { url, .. } = &before else {
                    unreachable!();
                };
                output.away = (!url.expose().starts_with("rtmp://127.0.2.1")).then_some(before);
            }
        }
        output.there && output.wanted.enabled && output.away.is_none()
    }

    /// Xorshift: the same changes in each run.
    fn draw(&mut self) -> u32 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 17;
        self.random ^= self.random << 5;
        self.random
    }
}
