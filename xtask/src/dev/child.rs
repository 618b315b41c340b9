//! A process that is started again when it dies.

use anyhow::{Context, Result, bail};
use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use super::procfs;
use crate::process;

/// This many deaths …
const DEATHS: usize = 3;
/// … in this time mean that starting again does not help.
const DEATHS_WITHIN: Duration = Duration::from_secs(10);

/// wrangler replaces a workerd that died, or whose Worker was built anew, in less than this.
const REPLACEMENT: Duration = Duration::from_secs(3);

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
    reloads: Reloads,
}

/// The end of the process that matters.
struct Death {
    how: String,
    /// Whether wrangler has put another in its place already.
    replaced: bool,
}

/// Which process is the one that matters.
enum Inner {
    /// The child itself.
    Own,
    /// The Workers runtime, which wrangler starts twice: the last one runs the Worker.
    Workerd {
        /// Where wrangler's own, the one before it, listens.
        port: u16,
        pids: Vec<u32>,
        lost: Option<Instant>,
        /// Whether its pid is news to whoever reads standard error.
        restarted: bool,
    },
}

impl<'a> Supervised<'a> {
    /// A child that is itself the process that matters.
    pub(crate) fn new(name: &'static str, start: impl Fn() -> Result<Start> + 'a) -> Result<Self> {
        Self::with(name, Inner::Own, start)
    }

    /// wrangler, told to listen on a port, for the workerd that it starts.
    pub(crate) fn workerd(
        name: &'static str,
        port: u16,
        start: impl Fn() -> Result<Start> + 'a,
    ) -> Result<Self> {
        let inner = Inner::Workerd {
            port,
            pids: Vec::new(),
            lost: None,
            restarted: false,
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
        let Some(Death { how, replaced }) = self.death(now)? else {
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
        if replaced {
            self.announce();
            return Ok(());
        }
        process::end(&mut self.child)?;
        self.child = spawn(self.name, (self.start)()?.command)?;
        match &mut self.inner {
            Inner::Own => self.announce(),
            Inner::Workerd {
                pids,
                lost,
                restarted,
                ..
            } => {
                pids.clear();
                *lost = None;
                *restarted = true;
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
            reloads: Reloads::default(),
        })
    }

    fn announce(&self) {
        if let Some(pid) = self.pid() {
            eprintln!("dev: {} runs again, pid {pid}", self.name);
        }
    }

    /// How it died, if it did.
    fn death(&mut self, now: Instant) -> Result<Option<Death>> {
        if let Some(status) = self.child.try_wait()? {
            return Ok(Some(Death {
                how: status.to_string(),
                replaced: false,
            }));
        }
        let Inner::Workerd {
            port,
            pids,
            lost,
            restarted,
        } = &mut self.inner
        else {
            return Ok(None);
        };
        // wrangler starts this one again too, but the new one hands no request on.
        if pids.first().is_some_and(|proxy| !procfs::lives(*proxy)) {
            return Ok(Some(Death {
                how: "wrangler's own workerd ended".to_owned(),
                replaced: false,
            }));
        }
        let found = runtimes(self.child.id(), *port);
        if found == *pids || (pids.is_empty() && found.len() < RUNTIMES) {
            *lost = None;
            return Ok(None);
        }
        if found.len() != RUNTIMES {
            let long = now - *lost.get_or_insert(now) > REPLACEMENT;
            return Ok(long.then(|| Death {
                how: "no workerd".to_owned(),
                replaced: false,
            }));
        }
        let first = pids.is_empty();
        *pids = found;
        *lost = None;
        if first {
            if std::mem::take(restarted) {
                self.announce();
            }
            return Ok(None);
        }
        if self.reloads.more(&self.log) {
            self.announce();
            return Ok(None);
        }
        Ok(Some(Death {
            how: "workerd ended".to_owned(),
            replaced: true,
        }))
    }
}

impl Drop for Supervised<'_> {
    /// For the ways out on which nobody ended it.
    fn drop(&mut self) {
        // There is nobody left to tell.
        let _ = process::end(&mut self.child);
    }
}

/// How many runtimes wrangler starts: one for its own proxy, one for the Worker.
const RUNTIMES: usize = 2;

/// What wrangler writes before it replaces workerd because the Worker was built anew.
const RELOAD: &str = "Reloading local server";

/// The reloads in wrangler's log.
#[derive(Default)]
struct Reloads(usize);

impl Reloads {
    /// Whether there are more than the last time.
    fn more(&mut self, log: &Path) -> bool {
        let text = fs::read_to_string(log).unwrap_or_default();
        let before = std::mem::replace(&mut self.0, text.matches(RELOAD).count());
        self.0 > before
    }
}

/// The runtimes in a group: first wrangler's own, which takes requests on the port and hands them
/// on, then the Worker's.
fn runtimes(group: u32, port: u16) -> Vec<u32> {
    let entry = format!("entry=127.0.0.1:{port}");
    let mut pids: Vec<_> = procfs::group(group)
        .into_iter()
        .filter(|process| process.name == "workerd")
        .map(|process| process.pid)
        .collect();
    pids.sort_by_key(|pid| !procfs::arguments(*pid).contains(&entry));
    pids
}

fn spawn(name: &str, mut command: Command) -> Result<Child> {
    process::spawn(&mut command).with_context(|| format!("starting {name}"))
}

fn end_of(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    let first = lines.len().saturating_sub(LOG_LINES);
    lines.get(first..).unwrap_or_default().join("\n")
}
