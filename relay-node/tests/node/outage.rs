//! Encoders that come while the control plane cannot be asked, and what becomes of them after that.

use std::fs;
use std::path::Path;
use std::time::Duration;

use relay_node::config::Source;
use serde::Serialize;
use shared::id::Instance;
use shared::link::{
    Event, LINK_VERSION, OutputState, Owner, PUBLISH_PATH, PublishAnswer, PublishRefusal,
    PublishRequest, Reconciliation, Snapshot, ToControl, ToNode, What, Wish,
};
use tempfile::TempDir;

use crate::support::control::fake::{Call, Fake, Peer, Post, TOKEN};
use crate::support::control::{input, relay};
use crate::support::destination::{Destination, Seen};
use crate::support::encoder::Encoder;
use crate::support::{KEY, Rig, Tls, config, group, headers, soon};

/// A node whose state is kept in `folder`, and its control plane.
async fn node(fake: &Fake, folder: &Path) -> Rig {
    let tls = Tls::new();
    fs::write(folder.join("token"), TOKEN).unwrap();
    let source = Source::ControlPlane {
        url: fake.url().parse().unwrap(),
        token_file: Some(folder.join("token")),
        keys_honoured_for: Duration::from_secs(3600),
    };
    let mut config = config(&tls, source);
    config.node = "fra-1".parse().unwrap();
    config.state_directory = Some(folder.to_owned());
    Rig::start(tls, &config).await
}

fn snapshot(epoch: u64, rev: u64, wish: Wish) -> Snapshot {
    Snapshot {
        input: input(),
        rev,
        epoch,
        owner: None,
        oldest_key: 0,
        account: None,
        wish,
    }
}

fn accepted(snapshot: Snapshot) -> PublishAnswer {
    PublishAnswer::Accepted { snapshot, key: 1 }
}

/// A control plane that cannot be asked, and the state of a node that it has told to relay there.
async fn outage(destination: &mut Destination) -> (Fake, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let mut fake = Fake::start().await;
    fake.refuse_upgrades(503);
    let rig = node(&fake, folder.path()).await;
    let answer = accepted(snapshot(4, 7, relay(&[destination])));
    let encoder = publish(&rig, &mut fake, 200, &answer).await;
    destination.publishing().await;
    drop(encoder);
    // What this one has to tell, nobody takes.
    rig.node.stop().await;
    loop {
        if let Seen::Closed { .. } = destination.next().await {
            return (fake, folder);
        }
    }
}

/// An encoder that is let in, with what the control plane answers to that.
async fn publish(rig: &Rig, fake: &mut Fake, status: u16, answer: &impl Serialize) -> Encoder {
    let encoder = async { rig.encoder(KEY).await.publishing().await };
    let (encoder, ()) = tokio::join!(encoder, async {
        question(fake).await.answer(status, answer);
    });
    encoder
}

/// The next question whether a key may publish; everything else is answered as in an outage.
async fn question(fake: &mut Fake) -> Post {
    loop {
        match soon(fake.next()).await {
            Call::Post(post) if post.path == PUBLISH_PATH => return post,
            Call::Post(post) => post.answer(503, &()),
            Call::RefusedUpgrade => {}
            Call::Socket(_) => panic!("a socket in an outage"),
        }
    }
}

fn owner(post: &Post) -> Owner {
    let asked: PublishRequest = serde_json::from_value(post.body.clone()).unwrap();
    Owner {
        node: asked.node,
        instance: asked.instance,
    }
}

/// The events of the input, each taken care of, until one is wanted no more of.
async fn events(peer: &mut Peer, mut is_last: impl FnMut(&What) -> bool) -> Vec<Event> {
    let mut events: Vec<Event> = Vec::new();
    loop {
        match soon(peer.receive()).await {
            Some(ToControl::Events(told)) => {
                let through = told.events.last().unwrap().sequence;
                events.extend(told.events);
                peer.send(&ToNode::EventsTaken { through }).await;
            }
            Some(ToControl::Report(report)) => {
                let events_through = report.events.last().map_or(0, |event| event.sequence);
                events.extend(report.events);
                let answer = Reconciliation {
                    version: LINK_VERSION,
                    snapshots: Vec::new(),
                    events_through,
                };
                peer.send(&ToNode::Reconciliation(answer)).await;
            }
            Some(_) => {}
            None => panic!("the node has closed its socket"),
        }
        if events.last().is_some_and(|event| is_last(&event.what)) {
            return events;
        }
    }
}

fn is_live(what: &What) -> bool {
    matches!(what, What::Output(change) if change.state == OutputState::Live)
}

/// The control plane's end of the node's socket, now that it answers.
async fn linked(fake: &mut Fake) -> Peer {
    fake.refuse_upgrades(0);
    loop {
        match soon(fake.next()).await {
            Call::Socket(socket) => return Peer(socket),
            Call::Post(post) => post.answer(503, &()),
            Call::RefusedUpgrade => {}
        }
    }
}

#[tokio::test]
async fn a_key_seen_before_publishes_and_is_confirmed_when_the_outage_ends() {
    let mut destination = Destination::plain(1).await;
    let (mut fake, folder) = outage(&mut destination).await;
    let rig = node(&fake, folder.path()).await;
    let mut encoder = publish(&rig, &mut fake, 503, &()).await;
    let sent = [headers(), group(0)].concat();
    encoder.send(&sent).await;
    destination.publishing().await;
    assert_eq!(destination.pieces(sent.len()).await, sent);
    let status = rig.node.registry().status().pop().unwrap();
    assert_eq!((status.confirmed, status.epoch, status.rev), (false, 4, 7));

    // The answer makes it the owner, and changes nothing that runs.
    let post = question(&mut fake).await;
    let mut answer = snapshot(5, 9, relay(&[&destination]));
    answer.owner = Some(owner(&post));
    post.answer(200, &accepted(answer));
    let mut peer = linked(&mut fake).await;
    let told = events(&mut peer, is_live).await;
    assert!(matches!(told[0].what, What::Connected(_)), "{told:?}");
    for (number, event) in told.iter().enumerate() {
        assert_eq!((event.sequence, event.epoch), (1 + number as u64, 5));
    }
    let status = rig.node.registry().status().pop().unwrap();
    assert_eq!((status.confirmed, status.epoch, status.rev), (true, 5, 9));
    encoder.send(&group(1)).await;
    assert_eq!(destination.pieces(group(1).len()).await, group(1));
}

#[tokio::test]
async fn what_was_revoked_meanwhile_is_cut_when_the_outage_ends() {
    let mut destination = Destination::plain(1).await;
    let (mut fake, folder) = outage(&mut destination).await;
    let rig = node(&fake, folder.path()).await;
    let encoder = publish(&rig, &mut fake, 503, &()).await;
    let refused = PublishAnswer::Refused {
        reason: PublishRefusal::UnknownKey,
    };
    question(&mut fake).await.answer(200, &refused);
    let words = encoder.refused().await;
    assert_eq!(words.code, "NetStream.Publish.Denied");
    assert!(rig.node.registry().status().is_empty());

    // The answer has replaced what was remembered.
    let again = rig.encoder(KEY).await;
    let (words, ()) = tokio::join!(again.refused(), async {
        question(&mut fake).await.answer(503, &());
    });
    assert_eq!(words.code, "NetStream.Failed");
    assert!(words.description.contains("cannot reach its control plane"));
}

/// The first snapshot that comes may be that of a former process, and of an input that is gone.
#[tokio::test]
async fn snapshots_of_a_former_owner_cut_only_what_is_gone() {
    let mut destination = Destination::plain(1).await;
    let (mut fake, folder) = outage(&mut destination).await;
    let rig = node(&fake, folder.path()).await;
    let encoder = publish(&rig, &mut fake, 503, &()).await;
    let mut peer = linked(&mut fake).await;
    let mut former = snapshot(4, 8, relay(&[&destination]));
    former.owner = Some(Owner {
        node: "fra-1".parse().unwrap(),
        instance: Instance::from_random([3; 16]),
    });
    peer.send(&ToNode::Snapshot(former)).await;
    // Too old to count.
    peer.send(&ToNode::Snapshot(snapshot(4, 6, Wish::Deleted)))
        .await;
    let asked = question(&mut fake).await;
    assert_eq!(rig.node.registry().status().len(), 1);
    peer.send(&ToNode::Snapshot(snapshot(4, 9, Wish::Deleted)))
        .await;
    assert_eq!(encoder.refused().await.code, "NetStream.Publish.Denied");
    // An answer that comes after that concerns nobody.
    asked.answer(200, &accepted(snapshot(5, 8, relay(&[&destination]))));
    assert!(rig.node.registry().status().is_empty());
}

#[tokio::test]
async fn an_encoder_that_returns_while_its_broadcast_waits_needs_no_answer() {
    let mut destination = Destination::plain(1).await;
    let (mut fake, folder) = outage(&mut destination).await;
    let rig = node(&fake, folder.path()).await;
    let answer = accepted(snapshot(5, 8, relay(&[&destination])));
    let mut encoder = publish(&rig, &mut fake, 200, &answer).await;
    encoder.send(&[headers(), group(0)].concat()).await;
    destination.publishing().await;
    encoder.vanish().await;
    let mut encoder = publish(&rig, &mut fake, 503, &()).await;
    encoder.send(&[headers(), group(1)].concat()).await;
    let status = rig.node.registry().status().pop().unwrap();
    assert_eq!((status.confirmed, status.epoch), (true, 5));
    encoder.stop().await;
    // Both groups on one connection.
    let rest = destination.rest().await;
    assert_eq!(rest.len(), 2 * [headers(), group(0)].concat().len());
}

/// One that refuses the node itself has answered.
#[tokio::test]
async fn a_node_whose_token_is_refused_honours_no_key() {
    let mut destination = Destination::plain(1).await;
    let (mut fake, folder) = outage(&mut destination).await;
    let rig = node(&fake, folder.path()).await;
    let encoder = rig.encoder(KEY).await;
    let (words, ()) = tokio::join!(encoder.refused(), async {
        question(&mut fake).await.answer(401, &());
    });
    assert_eq!(words.code, "NetStream.Failed");
}
