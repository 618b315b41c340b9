//! The control plane's rules, pure.
//!
//! Everything that can be decided without Workers is decided here and tested natively: which
//! request means what and who may make it ([`route`], [`auth`], [`permission`], [`request`]), where
//! outputs may send ([`destination`]), what is made once ([`idempotency`]), what is asked of the
//! database and what its answers mean ([`sql`], [`change`]), how a live input's object keeps every
//! change whole ([`live_input`]), what a node is told and when it is told again ([`snapshot`],
//! [`node_link`]), what is known of what goes on ([`status`]), what receivers and event streams are
//! told of it all ([`webhook`], [`event_stream`]), how secrets come under another key ([`resealing`]), what the client reads ([`answer`], [`failure`],
//! [`openapi`]), and which paths are the dashboard's ([`page`]). Time, randomness and all effects come
//! from the caller.

pub mod account;
pub mod answer;
pub mod auth;
pub mod change;
pub mod cors;
pub mod destination;
pub mod event_stream;
pub mod failure;
pub mod idempotency;
pub mod keys;
pub mod known;
pub mod live_input;
pub mod node_link;
pub mod notification;
pub mod openapi;
pub mod page;
pub mod permission;
pub mod policy;
pub mod rate;
pub mod ray;
pub mod relay_request;
pub mod request;
pub mod resealing;
pub mod route;
mod sealed_url;
pub mod snapshot;
pub mod sql;
pub mod status;
pub mod token;
pub mod trouble;
pub mod webhook;
