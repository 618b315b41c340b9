//! A whole node: TLS encoders before it, RTMP and RTMPS destinations behind it.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod accounts;
mod bounds;
mod churn;
mod door;
mod faults;
mod hand_over;
mod login;
mod loops;
mod outage;
mod process;
mod relay;
mod returns;
mod secrets;
mod support;
mod told;
