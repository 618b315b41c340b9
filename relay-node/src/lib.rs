//! The relay node: terminates RTMPS and retransmits each feed to its outputs.
//!
//! [`ingest`] takes encoders in and [`egress`] sends to destinations; they meet only in the
//! [`registry`] and its [`feed`]s, where snapshots from [`control`] say what is wanted.

pub mod account;
pub mod admin;
pub mod alarm;
pub mod cli;
pub mod clock;
pub mod config;
pub mod control;
pub mod crypto;
pub mod egress;
pub mod feed;
pub mod hand_over;
pub mod ingest;
pub mod listeners;
pub mod logging;
pub mod node;
pub mod panics;
pub mod process;
pub mod registry;
pub mod shards;
pub mod shutdown;
pub mod socket;
pub mod static_control;
pub mod succession;
pub mod supervisor;
mod system;
pub mod toml_error;
pub mod uplink;
pub mod wire;
