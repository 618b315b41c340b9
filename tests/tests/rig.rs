//! The encoder and the destination of the other tests, without the product between them: what they
//! find there is the product's doing.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use system_tests::destination::Destination;
use system_tests::encoder::Source;
use system_tests::packets::begins_with_keyframe;
use system_tests::secrets::output_key;

#[test]
fn the_rig_is_exact() -> Result<()> {
    let destination = Destination::start()?;
    let source = Source::new(2)?;
    let sent = source.packets()?;
    for url in [destination.rtmp_url(), destination.rtmps_url()] {
        let key = output_key()?;
        let url = format!("{url}/");
        let mut encoder = source.publish(&url, &key, destination.authority())?;
        let status = encoder.wait(Duration::from_secs(20))?;
        ensure!(status.success(), "FFmpeg: {status}: {}", encoder.printed()?);
        destination.published(&key, 1, Instant::now())?;
        destination.ended(&key, 1, Instant::now() + Duration::from_secs(1))?;
        destination.recorded(&key, 1)?.same_as(&sent)?;
        ensure!(
            begins_with_keyframe(&destination.recording(&key, 1)?)?,
            "no keyframe"
        );
    }
    Ok(())
}
