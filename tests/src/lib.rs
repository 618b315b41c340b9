//! The whole system from outside: real workerd, real node, real encoders and servers.
//!
//! This library holds what the tests in `tests/` have in common. They start the product by
//! `cargo xtask dev --json` or as the `relay-node` program, and know it only by what it prints, by
//! its API and by its sockets.
//!
//! Whatever a test starts is ended by its process id when its value is dropped, also by a panic.

pub mod api;
pub mod authority;
pub mod destination;
pub mod dev;
pub mod encoder;
pub mod fault_proxy;
pub mod generator;
pub mod gstreamer;
pub mod hooks;
pub mod link_proxy;
pub mod listening;
pub mod namespace;
pub mod node;
pub mod obs;
pub mod packets;
pub mod ports;
pub mod process;
pub mod secrets;
pub mod shared;
pub mod streams;
pub mod strict;
pub mod tap;
pub mod tls;
pub mod wait;
pub mod wire;
