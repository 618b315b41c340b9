//! What both halves of Stream Connect say to the world and to each other.
//!
//! The control plane (`control-worker`) and the relay nodes (`relay-node`) never depend on each
//! other; whatever must read the same on both sides stands here: ids and keys, the wire types of
//! the API and of the link, the error codes, the limits. Nothing here does I/O, reads a clock or
//! draws randomness, and all of it compiles to Wasm as well as natively.

pub mod address;
pub mod api;
pub mod envelope;
pub mod hex;
pub mod id;
pub mod limits;
pub mod link;
pub mod output_url;
pub mod secret;
pub mod stream_key;
pub mod time;
