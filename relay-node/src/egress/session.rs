//! One connection to a destination, from the look-up of its name to its end.

use std::io;
use std::pin::pin;
use std::time::{Duration, Instant};

use broadcast::{Action, Backlog, Cursor, Event, Read, Reason, Room, SendItem, Step};
use rtmp::client::{ClientError, ClientEvent, PublishClient, PublishTarget, Words};
use rtmp::{ProtocolError, StreamName};
use tokio::io::AsyncWriteExt;
use tokio::sync::watch;
use tokio::time::{sleep_until, timeout};

use super::connection::Traffic;
use super::output::{Ask, Attempt};
use super::{Connection, DialError};
use crate::clock;
use crate::wire::{Exchanged, Outbox, exchange};

/// How long a clean stop may take: the message begun, the farewell, TLS and TCP. A destination
/// that does not take it in this time has to find out by itself.
pub(super) const STOP_MAX: Duration = Duration::from_secs(1);

/// How often a live connection's socket is looked at when nothing else happens, so that a dead
/// peer is noticed.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// How a connection or an attempt ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The output's state machine ended it.
    Aborted,
    /// By the destination or on the way to it.
    Failed {
        reason: Reason,
        words: Option<String>,
    },
    /// By ourselves, because what comes next is of another format.
    Renewed,
    /// By our own wish.
    Stopped,
}

/// Connects, publishes, and sends until told to stop or until it fails.
pub(super) async fn run(attempt: &Attempt, ask: &Ask) -> End {
    let shared = &attempt.shared;
    let dialling = attempt.dialler.dial(&attempt.destination.url, |step| {
        shared.event(Event::Reached(step));
    });
    let dialled = tokio::select! {
        biased;
        () = ask.finish.cancelled() => return End::Stopped,
        () = ask.stop.cancelled() => return End::Stopped,
        dialled = dialling => dialled,
    };
    let connection = match dialled {
        Ok(connection) => connection,
        Err(DialError { reason, words }) => return End::Failed { reason, words },
    };
    shared.event(Event::Reached(Step::Handshaking));
    let target = PublishTarget {
        app: attempt.destination.url.app().to_owned(),
        tc_url: attempt.destination.url.tc_url().to_owned(),
        stream_name: StreamName::new(attempt.destination.stream_key.expose()),
        capabilities: attempt.feed.encoder().capabilities,
    };
    let Ok(client) = PublishClient::new(target, clock::now()) else {
        return Reason::Internal.into();
    };
    let mut session = Session {
        attempt,
        connection,
        client,
        outbox: Outbox::default(),
        cursor: Cursor::new(shared.start_policy()),
        items: Vec::new(),
        live: false,
        finishing: false,
        renewing: false,
        unread: false,
        look_at: clock::now(),
        growth: attempt.feed.growth(),
    };
    match session.drive(ask).await {
        Err(end) => end,
        Ok(()) => {
            session.say_goodbye().await;
            match session.renewing {
                true => End::Renewed,
                false => End::Stopped,
            }
        }
    }
}

struct Session<'a> {
    attempt: &'a Attempt,
    connection: Connection,
    client: PublishClient,
    outbox: Outbox,
    cursor: Cursor,
    /// What was read last; kept for its memory.
    items: Vec<SendItem>,
    live: bool,
    /// Nothing more will come: what is there is the rest.
    finishing: bool,
    /// What comes next needs a connection of its own.
    renewing: bool,
    /// Whether there may be something on the feed that was not read.
    unread: bool,
    /// When to look at the socket next.
    look_at: Instant,
    growth: watch::Receiver<()>,
}

impl Session<'_> {
    /// Sends until told to stop, or until there is nothing more to send and nothing will come.
    async fn drive(&mut self, ask: &Ask) -> Result<(), End> {
        let mut timer = pin!(sleep_until(self.look_at.into()));
        // Once for all turns: each new one would have to be put into the token's list.
        let mut stop = pin!(ask.stop.cancelled());
        let mut finish = pin!(ask.finish.cancelled());
        loop {
            self.take_events()?;
            if self.live && self.unread && self.outbox.is_empty() {
                self.read_feed()?;
            }
            let deadline = self.deadline().into();
            if timer.deadline() != deadline {
                timer.as_mut().reset(deadline);
            }
            let idle = self.live && self.outbox.is_empty() && !self.unread;
            if self.finishing && (idle || !self.live) {
                return Ok(());
            }
            let inbox = Some(self.client.read_buf());
            tokio::select! {
                biased;
                () = &mut stop => return Ok(()),
                () = &mut finish, if !self.finishing => (self.finishing, self.unread) = (true, true),
                exchanged = exchange(&mut self.connection, inbox, &mut self.outbox) => {
                    self.take_exchanged(exchanged)?;
                }
                // The feed is ours too, so its growth can always be waited for.
                _ = self.growth.changed(), if idle => self.unread = true,
                () = &mut timer => self.take_timeout()?,
            }
        }
    }

    fn take_events(&mut self) -> Result<(), End> {
        while let Some(event) = self.client.poll_event() {
            match event {
                ClientEvent::Publishing { confirmed } => {
                    tracing::debug!(confirmed, "publishing");
                    self.attempt.shared.event(Event::Published);
                    (self.live, self.unread) = (true, true);
                    self.look_at = clock::now() + LOOK_INTERVAL;
                }
                ClientEvent::Refused(words) => return Err(refused(words)),
                ClientEvent::Ended(words) => {
                    return Err(End::Failed {
                        reason: Reason::ClosedByPeer,
                        words: text(words),
                    });
                }
                _ => {}
            }
        }
        while let Some(bytes) = self.client.poll_output() {
            self.outbox.push_bytes(bytes);
        }
        Ok(())
    }

    fn read_feed(&mut self) -> Result<(), End> {
        // Before the reading, so that what comes meanwhile wakes us again.
        self.growth.mark_unchanged();
        let now = clock::now();
        let mut read = self.read_after(now, Connection::recent_traffic)?;
        if read == Read::Unsure {
            read = self.read_after(now, Connection::traffic)?;
        }
        self.unread = read == Read::Full;
        self.attempt.shared.skipped(self.cursor.skipped());
        match read {
            Read::TooSlow => return Err(Reason::TooSlow.into()),
            // First what is read of the old one.
            Read::FormatChanged => {
                self.finishing = true;
                self.renewing = true;
            }
            Read::CaughtUp | Read::Full | Read::Unsure => {}
        }
        for SendItem {
            kind,
            timestamp,
            payload,
        } in self.items.drain(..)
        {
            match self.client.message(kind, timestamp, payload) {
                Ok(message) => self.outbox.push_message(message),
                // What came in one message always goes out in one.
                Err(error) => tracing::warn!(%error, "message left out"),
            }
        }
        Ok(())
    }

    fn deadline(&self) -> Instant {
        let look_at = self.live.then_some(self.look_at);
        let own = [look_at, self.client.poll_timeout()];
        // While it is not live the client always has a deadline.
        own.into_iter().flatten().min().unwrap_or(self.look_at)
    }

    fn take_exchanged(&mut self, exchanged: io::Result<Exchanged>) -> Result<(), End> {
        match exchanged.map_err(|error| lost(&error))? {
            Exchanged::Flushed => {}
            Exchanged::Read(0) => return Err(Reason::ClosedByPeer.into()),
            Exchanged::Read(_) => {
                let processed = self.client.process(clock::now());
                processed.map_err(|error| misbehaved(&error))?;
                if !self.live && self.client.is_open() {
                    let event = Event::Reached(Step::Publishing);
                    self.attempt.shared.event(event);
                }
            }
            Exchanged::Wrote(bytes) => self.attempt.shared.sent(bytes),
        }
        Ok(())
    }

    fn take_timeout(&mut self) -> Result<(), End> {
        let now = clock::now();
        self.client
            .handle_timeout(now)
            .map_err(|error| misbehaved(&error))?;
        if self.live && now >= self.look_at {
            (self.look_at, self.unread) = (now + LOOK_INTERVAL, true);
            let traffic = self.connection.traffic(now);
            let traffic = traffic.map_err(|error| lost(&error))?;
            let event = Event::Traffic {
                acknowledged: traffic.acknowledged,
                outstanding: traffic.outstanding,
            };
            if let Some(Action::Abort | Action::Stop) = self.attempt.shared.event(event) {
                return Err(End::Aborted);
            }
        }
        Ok(())
    }

    fn read_after(
        &mut self,
        now: Instant,
        look: impl FnOnce(&mut Connection, Instant) -> io::Result<Traffic>,
    ) -> Result<Read, End> {
        let traffic = look(&mut self.connection, now).map_err(|error| lost(&error))?;
        let backlog = Backlog {
            unwritten: 0,
            unacknowledged: traffic.outstanding,
            may_be_less: traffic.is_recalled,
        };
        let (feed, room) = (&self.attempt.feed, Room::default());
        Ok(feed.read(&mut self.cursor, now, backlog, room, &mut self.items))
    }

    /// Ends the stream as an encoder does, so that the destination knows that it was meant.
    async fn say_goodbye(&mut self) {
        self.client.stop();
        self.outbox.keep_begun();
        while let Some(bytes) = self.client.poll_output() {
            self.outbox.push_bytes(bytes);
        }
        if timeout(STOP_MAX, self.close()).await.is_err() {
            tracing::debug!("the destination did not take the farewell in time");
        }
    }

    async fn close(&mut self) -> io::Result<()> {
        while !self.outbox.is_done() {
            if let Exchanged::Read(0) = self.exchange().await? {
                return Ok(());
            }
        }
        self.connection.shutdown().await?;
        // Closing a socket with something unread resets the connection, and the peer may lose
        // what it has not read of ours.
        while self.exchange().await? != Exchanged::Read(0) {}
        Ok(())
    }

    async fn exchange(&mut self) -> io::Result<Exchanged> {
        let inbox = self.client.read_buf();
        inbox.clear();
        exchange(&mut self.connection, Some(inbox), &mut self.outbox).await
    }
}

impl From<Reason> for End {
    fn from(reason: Reason) -> Self {
        Self::Failed {
            reason,
            words: None,
        }
    }
}

fn refused(words: Words) -> End {
    let reason = match words.code.contains("BadName") {
        true => Reason::BadName,
        false => Reason::Rejected,
    };
    End::Failed {
        reason,
        words: text(words),
    }
}

fn text(words: Words) -> Option<String> {
    let Words {
        code, description, ..
    } = words;
    match (code.is_empty(), description.is_empty()) {
        (true, true) => None,
        (false, true) => Some(code),
        (true, false) => Some(description),
        (false, false) => Some(format!("{code}: {description}")),
    }
}

fn lost(error: &io::Error) -> End {
    match error.kind() {
        io::ErrorKind::TimedOut => Reason::Stalled.into(),
        kind => End::Failed {
            reason: Reason::ClosedByPeer,
            words: Some(kind.to_string()),
        },
    }
}

fn misbehaved(error: &ClientError) -> End {
    let reason = match error {
        ClientError::HandshakeTimeout => Reason::HandshakeTimeout,
        ClientError::AnswerTimeout { .. } => Reason::PublishTimeout,
        ClientError::Protocol(ProtocolError::Handshake(_)) => Reason::HandshakeFailed,
        _ => Reason::ProtocolError,
    };
    End::Failed {
        reason,
        words: Some(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use broadcast::StartPolicy;
    use shared::address::{AddressPolicy, Network};
    use shared::link::{Protocol, Target};
    use shared::secret::Secret;
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    use super::*;
    use crate::egress::output::Shared;
    use crate::egress::{Destination, Dialler, tls};
    use crate::feed::{Encoder, Feed};
    use crate::shards::Shards;

    #[tokio::test]
    async fn a_destination_that_takes_no_farewell_is_left_in_time() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = Target::Rtmp {
            url: format!("rtmp://{}/live", listener.local_addr().unwrap()),
            stream_key: Secret::new("hunter2"),
        };
        let policy = AddressPolicy::allowing(Network::LOOPBACK);
        let attempt = Attempt {
            destination: Arc::new(Destination::new(&target).unwrap()),
            feed: Arc::new(Feed::new(
                1,
                Encoder::new(Protocol::Rtmp, None),
                Duration::ZERO,
                broadcast::Budget::default(),
                Shards::here().pick(),
            )),
            dialler: Dialler::new(policy, tls::client_config(None).unwrap()),
            shared: Arc::new(Shared::new(StartPolicy::FirstKeyframe, Box::new(|_| {}))),
        };
        let ask = Ask::default();
        let asked = ask.clone();
        let running = tokio::spawn(async move { run(&attempt, &asked).await });
        let (mut stream, _) = listener.accept().await.unwrap();
        // It has begun to speak RTMP.
        stream.read_u8().await.unwrap();
        tokio::time::pause();
        let began = tokio::time::Instant::now();
        ask.stop.cancel();
        assert_eq!(running.await.unwrap(), End::Stopped);
        // The timers of a clock that was stopped between two ticks are a tick late.
        assert!(began.elapsed().abs_diff(STOP_MAX) <= Duration::from_millis(1));
    }
}
