//! A control plane that knows one input, and a node that obeys it.

#[allow(dead_code, reason = "the uplink's own tests need more of it")]
#[path = "../../../src/uplink/fake.rs"]
pub(crate) mod fake;

use std::collections::VecDeque;
use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use broadcast::Usage;
use relay_node::config::{Config as NodeConfig, Source};
// What the fake is written for.
use relay_node::registry::BroadcastStatus;
use relay_node::uplink::{Config, KeyCache};
use rtmp::Capabilities;
use shared::id::{AccountId, InputUid};
use shared::link::{
    Event, Figures, InputFigures, PublishAnswer, PublishRefusal, Reconciliation, Report, Snapshot,
    ToControl, ToNode, Watch, What, Wish,
};

use tokio::task::JoinHandle;

use super::destination::Destination;
use super::encoder::Encoder;
use super::{KEY, Rig, Tls, config, scan, soon};

/// A node, and the control plane's end of its socket.
pub(crate) struct Controlled {
    rig: Option<Rig>,
    fake: fake::Fake,
    peer: fake::Peer,
    /// What came and was not asked for yet.
    events: VecDeque<Event>,
    figures: VecDeque<Figures>,
    /// Everything that came, as it was written.
    pub(crate) said: String,
    /// What the node acknowledged last.
    applied: u64,
    epoch: u64,
}

impl Controlled {
    /// A node that has reported to its control plane.
    pub(crate) async fn new() -> Self {
        Self::with_max_bitrate(None).await
    }

    /// One that takes no encoder that sends more bits a second.
    pub(crate) async fn with_max_bitrate(max_bitrate: Option<u64>) -> Self {
        Self::with(|config| config.max_bitrate = max_bitrate).await
    }

    /// One with another configuration.
    pub(crate) async fn with(change: impl FnOnce(&mut NodeConfig)) -> Self {
        let mut fake = fake::Fake::start().await;
        let tls = Tls::new();
        scan::know(fake::TOKEN);
        fs::write(tls.path("token"), fake::TOKEN).unwrap();
        let source = Source::ControlPlane {
            url: fake.url().parse().unwrap(),
            token_file: Some(tls.path("token")),
            keys_honoured_for: Duration::from_secs(3600),
        };
        let mut config = config(&tls, source);
        config.node = "fra-1".parse().unwrap();
        change(&mut config);
        let rig = Rig::start(tls, &config).await;
        let mut peer = fake.socket().await;
        let Some(ToControl::Report(Report { .. })) = soon(peer.receive()).await else {
            panic!("the node does not begin with a report");
        };
        peer.send(&ToNode::Reconciliation(reconciliation())).await;
        Self {
            rig: Some(rig),
            fake,
            peer,
            events: VecDeque::new(),
            figures: VecDeque::new(),
            said: String::new(),
            applied: 0,
            epoch: 0,
        }
    }

    /// An encoder that may publish, with the key of that number, to these destinations.
    pub(crate) async fn publish(&mut self, key: u64, wish: Wish) -> Encoder {
        self.publish_knowing(key, wish, Capabilities::default())
            .await
    }

    /// The same, one that knows of Enhanced RTMP.
    pub(crate) async fn publish_knowing(
        &mut self,
        key: u64,
        wish: Wish,
        capabilities: Capabilities,
    ) -> Encoder {
        self.epoch += 1;
        let snapshot = self.snapshot(1, wish);
        let rig = self.rig.as_ref().unwrap();
        let publishing = async {
            let encoder = rig.encoder_knowing(KEY, capabilities).await;
            encoder.publishing().await
        };
        let (encoder, ()) = tokio::join!(publishing, async {
            let post = soon(self.fake.post()).await;
            post.answer(200, &PublishAnswer::Accepted { snapshot, key });
        });
        encoder
    }

    /// The input as it is wanted, under the present epoch.
    pub(crate) fn snapshot(&self, rev: u64, wish: Wish) -> Snapshot {
        Snapshot {
            input: input(),
            rev,
            epoch: self.epoch,
            owner: None,
            oldest_key: 0,
            account: Some(AccountId::from_random([5; 16])),
            wish,
        }
    }

    /// The node, as others see it.
    pub(crate) fn rig(&self) -> &Rig {
        self.rig.as_ref().unwrap()
    }

    /// Waits until it is asked whether a key may publish, and says that no input has it.
    pub(crate) async fn refuse_key(&mut self) {
        let answer = PublishAnswer::Refused {
            reason: PublishRefusal::UnknownKey,
        };
        soon(self.fake.post()).await.answer(200, &answer);
    }

    /// Where encoders connect without encryption.
    pub(crate) fn ingest(&self) -> SocketAddr {
        self.rig.as_ref().unwrap().node.rtmp()[0]
    }

    /// What the input's account does.
    pub(crate) fn usage(&self) -> Usage {
        let rig = self.rig.as_ref().unwrap();
        let [(_, usage)] = rig.node.registry().accounts()[..] else {
            panic!("not one account");
        };
        usage
    }

    /// How its one broadcast is doing.
    pub(crate) fn status(&self) -> BroadcastStatus {
        let rig = self.rig.as_ref().unwrap();
        rig.node.registry().status().pop().unwrap()
    }

    pub(crate) async fn push(&mut self, snapshot: Snapshot) {
        self.peer.send(&ToNode::Snapshot(snapshot)).await;
    }

    /// Lets the node stop.
    pub(crate) fn stopping(&mut self) -> JoinHandle<()> {
        let rig = self.rig.take().unwrap();
        tokio::spawn(rig.node.stop())
    }

    /// What happens next, taken care of.
    pub(crate) async fn happens(&mut self) -> Event {
        while self.events.is_empty() {
            self.receive().await;
        }
        self.events.pop_front().unwrap()
    }

    /// The next thing that happens and that is asked for.
    pub(crate) async fn until<T>(&mut self, is_it: impl Fn(What) -> Option<T>) -> T {
        loop {
            if let Some(it) = is_it(self.happens().await.what) {
                return it;
            }
        }
    }

    /// Asks for figures, at once and for so many seconds.
    pub(crate) async fn watch(&mut self, seconds: u32) {
        self.peer.send(&ToNode::Watch(Watch { seconds })).await;
    }

    /// The next figures, of the one input on air.
    pub(crate) async fn figures(&mut self) -> InputFigures {
        while self.figures.is_empty() {
            self.receive().await;
        }
        let inputs = self.figures.pop_front().unwrap().inputs;
        let [figures] = <[InputFigures; 1]>::try_from(inputs).unwrap();
        figures
    }

    /// Waits until the node has applied the snapshot of that revision.
    pub(crate) async fn applied(&mut self, rev: u64) {
        while self.applied < rev {
            self.receive().await;
        }
    }

    async fn receive(&mut self) {
        let frame = soon(self.peer.receive()).await;
        let text = serde_json::to_string(&frame).unwrap();
        scan::look("what the control plane is told", &text);
        self.said += &text;
        match frame {
            Some(ToControl::Events(events)) => {
                let through = events.events.last().unwrap().sequence;
                self.events.extend(events.events);
                self.peer.send(&ToNode::EventsTaken { through }).await;
            }
            Some(ToControl::Figures(figures)) => self.figures.push_back(figures),
            Some(ToControl::Applied(applied)) => self.applied = applied.rev,
            // Once a minute; a node whose report is not answered takes its socket for dead.
            Some(ToControl::Report(_)) => {
                self.peer
                    .send(&ToNode::Reconciliation(reconciliation()))
                    .await;
            }
            Some(_) => {}
            None => panic!("the node has closed its socket"),
        }
    }
}

fn reconciliation() -> Reconciliation {
    Reconciliation {
        version: shared::link::LINK_VERSION,
        snapshots: Vec::new(),
        events_through: 0,
    }
}

/// The control plane's one input.
pub(crate) fn input() -> InputUid {
    InputUid::from_random([1; 16])
}

/// Relay to these.
pub(crate) fn relay(destinations: &[&Destination]) -> Wish {
    let outputs = destinations.iter().map(|destination| destination.wanted());
    Wish::relay(outputs.collect())
}
