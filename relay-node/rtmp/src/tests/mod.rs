//! Whole conversations: sessions against scripted peers, against each other, and against rml_rtmp.

mod client;
mod noise;
mod pair;
mod peer;
mod rml;
mod server;
