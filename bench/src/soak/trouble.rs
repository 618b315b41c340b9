//! What is done to everything, at random.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use system_tests::api::{Input, Output};
use system_tests::dev::Dev;
use system_tests::fault_proxy::{Cut, FaultProxy, Way};
use system_tests::process;
use system_tests::secrets::output_key;

use super::sink::Sinks;
use crate::fanout::media::Media;

/// Numbers that a seed gives again (xorshift64).
pub(super) struct Random(u64);

impl Random {
    /// Those of `seed`.
    pub(super) fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// One of `0..below`.
    pub(super) fn below(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from((self.0 >> 16) % below.max(1) as u64).unwrap_or_default()
    }

    fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(usize::try_from(to - from).unwrap_or(1)) as u64)
    }
}

/// A fault that ends by itself.
struct Passing {
    until: Instant,
    place: Place,
}

/// Where a fault is.
#[derive(Clone, Copy, Debug)]
enum Place {
    Outputs(usize),
    Encoder(usize),
    Control,
}

/// Everything that can be hurt.
pub(super) struct Trouble<'a> {
    pub(super) dev: &'a Dev,
    pub(super) random: Random,
    /// Before two outputs of each input.
    pub(super) outputs: Vec<FaultProxy>,
    /// Before some encoders.
    pub(super) encoders: Vec<FaultProxy>,
    /// Between the node and its control plane.
    pub(super) control: FaultProxy,
    pub(super) inputs: Vec<(Input, Media)>,
    /// Where outputs are added.
    pub(super) sink_url: String,
    pub(super) sinks: Sinks,
    passing: Vec<Passing>,
    added: Vec<(usize, Output)>,
    /// How many of each kind there were.
    pub(super) counts: Counts,
    next_kill: Instant,
}

/// What was done.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) outputs: u64,
    pub(super) encoders: u64,
    pub(super) control: u64,
    pub(super) control_killed: u64,
    pub(super) added: u64,
    pub(super) deleted: u64,
    /// Changes that the control plane did not answer.
    pub(super) unanswered: u64,
}

impl<'a> Trouble<'a> {
    #[expect(clippy::too_many_arguments, reason = "everything, once")]
    pub(super) fn new(
        dev: &'a Dev,
        random: Random,
        outputs: Vec<FaultProxy>,
        encoders: Vec<FaultProxy>,
        control: FaultProxy,
        inputs: Vec<(Input, Media)>,
        sink_url: String,
        sinks: Sinks,
    ) -> Self {
        Self {
            dev,
            random,
            outputs,
            encoders,
            control,
            inputs,
            sink_url,
            sinks,
            passing: Vec::new(),
            added: Vec::new(),
            counts: Counts::default(),
            next_kill: Instant::now() + KILL_EVERY,
        }
    }

    /// Does something bad, and ends what has lasted long enough.
    pub(super) fn step(&mut self) -> Result<()> {
        self.mend(Instant::now());
        match self.random.below(20) {
            0..10 => self.hurt_outputs(),
            10..14 => self.hurt_encoder(),
            14..17 => self.hurt_link(),
            _ => self.change()?,
        }
        if Instant::now() >= self.next_kill {
            self.next_kill = Instant::now() + KILL_EVERY;
            self.kill_control()?;
        }
        Ok(())
    }

    /// How long until the next step.
    pub(super) fn pause(&mut self) -> Duration {
        self.random.millis(300, 1500)
    }

    /// Ends everything that goes on.
    pub(super) fn restore(&mut self) {
        let ever = Instant::now() + Duration::from_secs(3600);
        self.mend(ever);
    }

    fn mend(&mut self, now: Instant) {
        let (outputs, encoders, control) = (&self.outputs, &self.encoders, &self.control);
        self.passing.retain(|passing| {
            let over = passing.until <= now;
            if over {
                let proxy = match passing.place {
                    Place::Outputs(number) => outputs.get(number),
                    Place::Encoder(number) => encoders.get(number),
                    Place::Control => Some(control),
                };
                if let Some(proxy) = proxy {
                    proxy.restore();
                }
            }
            !over
        });
    }

    fn hurt_outputs(&mut self) {
        self.counts.outputs += 1;
        let number = self.random.below(self.outputs.len());
        let kind = self.random.below(8);
        let lasts = self.random.millis(500, 15_000);
        let Some(proxy) = self.outputs.get(number) else {
            return;
        };
        match kind {
            0 => proxy.cut(Cut::Finish),
            1 => proxy.cut(Cut::Reset),
            2 => proxy.half_close(Way::ToServer),
            3 => proxy.half_close(Way::ToClient),
            4 => proxy.corrupt(),
            5 => proxy.stall(true),
            6 => proxy.delay(Duration::from_millis(200)),
            _ => proxy.refuse(true),
        }
        self.last(Place::Outputs(number), lasts);
    }

    fn hurt_encoder(&mut self) {
        self.counts.encoders += 1;
        let number = self.random.below(self.encoders.len());
        let kind = self.random.below(4);
        let lasts = self.random.millis(500, 4000);
        let Some(proxy) = self.encoders.get(number) else {
            return;
        };
        match kind {
            0 => proxy.cut(Cut::Finish),
            1 => proxy.cut(Cut::Reset),
            2 => proxy.stall(true),
            _ => proxy.refuse(true),
        }
        self.last(Place::Encoder(number), lasts);
    }

    fn hurt_link(&mut self) {
        self.counts.control += 1;
        let kind = self.random.below(4);
        let lasts = self.random.millis(1000, 20_000);
        match kind {
            0 => self.control.cut(Cut::Reset),
            1 => self.control.stall(true),
            2 => self.control.delay(Duration::from_millis(500)),
            _ => self.control.refuse(true),
        }
        self.last(Place::Control, lasts);
    }

    fn last(&mut self, place: Place, lasts: Duration) {
        let until = Instant::now() + lasts;
        self.passing.push(Passing { until, place });
    }

    /// Adds an output somewhere, or deletes one that was added.
    fn change(&mut self) -> Result<()> {
        if self.added.len() < MAX_ADDED && self.random.below(2) == 0 {
            let number = self.random.below(self.inputs.len());
            let (input, media) = self.inputs.get(number).context("an input")?;
            let key = output_key()?;
            self.sinks.expect(&key, *media);
            match self.dev.api.add_output(input, &self.sink_url, &key) {
                Ok(output) => {
                    self.added.push((number, output));
                    self.counts.added += 1;
                }
                Err(_) => self.counts.unanswered += 1,
            }
        } else if !self.added.is_empty() {
            let place = self.random.below(self.added.len());
            let (number, output) = self.added.swap_remove(place);
            let (input, _) = self.inputs.get(number).context("an input")?;
            match self.dev.api.delete_output(input, &output) {
                Ok(_) => self.counts.deleted += 1,
                Err(_) => self.counts.unanswered += 1,
            }
        }
        Ok(())
    }

    fn kill_control(&mut self) -> Result<()> {
        let running = process::descendants(self.dev.pid())?;
        let workerd = running.iter().filter(|one| one.name == "workerd");
        // The second one serves the Worker.
        let Some(pid) = workerd.map(|one| one.pid).max() else {
            return Ok(());
        };
        self.counts.control_killed += 1;
        self.dev.kill("control", pid, BACK_WITHIN)?;
        Ok(())
    }
}

/// The address of a port of this machine.
pub(super) fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// Outputs that come and go at the same time.
const MAX_ADDED: usize = 10;

/// The control plane dies so often.
const KILL_EVERY: Duration = Duration::from_secs(100);

/// wrangler takes seconds to start.
const BACK_WITHIN: Duration = Duration::from_secs(60);
