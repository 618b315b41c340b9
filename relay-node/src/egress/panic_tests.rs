//! A panic in one output, and what the one beside it notices.

use std::sync::Arc;
use std::time::{Duration, Instant};

use broadcast::{Budget, Reason, StartPolicy, State};
use bytes::Bytes;
use rtmp::server::{ServerConfig, ServerEvent, ServerSession};
use rtmp::{Message, MessageType};
use shared::address::{AddressPolicy, Network};
use shared::id::{InputUid, OutputUid};
use shared::link::{Protocol, Target};
use shared::secret::Secret;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::fault::{Place, inject};
use super::{Destination, Dialler, Output, tls};
use crate::clock;
use crate::feed::{Encoder, Feed};
use crate::shards::Shards;

/// Takes streams, and tells of each message and of each stream that ends.
async fn server() -> (String, mpsc::UnboundedReceiver<Option<Bytes>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let tell = tell.clone();
            tokio::spawn(async move {
                let _ = take(stream, &tell).await;
                let _ = tell.send(None);
            });
        }
    });
    (format!("rtmp://{address}"), told)
}

async fn take(
    mut stream: TcpStream,
    tell: &mpsc::UnboundedSender<Option<Bytes>>,
) -> std::io::Result<()> {
    let mut session = ServerSession::new(ServerConfig::default(), Instant::now());
    loop {
        while let Some(event) = session.poll_event() {
            match event {
                ServerEvent::PublishRequested(_) => session.accept(Instant::now()).unwrap(),
                ServerEvent::Media(message) => drop(tell.send(Some(message.payload))),
                _ => {}
            }
        }
        while let Some(bytes) = session.poll_output() {
            stream.write_all(&bytes).await?;
        }
        if stream.read_buf(session.read_buf()).await? == 0 {
            return Ok(());
        }
        session.process(Instant::now()).unwrap();
    }
}

fn output(server: &str, number: u8, feed: &Arc<Feed>) -> Output {
    let target = Target::Rtmp {
        url: Secret::new(format!("{server}/live")),
        stream_key: Secret::new("hunter2"),
    };
    let policy = AddressPolicy::allowing(Network::LOOPBACK);
    Output::start(
        (
            InputUid::from_random([1; 16]),
            OutputUid::from_random([number; 16]),
        ),
        Arc::new(Destination::new(&target).unwrap()),
        Arc::clone(feed),
        Dialler::new(policy, tls::client_config(None).unwrap()),
        StartPolicy::FirstKeyframe,
        None,
        |_| {},
    )
}

fn keyframe(number: u8) -> Message {
    Message {
        kind: MessageType::VIDEO,
        timestamp: u32::from(number) * 40,
        stream_id: 1,
        payload: Bytes::copy_from_slice(&[0x17, 1, 0, 0, 0, number]),
    }
}

async fn next(told: &mut mpsc::UnboundedReceiver<Option<Bytes>>) -> Option<Bytes> {
    let next = timeout(Duration::from_secs(10), told.recv());
    next.await.expect("this should have come by now").unwrap()
}

#[tokio::test]
async fn a_panic_in_one_output_ends_its_connection_and_nothing_else() {
    for place in [Place::Pass, Place::Task] {
        let feed = Arc::new(Feed::new(
            1,
            Encoder::new(Protocol::Rtmp, None),
            Duration::ZERO,
            Budget::default(),
            Shards::here().pick(),
            clock::now(),
        ));
        let (broken_server, mut broken_told) = server().await;
        let (steady_server, mut steady_told) = server().await;
        // The one that breaks comes first in the pass.
        let broken = output(&broken_server, 1, &feed);
        while broken.figures().state != State::Live {
            tokio::task::yield_now().await;
        }
        let steady = output(&steady_server, 2, &feed);
        while steady.figures().state != State::Live {
            tokio::task::yield_now().await;
        }
        feed.append(1, clock::now(), [keyframe(0)]);
        feed.tell();
        for told in [&mut broken_told, &mut steady_told] {
            assert_eq!(next(told).await, Some(keyframe(0).payload));
        }

        inject(&broken_server, place);
        for number in 1..10 {
            feed.append(1, clock::now(), [keyframe(number)]);
            feed.tell();
            assert_eq!(next(&mut steady_told).await, Some(keyframe(number).payload));
        }
        // Its connection has ended, and it is connected again.
        while next(&mut broken_told).await.is_some() {}
        let figures = broken.figures();
        let failure = figures.last_failure.expect("a failure");
        assert_eq!(failure.reason, Reason::Internal, "{place:?}");
        feed.append(1, clock::now(), [keyframe(10)]);
        feed.tell();
        assert_eq!(next(&mut steady_told).await, Some(keyframe(10).payload));
        assert!(next(&mut broken_told).await.is_some());
        assert_eq!(
            (broken.figures().connects, steady.figures().connects),
            (2, 1)
        );
    }
}
