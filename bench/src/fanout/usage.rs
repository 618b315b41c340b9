//! What processes and threads cost, from `/proc`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};

/// Time on a CPU, user and system, of all threads of the processes.
pub(crate) fn cpu(pids: &[u32]) -> Result<Duration> {
    let mut total = Duration::ZERO;
    for pid in pids {
        for task in fs::read_dir(format!("/proc/{pid}/task"))? {
            // A thread may end while we look.
            total += cpu_of(&task?.path()).unwrap_or_default();
        }
    }
    Ok(total)
}

/// This thread's folder in `/proc`, to be given to [`cpu_of`].
pub(super) fn this_thread() -> Result<PathBuf> {
    Ok(fs::canonicalize("/proc/thread-self")?)
}

/// Time on a CPU of a thread; `schedstat` counts nanoseconds, `stat` ticks of 10 ms.
pub(super) fn cpu_of(thread: &Path) -> Result<Duration> {
    let text = fs::read_to_string(thread.join("schedstat"))?;
    let nanos = text.split(' ').next().and_then(|first| first.parse().ok());
    Ok(Duration::from_nanos(
        nanos.context("a schedstat begins with a number")?,
    ))
}

/// Resident memory of the processes, in bytes.
pub(crate) fn memory(pids: &[u32]) -> Result<u64> {
    let mut total = 0;
    for pid in pids {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
        let kilobytes: u64 = kilobytes
            .context("a process has resident memory")?
            .parse()?;
        total += 1024 * kilobytes;
    }
    Ok(total)
}
