//! Commands: `connect`, `publish`, `onStatus` and the rest.
