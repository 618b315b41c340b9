//! The control plane's rules, pure.
