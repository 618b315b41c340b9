//! Set-up: what building, running and testing need, installed once and kept in a cache that all
//! clones share. A step whose result is there costs nothing.

mod debian;
mod npm;
mod python;
pub(crate) mod tools;
pub(crate) mod wasm;

use anyhow::{Context, Result};
use std::fs::{self, File, TryLockError};
use std::process::ExitCode;
use std::time::Instant;

use crate::place::Place;
use crate::time::readable;

/// What the set-up is for; from the third on, each needs what those before it need.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Purpose {
    /// Checking dependencies, for which nothing is built.
    Dependencies,
    /// `fuzz`.
    Fuzz,
    /// Building the Worker and running it.
    Run,
    /// The encoder and the servers of `dev --demo` and of `bench`.
    Demo,
    /// What the tests need besides: another encoder, the Python packages, and a browser.
    Test,
    /// What only `test --full` runs.
    FullTest,
}

/// One thing to be there.
trait Step {
    /// A noun phrase, with the version where one is pinned.
    fn name(&self) -> String;
    /// Why it is needed: completes "needed …".
    fn why(&self) -> &'static str;
    /// Whether it is there.
    fn is_done(&self, place: &Place) -> Result<bool>;
    /// Puts it there; an error says by which command a person could.
    fn install(&self, place: &Place) -> Result<()>;
}

/// Installs what is missing, saying so on standard error.
pub(crate) fn ensure(place: &Place, purpose: Purpose) -> Result<()> {
    let steps = steps(purpose);
    if missing(place, &steps)?.is_empty() {
        return Ok(());
    }
    let started = Instant::now();
    let _lock = lock(place)?;
    for step in &steps {
        if step.is_done(place)? {
            continue;
        }
        let started = Instant::now();
        let (name, why) = (step.name(), step.why());
        eprintln!("set-up: installing {name}: needed {why}");
        step.install(place)
            .with_context(|| format!("{name} is missing, needed {why}"))?;
        eprintln!(
            "set-up: {name} is there, after {}",
            readable(started.elapsed())
        );
    }
    eprintln!("set-up: complete, after {}", readable(started.elapsed()));
    Ok(())
}

/// Names what is missing, and fails when anything is.
pub(crate) fn check(place: &Place, purpose: Purpose) -> Result<ExitCode> {
    let steps = steps(purpose);
    let missing = missing(place, &steps)?;
    for step in &missing {
        eprintln!("missing: {}, needed {}", step.name(), step.why());
    }
    if missing.is_empty() {
        eprintln!("set-up: nothing is left to do");
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("set-up: `cargo xtask setup` installs what is missing");
    Ok(ExitCode::FAILURE)
}

fn steps(purpose: Purpose) -> Vec<Box<dyn Step>> {
    if purpose == Purpose::Dependencies {
        return vec![Box::new(python::DEPENDENCIES)];
    }
    if purpose == Purpose::Fuzz {
        return vec![Box::new(debian::FUZZ), Box::new(tools::CargoFuzz)];
    }
    let mut steps: Vec<Box<dyn Step>> = vec![
        Box::new(wasm::Target),
        Box::new(tools::OpensslHeaders),
        Box::new(tools::WorkerBuild),
        Box::new(tools::WasmBindgen),
        Box::new(npm::Packages),
        Box::new(npm::Link),
    ];
    if purpose >= Purpose::Demo {
        steps.push(Box::new(debian::ENCODER_AND_SERVERS));
    }
    if purpose >= Purpose::Test {
        steps.push(Box::new(debian::TEST));
        steps.push(Box::new(python::TEST));
        steps.push(Box::new(debian::BROWSER));
        steps.push(Box::new(python::DEPENDENCIES));
    }
    if purpose >= Purpose::FullTest {
        steps.push(Box::new(debian::FULL_TEST));
        steps.push(Box::new(python::FULL_TEST));
    }
    steps
}

fn missing<'a>(place: &Place, steps: &'a [Box<dyn Step>]) -> Result<Vec<&'a dyn Step>> {
    let mut missing = Vec::new();
    for step in steps {
        if !step.is_done(place)? {
            missing.push(step.as_ref());
        }
    }
    Ok(missing)
}

/// One set-up at a time in one cache; the second finds the work done.
fn lock(place: &Place) -> Result<File> {
    fs::create_dir_all(&place.cache)
        .with_context(|| format!("making {}", place.cache.display()))?;
    let path = place.cache.join("setup.lock");
    let file = File::create(&path).with_context(|| format!("making {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            eprintln!(
                "set-up: waiting for another set-up in {}",
                place.cache.display()
            );
            file.lock().context("waiting for the other set-up")?;
        }
        Err(TryLockError::Error(error)) => return Err(error).context("locking the cache"),
    }
    Ok(file)
}
