//! The relay node.
fn main() {}
