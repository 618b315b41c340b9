//! The relay node: terminates RTMPS and retransmits each feed to its outputs.
