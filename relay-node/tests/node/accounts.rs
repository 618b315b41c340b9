//! What an account may do at the node, and no more.

use std::time::Duration;

use bytes::Bytes;
use rtmp::MessageType;
use shared::link::{Departure, OutputState, What};
use tokio::time::interval;

use crate::support::control::{Controlled, relay};
use crate::support::destination::Destination;
use crate::support::{group, headers};

#[tokio::test]
async fn outputs_beyond_the_bound_are_refused_until_there_is_room() {
    let (mut one, mut other) = (Destination::plain(1).await, Destination::plain(2).await);
    let mut node = Controlled::with(|config| config.quota.outputs = 1).await;
    let wish = relay(&[&one, &other]);
    let mut encoder = node.publish(0, wish).await;
    encoder.send(&[headers(), group(0)].concat()).await;
    let refused = node
        .until(|what| match what {
            What::Output(change) if change.state == OutputState::Failed => Some(change),
            _ => None,
        })
        .await;
    assert_eq!(refused.reason.as_deref(), Some("account_limit"));
    let said = refused.message.unwrap();
    assert!(said.contains("1 outputs connected"), "{said}");
    let usage = node.usage();
    assert_eq!((usage.inputs, usage.outputs), (1, 1));
    assert!(usage.refused >= 1);
    // The one that has its place is switched off; the other one gets it with its next attempt.
    let (taken, waiting) = match refused.output == one.wanted().uid {
        true => (&mut other, &mut one),
        false => (&mut one, &mut other),
    };
    taken.publishing().await;
    let only = relay(&[&*waiting]);
    node.push(node.snapshot(2, only)).await;
    waiting.publishing().await;
    assert_eq!(node.usage().outputs, 1);
    encoder.stop().await;
}

#[tokio::test]
async fn an_account_that_sends_too_much_for_long_loses_its_broadcast() {
    let mut taken = Destination::plain(1).await;
    let mut node = Controlled::with(|config| config.quota.bits = 100_000).await;
    let mut encoder = node.publish(0, relay(&[&taken])).await;
    encoder.send(&[headers(), group(0)].concat()).await;
    taken.publishing().await;
    let mut often = interval(Duration::from_millis(100));
    let mut timestamp = 1000;
    let departure = {
        let ended = node.until(|what| match what {
            What::Ended { reason } => Some(reason),
            _ => None,
        });
        tokio::pin!(ended);
        loop {
            tokio::select! {
                biased;
                departure = &mut ended => break departure,
                _ = often.tick() => {
                    timestamp += 100;
                    let keyframe = Bytes::from([&[0x17, 1, 0, 0, 0][..], &[0; 20_000]].concat());
                    encoder.send(&[(MessageType::VIDEO, timestamp, keyframe)]).await;
                }
            }
        }
    };
    assert_eq!(departure, Departure::Misbehaved);
    let words = encoder.refused().await;
    assert!(words.description.contains("This account"), "{words:?}");
}
