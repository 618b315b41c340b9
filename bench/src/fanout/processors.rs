//! Who runs where: what is measured has a processor, and what measures it the others. Otherwise a
//! relay costs half as much again whenever the scheduler puts it beside the sinks that it wakes.

use std::path::Path;
use std::process::Command;
use std::thread::available_parallelism;

use anyhow::Result;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use system_tests::process::Running;

/// The machine's processors.
#[derive(Clone, Copy, Debug)]
pub(super) struct Processors {
    count: usize,
}

/// Is busy for as long as there is the process that has started it, however that ends.
const BUSY: &str =
    "while kill -0 $PPID; do i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; done";

/// Where relays and floors run, with all of their threads.
const MEASURED: usize = 0;

impl Processors {
    /// Has this thread, and those that it starts from here on, measure.
    pub(super) fn share() -> Result<Self> {
        let count = available_parallelism()?.get();
        let processors = Self { count };
        processors.run_on(1..count)?;
        Ok(processors)
    }

    /// Keeps all of them awake, each with a process that runs when nobody else wants to, until what
    /// this returns is dropped. A virtual machine's processor that has slept is slow to wake, by as much
    /// as its host has let it sleep, and who sleeps often pays for it.
    pub(super) fn keep_awake(self, folder: &Path) -> Result<Vec<Running>> {
        let awake = (0..self.count).map(|number| {
            let mut command = Command::new("chrt");
            command
                .args(["--idle", "0", "taskset", "--cpu-list", &number.to_string()])
                .args(["sh", "-c", BUSY]);
            Running::start("chrt", &mut command, &folder.join("awake.log"))
        });
        awake.collect()
    }

    /// Has this thread be measured.
    pub(super) fn be_measured(self) -> Result<()> {
        self.run_on(MEASURED..MEASURED + 1)
    }

    /// A command that is measured.
    pub(super) fn measured(self, program: &str) -> Command {
        if self.count == 1 {
            return Command::new(program);
        }
        let mut command = Command::new("taskset");
        command.args(["--cpu-list", &MEASURED.to_string(), program]);
        command
    }

    fn run_on(self, numbers: std::ops::Range<usize>) -> Result<()> {
        if self.count == 1 {
            return Ok(());
        }
        let mut set = CpuSet::new();
        for number in numbers {
            set.set(number)?;
        }
        Ok(sched_setaffinity(Pid::from_raw(0), &set)?)
    }
}
