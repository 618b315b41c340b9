//! The encoder and the destination of the other tests, without the product between them: what they
//! find there is the product's doing.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use system_tests::authority::Authority;
use system_tests::destination::Destination;
use system_tests::encoder::Source;
use system_tests::generator::{Publishing, scripts};
use system_tests::packets::begins_with_keyframe;
use system_tests::secrets::output_key;
use system_tests::strict::{Calls, Strict};
use system_tests::wire::{DATA, Extended, Tag, difference, read_flv};

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

#[test]
fn the_strict_server_takes_what_is_right_and_nothing_else() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let authority = Authority::new(folder.path())?;
    let strict = Strict::start(&authority)?;
    let source = Source::new(2)?;
    let recorded = read_flv(source.file())?;
    for secure in [false, true] {
        // FFmpeg makes metadata of its own.
        let key = output_key()?;
        let url = format!("{}/", strict.url(Calls::Error, secure));
        let mut encoder = source.publish(&url, &key, &authority.certificate)?;
        let status = encoder.wait(Duration::from_secs(20))?;
        ensure!(status.success(), "FFmpeg: {status}: {}", encoder.printed()?);
        let taken = strict
            .streams()
            .ended(&key, Instant::now() + ENDED_WITHIN)?;
        ensure!(taken.problem.is_none(), "{:?}", taken.problem);
        let media =
            |tags: &[Tag]| -> Vec<_> { tags.iter().filter(|tag| is_media(tag)).cloned().collect() };
        let difference = difference(&media(&taken.tags), &media(&recorded));
        ensure!(difference.is_none(), "{difference:?}");
    }
    let few = ["unknown tags", "a clock that passes 2^24, unrepeated"];
    let scripts = scripts(&recorded).into_iter();
    for script in scripts.filter(|script| few.contains(&script.name)) {
        let (key, sent) = (output_key()?, script.clone());
        let url = strict.url(Calls::Undefined, false);
        let publishing = Publishing::start(script, &url, &key, &authority.certificate)?;
        // The one whose extended timestamps are not repeated is cut.
        let is_right = sent.extended == Extended::Repeated;
        ensure!(publishing.wait().is_ok() == is_right, "{}", sent.name);
        let taken = strict
            .streams()
            .ended(&key, Instant::now() + ENDED_WITHIN)?;
        match taken.problem {
            None if is_right => ensure!(difference(&taken.tags, &sent.tags).is_none()),
            Some(problem) if !is_right => ensure!(problem.contains("follows type 3"), "{problem}"),
            problem => ensure!(false, "{}: {problem:?}", sent.name),
        }
    }
    Ok(())
}

fn is_media(tag: &Tag) -> bool {
    tag.kind != DATA
}

/// An end is seen when its publisher has gone.
const ENDED_WITHIN: Duration = Duration::from_secs(1);
