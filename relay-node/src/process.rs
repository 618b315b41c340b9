//! What the kernel lets this process do, and leave behind.

use std::io;

use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Files that are open beside connections: listeners, the log, the uplink, a pair for each thread
/// that waits for sockets, the files read at start.
const RESERVE: u64 = 256;

/// A broadcast of the largest kind: its encoder, and an output to each of fifty destinations.
const PER_BROADCAST: u64 = 1 + shared::limits::DEFAULT_MAX_OUTPUTS_PER_INPUT as u64;

/// What a node should have room for; one that can hold fewer says so at start.
const BROADCASTS: u64 = 10;

/// Lets the kernel write no image of this process, which holds stream keys: neither a file, nor
/// through a program that collects them, which ignores a limit of 0 bytes. As a consequence only
/// root can look into the process (debuggers, profilers, parts of `/proc`).
///
/// # Errors
///
/// The kernel does not know these calls.
pub fn forbid_core_dumps() -> io::Result<()> {
    // A supervisor that has seen to it may have forbidden the call, too.
    if getrlimit(Resource::RLIMIT_CORE)? != (0, 0) {
        setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    }
    prctl::set_dumpable(false)?;
    Ok(())
}

/// Raises the number of files that may be open as far as the process may raise it by itself, and
/// returns it.
///
/// # Errors
///
/// The kernel does not tell the bound, or does not let it be moved.
pub fn raise_open_files() -> io::Result<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    }
    Ok(hard)
}

/// Why a bound on open files is too low: each connection is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "only {limit} files may be open at once, which is too low for {BROADCASTS} broadcasts of \
     {outputs} outputs: set LimitNOFILE (or ulimit -n) to {needed} or more",
    outputs = PER_BROADCAST - 1
)]
pub struct TooFewFiles {
    /// How many may be open.
    pub limit: u64,
    /// How many should.
    pub needed: u64,
}

/// Checks that so many files suffice for what a node is there for, with so many connections that
/// have not begun to publish.
///
/// # Errors
///
/// They do not.
pub fn check_open_files(limit: u64, pending: usize) -> Result<(), TooFewFiles> {
    let needed = RESERVE + pending as u64 + BROADCASTS * PER_BROADCAST;
    match limit >= needed {
        true => Ok(()),
        false => Err(TooFewFiles { limit, needed }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_few_files_are_told_in_numbers() {
        let needed = check_open_files(0, 100).unwrap_err().needed;
        assert_eq!(needed, RESERVE + 100 + BROADCASTS * PER_BROADCAST);
        assert_eq!(check_open_files(needed, 100), Ok(()));
        let limit = needed - 1;
        let error = check_open_files(limit, 100).unwrap_err();
        assert_eq!(error, TooFewFiles { limit, needed });
        let text = error.to_string();
        assert!(text.contains(&limit.to_string()), "{text}");
        assert!(
            text.contains(&format!("LimitNOFILE (or ulimit -n) to {needed}")),
            "{text}"
        );
    }

    #[test]
    fn the_kernel_obeys() {
        let hard = raise_open_files().unwrap();
        let limits = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        assert_eq!(limits, (hard, hard));
        forbid_core_dumps().unwrap();
        assert_eq!(getrlimit(Resource::RLIMIT_CORE).unwrap(), (0, 0));
        assert!(!prctl::get_dumpable().unwrap());
    }
}
