//! What is measured, and how it is asked for.

use std::fmt;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::media::Media;
use super::relay::Relay;

/// What is measured, and how much.
pub(super) struct Plan {
    pub(super) cases: Vec<Case>,
    pub(super) relays: Vec<Relay>,
    pub(super) repeats: usize,
    pub(super) window: Duration,
    /// Whether the processors are kept awake meanwhile.
    pub(super) awake: bool,
}

impl Plan {
    /// As it was asked for on the command line.
    pub(super) fn new(arguments: &[String]) -> Result<Self> {
        let (mut quick, mut awake) = (false, false);
        let mut relays = Vec::new();
        let mut schemes = vec![false, true];
        let mut shapes = Vec::new();
        for argument in arguments {
            match argument.split_once('=') {
                None if argument == "--quick" => quick = true,
                None if argument == "--awake" => awake = true,
                None if argument == "--rtmp" => schemes = vec![false],
                None if argument == "--rtmps" => schemes = vec![true],
                Some(("--relays", names)) => {
                    relays = names.split(',').map(Relay::named).collect::<Result<_>>()?;
                }
                Some(("--cases", texts)) => {
                    shapes = texts.split(',').map(shape).collect::<Result<_>>()?;
                }
                _ => bail!("`fanout` takes no `{argument}`; {USAGE}"),
            }
        }
        if relays.is_empty() {
            relays = Relay::ALL.to_vec();
            // What these show does not change from day to day.
            relays.retain(|relay| !quick || !relay.is_bound());
            // Only on request: it costs what the bare one does.
            relays.retain(|relay| !matches!(relay, Relay::Keeping(_)));
        }
        if shapes.is_empty() {
            shapes = vec![(1, 50, 6), (1, 10, 12), (10, 5, 6)];
            shapes.truncate(if quick { 1 } else { shapes.len() });
        }
        let case = |(inputs, outputs, megabits): Shape, tls| Case {
            inputs,
            outputs,
            media: Media {
                bits_per_second: megabits * 1_000_000,
            },
            tls,
        };
        let mut cases = Vec::new();
        for tls in schemes {
            cases.extend(shapes.iter().map(|shape| case(*shape, tls)));
        }
        Ok(Self {
            cases,
            relays,
            repeats: if quick { 1 } else { 3 },
            window: Duration::from_secs(if quick { 4 } else { 10 }),
            awake,
        })
    }
}

/// Inputs, outputs of each, and Mbit/s.
type Shape = (usize, usize, u64);

/// `10x5@6`: ten inputs with five outputs each, at 6 Mbit/s.
fn shape(text: &str) -> Result<Shape> {
    let parts = || {
        let (counts, megabits) = text.split_once('@')?;
        let (inputs, outputs) = counts.split_once('x')?;
        Some((
            inputs.parse().ok()?,
            outputs.parse().ok()?,
            megabits.parse().ok().filter(|megabits| *megabits > 0)?,
        ))
    };
    parts().with_context(|| format!("`{text}` is no case; {USAGE}"))
}

/// What may be said to it.
pub(crate) const USAGE: &str = "it takes --quick, --awake, --rtmp or --rtmps alone, \
     --cases=1x50@6,1x10@12,10x5@6 or others (inputs x outputs @ Mbps), and \
     --relays=floor,floor-20,floor-100,bare-0,bare-20,bare-100,keeping-0,keeping-20,keeping-100,ours-0,ours-20,ours-100,nginx,tee or some of these";

/// What is relayed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Case {
    pub(super) inputs: usize,
    /// Of each input.
    pub(super) outputs: usize,
    pub(super) media: Media,
    /// Whether destinations are connected to by RTMPS.
    pub(super) tls: bool,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = if self.tls { "RTMPS" } else { "RTMP" };
        let megabits = self.media.bits_per_second / 1_000_000;
        write!(
            f,
            "{protocol}, {} × {} at {megabits} Mbps",
            self.inputs, self.outputs
        )
    }
}
