//! One client of an event stream.

use serde::{Deserialize, Serialize};
use shared::api::EventId;
use shared::id::AccountId;
use shared::secret::Secret;
use shared::time::{Timestamp, micros};

use super::frame::{self, ClientFrame, FirstFrame};
use super::{
    CHECK_EVERY, CHECKED_WITHIN, Close, ECHO_AFTER, ECHO_TIMEOUT, FIRST_FRAME_TIMEOUT,
    MAX_CLIENT_FRAME, MAX_CLIENTS, MAX_WAITING, Opening, RETRY, WINDOW,
};
use crate::auth::{TokenId, is_token};
use crate::sql::unsigned;

/// What is known of a client: kept with its socket, where it survives hibernation. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Client {
    /// Whose stream it reads.
    account: AccountId,
    /// The token that was found good; none before that.
    token: Option<TokenId>,
    /// Whether a token that it sent is being looked up.
    asking: bool,
    /// The last event that it has seen elsewhere.
    since: Option<EventId>,
    /// When its token is to be checked.
    #[serde(with = "micros")]
    check_at: Timestamp,
    /// When it is closed, unless its token was found good before.
    #[serde(with = "micros")]
    until: Timestamp,
    /// The number of the last event that it was sent.
    sent: u64,
    /// The last change of the configuration that it was told of.
    rev: u64,
    shown: Shown,
    /// Bytes that it was sent and has not confirmed.
    unread: u32,
    echo: Option<Echo>,
}

/// Whether a client was shown how its input stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
enum Shown {
    Never,
    Before,
    Now,
}

/// What a client was asked to confirm.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
struct Echo {
    text: String,
    /// How much of what is unread it confirms.
    bytes: u32,
    #[serde(with = "micros")]
    at: Timestamp,
}

/// Where a stream begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// The event that the first one sent comes after; none where there was none yet.
    pub last: Option<EventId>,
    /// Its number.
    pub number: u64,
    /// Whether it is the one that the client has seen last.
    pub resumed: bool,
}

/// An event as an object's own database has it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct StoredEvent {
    /// Its number there.
    #[serde(deserialize_with = "unsigned")]
    pub number: u64,
    /// Its id.
    pub id: String,
    /// Itself.
    pub json: String,
    /// The number of the oldest that is kept.
    #[serde(deserialize_with = "unsigned")]
    pub oldest: u64,
}

/// What a client's frame means.
#[derive(Debug)]
pub enum Heard {
    /// It says who it is: look the token up, then [`Client::admit`] it or close it.
    Token(Secret),
    /// It has read something: there may be room for more.
    Confirmed,
    /// It wants [`PONG`](super::PONG).
    Ping,
    /// Nothing.
    Nothing,
    /// It is to be closed.
    Close(Close),
}

impl Client {
    /// One that has just been connected, and is not admitted yet.
    pub fn new(opening: &Opening, now: Timestamp) -> Self {
        let until = now.after(FIRST_FRAME_TIMEOUT);
        Self {
            account: opening.account,
            token: None,
            asking: false,
            since: opening.since,
            check_at: until,
            until,
            sent: 0,
            rev: 0,
            shown: Shown::Never,
            unread: 0,
            echo: None,
        }
    }

    /// Whose stream it reads.
    pub fn account(&self) -> AccountId {
        self.account
    }

    /// The last event that it has seen elsewhere.
    pub fn since(&self) -> Option<EventId> {
        self.since
    }

    /// The token that lets it read, once there is one.
    pub fn token(&self) -> Option<&TokenId> {
        self.token.as_ref()
    }

    /// Whether it is told anything: it is admitted, and knows that.
    pub fn is_admitted(&self) -> bool {
        self.token.is_some()
    }

    /// The database has just found its token good, for the first time or again.
    pub fn admit(&mut self, token: TokenId, now: Timestamp) {
        self.token = Some(token);
        self.asking = false;
        self.check_at = now.after(CHECK_EVERY);
        self.until = now.after(CHECKED_WITHIN);
    }

    /// The database could not be asked.
    pub fn unchecked(&mut self, now: Timestamp) {
        self.check_at = now.after(RETRY);
    }

    /// Whether the database is to be asked about its token.
    pub fn must_be_checked(&self, now: Timestamp) -> bool {
        self.is_admitted() && now >= self.check_at
    }

    /// Why it is to be closed now, if it is.
    pub fn overdue(&self, now: Timestamp) -> Option<Close> {
        if now >= self.until {
            return Some(match self.is_admitted() {
                true => Close::Failed,
                false => Close::Unauthorised,
            });
        }
        (self.stalled_at()? <= now).then_some(Close::TooSlow)
    }

    /// When something is to be done about it.
    pub fn due(&self) -> Timestamp {
        let check = self.check_at.min(self.until);
        self.stalled_at().map_or(check, |at| at.min(check))
    }

    fn stalled_at(&self) -> Option<Timestamp> {
        let echo = self.echo.as_ref().filter(|_| !self.has_room())?;
        Some(echo.at.after(ECHO_TIMEOUT))
    }

    /// Takes a frame.
    pub fn hear(&mut self, text: &str) -> Heard {
        if !self.is_admitted() {
            return self.hear_first(text);
        }
        if text.len() > MAX_CLIENT_FRAME {
            return Heard::Close(Close::NotUnderstood);
        }
        match serde_json::from_str(text) {
            Ok(ClientFrame::Ping) => Heard::Ping,
            Ok(ClientFrame::Echo { echo }) => match self.echo.take_if(|ours| ours.text == echo) {
                Some(confirmed) => {
                    self.unread = self.unread.saturating_sub(confirmed.bytes);
                    Heard::Confirmed
                }
                None => Heard::Nothing,
            },
            Err(_) => Heard::Close(Close::NotUnderstood),
        }
    }

    fn hear_first(&mut self, text: &str) -> Heard {
        if self.asking {
            return Heard::Nothing;
        }
        let frame = (text.len() <= MAX_CLIENT_FRAME).then(|| serde_json::from_str(text).ok());
        match frame.flatten() {
            Some(FirstFrame { token, since }) if is_token(token.expose()) => {
                self.asking = true;
                let since = since.and_then(|since| since.parse().ok());
                self.since = since.or(self.since);
                Heard::Token(token)
            }
            _ => Heard::Close(Close::Unauthorised),
        }
    }

    /// The first frame that it is sent, the configuration being at `rev`. Of an account's stream
    /// nothing comes before the events; of an input's (`shows`) its state does.
    pub fn ready(&mut self, start: Start, rev: u64, shows: bool) -> String {
        self.sent = start.number;
        self.rev = rev;
        self.shown = if shows { Shown::Never } else { Shown::Now };
        self.counted(frame::ready(start.last, start.resumed))
    }

    /// What tells it that the configuration is at `rev`, unless it knows, or has no room.
    pub fn changed(&mut self, rev: u64) -> Option<String> {
        if rev <= self.rev || !self.is_admitted() || !self.has_room() {
            return None;
        }
        self.rev = rev;
        Some(self.counted(frame::changed(rev)))
    }

    /// What was shown to it is out of date.
    pub fn outdate(&mut self) {
        if self.shown == Shown::Now {
            self.shown = Shown::Before;
        }
    }

    /// Whether it is to be shown how its input stands.
    pub fn wants_state(&self) -> bool {
        self.is_admitted() && self.shown != Shown::Now && self.has_room()
    }

    /// It is sent how its input stands.
    pub fn show(&mut self, state: &str) {
        self.shown = Shown::Now;
        self.count(state);
    }

    /// After which event it is to be sent the next ones, if it can take any.
    pub fn reads_after(&self) -> Option<u64> {
        let reads = self.is_admitted() && self.shown != Shown::Never && self.has_room();
        reads.then_some(self.sent)
    }

    /// The frames of the events after that one, as many as there is room for.
    ///
    /// # Errors
    ///
    /// Where some that it was not sent are kept no more.
    pub fn events(&mut self, events: &[StoredEvent]) -> Result<Vec<String>, Close> {
        let mut frames = Vec::new();
        for event in events {
            if event.oldest > self.sent.saturating_add(1) {
                return Err(Close::TooSlow);
            }
            if !self.has_room() {
                break;
            }
            self.sent = event.number;
            frames.push(self.counted(frame::event(&event.id, &event.json)));
        }
        Ok(frames)
    }

    /// Asks it to confirm what it was sent, if that is enough. Nobody can answer who has not read:
    /// `chance` is random.
    pub fn ask(&mut self, chance: u64, now: Timestamp) -> Option<String> {
        if self.echo.is_some() || self.unread < ECHO_AFTER {
            return None;
        }
        let text = format!("{chance:016x}");
        let frame = self.counted(frame::echo(&text));
        let bytes = self.unread;
        self.echo = Some(Echo {
            text,
            bytes,
            at: now,
        });
        Some(frame)
    }

    /// Whether it may be sent more.
    pub fn has_room(&self) -> bool {
        self.unread < WINDOW
    }

    /// It is sent this.
    pub fn count(&mut self, frame: &str) {
        let bytes = u32::try_from(frame.len()).unwrap_or(u32::MAX);
        self.unread = self.unread.saturating_add(bytes);
    }

    fn counted(&mut self, frame: String) -> String {
        self.count(&frame);
        frame
    }
}

/// When the alarm must ring for the clients of an object; [`RETRY`] from now for what is overdue, so
/// that an alarm that fails does not ring without pause.
pub fn alarm(clients: &[Client], now: Timestamp) -> Option<Timestamp> {
    let due = clients.iter().map(Client::due).min()?;
    Some(if due > now { due } else { now.after(RETRY) })
}

/// Whether no more clients can be admitted beside those.
pub fn is_full(clients: &[Client]) -> bool {
    clients.iter().filter(|client| client.is_admitted()).count() >= MAX_CLIENTS
}

/// Which of them has to go for one more that has not said who it is, if one has to.
pub fn displaced(clients: &[Client]) -> Option<usize> {
    let waiting = clients.iter().enumerate();
    let waiting = waiting.filter(|(_, client)| !client.is_admitted());
    if waiting.clone().count() < MAX_WAITING {
        return None;
    }
    waiting
        .min_by_key(|(_, client)| client.until)
        .map(|(at, _)| at)
}
