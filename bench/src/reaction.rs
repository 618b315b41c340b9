//! How soon a change by the API takes effect on what is on air.

use std::time::Instant;

use anyhow::Result;
use system_tests::dev::{Dev, Options};
use system_tests::encoder::Source;
use system_tests::ports;
use system_tests::secrets::output_key;

use crate::destination::{Destination, What};
use crate::spread::Spread;

/// Changes of each kind.
const CHANGES: usize = 50;
/// Longer than all changes to one input take.
const SOURCE_SECONDS: u32 = 300;

/// Makes the changes and prints how long they took.
pub(crate) fn run() -> Result<()> {
    let source = Source::new(SOURCE_SECONDS)?;
    let dev = Dev::start(&Options {
        port_base: ports::base()?,
        log: Some("info".to_owned()),
        ..Options::default()
    })?;
    let destination = Destination::start()?;
    let mut accepted = Spread::default();
    let mut media = Spread::default();
    let mut output_gone = Spread::default();
    let mut input_gone = Spread::default();

    let (url, authority) = (&dev.line.rtmps.url, &dev.line.ca_certificate);
    let key = output_key()?;
    let input = dev.api.create_input("reaction")?;
    let first = dev.api.add_output(&input, &destination.url(), &key)?;
    let encoder = source.publish(url, &input.key, authority)?;
    destination.wait_for(What::FirstMedia)?;
    dev.api.delete_output(&input, &first)?;
    destination.wait_for(What::Closed)?;
    for change in 1..=CHANGES {
        let output = dev.api.add_output(&input, &destination.url(), &key)?;
        accepted.add(output.at, destination.wait_for(What::Accepted)?);
        media.add(output.at, destination.wait_for(What::FirstMedia)?);
        let answered = dev.api.delete_output(&input, &output)?;
        output_gone.add(answered, destination.wait_for(What::Closed)?);
        progress("outputs added and deleted", change);
    }
    drop(encoder);

    for change in 1..=CHANGES {
        let input = dev.api.create_input("reaction")?;
        dev.api.add_output(&input, &destination.url(), &key)?;
        let _encoder = source.publish(url, &input.key, authority)?;
        destination.wait_for(What::FirstMedia)?;
        let answered: Instant = dev.api.delete_input(&input)?;
        input_gone.add(answered, destination.wait_for(What::Closed)?);
        progress("live inputs deleted on air", change);
    }

    println!("| from the API's answer to …, ms | least | median | p90 | p99 | most |");
    println!("| --- | --- | --- | --- | --- | --- |");
    for (name, spread) in [
        ("add output: connection accepted", accepted),
        ("add output: first media byte", media),
        ("delete output: connection closed", output_gone),
        ("delete input: connection closed", input_gone),
    ] {
        let [least, median, p90, p99, most] = spread.figures();
        println!("| {name} | {least:.1} | {median:.1} | {p90:.1} | {p99:.1} | {most:.1} |");
    }
    println!("\n{CHANGES} changes of each kind; a time below zero came before the answer did.");
    dev.pass()
}

fn progress(what: &str, done: usize) {
    if done.is_multiple_of(10) {
        eprintln!("bench: {done} of {CHANGES} {what}");
    }
}
