//! One process of a node takes the listening sockets over from another, and both run until the older
//! one's broadcasts have ended.
//!
//! ```text
//! successor                                            running process
//!   ── take_over ──────────────────────────────────────────►
//!   ◄───────────────────── sockets (with the sockets) ──────
//!   starts, and accepts from them
//!   ── accepting ──────────────────────────────────────────►  readiness off, accepts no more
//!   ◄──────────────────────────────────────────── draining ──
//!   listens for successors itself
//!   ◄──────────────────────────────────────────── introduce ─  on a connection of its own,
//!   ◄─ claim, released, kept ───────────────────────────────►  until it ends
//!   ◄─ knock, occupied, vacant ─────────────────────────────►
//!   ◄─ show, broadcast, shown ──────────────────────────────►
//! ```
//!
//! Both ends are processes of one node and one user, on one machine: the socket is a file, in a folder
//! that nobody else may enter, and who connects to it as another user is not heard. They may be of
//! different versions: unknown fields and frames are ignored.
//!
//! While an encoder comes to one process, the other may still send the same input to the same
//! destinations; so whoever begins a broadcast claims it from all others, and its outputs wait until
//! they have let it go ([`Rivals`]). Before an encoder is let in at all, the others are asked whether
//! the one that they have is to be left alone. And whoever asks one process what is on air is told of
//! all of them.

mod former;
mod frame;
mod rivals;
mod successor;

pub use former::{Offer, Successor};
pub use rivals::{Claimed, Draining, Rivals, attend};
pub use successor::{Former, Life, TakeOverError, take_over};

use std::time::Duration;

/// How long one process waits for the other's next word: each of them answers at once, and a process
/// that starts opens a few files in between. After that both go on as if the other were not there.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// How many sockets are handed over; a node listens on three. Those beyond it are opened anew, which
/// fails while the old process listens.
const MAX_SOCKETS: usize = 64;

#[cfg(test)]
mod tests;
