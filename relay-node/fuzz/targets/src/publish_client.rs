use std::time::{Duration, Instant};

use rtmp::client::{
    ANSWER_TIMEOUT, ClientEvent, Credentials, Login, PublishClient, PublishTarget, Words,
};
use rtmp::{Capabilities, StreamName};

use crate::pieces::Pieces;

/// What a destination must not make us show: also the corpus has them, so that it tries.
const KEY: &str = "live_17_secret?sig=signature";
const PASSWORD: &str = "pass";

/// The client at a destination: `[seed of the split, bytes…]`. Where the destination wants to know
/// who publishes, it is told, and what is left of the bytes is what it says to that.
///
/// The client never shows key or password in what it tells of the destination's words, asks no
/// more than three times, and waits for nothing once it is closed.
pub fn publish_client(data: &[u8]) {
    let Some((&seed, wire)) = data.split_first() else {
        return;
    };
    let mut pieces = Pieces::new(wire, seed);
    let mut login = Login::default();
    for connection in 1.. {
        assert!(connection <= 3, "asked too often");
        match connect(&login, &mut pieces) {
            Some(next) => login = next,
            None => return,
        }
    }
}

/// One connection; with what to log in on the next, if there is to be one.
fn connect(login: &Login, pieces: &mut Pieces<'_>) -> Option<Login> {
    let now = Instant::now();
    let credentials = Credentials::new("somebody", PASSWORD);
    let target = PublishTarget {
        app: "live".to_owned(),
        tc_url: "rtmp://host/live".to_owned(),
        stream_name: StreamName::new(KEY),
        capabilities: Capabilities::default(),
        credentials: Some(credentials.clone()),
        login: login.clone(),
    };
    let mut client = PublishClient::new(target, now).ok()?;
    let hello = [&[3][..], &[0; 2 * 1536]].concat();
    if client.input(now, &hello).is_err() {
        return None;
    }
    let mut next = None;
    for piece in pieces {
        let over = client.input(now, piece);
        while let Some(event) = client.poll_event() {
            match event {
                ClientEvent::Refused(words) | ClientEvent::Ended(words) => check(&words),
                ClientEvent::Unauthorized(demand) => {
                    next = login.answer(&demand, Some(&credentials), 7).ok();
                }
                _ => {}
            }
        }
        while client.poll_output().is_some() {}
        if over.is_err() {
            assert!(client.is_closed());
        }
        if client.is_closed() {
            assert_eq!(client.poll_timeout(), None);
            return next;
        }
    }
    // A destination that says no more is given up, or it was live.
    let long = now + ANSWER_TIMEOUT + Duration::from_secs(1);
    if client.poll_timeout().is_some() {
        let _ = client.handle_timeout(long);
        assert_eq!(client.poll_timeout(), None);
    }
    client.stop();
    assert!(client.is_closed());
    None
}

fn check(words: &Words) {
    for shown in [&words.code, &words.description] {
        for secret in [KEY, "live_17_secret", "signature", PASSWORD, "somebody"] {
            assert!(!shown.contains(secret), "a secret is shown");
        }
        assert!(!shown.contains(char::is_control));
    }
}
