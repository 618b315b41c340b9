//! What `deploy/` installs, as systemd sees it, and the node as systemd starts it.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use system_tests::process::Running;
use system_tests::{node, ports, wait};

/// The units, with the program that is there in place of the one that is installed.
struct Units {
    folder: tempfile::TempDir,
    names: Vec<String>,
}

impl Units {
    fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let program = node::program()?;
        let program = program.to_str().context("a path that is not text")?;
        let mut names = Vec::new();
        for entry in fs::read_dir(deploy())? {
            let name = entry?.file_name().into_string().unwrap_or_default();
            if name.ends_with(".service") || name.ends_with(".socket") {
                let unit = fs::read_to_string(deploy().join(&name))?;
                let unit = unit.replace("/usr/local/bin/relay-node", program);
                fs::write(folder.path().join(&name), unit)?;
                names.push(name);
            }
        }
        Ok(Self { folder, names })
    }

    fn analyze(&self, arguments: &[&str]) -> Result<Output> {
        let output = Command::new("systemd-analyze")
            .args(arguments)
            .current_dir(self.folder.path())
            .output();
        output.context("starting systemd-analyze")
    }
}

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy")
}

#[test]
fn systemd_finds_nothing_wrong_in_the_units() -> Result<()> {
    let units = Units::new()?;
    ensure!(units.names.len() == 4, "{:?}", units.names);
    let paths: Vec<_> = units.names.iter().map(|name| format!("./{name}")).collect();
    let mut arguments = vec!["verify", "--man=no"];
    arguments.extend(paths.iter().map(String::as_str));
    let output = units.analyze(&arguments)?;
    let says = String::from_utf8_lossy(&output.stderr);
    let ours: Vec<_> = says
        .lines()
        .filter(|line| line.contains("relay-node"))
        .collect();
    ensure!(output.status.success() && ours.is_empty(), "{says}");
    Ok(())
}

#[test]
fn the_service_may_do_little_beside_its_work() -> Result<()> {
    let units = Units::new()?;
    // In tenths: 2.0 at most.
    let output = units.analyze(&[
        "security",
        "--offline=true",
        "--threshold=20",
        "--no-pager",
        "./relay-node.service",
    ])?;
    let says = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "{says}");
    ensure!(says.contains("Overall exposure level"), "{says}");
    Ok(())
}

/// How the linker made the program: the same in every profile.
#[test]
fn the_program_is_hardened() -> Result<()> {
    let program = node::program()?;
    let output = Command::new("readelf")
        .args(["--wide", "--file-header", "--program-headers", "--dynamic"])
        .arg(&program)
        .output()
        .context("starting readelf")?;
    let says = String::from_utf8_lossy(&output.stdout);
    let line = |what: &str| {
        let mut lines = says.lines();
        let line = lines.find(|line| line.trim_start().starts_with(what));
        line.with_context(|| format!("no {what} in {says}"))
    };
    // Loaded anywhere, its table of functions resolved at start and then read-only, its stack never
    // run, and nothing both written and run.
    ensure!(line("Type:")?.contains("DYN (Position-Independent Executable"));
    line("GNU_RELRO")?;
    ensure!(says.contains("(FLAGS_1)") && says.contains("NOW"), "{says}");
    ensure!(!line("GNU_STACK")?.contains("RWE"), "{says}");
    ensure!(!says.contains("RWE"), "{says}");
    ensure!(!says.contains("TEXTREL"), "{says}");
    ensure!(
        !says.contains("RPATH") && !says.contains("RUNPATH"),
        "{says}"
    );
    Ok(())
}

/// The node takes the sockets that systemd holds, whatever its configuration says, and serves a
/// connection that was made before it ran.
#[test]
fn the_node_takes_systemds_sockets() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let inputs = folder.path().join("inputs.toml");
    fs::write(&inputs, "")?;
    let (rtmp, admin) = (ports::one()?, ports::one()?);
    let mut command = Command::new("systemd-socket-activate");
    command
        .arg(format!("--listen=127.0.0.1:{rtmp}"))
        .arg(format!("--listen=127.0.0.1:{admin}"))
        .arg("--fdname=rtmp:admin")
        .arg(node::program()?)
        .arg("--static")
        .arg(&inputs)
        // Addresses for documentation, which no machine has.
        .args(["--rtmp-listen=192.0.2.1:1935", "--admin-listen=192.0.2.1:8781"]);
    let log = folder.path().join("log");
    let _running = Running::start("systemd-socket-activate", &mut command, &log)?;
    // The first connection makes it start the node, which finds it waiting.
    let mut waiting = wait::until("systemd", STARTED_WITHIN, || {
        Ok(TcpStream::connect(("127.0.0.1", admin)).ok())
    })?;
    waiting.set_read_timeout(Some(STARTED_WITHIN))?;
    waiting.write_all(b"GET /health HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    waiting.read_to_string(&mut answer)?;
    ensure!(answer.starts_with("HTTP/1.0 200"), "{answer}");
    // The answer to a handshake's first bytes is the node's.
    let mut encoder = TcpStream::connect(("127.0.0.1", rtmp))?;
    encoder.set_read_timeout(Some(STARTED_WITHIN))?;
    encoder.write_all(&[3; 1537])?;
    let mut version = [0];
    encoder.read_exact(&mut version)?;
    ensure!(version == [3], "{version:?}");
    Ok(())
}

const STARTED_WITHIN: Duration = Duration::from_secs(20);
