//! Ports that nobody uses.

use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};
use std::process;
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::{Context, Result};

/// The first of ten ports in a row that are free now, another ten for each call.
pub fn base() -> Result<u16> {
    // Two runs of the suite at the same time begin at different places.
    let first = (process::id() % u32::from(BASES)) as u16;
    (0..BASES)
        .map(|_| (first + NEXT.fetch_add(1, Ordering::Relaxed)) % BASES)
        .map(|index| FIRST + 10 * index)
        .find(|base| (*base..base + 10).all(is_free))
        .context("no ten free ports in a row")
}

/// A port that is free now.
pub fn one() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}

fn is_free(port: u16) -> bool {
    let v4 = TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    // Where there is no IPv6, nothing listens on it.
    let v6 = TcpListener::bind((Ipv6Addr::LOCALHOST, port));
    let v6_taken = v6.is_err_and(|error| error.kind() == std::io::ErrorKind::AddrInUse);
    v4.is_ok() && !v6_taken
}

/// The tens begin here: below the range from which the kernel takes ports for clients.
const FIRST: u16 = 22_000;

/// How many tens there are.
const BASES: u16 = 1000;

static NEXT: AtomicU16 = AtomicU16::new(0);
