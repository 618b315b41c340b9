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
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::io::poll_read_buf;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;

use super::door::Place;
use super::gathering::Gathering;
use super::socket::{Holds, Reading};
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
    S: AsyncRead + AsyncWrite + Holds + Unpin + Send + 'static,
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
        gathering: Gathering::new(Duration::ZERO, since.into_std()),
        is_ending_window: false,
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
    /// When the outputs are told of what is on the log.
    gathering: Gathering,
    /// While what was held is read, after which they are told in any case.
    is_ending_window: bool,
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

impl<S: AsyncRead + AsyncWrite + Holds + Unpin> Session<S> {
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
            if self.rtmp.is_closed() {
                return Ok(Over::Closed);
            }
            let deadlines = [self.gathering.until(), self.rtmp.poll_timeout()];
            if let Some(deadline) = deadlines.into_iter().flatten().min() {
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
                    Exchanged::Read(_) => self.rtmp.process(clock::now())?,
                    Exchanged::Flushed | Exchanged::Wrote(_) => {}
                },
                Happening::TimedOut => {
                    let now = clock::now();
                    if self.gathering.until().is_some_and(|until| until <= now)
                        && let Some(over) = self.end_window().await?
                    {
                        return Ok(over);
                    }
                    self.rtmp.handle_timeout(now)?;
                }
            }
        }
    }

    /// Reads what has come since the window began, and tells the outputs of all of it.
    async fn end_window(&mut self) -> Result<Option<Over>, Failure> {
        self.stream.set_reading(Reading::AllThereIs);
        self.is_ending_window = true;
        let read = self.read_rest().await;
        self.is_ending_window = false;
        let outputs = self.publisher.as_ref().map_or(0, Publisher::outputs);
        let goes_on = self.gathering.ends(clock::now(), outputs);
        self.stream.set_reading(match goes_on {
            true => Reading::Held,
            false => Reading::AsItComes,
        });
        if let Some(publisher) = &self.publisher {
            publisher.tell();
        }
        read
    }

    async fn read_rest(&mut self) -> Result<Option<Over>, Failure> {
        let mut room = DRAINED_MAX;
        while room > 0 && self.rtmp.wants_input() && !self.rtmp.is_closed() {
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
                    self.take_events();
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

    /// Puts what was received on the log: one lock and one wake-up for all of it, at once or when
    /// enough has been gathered.
    fn append_media(&mut self) {
        let publisher = match &self.publisher {
            Some(publisher) if !self.media.is_empty() => publisher,
            _ => return self.media.clear(),
        };
        let bytes = self.media.iter().map(|message| message.payload.len()).sum();
        let keyframe = publisher.append(self.media.drain(..));
        if self.is_ending_window {
            return self.gathering.takes_at_end(bytes);
        }
        let is_open = self.gathering.until().is_some();
        match self.gathering.takes(clock::now(), bytes, keyframe) {
            true => {
                publisher.tell();
                if is_open {
                    self.stream.set_reading(Reading::AsItComes);
                }
            }
            false if is_open => {}
            false => self.stream.set_reading(Reading::Held),
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
    use tokio::io::{AsyncReadExt as _, DuplexStream, duplex};

    use super::super::{Bounds, Door};
    use super::*;
    use crate::feed::growth;
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
    async fn publish(stream: &mut DuplexStream) -> PublishClient {
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

    #[tokio::test(start_paused = true)]
    async fn outputs_are_told_when_a_window_ends_and_of_a_keyframe_at_once() {
        const KEYFRAME: &[u8] = &[0x17, 1, 0, 0, 0];
        const INTERFRAME: &[u8] = &[0x27, 1, 0, 0, 0];
        let gather = Duration::from_millis(100);
        let registry = registries::registry_that_gathers(gather);
        let (mut stream, far) = duplex(1 << 16);
        let door = Door::new(Bounds::default(), [0; 32]);
        let (encoder, place) = (Encoder::new(Protocol::Rtmp, None), door.arrive(None));
        let stay = |stream| ready(Ok(stream));
        let (on_air, stop) = (Arc::clone(&registry), CancellationToken::new());
        tokio::spawn(serve(
            far,
            stay,
            encoder,
            on_air,
            place,
            Instant::now(),
            stop,
        ));
        let client = publish(&mut stream).await;
        let (_enrolment, mut growth) = growth(&registries::feed(&registry));

        for (payloads, after) in [
            (&[KEYFRAME][..], Duration::ZERO),
            (&[INTERFRAME, INTERFRAME], gather),
            (&[INTERFRAME, KEYFRAME], Duration::ZERO),
            (&[INTERFRAME], gather),
        ] {
            let began = Instant::now();
            for payload in payloads {
                let payload = bytes::Bytes::from_static(payload);
                let message = client.message(MessageType::VIDEO, 0, payload).unwrap();
                stream.write_all(&message.to_bytes()).await.unwrap();
            }
            growth.changed().await.unwrap();
            let late = began.elapsed() - after;
            assert!(late < Duration::from_millis(4), "{late:?} after {after:?}");
        }
        // Whoever goes says so at once, and what waited is told first.
        let message = client.message(MessageType::VIDEO, 0, INTERFRAME.into());
        let bytes = message.unwrap().to_bytes();
        stream.write_all(&bytes).await.unwrap();
        let began = Instant::now();
        drop(stream);
        growth.changed().await.unwrap();
        assert_eq!(began.elapsed(), Duration::ZERO);
    }
}
