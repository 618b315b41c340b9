//! The uplink against a control plane of the test's own, over real sockets.

use std::time::Duration;

use shared::limits::MAX_LINK_FRAME_BYTES;
use shared::link::{
    Departure, Event, IngestFigures, InputFigures, PublishRefusal, Reconciliation, Report,
    ToControl, ToNode, Warning, Watch, Wish,
};
use tokio::task::JoinHandle;

use super::fake::{Fake, Peer, TOKEN};
use super::*;

fn input(number: u8) -> InputUid {
    InputUid::from_random([number; 16])
}

fn snapshot(rev: u64) -> Snapshot {
    Snapshot {
        input: input(1),
        rev,
        epoch: 1,
        owner: None,
        oldest_key: 0,
        account: None,
        wish: Wish::relay(vec![]),
    }
}

/// Of so many inputs that one frame does not hold them.
fn in_pieces() -> Vec<InputFigures> {
    let of = |number| InputFigures {
        input: input(number),
        epoch: 1,
        ingest: IngestFigures {
            warnings: vec![Warning {
                code: "long".into(),
                message: "a".repeat(MAX_LINK_FRAME_BYTES / 6),
            }],
            ..IngestFigures::default()
        },
        outputs: Vec::new(),
    };
    (0..3).map(of).collect()
}

fn granted(key: u64) -> Accepted {
    Accepted {
        snapshot: snapshot(1),
        key,
        cached: false,
    }
}

fn reconciliation(snapshots: Vec<Snapshot>, events_through: u64) -> Reconciliation {
    Reconciliation {
        version: LINK_VERSION,
        snapshots,
        events_through,
    }
}

struct Node {
    fake: Fake,
    handle: Arc<Handle>,
    revs: Arc<Revs>,
    snapshots: mpsc::Receiver<Snapshot>,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl Node {
    async fn start() -> Self {
        let fake = Fake::start().await;
        let config = fake::config(&fake.url());
        Self::start_with(fake, config)
    }

    fn start_with(fake: Fake, config: Config) -> Self {
        let revs = Arc::new(Revs::default());
        let (uplink, handle, snapshots) = Uplink::new(config, Arc::clone(&revs)).unwrap();
        let shutdown = CancellationToken::new();
        Self {
            fake,
            handle: Arc::new(handle),
            revs,
            snapshots,
            task: tokio::spawn({
                let shutdown = shutdown.clone();
                async move { uplink.run(&in_pieces, shutdown).await }
            }),
            shutdown,
        }
    }

    /// The control plane's end of the socket, its first report answered, and the first figures
    /// taken.
    async fn connect(&mut self) -> Peer {
        let mut peer = self.fake.socket().await;
        report(&mut peer).await;
        let answer = reconciliation(vec![], 0);
        peer.send(&ToNode::Reconciliation(answer)).await;
        assert_eq!(figures(&mut peer).await, in_pieces());
        peer
    }
}

async fn report(peer: &mut Peer) -> Report {
    match peer.receive().await {
        Some(ToControl::Report(report)) => report,
        other => panic!("not a report: {other:?}"),
    }
}

/// A whole round of them.
async fn figures(peer: &mut Peer) -> Vec<InputFigures> {
    let mut inputs = Vec::new();
    while inputs.len() < 3 {
        match peer.receive().await {
            Some(ToControl::Figures(frame)) => {
                assert_eq!(frame.instance, Instance::from_random([7; 16]));
                assert_eq!(frame.inputs.len(), 1);
                inputs.extend(frame.inputs);
            }
            other => panic!("no figures: {other:?}"),
        }
    }
    inputs
}

#[tokio::test]
async fn figures_go_up_while_somebody_watches() {
    let mut node = Node::start().await;
    let mut peer = node.connect().await;
    peer.send(&ToNode::Watch(Watch { seconds: 2 })).await;
    for _ in 0..3 {
        assert_eq!(figures(&mut peer).await, in_pieces());
    }
}

#[tokio::test]
async fn snapshots_come_down_and_acknowledgements_go_up() {
    let mut node = Node::start().await;
    let mut peer = node.connect().await;
    peer.send_text(r#"{"type":"weather","rain":true}"#).await;
    for rev in [4, 4, 2, 5] {
        peer.send(&ToNode::Snapshot(snapshot(rev))).await;
        assert_eq!(node.snapshots.recv().await, Some(snapshot(rev)));
    }
    assert_eq!(node.handle.state(), LinkState::Connected);
    let applied = Applied {
        input: input(1),
        rev: 5,
        unsupported: vec![],
        unknown_wish: false,
    };
    node.handle.applied(applied.clone());
    assert_eq!(peer.receive().await, Some(ToControl::Applied(applied)));
}

#[tokio::test]
async fn a_cut_socket_is_opened_again() {
    let mut node = Node::start().await;
    let peer = node.connect().await;
    node.revs.set(input(1), 3);
    drop(peer);
    let post = node.fake.post().await;
    post.answer(200, &reconciliation(vec![], 0));
    let mut peer = node.fake.socket().await;
    assert_eq!(report(&mut peer).await.revs, [(input(1), 3)].into());
}

/// The proxy of the issue: the socket is cut, then upgrades are refused while plain HTTP works.
#[tokio::test]
async fn polls_bring_changes_while_upgrades_are_refused() {
    let mut node = Node::start().await;
    let mut peer = node.connect().await;
    peer.send(&ToNode::Snapshot(snapshot(3))).await;
    assert_eq!(node.snapshots.recv().await, Some(snapshot(3)));
    node.revs.set(input(1), 3);
    node.fake.refuse_upgrades(503);
    drop(peer);
    let post = node.fake.post().await;
    assert_eq!(post.path, "/relay/v1/nodes/fra-1/poll");
    assert_eq!(post.authorization, format!("Bearer {TOKEN}"));
    let polled: Report = serde_json::from_value(post.body.clone()).unwrap();
    assert_eq!(polled.revs, [(input(1), 3)].into());
    assert_eq!(polled.figures, in_pieces()[..1]);
    post.answer(200, &reconciliation(vec![snapshot(4)], 0));
    assert_eq!(node.snapshots.recv().await, Some(snapshot(4)));
    assert_eq!(node.handle.state(), LinkState::Polling);
    node.fake.refuse_upgrades(0);
    node.connect().await;
}

#[tokio::test]
async fn asks_whether_a_key_may_publish() {
    let mut node = Node::start().await;
    let _peer = node.connect().await;
    let accepted = PublishAnswer::Accepted {
        snapshot: snapshot(1),
        key: 3,
    };
    let refused = PublishAnswer::Refused {
        reason: PublishRefusal::Disabled,
    };
    for (answer, expected) in [
        (accepted, Ok(granted(3))),
        (refused, Err(Refused::Denied(PublishRefusal::Disabled))),
    ] {
        let handle = Arc::clone(&node.handle);
        let asked = tokio::spawn(async move { handle.authorise(&Secret::new("key")).await });
        let post = node.fake.post().await;
        assert_eq!(post.path, shared::link::PUBLISH_PATH);
        assert_eq!(post.authorization, format!("Bearer {TOKEN}"));
        assert_eq!(post.body["key"], "key");
        assert_eq!(post.body["node"], "fra-1");
        post.answer(200, &answer);
        assert_eq!(asked.await.unwrap(), expected);
    }
}

#[tokio::test]
async fn speaks_tls_to_a_control_plane_that_it_trusts() {
    let fake = Fake::start().await;
    let config = fake.tls_front().await;
    let mut node = Node::start_with(fake, config);
    let mut peer = node.connect().await;
    peer.send(&ToNode::Snapshot(snapshot(1))).await;
    assert_eq!(node.snapshots.recv().await, Some(snapshot(1)));
    let handle = Arc::clone(&node.handle);
    let asked = tokio::spawn(async move { handle.authorise(&Secret::new("key")).await });
    let answer = PublishAnswer::Accepted {
        snapshot: snapshot(1),
        key: 0,
    };
    node.fake.post().await.answer(200, &answer);
    assert_eq!(asked.await.unwrap(), Ok(granted(0)));
}

#[tokio::test]
async fn tells_nothing_to_a_control_plane_that_it_does_not_trust() {
    let fake = Fake::start().await;
    let mut config = fake.tls_front().await;
    config.tls = fake::config("https://localhost").tls;
    let (_uplink, handle, _snapshots) = Uplink::new(config, Arc::default()).unwrap();
    let asked = handle.authorise(&Secret::new("key")).await;
    assert_eq!(asked, Err(Refused::Unavailable));
}

#[tokio::test]
async fn asks_again_over_a_new_connection() {
    let mut node = Node::start().await;
    let _peer = node.connect().await;
    let handle = Arc::clone(&node.handle);
    let asked = tokio::spawn(async move { handle.authorise(&Secret::new("key")).await });
    drop(node.fake.post().await);
    let answer = PublishAnswer::Accepted {
        snapshot: snapshot(1),
        key: 0,
    };
    node.fake.post().await.answer(200, &answer);
    assert_eq!(asked.await.unwrap(), Ok(granted(0)));
}

#[tokio::test]
async fn a_control_plane_without_an_answer_is_not_a_refusal() {
    let mut node = Node::start().await;
    let _peer = node.connect().await;
    for (status, body) in [(503, "{}"), (401, "{}"), (200, "{}"), (302, "{}")] {
        let handle = Arc::clone(&node.handle);
        let asked = tokio::spawn(async move { handle.authorise(&Secret::new("key")).await });
        node.fake.post().await.answer(status, &body);
        assert_eq!(asked.await.unwrap(), Err(Refused::Unavailable));
    }
}

#[tokio::test]
async fn an_unreachable_control_plane_is_not_a_refusal() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = fake::config(&format!("http://{}", listener.local_addr().unwrap()));
    drop(listener);
    let (_uplink, handle, _snapshots) = Uplink::new(config, Arc::default()).unwrap();
    let asked = handle.authorise(&Secret::new("key")).await;
    assert_eq!(asked, Err(Refused::Unavailable));
    assert_eq!(handle.state(), LinkState::Down);
}

#[tokio::test]
async fn a_frame_over_the_bound_costs_the_socket() {
    let mut node = Node::start().await;
    let mut peer = node.connect().await;
    let frame = |length: usize| format!("\"{}\"", "a".repeat(length - 2));
    peer.send_text(&frame(MAX_LINK_FRAME_BYTES)).await;
    peer.send(&ToNode::Snapshot(snapshot(1))).await;
    assert_eq!(node.snapshots.recv().await, Some(snapshot(1)));
    peer.send_text(&frame(MAX_LINK_FRAME_BYTES + 1)).await;
    assert_eq!(peer.receive().await, None);
    node.connect().await;
}

#[tokio::test]
async fn the_last_events_go_up_before_the_goodbye() {
    let mut node = Node::start().await;
    let mut peer = node.connect().await;
    peer.send(&ToNode::Snapshot(snapshot(1))).await;
    node.snapshots.recv().await;
    let reason = Departure::ShuttingDown;
    let at = Timestamp::from_micros(5);
    node.handle.tell(input(1), 9, at, What::Ended { reason });
    node.shutdown.cancel();
    let Some(ToControl::Events(last)) = peer.receive().await else {
        panic!("no events");
    };
    assert_eq!(last.instance, Instance::from_random([7; 16]));
    let expected = Event {
        sequence: 1,
        input: input(1),
        epoch: 9,
        at,
        what: What::Ended { reason },
    };
    assert_eq!(last.events, [expected]);
    peer.send(&ToNode::EventsTaken { through: 1 }).await;
    assert_eq!(peer.receive().await, None);
    node.task.await.unwrap();
}

#[tokio::test]
async fn events_that_nobody_takes_hold_the_node_up_no_longer_than_that() {
    let mut node = Node::start().await;
    let mut peer = node.connect().await;
    let reason = Departure::ShuttingDown;
    let at = Timestamp::from_micros(5);
    node.handle.tell(input(1), 9, at, What::Ended { reason });
    peer.receive().await.unwrap();
    tokio::time::pause();
    let began = tokio::time::Instant::now();
    node.shutdown.cancel();
    node.task.await.unwrap();
    let took = began.elapsed();
    assert!(
        took.abs_diff(driver::LINGER) <= Duration::from_millis(1),
        "{took:?}"
    );
}

#[tokio::test]
async fn ends_with_the_node() {
    let node = Node::start().await;
    drop(node.snapshots);
    let mut fake = node.fake;
    let mut peer = fake.socket().await;
    report(&mut peer).await;
    let answer = reconciliation(vec![snapshot(1)], 0);
    peer.send(&ToNode::Reconciliation(answer)).await;
    node.task.await.unwrap();
}

#[tokio::test]
async fn a_burst_of_snapshots_beyond_the_queue_waits_and_arrives_whole() {
    let mut node = Node::start().await;
    let mut peer = node.connect().await;
    let burst: Vec<u64> = (1..=2 * QUEUED_SNAPSHOTS as u64 + 1).collect();
    for &rev in &burst {
        peer.send(&ToNode::Snapshot(snapshot(rev))).await;
    }
    let mut taken = Vec::new();
    while taken.len() < burst.len() {
        taken.push(node.snapshots.recv().await.unwrap().rev);
    }
    assert_eq!(taken, burst);
}
