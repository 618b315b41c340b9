//! Two processes of a node, in one.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rtmp::CapsEx;
use rtmp::server::Refusal;
use shared::id::{InputUid, Instance};
use shared::link::Departure;
use tempfile::TempDir;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout};

use super::frame::Frame;
use super::rivals::{CLAIM_MAX, KNOCK_MAX, SHOW_MAX};
use super::*;
use crate::listeners::Kind;
use crate::registry::tests::{encoder_at, frame, publish_as, registry, registry_with};
use crate::registry::{Registry, Release};

fn socket() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hand-over");
    (folder, path)
}

fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

fn input() -> InputUid {
    InputUid::from_random([7; 16])
}

#[tokio::test]
async fn sockets_are_handed_over_and_nobody_is_refused_in_between() {
    let (_folder, path) = socket();
    let (rtmp, admin) = (listener(), listener());
    let at = rtmp.local_addr().unwrap();
    let sockets = vec![(Kind::Rtmp, false, rtmp), (Kind::Admin, true, admin)];
    let offer = Offer::new(&path, sockets).unwrap();
    let registry = registry();
    let instance = registry.instance();
    let serving = tokio::spawn(async move { offer.serve(&registry).await });

    let taken = path.clone();
    let mut former = spawn_blocking(move || take_over(&taken))
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    let kinds: Vec<_> = former
        .listeners
        .iter()
        .map(|it| (it.kind, it.given))
        .collect();
    assert_eq!(kinds, [(Kind::Rtmp, false), (Kind::Admin, true)]);
    assert_eq!(former.draining, [instance]);
    let rtmp = former.listeners.remove(0).socket;
    assert_eq!(rtmp.local_addr().unwrap(), at);

    let accepting = spawn_blocking(move || former.accepting(true));
    let successor = serving.await.unwrap();
    assert!(successor.admin);
    assert_eq!(successor.pid, Some(std::process::id()));
    // The former process has no socket any more, and the connection is taken.
    let mut near = TcpStream::connect(at).unwrap();
    let connection = successor.draining().await;
    let life = accepting.await.unwrap().unwrap();
    near.write_all(b"x").unwrap();
    let mut byte = [0];
    rtmp.accept().unwrap().0.read_exact(&mut byte).unwrap();
    assert_eq!(&byte, b"x");
    // The end of the former process is known, though it never introduced itself.
    let newest = crate::registry::tests::registry();
    let rivals = Arc::clone(newest.rivals());
    rivals.expect([instance]);
    let claim = tokio::spawn(rivals.claim(input(), 2).unwrap());
    let ended = tokio::spawn(async move { life.ended(&rivals).await });
    tokio::task::yield_now().await;
    assert!(!claim.is_finished() && !ended.is_finished());
    drop(connection);
    assert_eq!(claim.await.unwrap(), Claimed::Free);
    // Nobody is there any more to take over from.
    assert!(
        spawn_blocking(move || take_over(&path))
            .await
            .unwrap()
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn a_successor_that_never_accepts_changes_nothing() {
    let (_folder, path) = socket();
    let offer = Offer::new(&path, vec![(Kind::Rtmp, false, listener())]).unwrap();
    let registry = registry();
    let serving = tokio::spawn(async move { offer.serve(&registry).await });
    for _ in 0..2 {
        let path = path.clone();
        let former = spawn_blocking(move || take_over(&path))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(former.unwrap().listeners.len(), 1);
    }
    assert!(!serving.is_finished());
    serving.abort();
}

#[tokio::test]
async fn what_is_no_node_is_told_from_one() {
    let (_folder, path) = socket();
    let take = |path: PathBuf| spawn_blocking(move || take_over(&path));
    assert!(
        take(path.clone()).await.unwrap().unwrap().is_none(),
        "no file"
    );
    let other = std::os::unix::net::UnixListener::bind(&path).unwrap();
    for (says, wrong) in [
        ("HTTP/1.1 400 Bad Request\r\n", "not a relay node"),
        (
            "{\"type\":\"sockets\",\"version\":1,\"instance\":\"66be4bf7-3879-4e01-a1fc-a35a7bdecdcd\",\"draining\":[],\"sockets\":[{\"kind\":\"rtmp\",\"given\":true}]}\n",
            "not a relay node",
        ),
        ("", "refuses"),
    ] {
        let taking = take(path.clone());
        let (mut stream, _) = other.accept().unwrap();
        let mut asked = [0; 64];
        assert!(stream.read(&mut asked).unwrap() > 0);
        stream.write_all(says.as_bytes()).unwrap();
        drop(stream);
        let error = taking.await.unwrap().err().unwrap();
        assert!(error.to_string().contains(wrong), "{error}");
    }
    drop(other);
    assert!(
        take(path).await.unwrap().unwrap().is_none(),
        "a file that is left over"
    );
}

/// The newest process, and one that has handed over to it.
async fn two(path: &Path) -> (Arc<Registry>, Arc<Registry>) {
    let (newest, former) = (registry(), registry());
    let offer = Offer::new(path, Vec::new()).unwrap();
    newest.rivals().expect([former.instance()]);
    let serving = Arc::clone(&newest);
    tokio::spawn(async move { offer.serve(&serving).await });
    (newest, former)
}

#[tokio::test]
async fn claims_wait_for_processes_that_have_not_come_yet() {
    let (_folder, path) = socket();
    let (newest, former) = two(&path).await;
    let claim = newest.rivals().claim(input(), 2).unwrap();
    let claim = tokio::spawn(claim);
    let attending = Arc::clone(&former);
    let attended = tokio::spawn(async move { attend(&path, &attending).await });
    assert_eq!(claim.await.unwrap(), Claimed::Free);
    // It goes both ways.
    let claim = former.rivals().claim(input(), 3).unwrap();
    assert_eq!(claim.await, Claimed::Free);
    attended.abort();
}

#[tokio::test]
async fn the_others_are_asked_and_their_end_is_an_answer() {
    let (_folder, path) = socket();
    let newest = registry();
    let offer = Offer::new(&path, Vec::new()).unwrap();
    let serving = Arc::clone(&newest);
    tokio::spawn(async move { offer.serve(&serving).await });
    // A process that answers in its own time.
    let mut rival = UnixStream::connect(&path).unwrap();
    let instance = Instance::from_random([9; 16]);
    newest.rivals().expect([instance]);
    let version = 1;
    Frame::Introduce { version, instance }
        .write_to(&rival)
        .unwrap();
    let all = newest.rivals().draining(newest.instance());
    assert!(all.contains(&newest.instance()) && all.contains(&instance));
    let (newest, claim) = spawn_claim(newest).await;
    let rival = spawn_blocking(move || {
        let mut line = Vec::new();
        while line.last() != Some(&b'\n') {
            let mut byte = [0];
            rival.read_exact(&mut byte).unwrap();
            line.push(byte[0]);
        }
        (Frame::read(&line), rival)
    })
    .await
    .unwrap();
    let Frame::Claim {
        id,
        input: claimed,
        epoch: 5,
    } = rival.0
    else {
        panic!("{:?}", rival.0);
    };
    assert_eq!(claimed, input());
    assert!(!claim.is_finished());
    Frame::Unknown.write_to(&rival.1).unwrap();
    Frame::Kept { id }.write_to(&rival.1).unwrap();
    assert_eq!(claim.await.unwrap(), Claimed::Kept);
    // And one that ends.
    let (_, claim) = spawn_claim(newest).await;
    rival.1.shutdown(std::net::Shutdown::Both).unwrap();
    drop(rival);
    assert_eq!(claim.await.unwrap(), Claimed::Free);
}

/// Claims once every process that was expected before has been given up or has come.
async fn spawn_claim(newest: Arc<Registry>) -> (Arc<Registry>, tokio::task::JoinHandle<Claimed>) {
    let claim = newest.rivals().claim(input(), 5).unwrap();
    (newest, tokio::spawn(claim))
}

#[tokio::test(start_paused = true)]
async fn who_does_not_come_is_waited_for_so_long_and_no_longer() {
    let newest = registry();
    assert!(newest.rivals().claim(input(), 2).is_none(), "it is alone");
    newest.rivals().expect([Instance::from_random([9; 16])]);
    let began = Instant::now();
    let claim = newest.rivals().claim(input(), 2).unwrap();
    assert_eq!(claim.await, Claimed::Free);
    assert_eq!(began.elapsed(), CLAIM_MAX);
    assert!(
        newest.rivals().claim(input(), 2).is_none(),
        "it is alone again"
    );
}

/// The newest process and one that has handed over to it, which know of each other; they do this with
/// the one input's publishers.
async fn two_that_treat(path: &Path, settings: &str) -> (Arc<Registry>, Arc<Registry>) {
    let (newest, former) = (registry_with(settings), registry_with(settings));
    let offer = Offer::new(path, Vec::new()).unwrap();
    let serving = Arc::clone(&newest);
    tokio::spawn(async move { offer.serve(&serving).await });
    newest.rivals().expect([former.instance()]);
    let (attending, path) = (Arc::clone(&former), path.to_owned());
    tokio::spawn(async move { attend(&path, &attending).await });
    // Answered once both are there.
    assert_eq!(
        newest.rivals().claim(input(), 1).unwrap().await,
        Claimed::Free
    );
    (newest, former)
}

const REJECT: &str = "[input.settings]\ntakeover = \"reject\"";

#[tokio::test]
async fn who_is_not_to_be_replaced_is_not_by_way_of_another_process() {
    let (_folder, path) = socket();
    let (newest, former) = two_that_treat(&path, REJECT).await;
    let mut publisher = publish_as(&former, encoder_at(1)).await.unwrap();
    publisher.append(frame());
    for place in [1, 2] {
        let second = publish_as(&newest, encoder_at(place)).await;
        assert_eq!(second.err(), Some(Refusal::Occupied), "place {place}");
    }
    assert_eq!((former.status().len(), newest.status().len()), (1, 0));
    // It works the other way for one that connected before the sockets were handed over.
    publisher.leave(Departure::Goodbye);
    publisher = publish_as(&newest, encoder_at(2)).await.unwrap();
    publisher.append(frame());
    let second = publish_as(&former, encoder_at(1)).await;
    assert_eq!(second.err(), Some(Refusal::Occupied));
    // Whoever has sent nothing yet holds no seat.
    drop(publisher);
    let publisher = publish_as(&newest, encoder_at(2)).await.unwrap();
    assert!(publish_as(&former, encoder_at(1)).await.is_ok());
    drop(publisher);
}

#[tokio::test]
async fn who_was_asked_to_move_may_and_nobody_else() {
    let (_folder, path) = socket();
    let (newest, former) = two_that_treat(&path, REJECT).await;
    let mut obeys = encoder_at(1);
    obeys.capabilities.caps_ex = CapsEx::RECONNECT;
    let publisher = publish_as(&former, obeys.clone()).await.unwrap();
    publisher.append(frame());
    let early = publish_as(&newest, obeys.clone()).await;
    assert_eq!(early.err(), Some(Refusal::Occupied), "nobody has asked it");
    former.handed_over().cancel();
    let other = publish_as(&newest, encoder_at(2)).await;
    assert_eq!(other.err(), Some(Refusal::Occupied));
    assert!(publish_as(&newest, obeys).await.is_ok());
}

#[tokio::test]
async fn the_newest_encoder_wins_by_way_of_another_process_where_it_may() {
    let (_folder, path) = socket();
    let (newest, former) = two_that_treat(&path, "").await;
    let mut first = publish_as(&former, encoder_at(1)).await.unwrap();
    first.append(frame());
    let _second = publish_as(&newest, encoder_at(2)).await.unwrap();
    assert_eq!(first.cut().await, Refusal::Replaced);
}

#[tokio::test]
async fn one_process_shows_what_all_of_them_have_on_air() {
    let (_folder, path) = socket();
    let (newest, former) = two_that_treat(&path, "").await;
    let empty = newest.rivals().show().await;
    let [one] = empty.as_slice() else {
        panic!("{empty:?}");
    };
    assert_eq!(one.instance, Some(former.instance()));
    assert_eq!(one.broadcasts, Some(Vec::new()));
    let _publisher = publish_as(&former, encoder_at(1)).await.unwrap();
    let shown = newest.rivals().show().await;
    let status = serde_json::to_value(former.status()).unwrap();
    let broadcasts = serde_json::Value::Array(shown[0].broadcasts.clone().unwrap());
    assert_eq!(broadcasts[0]["input"], status[0]["input"]);
    assert_eq!(broadcasts.as_array().unwrap().len(), 1);
    assert!(registry().rivals().show().await.is_empty(), "it is alone");
}

/// A process that has introduced itself to the newest one, and says no more.
async fn silent(path: &Path, version: u32) -> (Arc<Registry>, UnixStream) {
    let newest = registry_with(REJECT);
    let offer = Offer::new(path, Vec::new()).unwrap();
    let serving = Arc::clone(&newest);
    tokio::spawn(async move { offer.serve(&serving).await });
    let rival = UnixStream::connect(path).unwrap();
    let instance = Instance::from_random([9; 16]);
    let hello = Frame::Introduce { version, instance };
    hello.write_to(&rival).unwrap();
    while newest.rivals().draining(newest.instance()).len() < 2 {
        tokio::task::yield_now().await;
    }
    (newest, rival)
}

#[tokio::test(start_paused = true)]
async fn who_does_not_answer_keeps_nobody_out_for_long() {
    let (_folder, path) = socket();
    let (newest, _rival) = silent(&path, 2).await;
    let began = Instant::now();
    assert!(publish_as(&newest, encoder_at(1)).await.is_ok());
    assert_eq!(began.elapsed(), KNOCK_MAX);
    let began = Instant::now();
    let shown = newest.rivals().show().await;
    assert_eq!(began.elapsed(), SHOW_MAX);
    assert_eq!(shown[0].broadcasts, None);
}

#[tokio::test(start_paused = true)]
async fn a_process_of_an_older_version_is_not_asked_what_it_does_not_know() {
    let (_folder, path) = socket();
    let (newest, _rival) = silent(&path, 1).await;
    let began = Instant::now();
    assert!(publish_as(&newest, encoder_at(1)).await.is_ok());
    let shown = newest.rivals().show().await;
    assert_eq!(began.elapsed(), Duration::ZERO);
    assert_eq!(shown.len(), 1);
    assert_eq!(shown[0].broadcasts, None);
}

#[tokio::test]
async fn what_is_not_on_air_is_released_at_once() {
    let Release::When(gone) = registry().release(input(), 1) else {
        panic!("it is kept");
    };
    timeout(ANSWER_MAX, gone.cancelled()).await.unwrap();
}
