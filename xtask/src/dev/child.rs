//! A process that is started again when it dies.

use anyhow::{Context, Result, bail};
use std::collections::VecDeque;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use super::procfs;
use crate::process;

/// This many deaths …
const DEATHS: usize = 3;
/// … in this time mean that starting again does not help.
const DEATHS_WITHIN: Duration = Duration::from_secs(10);

/// wrangler replaces workerd when the Worker was built anew; it is gone for less than this.
const REPLACEMENT: Duration = Duration::from_millis(500);

/// How much of its log is shown when a child keeps dying.
const LOG_LINES: usize = 15;

/// What starts a child, and where it logs.
pub(crate) struct Start {
    /// The command.
    pub(crate) command: Command,
    /// Shown when it dies again and again.
    pub(crate) log: PathBuf,
}

/// A child that should live as long as `dev` does.
pub(crate) struct Supervised<'a> {
    name: &'static str,
    start: Box<dyn Fn() -> Result<Start> + 'a>,
    child: Child,
    log: PathBuf,
    inner: Inner,
    deaths: VecDeque<Instant>,
}

/// Which process is the one that matters.
enum Inner {
    /// The child itself.
    Own,
    /// The Workers runtime, which wrangler starts: several processes, the last one started runs
    /// the Worker (those before it serve wrangler).
    Workerd {
        pids: Vec<u32>,
        lost: Option<Instant>,
        announce: bool,
    },
}

impl<'a> Supervised<'a> {
    /// A child that is itself the process that matters.
    pub(crate) fn new(name: &'static str, start: impl Fn() -> Result<Start> + 'a) -> Result<Self> {
        Self::with(name, Inner::Own, start)
    }

    /// wrangler, for the workerd that it starts.
    pub(crate) fn workerd(
        name: &'static str,
        start: impl Fn() -> Result<Start> + 'a,
    ) -> Result<Self> {
        let inner = Inner::Workerd {
            pids: Vec::new(),
            lost: None,
            announce: false,
        };
        Self::with(name, inner, start)
    }

    /// The process that matters, once it is there.
    pub(crate) fn pid(&self) -> Option<u32> {
        match &self.inner {
            Inner::Own => Some(self.child.id()),
            Inner::Workerd { pids, .. } => pids.last().copied(),
        }
    }

    /// The process that was started, to end it.
    pub(crate) fn process(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Starts it again if it died; an error when it keeps dying.
    pub(crate) fn revive(&mut self, now: Instant) -> Result<()> {
        let Some(how) = self.death(now)? else {
            return Ok(());
        };
        self.deaths.push_back(now);
        while self
            .deaths
            .front()
            .is_some_and(|death| now - *death > DEATHS_WITHIN)
        {
            self.deaths.pop_front();
        }
        if self.deaths.len() >= DEATHS {
            bail!(
                "{} died {DEATHS} times in {} s, last: {how}; the end of {}:\n{}",
                self.name,
                DEATHS_WITHIN.as_secs(),
                self.log.display(),
                end_of(&self.log)
            );
        }
        eprintln!("dev: {} died ({how}), starting it again", self.name);
        process::end(&mut self.child)?;
        let start = (self.start)()?;
        self.child = spawn(self.name, start.command)?;
        match &mut self.inner {
            Inner::Own => self.announce(),
            Inner::Workerd {
                pids,
                lost,
                announce,
            } => {
                pids.clear();
                *lost = None;
                *announce = true;
            }
        }
        Ok(())
    }

    fn with(
        name: &'static str,
        inner: Inner,
        start: impl Fn() -> Result<Start> + 'a,
    ) -> Result<Self> {
        let Start { command, log } = start()?;
        let child = spawn(name, command)?;
        Ok(Self {
            name,
            start: Box::new(start),
            child,
            log,
            inner,
            deaths: VecDeque::new(),
        })
    }

    fn announce(&self) {
        if let Some(pid) = self.pid() {
            eprintln!("dev: {} runs again, pid {pid}", self.name);
        }
    }

    /// How it died, if it did.
    fn death(&mut self, now: Instant) -> Result<Option<String>> {
        if let Some(status) = self.child.try_wait()? {
            return Ok(Some(status.to_string()));
        }
        let Inner::Workerd {
            pids,
            lost,
            announce,
        } = &mut self.inner
        else {
            return Ok(None);
        };
        let all_live = !pids.is_empty() && pids.iter().all(|pid| procfs::lives(*pid));
        let found = runtimes(self.child.id());
        if all_live && found.len() == pids.len() {
            return Ok(None);
        }
        if found.len() >= pids.len().max(RUNTIMES) {
            let replaced = !pids.is_empty();
            *pids = found;
            *lost = None;
            if std::mem::take(announce) || replaced {
                self.announce();
            }
            return Ok(None);
        }
        let gone = !pids.is_empty() && now - *lost.get_or_insert(now) > REPLACEMENT;
        Ok(gone.then(|| "workerd ended".to_owned()))
    }
}

/// How many runtimes wrangler starts: one for its own proxy, one for the Worker.
const RUNTIMES: usize = 2;

/// The runtimes in a group, oldest first.
fn runtimes(group: u32) -> Vec<u32> {
    let mut pids: Vec<_> = procfs::group(group)
        .into_iter()
        .filter(|process| process.name == "workerd")
        .map(|process| process.pid)
        .collect();
    pids.sort_unstable();
    pids
}

fn spawn(name: &str, mut command: Command) -> Result<Child> {
    process::spawn(&mut command).with_context(|| format!("starting {name}"))
}

fn end_of(log: &PathBuf) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    let first = lines.len().saturating_sub(LOG_LINES);
    lines.get(first..).unwrap_or_default().join("\n")
}
