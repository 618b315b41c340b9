//! The connection that publishes to a destination.
