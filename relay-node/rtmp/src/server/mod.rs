//! The session of an encoder that publishes to us.
