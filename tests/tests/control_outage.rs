//! The control plane cannot be reached by the node, while people go on to change things there.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use system_tests::dev::left;
use system_tests::encoder::Source;
use system_tests::fault_proxy::FaultProxy;
use system_tests::secrets::output_key;
use system_tests::shared::Shared;
use system_tests::wait;

static SHARED: Shared = Shared::new();

/// From the start of FFmpeg until outputs publish.
const ON_AIR_WITHIN: Duration = Duration::from_secs(10);

/// Until the node has started and opened its socket.
const LINKED_WITHIN: Duration = Duration::from_secs(30);

/// By when what changed in an outage has taken effect: the longest backoff, and a second.
const SETTLED_WITHIN: Duration = Duration::from_secs(11);

#[test]
fn keys_seen_before_publish_in_an_outage_and_are_judged_after_it() -> Result<()> {
    let house = SHARED.enter()?;
    let (dev, destination) = (&house.dev, &house.destination);
    let control = SocketAddr::from((Ipv4Addr::LOCALHOST, dev.control_port()?));
    let proxy = FaultProxy::start(control)?;
    dev.move_control(proxy.address().port())?;
    dev.kill("relay", dev.line.pids.relay, LINKED_WITHIN)?;

    // The node learns two keys.
    let source = Source::new(120)?;
    let authority = house.ingest_authority();
    let good = dev.api.create_input("good")?;
    let mut replaced = dev.api.create_input("replaced")?;
    let [good_key, replaced_key, stranger_key] = [output_key()?, output_key()?, output_key()?];
    dev.api
        .add_output(&good, &destination.rtmps_url(), &good_key)?;
    dev.api
        .add_output(&replaced, &destination.rtmp_url(), &replaced_key)?;
    for (input, key) in [(&good, &good_key), (&replaced, &replaced_key)] {
        let mut encoder = source.publish_again(&input.url, &input.key, authority, LINKED_WITHIN)?;
        destination.published(key, 1, Instant::now() + ON_AIR_WITHIN)?;
        encoder.end(ON_AIR_WITHIN)?;
        destination.ended(key, 1, Instant::now() + ON_AIR_WITHIN)?;
    }
    wait::until("both keys on the disk", ON_AIR_WITHIN, || {
        let written = "the cache of keys is written inputs=2";
        Ok(dev.relay_log()?.contains(written).then_some(()))
    })?;

    // An outage, in which the node's process dies as well.
    proxy.refuse(true);
    let relay = system_tests::process::descendants(dev.pid())?;
    let relay = relay.iter().find(|process| process.name == "relay-node");
    let relay = relay.map(|process| process.pid);
    ensure!(relay.is_some(), "there is no relay node");
    dev.kill("relay", relay.unwrap_or_default(), LINKED_WITHIN)?;
    let mut encoder = source.publish_again(&good.url, &good.key, authority, LINKED_WITHIN)?;
    let mut cut = source.publish_again(&replaced.url, &replaced.key, authority, LINKED_WITHIN)?;
    for key in [&good_key, &replaced_key] {
        destination.published(key, 2, Instant::now() + ON_AIR_WITHIN)?;
        destination.receives(key, 10_000, ON_AIR_WITHIN)?;
    }

    // One that was never here is told why not; one that is replaced meanwhile goes on.
    let stranger = dev.api.create_input("stranger")?;
    dev.api
        .add_output(&stranger, &destination.rtmp_url(), &stranger_key)?;
    let mut refused = source.publish(&stranger.url, &stranger.key, authority)?;
    ensure!(!refused.wait(ON_AIR_WITHIN)?.success(), "FFmpeg was let in");
    let printed = refused.printed()?;
    ensure!(
        printed.contains("cannot reach its control plane"),
        "{printed}"
    );
    dev.api.rotate_key(&mut replaced, 0)?;
    destination.receives(&replaced_key, 50_000, ON_AIR_WITHIN)?;

    // The outage ends.
    proxy.refuse(false);
    let over = Instant::now();
    let status = cut.wait(left(over, SETTLED_WITHIN))?;
    ensure!(!status.success(), "a replaced key went on");
    eprintln!(
        "a replaced key was cut {:?} after the outage",
        over.elapsed()
    );
    wait::until("what the outage hid", left(over, SETTLED_WITHIN), || {
        let read = dev.api.input(&good.uid)?;
        let state = read.pointer("/result/status/current/state");
        Ok(state
            .is_some_and(|state| state == "connected")
            .then_some(()))
    })?;
    eprintln!("what it hid was known after {:?}", over.elapsed());
    let mut known = source.publish(&stranger.url, &stranger.key, authority)?;
    destination.published(&stranger_key, 1, Instant::now() + ON_AIR_WITHIN)?;
    known.end(ON_AIR_WITHIN)?;
    encoder.end(ON_AIR_WITHIN)?;

    let sent = source.packets()?;
    destination.recorded(&good_key, 2)?.begin(&sent)?;
    ensure!(
        destination.publishes(&good_key) == 2,
        "an output reconnected"
    );
    house.pass()
}
