use std::time::{Duration, Instant};

use rtmp::server::{
    PUBLISH_IDLE_TIMEOUT, Refusal, ServerConfig, ServerError, ServerEvent, ServerSession,
};
use rtmp::{Message, ProtocolError};

use crate::pieces::Pieces;

/// The session of an encoder after its handshake: `[seed of the split, how to answer, bytes…]`.
///
/// Media comes of nobody whose publish was not accepted; who is closed waits for nothing; who is
/// silent is given up; and the same happens whatever the split.
pub fn server_session(data: &[u8]) {
    let Some((&[seed, answer], wire)) = data.split_first_chunk() else {
        return;
    };
    let accept = answer & 1 == 0;
    let whole = hear(wire, 0, accept);
    let split = hear(wire, seed, accept);
    // What is to be written is written between two reads: how much waits depends on the split.
    let writes = [&whole, &split]
        .iter()
        .any(|(_, over)| *over == Err(ServerError::Protocol(ProtocolError::NotReading)));
    assert!(writes || whole == split, "the split makes a difference");
}

/// What an encoder is heard to do.
#[derive(PartialEq)]
enum Heard {
    Media(Message),
    Other(String),
}

fn hear(wire: &[u8], seed: u8, accept: bool) -> (Vec<Heard>, Result<(), ServerError>) {
    let now = Instant::now();
    let mut session = ServerSession::new(ServerConfig::default(), now);
    let mut heard = Vec::new();
    let hello = [&[3][..], &[0; 2 * 1536]].concat();
    let mut over = session.input(now, &hello);
    assert_eq!(over, Ok(()), "the handshake is one");
    let mut publishes = 0;
    for piece in Pieces::new(wire, seed) {
        over = session.input(now, piece);
        while over.is_ok() && take(&mut session, &mut heard, &mut publishes) {
            match accept {
                true => over = session.accept(now),
                false => session.refuse(Refusal::UnknownKey),
            }
        }
        take(&mut session, &mut heard, &mut publishes);
        while session.poll_output().is_some() {}
        if over.is_err() {
            assert!(session.is_closed());
            break;
        }
    }
    let media = heard.iter().any(|heard| matches!(heard, Heard::Media(_)));
    assert!(!media || (accept && publishes > 0), "media of nobody");
    assert_eq!(session.is_closed(), session.poll_timeout().is_none());
    if !session.is_closed() {
        let long = now + PUBLISH_IDLE_TIMEOUT + Duration::from_secs(1);
        assert!(session.handle_timeout(long).is_err(), "no deadline");
        assert!(session.is_closed());
    }
    (heard, over)
}

/// Takes the events; whether one of them waits for an answer.
fn take(session: &mut ServerSession, heard: &mut Vec<Heard>, publishes: &mut usize) -> bool {
    let mut waits = false;
    while let Some(event) = session.poll_event() {
        match event {
            ServerEvent::Media(message) => heard.push(Heard::Media(message)),
            other => {
                if let ServerEvent::PublishRequested(request) = &other {
                    assert!(!request.key.expose().is_empty());
                    *publishes += 1;
                    waits = true;
                }
                heard.push(Heard::Other(format!("{other:?}")));
            }
        }
    }
    waits
}
