//! What the kernel lets this process do, and leave behind.

use std::io;

use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::ingest::Places;

/// Files that are open beside connections: listeners, the log, the uplink, a pair for each thread
/// that waits for sockets, the files read at start.
const RESERVE: u64 = 256;

/// Outputs of the largest broadcast.
const OUTPUTS: u64 = shared::limits::DEFAULT_MAX_OUTPUTS_PER_INPUT as u64;

/// A broadcast of the largest kind: its encoder with a timer, and its outputs.
const PER_BROADCAST: u64 = 2 + OUTPUTS;

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
    "only {limit} files may be open at once, and {publishers} encoders (ingest.max_publishers) with \
     {outputs} outputs each need {needed}: set LimitNOFILE (or ulimit -n) to {needed} or more{}",
    or_fewer_encoders(.fit),
    outputs = OUTPUTS
)]
pub struct TooFewFiles {
    /// How many may be open.
    pub limit: u64,
    /// How many should.
    pub needed: u64,
    /// How many encoders may publish.
    pub publishers: u64,
    /// For how many of them with all their outputs the files suffice.
    pub fit: u64,
}

fn or_fewer_encoders(fit: &u64) -> String {
    match fit {
        0 => String::new(),
        fit => format!(", or ingest.max_publishers to {fit} or less"),
    }
}

/// Checks that so many files suffice when all these places are taken, and each encoder that publishes
/// has all the outputs that an input may have. Where they do not, connections fail that the
/// configuration lets in.
///
/// # Errors
///
/// They do not.
pub fn check_open_files(limit: u64, places: Places) -> Result<(), TooFewFiles> {
    let (pending, publishers) = (places.pending as u64, places.publishers as u64);
    let others = RESERVE + pending;
    let needed = others + publishers * PER_BROADCAST;
    match limit >= needed {
        true => Ok(()),
        false => Err(TooFewFiles {
            limit,
            needed,
            publishers,
            fit: limit.saturating_sub(others) / PER_BROADCAST,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::Bounds;

    fn places(pending: usize, publishers: usize) -> Places {
        Places {
            pending,
            publishers,
            ..Bounds::default().places
        }
    }

    #[test]
    fn too_few_files_are_told_in_numbers() {
        let needed = RESERVE + 100 + 10 * PER_BROADCAST;
        assert_eq!(check_open_files(needed, places(100, 10)), Ok(()));
        let error = check_open_files(needed - 1, places(100, 10)).unwrap_err();
        assert_eq!(
            error,
            TooFewFiles {
                limit: needed - 1,
                needed,
                publishers: 10,
                fit: 9
            }
        );
        assert_eq!(check_open_files(needed - 1, places(100, 9)), Ok(()));
        let text = error.to_string();
        for part in [
            format!("only {} files", needed - 1),
            "10 encoders (ingest.max_publishers) with 50 outputs".to_owned(),
            format!("LimitNOFILE (or ulimit -n) to {needed}"),
            "ingest.max_publishers to 9".to_owned(),
        ] {
            assert!(text.contains(&part), "{text}");
        }
        // There is nothing that the other bound could be set to.
        let error = check_open_files(0, places(100, 10)).unwrap_err();
        assert_eq!(error.fit, 0);
        assert!(!error.to_string().contains("or less"), "{error}");
    }

    #[test]
    fn the_unit_has_files_for_what_is_configured_by_default() {
        let unit = include_str!("../../deploy/relay-node.service");
        let limit = unit.lines().find_map(|it| it.strip_prefix("LimitNOFILE="));
        let limit = limit.unwrap().parse().unwrap();
        assert_eq!(check_open_files(limit, Bounds::default().places), Ok(()));
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
