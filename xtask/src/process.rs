//! Other programs: started in a process group of their own, so that whatever they start in turn is
//! ended with them, and ended when a signal asks this program to stop.

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How often a child and the stop flag are looked at: small beside the 5 s in which all must end.
pub(crate) const POLL: Duration = Duration::from_millis(50);

/// What children get between being asked to end and being killed: all must be gone within 5 s.
const GRACE: Duration = Duration::from_secs(4);

static STOP: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// From here on SIGINT, SIGTERM and SIGHUP ask to stop instead of killing at once.
pub(crate) fn catch_signals() -> Result<()> {
    let flag = STOP.get_or_init(Arc::default);
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(flag)).context("catching signals")?;
    }
    Ok(())
}

/// Whether a signal asked this program to stop.
pub(crate) fn stopped() -> bool {
    STOP.get().is_some_and(|flag| flag.load(Ordering::Relaxed))
}

/// A command in a group of its own, without input, its output on standard error, and without what
/// `cargo run` put into the environment for this program only (it would make cargo build anew).
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        let of_cargo = [
            "CARGO_PKG_",
            "CARGO_MANIFEST_",
            "CARGO_BIN_",
            "CARGO_CRATE_",
            "CARGO_PRIMARY_",
        ];
        if name == "CARGO" || of_cargo.iter().any(|prefix| name.starts_with(prefix)) {
            command.env_remove(&*name);
        }
    }
    command
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(std::io::stderr());
    command
}

/// Runs to the end; an error unless it succeeds, or when a signal comes first.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = finish(spawn(command)?, None)?.ok_or_else(|| anyhow!("no deadline was set"))?;
    if status.success() {
        Ok(())
    } else {
        bail!("{} ended with {status}", describe(command))
    }
}

/// Runs to the end or to the deadline, whichever comes first; whether it succeeded.
pub(crate) fn succeeds_within(command: &mut Command, limit: Duration) -> Result<bool> {
    let status = finish(spawn(command)?, Some(Instant::now() + limit))?;
    Ok(status.is_some_and(|status| status.success()))
}

/// Runs to the end, handing on each line of its piped standard output.
pub(crate) fn lines(
    command: &mut Command,
    mut line: impl FnMut(&str) + Send,
) -> Result<ExitStatus> {
    let mut child = spawn(command)?;
    let output = child
        .stdout
        .take()
        .ok_or_else(|| anyhow!("no output of {}", describe(command)))?;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for text in BufReader::new(output).lines().map_while(Result::ok) {
                line(&text);
            }
        });
        finish(child, None)
    })?
    .ok_or_else(|| anyhow!("no deadline was set"))
}

/// What a command prints on standard output; an error unless it succeeds.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .output()
        .with_context(|| format!("starting {}", describe(command)))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!(
            "{} ended with {}: {}",
            describe(command),
            output.status,
            said.trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Starts a command; the error names the program.
pub(crate) fn spawn(command: &mut Command) -> Result<Child> {
    command
        .spawn()
        .with_context(|| format!("starting {}", describe(command)))
}

/// Ends a child and all of its group: asks, waits, then kills.
pub(crate) fn end(child: &mut Child) -> Result<()> {
    end_all(&mut [child])
}

/// Ends several children and their groups at the same time.
pub(crate) fn end_all(children: &mut [&mut Child]) -> Result<()> {
    signal(children, Signal::TERM);
    let deadline = Instant::now() + GRACE;
    while Instant::now() < deadline {
        if !any_left(children)? {
            return Ok(());
        }
        sleep(POLL);
    }
    signal(children, Signal::KILL);
    for child in children {
        child.wait()?;
    }
    Ok(())
}

/// Whether a program is found by name, as a shell would or where root's programs lie.
pub(crate) fn is_program(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .any(|folder| folder.join(name).is_file())
}

fn finish(mut child: Child, deadline: Option<Instant>) -> Result<Option<ExitStatus>> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if stopped() {
            end(&mut child)?;
            bail!("stopped by a signal");
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            end(&mut child)?;
            return Ok(None);
        }
        sleep(POLL);
    }
}

/// The group outlives its first process as long as it has members, and its number is not given to
/// another group meanwhile: so this reaches what we started, and nothing else.
fn signal(children: &[&mut Child], signal: Signal) {
    for child in children {
        if let Some(group) = group(child) {
            // It fails when the group has just ended, which is what was wanted.
            let _ = kill_process_group(group, signal);
        }
    }
}

fn any_left(children: &mut [&mut Child]) -> Result<bool> {
    let mut left = false;
    for child in children {
        child.try_wait()?;
        left |= group(child).is_some_and(|group| test_kill_process_group(group).is_ok());
    }
    Ok(left)
}

fn group(child: &Child) -> Option<Pid> {
    i32::try_from(child.id()).ok().and_then(Pid::from_raw)
}

/// The program and its first arguments. Values that could be secret travel by environment only.
fn describe(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args().take(3));
    format!(
        "`{}`",
        words
            .map(OsStr::to_string_lossy)
            .collect::<Vec<_>>()
            .join(" ")
    )
}
