//! What is done with any bytes of a peer: the body of each fuzz target.
//!
//! `cargo xtask fuzz` gives these functions to libFuzzer, one by one; the tests of this package run
//! them over the corpus that came of it, as every test run does. A target fails by a panic: of its
//! own assertions, or of what it is about.
//!
//! | target | whose bytes |
//! | --- | --- |
//! | [`handshake`] | of anybody who connects, and of a destination |
//! | [`chunk_reader`] | the same, after the handshake |
//! | [`amf0`] | the values in a command |
//! | [`server_session`] | of an encoder |
//! | [`publish_client`] | of a destination |
//! | [`flv`] | of a publisher: one audio, video or data message |
//! | [`broadcast_log`] | of a publisher: many, onto the log and out of it |
//! | [`link`] | of the control plane, and of a node |
//! | [`names`] | of users: URLs, keys, ids, networks, times |
//! | [`request`] | of clients of the API: bodies, queries, paths, headers, frames of event streams |

mod amf0;
mod broadcast_log;
mod chunk_reader;
mod flv;
mod handshake;
mod link;
mod names;
mod pieces;
mod publish_client;
mod request;
mod server_session;

pub use amf0::amf0;
pub use broadcast_log::broadcast_log;
pub use chunk_reader::chunk_reader;
pub use flv::flv;
pub use handshake::handshake;
pub use link::link;
pub use names::names;
pub use publish_client::publish_client;
pub use request::request;
pub use server_session::server_session;

/// A function that takes any bytes.
pub struct Target {
    /// Its name, and that of its corpus.
    pub name: &'static str,
    /// What is done with them.
    pub run: fn(&[u8]),
}

/// All of them.
pub const TARGETS: [Target; 10] = [
    Target {
        name: "handshake",
        run: handshake,
    },
    Target {
        name: "chunk_reader",
        run: chunk_reader,
    },
    Target {
        name: "amf0",
        run: amf0,
    },
    Target {
        name: "server_session",
        run: server_session,
    },
    Target {
        name: "publish_client",
        run: publish_client,
    },
    Target {
        name: "flv",
        run: flv,
    },
    Target {
        name: "broadcast_log",
        run: broadcast_log,
    },
    Target {
        name: "link",
        run: link,
    },
    Target {
        name: "names",
        run: names,
    },
    Target {
        name: "request",
        run: request,
    },
];
