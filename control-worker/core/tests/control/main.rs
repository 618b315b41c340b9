//! The control plane's rules against a real SQLite, which is what D1 is.

#[cfg(test)]
mod changes;
#[cfg(test)]
mod database;
#[cfg(test)]
mod description;
#[cfg(test)]
mod end_points;
#[cfg(test)]
mod event_stream;
#[cfg(test)]
mod examples;
#[cfg(test)]
mod idempotency;
#[cfg(test)]
mod list;
#[cfg(test)]
mod live_input;
#[cfg(test)]
mod node_link;
#[cfg(test)]
mod resealing;
#[cfg(test)]
mod rotation;
#[cfg(test)]
mod status;
#[cfg(test)]
mod tokens;
#[cfg(test)]
mod webhook;
