//! The handshake: rml_rtmp's, behind checks of our own.

use std::fmt;

use bytes::{Bytes, BytesMut};
use rml_rtmp::handshake::{Handshake as Inner, HandshakeProcessResult, PeerType};

/// One byte of version, two packets: what a peer says before the first chunk (section 5.2). rml_rtmp
/// is never given more.
const HANDSHAKE_LEN: usize = 1 + 1536 + 1536;
/// The one version without encryption (section 5.2.2).
const VERSION: u8 = 3;

/// One side of the handshake, of the plain scheme or of the one with digests, as the peer likes.
///
/// Its random bytes are drawn by rml_rtmp from the thread's generator.
pub struct Handshake {
    inner: Inner,
    /// Bytes of the peer that were taken, all of them part of the handshake.
    taken: usize,
    over: bool,
}

impl Handshake {
    /// The side that was called: waits for C0.
    pub fn server() -> Self {
        Self::new(PeerType::Server)
    }

    /// The side that calls, and what it says first (C0 and C1).
    ///
    /// # Errors
    ///
    /// Only if rml_rtmp can't make a C1.
    pub fn client() -> Result<(Self, Bytes), HandshakeError> {
        let mut client = Self::new(PeerType::Client);
        let hello = client
            .inner
            .generate_outbound_p0_and_p1()
            .map_err(HandshakeError::refused)?;
        Ok((client, hello.into()))
    }

    /// Takes what the peer sent, in any pieces.
    ///
    /// # Errors
    ///
    /// The peer speaks no RTMP, or the handshake was over before; after an error it is over.
    pub fn process(&mut self, bytes: &[u8]) -> Result<Progress, HandshakeError> {
        if self.over {
            return Err(HandshakeError::Over);
        }
        let progress = self.advance(bytes);
        self.over = !matches!(progress, Ok(Progress { done: None, .. }));
        progress
    }

    fn new(side: PeerType) -> Self {
        Self {
            inner: Inner::new(side),
            taken: 0,
            over: false,
        }
    }

    fn advance(&mut self, bytes: &[u8]) -> Result<Progress, HandshakeError> {
        if let (0, Some(first)) = (self.taken, bytes.first()) {
            check_version(*first)?;
        }
        let (ours, rest) = bytes.split_at(bytes.len().min(HANDSHAKE_LEN - self.taken));
        self.taken += ours.len();
        if ours.is_empty() {
            return Ok(Progress {
                reply: Bytes::new(),
                done: None,
            });
        }
        match self
            .inner
            .process_bytes(ours)
            .map_err(HandshakeError::refused)?
        {
            HandshakeProcessResult::InProgress { response_bytes } => Ok(Progress {
                reply: response_bytes.into(),
                done: None,
            }),
            HandshakeProcessResult::Completed {
                response_bytes,
                remaining_bytes,
            } => {
                let mut after = BytesMut::from(remaining_bytes.as_slice());
                after.extend_from_slice(rest);
                Ok(Progress {
                    reply: response_bytes.into(),
                    done: Some(after.freeze()),
                })
            }
        }
    }
}

impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handshake")
            .field("taken", &self.taken)
            .field("over", &self.over)
            .finish()
    }
}

/// What came of some bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// To be sent to the peer; empty if there is nothing to say yet.
    pub reply: Bytes,
    /// Once the handshake is complete, the bytes after it: chunks already (often none).
    pub done: Option<Bytes>,
}

/// Why there will be no RTMP with this peer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// A TLS record: `rtmps://` to a port of `rtmp://`, or the other way round.
    #[error("the peer speaks TLS (rtmps://) where plain RTMP (rtmp://) was expected")]
    Tls,
    /// An HTTP request, or the answer to what was taken for one.
    #[error("the peer speaks HTTP where RTMP was expected")]
    Http,
    /// Another version than 3. Versions 6, 8 and 9 are Adobe's encrypted RTMPE.
    #[error("the peer asks for version {0} of RTMP; only version 3 is spoken here")]
    Version(u8),
    /// Bytes after completion or after an error: the caller's mistake.
    #[error("the handshake is over already")]
    Over,
    /// For a reason of rml_rtmp's.
    #[error("the handshake failed: {0}")]
    Refused(String),
}

impl HandshakeError {
    fn refused(error: rml_rtmp::handshake::HandshakeError) -> Self {
        Self::Refused(error.to_string())
    }
}

/// Names the usual mistakes: section 5.2.2 keeps versions above 31 free so that a text protocol can
/// be told by its first letter.
fn check_version(first: u8) -> Result<(), HandshakeError> {
    /// Of a TLS record: an alert (a server's answer to C0), a ClientHello.
    const TLS: [u8; 2] = [0x15, 0x16];
    /// Of a method, and of `HTTP/1.1 400`.
    const HTTP: &[u8] = b"CDGHOPT";
    match first {
        VERSION => Ok(()),
        first if TLS.contains(&first) => Err(HandshakeError::Tls),
        first if HTTP.contains(&first) => Err(HandshakeError::Http),
        other => Err(HandshakeError::Version(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKET: usize = 1536;

    /// Feeds `bytes` in pieces of `piece`, and gathers the answers.
    fn feed(side: &mut Handshake, bytes: &[u8], piece: usize) -> Progress {
        let mut reply = BytesMut::new();
        let mut done: Option<BytesMut> = None;
        for piece in bytes.chunks(piece) {
            if let Some(done) = &mut done {
                done.extend_from_slice(piece);
                continue;
            }
            let progress = side.process(piece).unwrap();
            reply.extend_from_slice(&progress.reply);
            done = progress.done.map(BytesMut::from);
        }
        Progress {
            reply: reply.freeze(),
            done: done.map(BytesMut::freeze),
        }
    }

    #[test]
    fn both_sides_agree_in_pieces_of_any_size() {
        for piece in [
            1,
            2,
            3,
            500,
            PACKET - 1,
            PACKET,
            PACKET + 1,
            3072,
            3073,
            3074,
            10_000,
        ] {
            let (mut client, hello) = Handshake::client().unwrap();
            let mut server = Handshake::server();
            assert_eq!(hello.len(), 1 + PACKET);

            let answer = feed(&mut server, &hello, piece);
            assert_eq!((answer.reply.len(), &answer.done), (1 + 2 * PACKET, &None));

            let mut server_says = answer.reply.to_vec();
            server_says.extend_from_slice(b"chunks of the server");
            let answer = feed(&mut client, &server_says, piece);
            assert_eq!(answer.reply.len(), PACKET);
            assert_eq!(answer.done.unwrap(), &b"chunks of the server"[..]);

            let mut client_says = answer.reply.to_vec();
            client_says.extend_from_slice(b"chunks of the client");
            let answer = feed(&mut server, &client_says, piece);
            assert_eq!(answer.reply.len(), 0);
            assert_eq!(answer.done.unwrap(), &b"chunks of the client"[..]);
        }
    }

    #[test]
    fn a_client_that_says_all_at_once_is_understood() {
        let mut server = Handshake::server();
        let mut says = vec![VERSION];
        says.extend_from_slice(&[7; 2 * PACKET]);
        says.extend_from_slice(b"chunks");
        let progress = server.process(&says).unwrap();
        assert_eq!(progress.done.unwrap(), &b"chunks"[..]);
        // No digest in C1: the plain scheme, S2 is C1's echo.
        assert_eq!(&progress.reply[1 + PACKET..], &[7; PACKET]);
    }

    #[test]
    fn a_server_of_the_plain_scheme_hears_its_own_words() {
        let (mut client, hello) = Handshake::client().unwrap();
        // No digest in S1, and S2 is C1's echo.
        let mut says = vec![VERSION];
        says.extend_from_slice(&[9; PACKET]);
        says.extend_from_slice(&hello[1..]);
        says.extend_from_slice(b"chunks");
        let answer = feed(&mut client, &says, 1000);
        assert_eq!(&answer.reply[..], &[9; PACKET]);
        assert_eq!(answer.done.unwrap(), &b"chunks"[..]);
    }

    #[test]
    fn completes_with_the_last_byte_of_c2_and_not_before() {
        let mut server = Handshake::server();
        let mut says = vec![VERSION];
        says.extend_from_slice(&[7; 2 * PACKET - 1]);
        assert_eq!(server.process(&says).unwrap().done, None);
        assert_eq!(server.process(&[]).unwrap().done, None);
        assert_eq!(server.process(&[7]).unwrap().done, Some(Bytes::new()));
        assert_eq!(server.process(&[7]), Err(HandshakeError::Over));
    }

    #[test]
    fn names_what_the_peer_mistook_us_for() {
        use HandshakeError::*;
        for (says, error) in [
            (&b"\x16\x03\x01\x02\x00\x01"[..], Tls),
            (b"\x15\x03\x01\x00\x02\x02\x46", Tls),
            (b"GET / HTTP/1.1\r\n", Http),
            (b"POST /open/1 HTTP/1.1\r\n", Http),
            (b"HTTP/1.1 400 Bad Request\r\n", Http),
            (b"\x06", Version(6)),
            (b"\x00", Version(0)),
            (b"\xff", Version(255)),
        ] {
            for whole in [true, false] {
                let mut server = Handshake::server();
                let says = if whole { says } else { &says[..1] };
                assert_eq!(server.process(says), Err(error.clone()));
                assert_eq!(server.process(&[VERSION]), Err(Over), "no second chance");
                let (mut client, _) = Handshake::client().unwrap();
                assert_eq!(client.process(says), Err(error.clone()));
            }
        }
    }
}
