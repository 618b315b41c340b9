//! One encoder's connection.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use rtmp::Message;
use rtmp::server::{Refusal, ServerConfig, ServerError, ServerEvent, ServerSession};
use shared::link::Departure;
use shared::secret::Secret;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::io::poll_read_buf;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;

use super::door::Place;
use super::gathering::Gathering;
use super::socket::Gathers;
use crate::clock;
use crate::feed::Encoder;
use crate::registry::{self, Publisher, Registry};
use crate::wire::{Exchanged, Outbox, exchange};

/// How long the last words may take to reach the encoder.
const FAREWELL_MAX: Duration = Duration::from_secs(1);

/// How much is read at the end of a window, in bytes, before others have their turn: much more than
/// a window holds, unless the encoder sends faster than it can be read.
const DRAINED_MAX: usize = 1 << 20;

/// Serves an encoder that was accepted at `since`, from its first byte to its last. Once it is on air, `carry` takes its
/// connection to the thread of the broadcast: what it sends is then a wake-up for that thread alone.
pub(super) async fn serve<S, C>(
    stream: S,
    carry: impl FnOnce(S) -> C + Send + 'static,
    encoder: Encoder,
    registry: Arc<Registry>,
    place: Place,
    since: Instant,
    stop: CancellationToken,
) where
    S: AsyncRead + AsyncWrite + Gathers + Unpin + Send + 'static,
    C: Future<Output = io::Result<S>> + Send + 'static,
{
    let rtmp = ServerConfig {
        system: registry.system(),
        ..place.bounds().session.clone()
    };
    let mut session = Session {
        stream,
        rtmp: ServerSession::new(rtmp, since.into_std()),
        outbox: Outbox::default(),
        registry,
        encoder,
        request: None,
        publisher: None,
        place: Arc::new(place),
        media: Vec::new(),
        has_grown: false,
        gathering: Gathering::new(Duration::ZERO, since.into_std()),
        asked_to_move: false,
    };
    match session.drive(&stop, Until::OnAir).await {
        Ok(Over::OnAir) => {}
        over => return session.end(over).await,
    }
    let Some(shard) = session.publisher.as_ref().map(Publisher::shard).cloned() else {
        return session.end(Ok(Over::Closed)).await;
    };
    let rest = async move {
        match session.carried(carry).await {
            Ok(mut session) => {
                let over = session.drive(&stop, Until::Closed).await;
                session.end(over).await;
            }
            Err(error) => lost(&error),
        }
    };
    // If it panics, its publisher is dropped and so counts as lost.
    let _ = AbortOnDropHandle::new(shard.spawn(rest.in_current_span())).await;
}

fn lost(error: &io::Error) {
    tracing::debug!(reason = %error.kind(), "encoder lost");
}

/// How far to go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    OnAir,
    Closed,
}

/// How far it went.
enum Over {
    OnAir,
    Closed,
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Rtmp(#[from] ServerError),
}

type Request = Pin<Box<dyn Future<Output = Result<Publisher, Refusal>> + Send>>;

struct Session<S> {
    stream: S,
    rtmp: ServerSession,
    outbox: Outbox,
    registry: Arc<Registry>,
    encoder: Encoder,
    /// The key is being checked.
    request: Option<Request>,
    publisher: Option<Publisher>,
    /// Lost to another only until the encoder publishes.
    place: Arc<Place>,
    /// What was received and is not on the log yet; kept for its memory.
    media: Vec<Message>,
    /// Whether there is something on the log that the outputs were not told of.
    has_grown: bool,
    /// Whether, while it publishes, what comes is gathered.
    gathering: Gathering,
    /// Whether it was told that another process has taken over.
    asked_to_move: bool,
}

enum Happening {
    Answered(Result<Publisher, Refusal>),
    Cut(Refusal),
    Exchanged(io::Result<Exchanged>),
    HandedOver,
    TimedOut,
}

impl<S: AsyncRead + AsyncWrite + Gathers + Unpin> Session<S> {
    /// The same, with its connection on the thread that this is called on.
    async fn carried<C>(self, carry: impl FnOnce(S) -> C) -> io::Result<Self>
    where
        C: Future<Output = io::Result<S>>,
    {
        let stream = carry(self.stream).await?;
        Ok(Self { stream, ..self })
    }

    /// First the broadcast, then the courtesies.
    async fn end(mut self, over: Result<Over, Failure>) {
        let departure = match over {
            Ok(_) => Departure::Lost,
            Err(Failure::Io(error)) => {
                lost(&error);
                Departure::Lost
            }
            Err(Failure::Rtmp(error)) => {
                if self.publisher.is_some() {
                    // What exactly is told by nothing else.
                    tracing::info!(reason = %error, "encoder dropped");
                } else {
                    // Whoever looks for open ports does that.
                    tracing::debug!(reason = %error, "connection dropped");
                    self.place.refused(reason(&error));
                }
                match error {
                    ServerError::Idle(_) => Departure::Lost,
                    _ => Departure::Misbehaved,
                }
            }
        };
        self.leave(departure);
        self.say_farewell().await;
    }

    /// Receives until it is on air, or until the session is over.
    async fn drive(&mut self, stop: &CancellationToken, until: Until) -> Result<Over, Failure> {
        let mut timer = pin!(sleep_until(clock::now().into()));
        loop {
            self.take_events();
            self.tell();
            if self.rtmp.is_closed() {
                return Ok(Over::Closed);
            }
            if let Some(deadline) = self.rtmp.poll_timeout() {
                let deadline = deadline.into();
                if timer.deadline() != deadline {
                    timer.as_mut().reset(deadline);
                }
            }
            let happening = {
                let inbox = match self.rtmp.wants_input() {
                    true => Some(self.rtmp.read_buf()),
                    false => None,
                };
                tokio::select! {
                    biased;
                    () = stop.cancelled() => Happening::Cut(Refusal::ShuttingDown),
                    why = cut(&mut self.publisher) => Happening::Cut(why),
                    () = self.place.lost() => Happening::Cut(Refusal::Displaced),
                    answer = answer(&mut self.request) => Happening::Answered(answer),
                    () = self.registry.handed_over().cancelled(),
                        if self.publisher.is_some() && !self.asked_to_move =>
                    {
                        Happening::HandedOver
                    }
                    exchanged = exchange(&mut self.stream, inbox, &mut self.outbox) => {
                        Happening::Exchanged(exchanged)
                    }
                    () = &mut timer => Happening::TimedOut,
                }
            };
            match happening {
                Happening::Answered(answer) => {
                    self.request = None;
                    self.take_answer(answer)?;
                    if until == Until::OnAir && self.publisher.is_some() {
                        return Ok(Over::OnAir);
                    }
                }
                Happening::Cut(why) => self.refuse(why),
                Happening::HandedOver => {
                    self.asked_to_move = true;
                    self.rtmp.ask_to_reconnect();
                }
                Happening::Exchanged(exchanged) => match exchanged? {
                    Exchanged::Read(0) => {
                        tracing::debug!("encoder disconnected");
                        return Ok(Over::Closed);
                    }
                    Exchanged::Read(_) => {
                        let received = self.take_received().await;
                        // Whatever ended it: what was said before counts.
                        self.take_events();
                        if let Some(over) = received? {
                            return Ok(over);
                        }
                    }
                    Exchanged::Flushed | Exchanged::Wrote(_) => {}
                },
                Happening::TimedOut => self.rtmp.handle_timeout(clock::now())?,
            }
        }
    }

    fn is_gathering(&self) -> bool {
        self.publisher.is_some() && self.gathering.is_on()
    }

    /// Takes what was read, and reads what else a window holds. Without one there is nothing.
    async fn take_received(&mut self) -> Result<Option<Over>, Failure> {
        self.rtmp.process(clock::now())?;
        let mut room = DRAINED_MAX;
        while self.is_gathering() && self.rtmp.wants_input() && !self.rtmp.is_closed() {
            if room == 0 {
                yield_now().await;
                break;
            }
            let (stream, inbox) = (&mut self.stream, self.rtmp.read_buf());
            let read = poll_fn(|cx| {
                // What has not come by now is not waited for.
                Poll::Ready(match poll_read_buf(Pin::new(&mut *stream), cx, inbox) {
                    Poll::Ready(read) => Some(read),
                    Poll::Pending => None,
                })
            });
            match read.await {
                None => break,
                Some(bytes) => {
                    let bytes = bytes?;
                    if bytes == 0 {
                        tracing::debug!("encoder disconnected");
                        return Ok(Some(Over::Closed));
                    }
                    room = room.saturating_sub(bytes);
                    self.rtmp.process(clock::now())?;
                }
            }
        }
        Ok(None)
    }

    fn take_events(&mut self) {
        while let Some(event) = self.rtmp.poll_event() {
            match event {
                ServerEvent::Connected(connected) => {
                    self.place.speaks();
                    tracing::debug!(encoder = connected.encoder, "connected");
                    self.encoder.name = connected.encoder;
                    self.encoder.capabilities = connected.capabilities;
                }
                ServerEvent::PublishRequested(request) => {
                    let key = Secret::new(request.key.expose());
                    let (registry, encoder) = (Arc::clone(&self.registry), self.encoder.clone());
                    let place = Arc::clone(&self.place);
                    self.request = Some(Box::pin(async move {
                        let question = registry.publish(key.clone(), encoder);
                        place.publish(&key, question).await
                    }));
                }
                ServerEvent::Media(message) => self.media.push(message),
                ServerEvent::Goodbye => {
                    tracing::debug!("encoder ended its stream");
                    self.append_media();
                    self.leave(Departure::Goodbye);
                }
                ServerEvent::Refused(why) => self.turned_away(why),
                _ => {}
            }
        }
        self.append_media();
        while let Some(bytes) = self.rtmp.poll_output() {
            self.outbox.push_bytes(bytes);
        }
    }

    /// Puts what was received on the log: one lock for all of it.
    fn append_media(&mut self) {
        let publisher = match &self.publisher {
            Some(publisher) if !self.media.is_empty() => publisher,
            _ => return self.media.clear(),
        };
        let keyframe = publisher.append(self.media.drain(..));
        self.gathering.takes(clock::now(), keyframe);
        self.has_grown = true;
    }

    /// Tells the outputs of what has come.
    fn tell(&mut self) {
        if let Some(publisher) = &self.publisher
            && std::mem::take(&mut self.has_grown)
        {
            publisher.tell();
            let windows = self.gathering.windows(publisher.outputs());
            self.stream.gather(windows);
        }
    }

    fn take_answer(&mut self, answer: Result<Publisher, Refusal>) -> Result<(), ServerError> {
        match answer {
            Ok(publisher) => {
                self.gathering = Gathering::new(publisher.gather(), publisher.origin());
                self.publisher = Some(publisher);
                self.rtmp.accept(clock::now())?;
            }
            Err(why) => self.refuse(why),
        }
        Ok(())
    }

    fn refuse(&mut self, why: Refusal) {
        self.turned_away(why);
        self.rtmp.refuse(why);
    }

    fn turned_away(&mut self, why: Refusal) {
        match &self.publisher {
            // What happens to its broadcast is told there.
            Some(_) => tracing::debug!(reason = why.as_str(), "encoder cut"),
            None => self.place.refused(why.as_str()),
        }
        // What it sends from here on belongs to nobody.
        self.leave(registry::departure(why));
    }

    fn leave(&mut self, why: Departure) {
        if let Some(publisher) = self.publisher.take() {
            publisher.leave(why);
            self.has_grown = false;
            self.stream.gather(None);
        }
    }

    /// Writes what is left to say, and closes.
    async fn say_farewell(&mut self) {
        while let Some(bytes) = self.rtmp.poll_output() {
            self.outbox.push_bytes(bytes);
        }
        let place = Arc::clone(&self.place);
        // Whether the encoder still listens is its own affair. Who has lost its place is told what
        // the kernel takes at once.
        tokio::select! {
            biased;
            _ = timeout(FAREWELL_MAX, self.close()) => {}
            () = place.lost() => {}
        }
    }

    async fn close(&mut self) -> io::Result<()> {
        while !self.outbox.is_done() {
            if let Exchanged::Read(0) = self.exchange().await? {
                return Ok(());
            }
        }
        self.stream.shutdown().await?;
        // An encoder in full flow has not read our last words yet; closing now would reset the
        // connection, and it would never read them.
        while self.exchange().await? != Exchanged::Read(0) {}
        Ok(())
    }

    async fn exchange(&mut self) -> io::Result<Exchanged> {
        let inbox = self.rtmp.read_buf();
        inbox.clear();
        exchange(&mut self.stream, Some(inbox), &mut self.outbox).await
    }
}

/// Why a connection was given up that had not begun to publish, in the words of logs and metrics.
fn reason(error: &ServerError) -> &'static str {
    match error {
        ServerError::RequestTimeout(_) => "publish_timed_out",
        ServerError::TooMuchBeforeAnswer | ServerError::TooMuchBeforeRequest => "too_much_input",
        _ => "not_rtmp",
    }
}

async fn cut(publisher: &mut Option<Publisher>) -> Refusal {
    match publisher {
        Some(publisher) => publisher.cut().await,
        None => std::future::pending().await,
    }
}

async fn answer(request: &mut Option<Request>) -> Result<Publisher, Refusal> {
    match request {
        Some(request) => request.await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use rtmp::client::{ClientEvent, Login, PublishClient, PublishTarget};
    use rtmp::{Capabilities, MessageType, StreamName};
    use shared::link::Protocol;
    use tokio::io::{AsyncReadExt as _, duplex};
    use tokio::net::TcpStream;

    use super::super::socket::EncoderSocket;
    use super::super::socket::tests::connection;
    use super::super::{Bounds, Door};
    use super::*;
    use crate::feed::{Feed, growth};
    use crate::registry::tests::{self as registries, KEY, registry};

    #[tokio::test(start_paused = true)]
    async fn an_encoder_that_takes_no_farewell_is_left_in_time() {
        let stop = CancellationToken::new();
        stop.cancel();
        let encoder = || Encoder::new(Protocol::Rtmp, None);
        let stay = |stream| ready(Ok(stream));
        let door = Door::new(Bounds::default(), [0; 32]);
        let began = Instant::now();
        let place = || door.arrive(None);
        let (leaving, stream) = duplex(1);
        drop(leaving);
        serve(
            stream,
            stay,
            encoder(),
            registry(),
            place(),
            began,
            stop.clone(),
        )
        .await;
        assert_eq!(began.elapsed(), Duration::ZERO);
        let (_staying, stream) = duplex(1);
        serve(stream, stay, encoder(), registry(), place(), began, stop).await;
        assert_eq!(began.elapsed(), FAREWELL_MAX);
        assert_eq!(door.figures().pending, 0);
    }

    /// Publishes.
    async fn publish(stream: &mut TcpStream) -> PublishClient {
        let target = PublishTarget {
            app: "live".to_owned(),
            tc_url: "rtmp://a.example/live".to_owned(),
            stream_name: StreamName::new(KEY),
            capabilities: Capabilities::default(),
            credentials: None,
            login: Login::default(),
        };
        let mut client = PublishClient::new(target, clock::now()).unwrap();
        loop {
            while let Some(bytes) = client.poll_output() {
                stream.write_all(&bytes).await.unwrap();
            }
            if let Some(ClientEvent::Publishing { .. }) = client.poll_event() {
                return client;
            }
            stream.read_buf(client.read_buf()).await.unwrap();
            client.process(clock::now()).unwrap();
        }
    }

    const KEYFRAME: &[u8] = &[0x17, 1, 0, 0, 0];
    const INTERFRAME: &[u8] = &[0x27, 1, 0, 0, 0];

    /// An encoder that publishes, and the feed of what it sends.
    async fn on_air(gather: Duration) -> (TcpStream, PublishClient, Arc<Feed>) {
        let registry = registries::registry_that_gathers(gather);
        let (mut near, far) = connection().await;
        let door = Door::new(Bounds::default(), [0; 32]);
        let (encoder, place) = (Encoder::new(Protocol::Rtmp, None), door.arrive(None));
        let carry = async |stream: EncoderSocket| stream.carried();
        let (begun, stop) = (Arc::clone(&registry), CancellationToken::new());
        let since = Instant::now();
        tokio::spawn(serve(far, carry, encoder, begun, place, since, stop));
        let client = publish(&mut near).await;
        let feed = registries::feed(&registry);
        (near, client, feed)
    }

    async fn send(stream: &mut TcpStream, client: &PublishClient, payload: &'static [u8]) {
        let message = client.message(MessageType::VIDEO, 0, payload.into());
        let bytes = message.unwrap().to_bytes();
        stream.write_all(&bytes).await.unwrap();
    }

    #[tokio::test]
    async fn outputs_are_told_when_a_window_ends() {
        let gather = Duration::from_millis(50);
        let (mut stream, client, feed) = on_air(gather).await;
        // With so many a window begins with a packet.
        let _many: Vec<_> = (0..50).map(|_| growth(&feed)).collect();
        let (_enrolment, mut growth) = growth(&feed);
        send(&mut stream, &client, KEYFRAME).await;
        growth.changed().await.unwrap();
        for _ in 0..2 {
            let began = Instant::now();
            for _ in 0..2 {
                send(&mut stream, &client, INTERFRAME).await;
            }
            growth.changed().await.unwrap();
            let elapsed = began.elapsed();
            assert!(elapsed >= gather, "after {elapsed:?}");
        }
    }

    #[tokio::test]
    async fn what_was_said_before_malformed_bytes_counts() {
        let (mut stream, client, feed) = on_air(Duration::ZERO).await;
        let (_enrolment, mut growth) = growth(&feed);
        let keyframe = client.message(MessageType::VIDEO, 0, KEYFRAME.into());
        // A chunk that goes on with a message that never began.
        let malformed = [0xff; 8].as_slice().into();
        let both: Vec<u8> = [keyframe.unwrap().to_bytes(), malformed].concat();
        stream.write_all(&both).await.unwrap();
        growth.changed().await.unwrap();
        assert!(feed.heard().is_some());
        assert_eq!(stream.read(&mut [0; 64]).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn outputs_are_told_of_the_first_keyframe_and_of_an_end_at_once() {
        let (mut stream, client, feed) = on_air(Duration::from_secs(3600)).await;
        let (_enrolment, mut growth) = growth(&feed);
        send(&mut stream, &client, KEYFRAME).await;
        growth.changed().await.unwrap();
        // What waited is told first.
        send(&mut stream, &client, INTERFRAME).await;
        drop(stream);
        growth.changed().await.unwrap();
    }
}
