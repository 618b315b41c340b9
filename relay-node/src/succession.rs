//! Starting the process that takes over.
//!
//! Any process of the node that finds the running one takes over. By SIGUSR2 the running one starts it
//! itself, with its own command line: so the program that lies at its path now, in the same service of
//! the supervisor.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::{env, future, io};

use tokio::process::{Child, Command};
use tokio::signal::unix::Signal;

use crate::hand_over::{Offer, Successor};
use crate::registry::Registry;
use crate::supervisor;

/// Waits until another process accepts connections in place of this one; for ever, if there is no
/// `offer`. Starts one at each signal of `upgrade`, unless one is starting.
pub async fn wait(
    offer: Option<Offer>,
    mut upgrade: Signal,
    registry: &Arc<Registry>,
) -> Successor {
    let is_offered = offer.is_some();
    let mut serving = Box::pin(async {
        match offer {
            Some(offer) => offer.serve(registry).await,
            None => future::pending().await,
        }
    });
    let mut starting: Option<Child> = None;
    loop {
        tokio::select! {
            successor = &mut serving => {
                let child = starting.as_ref().and_then(Child::id);
                if let Some(pid) = child.filter(|_| child == successor.pid) {
                    // What is said after this, by this process, the supervisor does not listen to.
                    supervisor::main_process(pid);
                }
                return successor;
            }
            _ = upgrade.recv() => match &starting {
                _ if !is_offered => {
                    tracing::warn!("no process can take over: hand_over.socket is not configured");
                }
                Some(_) => tracing::info!("another process is starting already"),
                None => match start() {
                    Ok(child) => starting = Some(child),
                    Err(error) => tracing::error!(%error, "no other process can be started"),
                },
            },
            ended = end(&mut starting) => {
                starting = None;
                match ended {
                    Ok(status) => tracing::error!(%status, "the new process did not take over"),
                    Err(error) => tracing::error!(%error, "the new process is lost"),
                }
            }
        }
    }
}

async fn end(starting: &mut Option<Child>) -> io::Result<ExitStatus> {
    match starting {
        Some(child) => child.wait().await,
        None => future::pending().await,
    }
}

fn start() -> io::Result<Child> {
    let mut arguments = env::args_os();
    let program = program(arguments.next())?;
    let child = Command::new(&program)
        .args(arguments)
        // These are this process's: what systemd has passed reaches the other by hand-over.
        .env_remove("LISTEN_FDS")
        .env_remove("LISTEN_FDNAMES")
        .env_remove("LISTEN_PID")
        .env_remove("WATCHDOG_PID")
        .stdin(Stdio::null())
        .spawn()?;
    let pid = child.id();
    tracing::info!(program = %program.display(), pid, "a new process starts, to take over");
    Ok(child)
}

/// The program as it was named at the start, so that what lies there now is run; the name alone says
/// nothing of where, and the kernel tells then.
fn program(named: Option<OsString>) -> io::Result<PathBuf> {
    match named.map(PathBuf::from) {
        Some(path) if path.components().count() > 1 => Ok(path),
        _ => env::current_exe(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_again_as_it_was_named() {
        let of = |name: &str| program(Some(name.into())).unwrap();
        assert_eq!(
            of("/opt/relay/current/relay-node"),
            PathBuf::from("/opt/relay/current/relay-node")
        );
        assert_eq!(of("./relay-node"), PathBuf::from("./relay-node"));
        assert_eq!(of("relay-node"), env::current_exe().unwrap());
    }
}
