//! What `cargo xtask dev` promises to programs that start it.

use std::net::TcpListener;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use system_tests::dev::{Dev, Options, remove_state};
use system_tests::ports;

/// Every process that it started has ended this long after a signal.
const STOPPED_WITHIN: Duration = Duration::from_secs(5);

/// This many deaths of a part end it.
const DEATHS: usize = 3;

#[test]
fn two_copies_keep_their_state_and_leave_nothing() -> Result<()> {
    let one = Options {
        port_base: ports::base()?,
        ..Options::default()
    };
    let other = Options {
        port_base: ports::base()?,
        ..Options::default()
    };
    let first = Dev::start(&one)?;
    check(&first, one.port_base)?;
    let input = first.api.create_input("kept")?;
    ensure!(input.url == first.line.rtmps.url, "another ingest URL");

    // Side by side, neither knows the other's inputs, and one's end is not the other's.
    let second = Dev::start(&other)?;
    check(&second, other.port_base)?;
    ensure!(second.line.account != first.line.account, "one account");
    ensure!(second.api.input(&input.uid).is_err(), "one state");
    let line = first.line.clone();
    let (status, left) = first.stop(STOPPED_WITHIN)?;
    ensure!(status.success(), "{status}");
    ensure!(left.is_empty(), "left behind: {left:?}");
    ensure!(second.api.answers(), "the second copy ended, too");

    // The same state again: account, token, input and key.
    let again = Dev::start(&Options {
        keep_state: true,
        ..one
    })?;
    ensure!(again.line.account == line.account, "another account");
    ensure!(again.line.token == line.token, "another token");
    let kept = again.api.input(&input.uid)?;
    let key = kept.pointer("/result/rtmps/streamKey").context("its key")?;
    ensure!(*key == input.key, "another key");
    second.pass()?;
    drop(second);
    again.pass()
}

#[test]
fn a_taken_port_is_named_with_its_holder() -> Result<()> {
    let port_base = ports::base()?;
    for offset in [0, 3] {
        let port = port_base + offset;
        let _held = TcpListener::bind(("127.0.0.1", port))?;
        let (status, said) = Dev::refuse(&Options {
            port_base,
            ..Options::default()
        })?;
        ensure!(status.code() == Some(1), "{status}");
        let holder = std::process::id().to_string();
        let named = said
            .lines()
            .any(|line| line.contains(&port.to_string()) && line.contains(&holder));
        ensure!(named, "it said: {said}");
    }
    Ok(())
}

#[test]
fn three_deaths_in_ten_seconds_end_it() -> Result<()> {
    let dev = Dev::start(&Options {
        port_base: ports::base()?,
        ..Options::default()
    })?;
    let mut pid = dev.line.pids.relay;
    for _ in 1..DEATHS {
        pid = dev.kill("relay", pid, STOPPED_WITHIN)?;
    }
    let state = dev.line.state_dir.clone();
    system_tests::process::signal(pid, system_tests::process::Signal::KILL)?;
    let (status, left) = dev.give_up(2 * STOPPED_WITHIN)?;
    ensure!(status.code() == Some(1), "{status}");
    ensure!(left.is_empty(), "left behind: {left:?}");
    remove_state(&state);
    Ok(())
}

/// The form of the line that it prints; its keys are checked by reading it.
fn check(dev: &Dev, port_base: u16) -> Result<()> {
    let line = &dev.line;
    let begins = format!("http://localhost:{port_base}/");
    ensure!(line.api.starts_with(&begins), "{}", line.api);
    ensure!(line.api.ends_with("/client/v4"), "{}", line.api);
    for (url, scheme) in [(&line.rtmps.url, "rtmps"), (&line.rtmp.url, "rtmp")] {
        let begins = format!("{scheme}://localhost:");
        ensure!(url.starts_with(&begins) && url.ends_with("/live/"), "{url}");
    }
    for path in [&line.ca_certificate, &line.state_dir] {
        ensure!(path.is_absolute() && path.exists(), "{}", path.display());
    }
    for (pid, name) in [
        (line.pids.control, "workerd"),
        (line.pids.relay, "relay-node"),
    ] {
        let process = system_tests::process::Process::find(pid).context("a process")?;
        ensure!(process.name == name, "{} instead of {name}", process.name);
    }
    Ok(())
}
