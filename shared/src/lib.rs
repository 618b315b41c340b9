//! What both halves of Stream Connect say: wire types, envelope, keys, limits.
