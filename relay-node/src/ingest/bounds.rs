//! What an encoder may have of this node: each a setting of `[ingest]`.

use std::time::Duration;

use rtmp::server::ServerConfig;

use super::admission::Places;
use super::keys::WrongKeys;

/// All of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// How many connections there may be.
    pub places: Places,
    /// What is done about wrong keys.
    pub wrong_keys: WrongKeys,
    /// What a connection may say, and in what time. The time to a finished publish runs from the
    /// moment that the connection is accepted, TLS included.
    pub session: ServerConfig,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            places: Places {
                // A restart of the node brings all of its encoders back at once; and a connection that
                // says nothing is a socket and some kilobytes.
                pending: 4096,
                // Half of it, so that nobody alone makes others wait: a crowd behind one address may
                // have an encoder in it.
                pending_of_origin: 2048,
                // More than two cores carry.
                publishers: 2000,
                // A studio, or a cloud's encoders behind one address.
                publishers_of_origin: 200,
            },
            wrong_keys: WrongKeys {
                // As soon as a person tries again; an encoder that tries each second costs a tenth.
                remembered: Duration::from_secs(10),
                // A person who copies keys about has a few wrong ones.
                burst: 20,
                // Whoever guesses at 128 bits gets as far at any rate; this is for our own good.
                every: Duration::from_secs(6),
            },
            session: ServerConfig::default(),
        }
    }
}
