//! The handshake: rml_rtmp's, behind checks of our own.

use bytes::Bytes;

/// One side of the handshake, digest and plain scheme alike.
pub struct Handshake {}

impl Handshake {
    /// The side that was called: waits for C0.
    pub fn server() -> Self {
        todo!()
    }

    /// The side that calls, and what it says first (C0 and C1).
    pub fn client() -> Result<(Self, Bytes), HandshakeError> {
        todo!()
    }

    /// Takes what the peer sent, in any pieces.
    ///
    /// # Errors
    ///
    /// Whatever the peer said that is no RTMP; the handshake is then over, and every further call
    /// answers the same kind of error.
    pub fn process(&mut self, bytes: &[u8]) -> Result<Progress, HandshakeError> {
        let _ = bytes;
        todo!()
    }
}

/// What came of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub struct Progress {
    /// To be sent to the peer; empty if there is nothing to say yet.
    pub reply: Bytes,
    /// Once the handshake is complete, the bytes after it: chunks already (often empty).
    pub done: Option<Bytes>,
}

/// Why there will be no RTMP with this peer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// A TLS ClientHello on a port for plain RTMP.
    #[error("the peer speaks TLS (rtmps://) to a port for plain RTMP (rtmp://)")]
    Tls,
    /// An HTTP request.
    #[error("the peer speaks HTTP to an RTMP port")]
    Http,
    /// Another version than 3, the only one without encryption.
    #[error("the peer's handshake begins with version {0}, not 3")]
    Version(u8),
    /// `process` after completion or an error.
    #[error("the handshake is over")]
    Over,
    /// Refused by rml_rtmp for a reason of its own.
    #[error("the handshake failed: {0}")]
    Other(String),
}
