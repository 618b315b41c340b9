//! Programs that a test starts, and the processes that those start.

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use rustix::process::{Pid, kill_process};

pub use rustix::process::Signal;

/// A program that runs until its value is dropped.
pub struct Running {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Running {
    /// Starts `command`; what it prints goes to `log`, but for streams that are already piped.
    pub fn start(name: &str, command: &mut Command, log: &Path) -> Result<Self> {
        let file = File::create(log).with_context(|| format!("creating {}", log.display()))?;
        command.stderr(file.try_clone()?).stdout(file);
        Self::start_piped(name, command, log)
    }

    /// Starts `command` with the output streams that it has been given.
    pub fn start_piped(name: &str, command: &mut Command, log: &Path) -> Result<Self> {
        // In a group of its own, a Ctrl-C at the terminal reaches it by this process only.
        let child = command.process_group(0).stdin(Stdio::null()).spawn();
        Ok(Self {
            name: name.to_owned(),
            child: child.with_context(|| format!("starting {name}"))?,
            log: log.to_owned(),
        })
    }

    /// The process's id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The child itself, for its pipes.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// What it has printed until now.
    pub fn printed(&self) -> Result<String> {
        let text = fs::read(&self.log).with_context(|| format!("the output of {}", self.name))?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Waits for its end.
    pub fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        let what = format!("the end of {}", self.name);
        super::wait::until(&what, limit, || self.ended())
    }

    /// Asks it to end, and waits for that.
    pub fn end(&mut self, limit: Duration) -> Result<ExitStatus> {
        if let Some(status) = self.ended()? {
            return Ok(status);
        }
        // Its id is its own until it is waited for, so that this reaches nobody else.
        signal(self.pid(), Signal::TERM)?;
        self.wait(limit)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.end(GRACE).is_err() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Shows the last lines of what a program has printed.
pub fn show_end(name: &str, printed: &str) {
    let lines: Vec<_> = printed.lines().collect();
    let first = lines.len().saturating_sub(SHOWN_LINES);
    eprintln!("--- the last lines of {name}:");
    for line in lines.iter().skip(first) {
        eprintln!("{line}");
    }
}

/// Sends a signal to a process.
pub fn signal(pid: u32, signal: Signal) -> Result<()> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| anyhow!("no process has this id"))?;
    kill_process(pid, signal).with_context(|| format!("signalling process {pid:?}"))
}

/// A process, told apart from a later one with the same id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// The program's name, as the kernel keeps it.
    pub name: String,
    parent: u32,
    started: u64,
}

impl Process {
    /// The process with this id, if it is there.
    pub fn find(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name stands in parentheses and may hold anything; what follows are numbers
        // (proc_pid_stat(5): state is field 3, the parent 4, the time of the start 22).
        let (name, fields) = stat.split_once('(')?.1.rsplit_once(')')?;
        let mut fields = fields.split_whitespace();
        let state = fields.next()?;
        let parent = fields.next()?.parse().ok()?;
        let started = fields.nth(17)?.parse().ok()?;
        (state != "Z").then(|| Self {
            pid,
            name: name.to_owned(),
            parent,
            started,
        })
    }

    /// Whether it is still there.
    pub fn lives(&self) -> bool {
        Self::find(self.pid).is_some_and(|now| now.started == self.started)
    }

    /// One variable of its environment, as it was when it started.
    pub fn variable(&self, name: &str) -> Result<String> {
        let environment = fs::read(format!("/proc/{}/environ", self.pid))?;
        environment
            .split(|byte| *byte == 0)
            .map(String::from_utf8_lossy)
            .find_map(|variable| Some(variable.strip_prefix(name)?.strip_prefix('=')?.to_owned()))
            .ok_or_else(|| anyhow!("{} has no variable {name}", self.name))
    }
}

/// All processes below `pid`, children first.
pub fn descendants(pid: u32) -> Result<Vec<Process>> {
    let all: Vec<Process> = fs::read_dir("/proc")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(Process::find)
        .collect();
    let mut found: Vec<Process> = Vec::new();
    let mut parents = vec![pid];
    while let Some(parent) = parents.pop() {
        for child in all.iter().filter(|process| process.parent == parent) {
            parents.push(child.pid);
            found.push(child.clone());
        }
    }
    Ok(found)
}

/// Ends processes by their ids, those that are left after `limit` by force.
pub fn end_all(processes: &[Process], limit: Duration) {
    let deadline = Instant::now() + limit;
    for how in [Signal::TERM, Signal::KILL] {
        for process in processes.iter().filter(|process| process.lives()) {
            // It fails when the process has just ended, which is what was wanted.
            let _ = signal(process.pid, how);
        }
        while Instant::now() < deadline && processes.iter().any(Process::lives) {
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// What a program gets between being asked to end and being killed: more than the 5 s that the
/// product promises, so that a broken promise is told from a slow machine.
const GRACE: Duration = Duration::from_secs(8);

/// How much of a program's output is shown when the test fails.
const SHOWN_LINES: usize = 30;
