//! The node's socket is cut, and new ones are refused, while plain HTTP works.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use system_tests::dev::left;
use system_tests::encoder::Source;
use system_tests::link_proxy::LinkProxy;
use system_tests::secrets::output_key;
use system_tests::shared::Shared;
use system_tests::wait;

static SHARED: Shared = Shared::new();

/// What the product document promises for any change.
const PROMISED: Duration = Duration::from_secs(30);

/// The time in which a change reaches a broadcast over the socket.
const CHANGED_WITHIN: Duration = Duration::from_secs(1);

/// From the start of FFmpeg until outputs publish.
const ON_AIR_WITHIN: Duration = Duration::from_secs(10);

/// Until the node has started and opened its socket; and after an outage, by its longest backoff.
const LINKED_WITHIN: Duration = Duration::from_secs(30);

#[test]
fn link_cut() -> Result<()> {
    let house = SHARED.enter()?;
    let (dev, destination) = (&house.dev, &house.destination);

    // The node, started again, finds the proxy where the control plane was.
    let proxy = LinkProxy::start(dev.control_port()?)?;
    dev.move_control(proxy.port())?;
    dev.kill("relay", dev.line.pids.relay, LINKED_WITHIN)?;
    wait::until("the node's socket", LINKED_WITHIN, || {
        Ok((proxy.upgrades() > 0).then_some(()))
    })?;

    let source = Source::new(120)?;
    let input = dev.api.create_input("link cut")?;
    let (steady, leaving, late) = (output_key()?, output_key()?, output_key()?);
    dev.api
        .add_output(&input, &destination.rtmp_url(), &steady)?;
    let to_leave = dev
        .api
        .add_output(&input, &destination.rtmps_url(), &leaving)?;
    let authority = house.ingest_authority();
    let mut encoder = source.publish_again(&input.url, &input.key, authority, LINKED_WITHIN)?;
    let deadline = Instant::now() + ON_AIR_WITHIN;
    destination.published(&steady, 1, deadline)?;
    destination.published(&leaving, 1, deadline)?;
    destination.receives(&leaving, 10_000, ON_AIR_WITHIN)?;

    proxy.cut();
    let added = dev.api.add_output(&input, &destination.rtmp_url(), &late)?;
    let deleted = dev.api.delete_output(&input, &to_leave)?;
    let added_at = destination.published(&late, 1, added.at + PROMISED)?;
    let ended_at = destination.ended(&leaving, 1, deleted + PROMISED)?;
    eprintln!(
        "by polls: added after {:?}, deleted after {:?}",
        added_at - added.at,
        ended_at - deleted
    );
    wait::until("a refused upgrade", LINKED_WITHIN, || {
        Ok((proxy.refused() > 0).then_some(()))
    })?;

    // The socket comes back, and changes arrive within a second again.
    let before = proxy.upgrades();
    proxy.restore();
    wait::until("the node's next socket", LINKED_WITHIN, || {
        Ok((proxy.upgrades() > before).then_some(()))
    })?;
    let last = output_key()?;
    let added = dev.api.add_output(&input, &destination.rtmp_url(), &last)?;
    destination.published(&last, 1, added.at + CHANGED_WITHIN)?;

    destination.receives(&last, 10_000, ON_AIR_WITHIN)?;

    // Deleting the input over polls cuts the publisher.
    proxy.cut();
    let deleted = dev.api.delete_input(&input)?;
    destination.ended(&steady, 1, deleted + PROMISED)?;
    ensure!(
        !encoder.wait(left(deleted, PROMISED))?.success(),
        "FFmpeg was not cut"
    );

    let sent = source.packets()?;
    destination.recorded(&steady, 1)?.begin(&sent)?;
    destination.recorded(&leaving, 1)?.begin(&sent)?;
    destination.recorded(&late, 1)?.part_of(&sent)?;
    destination.recorded(&last, 1)?.part_of(&sent)?;
    ensure!(destination.publishes(&steady) == 1, "an output reconnected");
    house.pass()
}
