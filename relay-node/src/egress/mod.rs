//! Sending a broadcast to its destinations, each by a task of its own.

mod connection;
mod destination;
mod dial;
mod end;
#[cfg(test)]
mod fault;
mod output;
mod own;
#[cfg(test)]
mod panic_tests;
mod race;
mod session;
pub mod tls;

pub use connection::Connection;
pub use destination::{Destination, NotServed};
pub use dial::{DialError, Dialler};
pub use output::{Figures, Output};
