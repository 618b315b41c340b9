//! `cargo xtask bench NAME`: measurements against peers and against the floor of the machine.

mod api;
mod destination;
mod fanout;
mod hostile;
mod load;
mod publisher;
mod reaction;
mod soak;
mod spread;

use std::process::ExitCode;

use anyhow::{Result, bail};

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<()> {
    match arguments {
        [name, rest @ ..] if name == "api" => match rest {
            [] => api::run(false, ""),
            [quick] if quick == "--quick" => api::run(true, ""),
            [part] => api::run(false, part),
            [quick, part] if quick == "--quick" => api::run(true, part),
            _ => bail!("`cargo xtask bench api` takes `--quick` and a part of end points' names"),
        },
        [name, rest @ ..] if name == "fanout" => fanout::run(rest),
        [name] if name == "hostile" => hostile::run(),
        [name, rest @ ..] if name == "load" => load::run(rest),
        [name] if name == "reaction" => reaction::run(),
        [name, rest @ ..] if name == "soak" => soak::run(rest),
        _ => bail!(
            "name a measurement: `cargo xtask bench reaction`, `api`, `hostile`, {}, or `fanout`; {}",
            load::USAGE,
            fanout::USAGE
        ),
    }
}
