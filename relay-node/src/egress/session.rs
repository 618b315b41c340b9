//! One connection to a destination, from the look-up of its name to its end.

use std::future::{Future as _, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};

use broadcast::{Action, Backlog, Event, OutputWarning, Read, Reason, Room, SendItem, Step};
use rtmp::StreamName;
use rtmp::client::{
    ClientEvent, Credentials, Demand, Framing, Login, LoginError, PublishClient, PublishTarget,
};
use tokio::io::AsyncWriteExt;
use tokio::sync::Notify;
use tokio::time::{sleep_until, timeout};
use tokio_util::io::poll_read_buf;
use tracing::Span;

use super::Connection;
use super::connection::Traffic;
use super::end::End;
#[cfg(test)]
use super::fault;
use super::output::{Ask, Attempt};
use crate::clock::{self, Beat};
use crate::feed::{Bookmark, Reader};
use crate::wire::{Exchanged, Outbox, exchange, poll_send};

/// How long a clean stop may take: the message begun, the farewell, TLS and TCP. A destination
/// that does not take it in this time has to find out by itself.
pub(super) const STOP_MAX: Duration = Duration::from_secs(1);

/// How often a live connection's socket is looked at, so that a dead peer is noticed, and what was sent
/// is counted.
pub(super) const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// The looks of all outputs fall on these beats, so that a thread is not woken for each of them.
const LOOK_BEAT: Duration = Duration::from_millis(250);

/// Why a connection is left.
enum Left {
    End(End),
    /// The destination wants to know who publishes, on another connection.
    Unauthorized(Demand),
}

/// Connects, publishes, and sends until told to stop or until it fails. Where the destination wants
/// a user, an attempt has a connection for each thing that it wants to know.
pub(super) async fn run(attempt: &Arc<Attempt>, ask: &Ask) -> End {
    let user = attempt.destination.url.user();
    let credentials = user.map(|user| Credentials::new(user.name.expose(), user.password.expose()));
    let mut login = Login::default();
    loop {
        let demand = match publish(attempt, ask, credentials.clone(), login.clone()).await {
            Ok(()) => return End::Stopped,
            Err(Left::End(end)) => return end,
            Err(Left::Unauthorized(demand)) => demand,
        };
        // What is not random can be guessed by who listens, and no more.
        let random = getrandom::u32().unwrap_or_default();
        login = match login.answer(&demand, credentials.as_ref(), random) {
            Ok(login) => login,
            Err(LoginError::NoCredentials) => return Reason::AuthRequired.into(),
            Err(LoginError::Refused) => return Reason::AuthFailed.into(),
        };
        tracing::debug!("the destination wants to know more of the user");
    }
}

async fn publish(
    attempt: &Arc<Attempt>,
    ask: &Ask,
    credentials: Option<Credentials>,
    login: Login,
) -> Result<(), Left> {
    let shared = &attempt.shared;
    let _part = attempt.dialler.take_part().map_err(End::from)?;
    let dialling = attempt.dialler.dial(&attempt.destination.url, |step| {
        shared.event(Event::Reached(step));
    });
    let dialled = tokio::select! {
        biased;
        () = ask.finish.cancelled() => return Ok(()),
        () = ask.stop.cancelled() => return Ok(()),
        dialled = dialling => dialled,
    };
    let connection = dialled.map_err(End::from)?;
    shared.event(Event::Reached(Step::Handshaking));
    let target = PublishTarget {
        app: attempt.destination.url.app().to_owned(),
        tc_url: attempt.destination.url.tc_url().to_owned(),
        stream_name: StreamName::new(attempt.destination.stream_key.expose()),
        capabilities: attempt.feed.encoder().capabilities,
        credentials,
        login,
    };
    let Ok(mut client) = PublishClient::new(target, clock::now()) else {
        return Err(Reason::Internal.into());
    };
    if let Some(system) = attempt.dialler.system() {
        client.introduce(&**system);
    }
    let session = Session {
        live: None,
        finishing: false,
        unread: false,
        sent: 0,
        outbox: Outbox::default(),
        bookmark: attempt.feed.bookmark(shared.start_policy()),
        connection,
        failed: None,
        renewing: false,
        look_at: clock::now(),
        client: Box::new(client),
        attempt: Arc::clone(attempt),
        span: Span::current(),
    };
    let sender = Arc::new(Sender {
        session: Mutex::new(session),
        wanted: Notify::new(),
    });
    let enrolment = attempt.feed.enrol(Arc::clone(&sender) as _);
    let driven = sender.drive(ask).await;
    drop(enrolment);
    driven?;
    // Nobody else has it any more, and who panicked with it was told of above.
    let session = Arc::into_inner(sender).and_then(|sender| sender.session.into_inner().ok());
    let Some(mut session) = session else {
        return Err(Reason::Internal.into());
    };
    session.say_goodbye().await;
    match session.renewing {
        true => Err(End::Renewed.into()),
        false => Ok(()),
    }
}

/// A session between its two masters: the feed's pass over all outputs, which sends what is new
/// while the socket takes it, and a task of its own, which does everything else.
struct Sender {
    session: Mutex<Session>,
    /// The task is to look at it.
    wanted: Notify,
}

impl Reader for Sender {
    fn grown(&self, now: Instant) {
        // Where it is locked its task is at it, or it is broken, which its task finds.
        let session = self.session.try_lock();
        if !session.is_ok_and(|mut session| session.grown(now)) {
            self.wanted.notify_one();
        }
    }

    fn broken(&self) {
        self.wanted.notify_one();
    }
}

impl Sender {
    /// Sends until told to stop, or until there is nothing more to send and nothing will come.
    async fn drive(&self, ask: &Ask) -> Result<(), Left> {
        let mut stop = pin!(ask.stop.cancelled());
        let mut finish = pin!(ask.finish.cancelled());
        let mut wanted = pin!(self.wanted.notified());
        let mut timer = pin!(sleep_until(clock::now().into()));
        let mut finishing = false;
        poll_fn(|cx| {
            // A panic in the feed's pass leaves it poisoned.
            let Ok(mut session) = self.session.lock() else {
                return Poll::Ready(Err(Reason::Internal.into()));
            };
            if stop.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Ok(()));
            }
            if !finishing && finish.as_mut().poll(cx).is_ready() {
                finishing = true;
                (session.finishing, session.unread) = (true, true);
            }
            while wanted.as_mut().poll(cx).is_ready() {
                wanted.set(self.wanted.notified());
                session.unread = true;
            }
            loop {
                if let Poll::Ready(over) = session.poll(cx) {
                    return Poll::Ready(over);
                }
                let deadline = session.deadline().into();
                if timer.deadline() != deadline {
                    timer.as_mut().reset(deadline);
                }
                ready!(timer.as_mut().poll(cx));
                session.take_timeout()?;
            }
        })
        .await
    }
}

/// The pass finds it cold, some tens of milliseconds after the last: what it touches of it comes first and
/// lies together ([0114](../../../docs/decisions/0114-a-pass-touches-little.md)).
#[repr(C)]
struct Session {
    /// How messages are framed, while it publishes.
    live: Option<Framing>,
    /// Nothing more will come: what is there is the rest.
    finishing: bool,
    /// Whether there may be something on the feed that was not read.
    unread: bool,
    /// Bytes written that were not told of.
    sent: u64,
    outbox: Outbox,
    bookmark: Bookmark,
    connection: Connection,
    /// What went wrong in the feed's pass.
    failed: Option<End>,
    /// What comes next needs a connection of its own.
    renewing: bool,
    /// When to look at the socket next.
    look_at: Instant,
    client: Box<PublishClient>,
    attempt: Arc<Attempt>,
    /// What it says in the feed's pass belongs here.
    span: Span,
}

impl Session {
    /// The feed has grown: sends what the socket takes. Whether its task may sleep on.
    fn grown(&mut self, now: Instant) -> bool {
        #[cfg(test)]
        fault::here(&self.attempt.destination.server(), fault::Place::Pass);
        self.unread = true;
        // Where it does not publish yet or the socket is full, the task goes on by itself.
        if self.live.is_none() || !self.outbox.is_empty() {
            return true;
        }
        // If the socket takes no more, the task waits in place of this.
        match self.poll_send(now, &mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(())) => !self.finishing,
            Poll::Ready(Err(end)) => {
                (self.failed, self.live) = (Some(end), None);
                false
            }
            Poll::Pending => false,
        }
    }

    /// Does what can be done; done when there is nothing more to send and nothing will come.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Left>> {
        #[cfg(test)]
        fault::here(&self.attempt.destination.server(), fault::Place::Task);
        if let Some(end) = self.failed.take() {
            return Poll::Ready(Err(end.into()));
        }
        loop {
            self.take_events()?;
            let sent = self.poll_send(clock::now(), cx)?;
            if self.finishing && (sent.is_ready() || self.live.is_none()) {
                return Poll::Ready(Ok(()));
            }
            let inbox = self.client.read_buf();
            let received = ready!(poll_read_buf(Pin::new(&mut self.connection), cx, inbox));
            self.take_received(received.map_err(|error| End::lost(&error))?)?;
        }
    }

    /// Sends what there is. Pending when the socket takes no more.
    fn poll_send(&mut self, now: Instant, cx: &mut Context<'_>) -> Poll<Result<(), End>> {
        loop {
            if let Some(framing) = self.live
                && self.unread
                && self.outbox.is_empty()
            {
                self.read_feed(now, framing)?;
            }
            if self.outbox.is_done() {
                if self.live.is_some() && self.unread {
                    continue;
                }
                return Poll::Ready(Ok(()));
            }
            let sent = ready!(poll_send(&mut self.connection, cx, &mut self.outbox));
            if let Exchanged::Wrote(bytes) = sent.map_err(|error| End::lost(&error))? {
                self.sent += bytes as u64;
            }
        }
    }

    fn take_events(&mut self) -> Result<(), Left> {
        while let Some(event) = self.client.poll_event() {
            match event {
                ClientEvent::Publishing { confirmed } => {
                    tracing::debug!(confirmed, "publishing");
                    self.attempt.shared.event(Event::Published);
                    (self.live, self.unread) = (Some(self.client.framing()), true);
                    self.look_at = self.next_look(clock::now());
                }
                ClientEvent::Refused(words) => return Err(End::refused(words).into()),
                ClientEvent::Ended(words) => return Err(End::closed(words).into()),
                ClientEvent::Unauthorized(demand) => return Err(Left::Unauthorized(demand)),
                _ => {}
            }
        }
        while let Some(bytes) = self.client.poll_output() {
            self.outbox.push_bytes(bytes);
        }
        Ok(())
    }

    fn read_feed(&mut self, now: Instant, framing: Framing) -> Result<(), End> {
        let (mut read, mut items) = self.read_after(now, Connection::recent_traffic)?;
        if read == Read::Unsure {
            (read, items) = self.read_after(now, Connection::traffic)?;
        }
        self.unread = read == Read::Full;
        match read {
            Read::TooSlow => return Err(Reason::TooSlow.into()),
            // First what is read of the old one.
            Read::FormatChanged => {
                self.finishing = true;
                self.renewing = true;
                self.attempt.shared.keep_beginning(&self.attempt.feed);
            }
            Read::CaughtUp | Read::Full | Read::Unsure => {}
        }
        let batches = self.bookmark.feed().batches();
        if let Some(batch) = batches.ask(framing, &self.client, &items) {
            self.outbox.push_batch(batch);
            return Ok(());
        }
        for SendItem {
            kind,
            timestamp,
            payload,
        } in items.iter()
        {
            match self.client.message(*kind, *timestamp, payload.clone()) {
                Ok(message) => self.outbox.push_message(message),
                // What came in one message always goes out in one.
                Err(error) => self
                    .span
                    .in_scope(|| tracing::warn!(%error, "message left out")),
            }
        }
        Ok(())
    }

    fn deadline(&self) -> Instant {
        let look_at = self.live.map(|_| self.look_at);
        let own = [look_at, self.client.poll_timeout()];
        // While it is not live the client always has a deadline.
        own.into_iter().flatten().min().unwrap_or(self.look_at)
    }

    fn take_received(&mut self, bytes: usize) -> Result<(), End> {
        if bytes == 0 {
            return Err(Reason::ClosedByPeer.into());
        }
        let processed = self.client.process(clock::now());
        processed.map_err(|error| End::misbehaved(&error))?;
        if self.live.is_none() && self.client.is_open() {
            self.attempt.shared.event(Event::Reached(Step::Publishing));
        }
        Ok(())
    }

    fn take_timeout(&mut self) -> Result<(), End> {
        let now = clock::now();
        self.client
            .handle_timeout(now)
            .map_err(|error| End::misbehaved(&error))?;
        if self.live.is_some() && now >= self.look_at {
            (self.look_at, self.unread) = (self.next_look(now), true);
            self.tell();
            let traffic = self.connection.traffic(now);
            let traffic = traffic.map_err(|error| End::lost(&error))?;
            let event = Event::Traffic {
                acknowledged: traffic.acknowledged,
                outstanding: traffic.outstanding,
            };
            if let Some(Action::Abort | Action::Stop) = self.attempt.shared.event(event) {
                return Err(End::Aborted);
            }
            let taken = self.client.capabilities();
            let mut codecs = self.attempt.feed.codecs();
            codecs.retain(|codec| !taken.takes(*codec));
            let warnings = codecs.into_iter().map(OutputWarning::CodecNotAnnounced);
            self.attempt.shared.warn(warnings.collect());
        }
        Ok(())
    }

    fn read_after(
        &mut self,
        now: Instant,
        look: impl FnOnce(&mut Connection, Instant) -> io::Result<Traffic>,
    ) -> Result<(Read, Arc<Vec<SendItem>>), End> {
        let traffic = look(&mut self.connection, now).map_err(|error| End::lost(&error))?;
        let backlog = Backlog {
            unwritten: 0,
            unacknowledged: traffic.outstanding,
            may_be_less: traffic.is_recalled,
        };
        Ok(self.bookmark.read(now, backlog, Room::default()))
    }

    fn next_look(&self, now: Instant) -> Instant {
        let beat = Beat {
            origin: self.bookmark.feed().origin(),
            length: LOOK_BEAT,
        };
        beat.after(now + LOOK_INTERVAL - LOOK_BEAT)
    }

    /// What was sent and skipped since it was last told.
    fn tell(&mut self) {
        let sent = std::mem::take(&mut self.sent);
        self.attempt.shared.sent(sent, self.bookmark.skipped());
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

impl Drop for Session {
    fn drop(&mut self) {
        if self.sent > 0 {
            self.tell();
        }
    }
}

impl From<End> for Left {
    fn from(end: End) -> Self {
        Self::End(end)
    }
}

impl From<Reason> for Left {
    fn from(reason: Reason) -> Self {
        Self::End(reason.into())
    }
}

#[cfg(test)]
mod tests {
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
            url: Secret::new(format!("rtmp://{}/live", listener.local_addr().unwrap())),
            stream_key: Secret::new("hunter2"),
        };
        let policy = AddressPolicy::allowing(Network::LOOPBACK);
        let attempt = Arc::new(Attempt {
            destination: Arc::new(Destination::new(&target).unwrap()),
            feed: Arc::new(Feed::new(
                1,
                Encoder::new(Protocol::Rtmp, None),
                Duration::ZERO,
                broadcast::Budget::default(),
                Shards::here().pick(),
                clock::now(),
            )),
            dialler: Dialler::new(policy, tls::client_config(None).unwrap()),
            shared: Arc::new(Shared::new(StartPolicy::FirstKeyframe, Box::new(|_| {}))),
        });
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
