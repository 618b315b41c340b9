//! The relay node: terminates RTMPS and retransmits each feed to its outputs.

pub mod control;
pub mod static_control;
pub mod uplink;
