//! The program itself: how it starts, checks and stops.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_relay-node");

/// Ends the process when a test fails.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn run(arguments: &[&str]) -> Output {
    Command::new(PROGRAM).args(arguments).output().unwrap()
}

#[test]
fn tells_its_supervisor_and_stops_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = folder.path().join("inputs.toml");
    fs::write(&inputs, "[[input]]\nstream_key = \"hunter2\"\n").unwrap();
    let path = folder.path().join("notify");
    let notify = UnixDatagram::bind(&path).unwrap();
    notify
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let told = || {
        let mut text = [0; 64];
        let length = notify.recv(&mut text).unwrap();
        String::from_utf8_lossy(&text[..length]).trim().to_owned()
    };

    let node = Command::new(PROGRAM)
        .args([
            "--rtmp-listen=127.0.0.1:0",
            "--admin-listen=127.0.0.1:0",
            "--static",
        ])
        .arg(&inputs)
        .env("NOTIFY_SOCKET", &path)
        .spawn()
        .unwrap();
    let mut node = Ended(node);
    assert_eq!(told(), "READY=1");
    let asked = Instant::now();
    let pid = node.0.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(told(), "STOPPING=1");
    assert!(node.0.wait().unwrap().success());
    // The promise that a supervisor builds on.
    assert!(asked.elapsed() < Duration::from_secs(5));
}

/// A program that runs with these arguments after a file without inputs.
fn idle(folder: &Path) -> Command {
    let inputs = folder.join("inputs.toml");
    fs::write(&inputs, "").unwrap();
    let mut command = Command::new(PROGRAM);
    command.arg("--static").arg(&inputs);
    command.args(["--rtmp-listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0"]);
    command
}

#[test]
fn exit_codes_tell_whether_to_start_again() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = format!("--admin-listen={}", taken.local_addr().unwrap());
    let code = |flags: &[&str]| {
        let output = idle(folder.path()).args(flags).output().unwrap();
        output.status.code().unwrap()
    };
    assert_eq!(code(&["--no-such-flag"]), 2);
    assert_eq!(code(&["--rtmps-certificate=absent"]), 78);
    assert_eq!(
        code(&["--rtmps-certificate=absent", "--rtmps-private-key=absent"]),
        78
    );
    let mut listening = Command::new(PROGRAM);
    listening
        .arg("--static")
        .arg(folder.path().join("inputs.toml"));
    listening.args(["--rtmp-listen=127.0.0.1:0", &taken]);
    assert_eq!(listening.output().unwrap().status.code(), Some(69));
}

#[test]
fn systemds_sockets_need_names() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = idle(folder.path());
    // Without a LISTEN_PID they are for whoever reads it.
    command.env("LISTEN_FDS", "1").env("LISTEN_FDNAMES", "web");
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(78));
    let says = String::from_utf8(output.stderr).unwrap();
    assert!(says.contains("FileDescriptorName="), "{says}");
}

#[test]
fn shows_its_supervisor_that_it_lives() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let notify = UnixDatagram::bind(&path).unwrap();
    let limit = Duration::from_secs(20);
    notify.set_read_timeout(Some(limit)).unwrap();
    let mut command = idle(folder.path());
    command
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "200000");
    let node = Ended(command.spawn().unwrap());
    for expected in ["READY=1", "WATCHDOG=1", "WATCHDOG=1", "WATCHDOG=1"] {
        let mut text = [0; 64];
        let length = notify.recv(&mut text).unwrap();
        assert_eq!(String::from_utf8_lossy(&text[..length]).trim(), expected);
    }
    let limits = fs::read_to_string(format!("/proc/{}/limits", node.0.id())).unwrap();
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"));
    let core: Vec<_> = core.unwrap().split_whitespace().skip(4).take(2).collect();
    assert_eq!(core, ["0", "0"]);
}

#[test]
fn too_few_files_are_told_at_start() {
    let folder = tempfile::tempdir().unwrap();
    let mut few = Command::new("sh");
    few.args(["-c", "ulimit -n 300 && exec \"$0\" \"$@\""]);
    few.arg(idle(folder.path()).get_program());
    few.args(idle(folder.path()).get_args());
    let mut node = few
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let says = BufReader::new(node.stderr.take().unwrap());
    let _node = Ended(node);
    let first = says.lines().next().unwrap().unwrap();
    assert!(
        first.contains("only 300 files")
            && first
                .contains("2000 encoders (ingest.max_publishers) with 50 outputs each need 108352"),
        "{first}"
    );
}

#[test]
fn sighup_reads_certificate_and_level_again_and_drops_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let certificate = || {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        fs::write(path("certificate.pem"), made.cert.pem()).unwrap();
        fs::write(path("key.pem"), made.signing_key.serialize_pem()).unwrap();
    };
    let level = |level: &str| {
        let text = format!(
            "[rtmps]\nlisten = \"127.0.0.1:0\"\ncertificate = \"certificate.pem\"\n\
             private_key = \"key.pem\"\n[log]\nlevel = \"{level}\"\n"
        );
        fs::write(path("relay.toml"), text).unwrap();
    };
    certificate();
    level("info");
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let inputs = path("inputs.toml");
    fs::write(&inputs, "").unwrap();
    let mut command = Command::new(PROGRAM);
    command.arg(path("relay.toml")).arg("--static").arg(&inputs);
    command
        .arg("--admin-listen=127.0.0.1:0")
        .arg(format!("--rtmp-listen={port}"));
    command.stderr(Stdio::piped());
    let mut node = Ended(command.spawn().unwrap());
    let mut log = BufReader::new(node.0.stderr.take().unwrap()).lines();
    let mut says = |what: &str| {
        let line = log.find(|line| line.as_ref().unwrap().contains(what));
        assert!(line.is_some(), "{what}");
    };
    says("ready");
    let mut connected = TcpStream::connect(port).unwrap();
    let pid = node.0.id().to_string();
    let hangup = || {
        assert!(
            Command::new("kill")
                .args(["-HUP", &pid])
                .status()
                .unwrap()
                .success()
        )
    };
    certificate();
    hangup();
    says("the certificate was read again");
    fs::write(path("key.pem"), "hunter2").unwrap();
    hangup();
    says("the one from before stays");
    certificate();
    level("debug");
    hangup();
    says("the certificate was read again");
    // Whoever is connected is served, and debugging says when it goes.
    connected.write_all(&[3; 1537]).unwrap();
    let mut version = [0];
    connected.read_exact(&mut version).unwrap();
    assert_eq!(version, [3]);
    drop(connected);
    says("DEBUG");
}

#[test]
fn check_names_file_line_and_key() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("relay.toml");
    fs::write(
        &file,
        "node = \"dev\"\n[rtmp]\nlissen = \"127.0.0.1:1935\"\n",
    )
    .unwrap();
    let output = run(&["check", file.to_str().unwrap()]);
    let says = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(78));
    let place = format!(
        "{}: line 3, column 1: unknown field `lissen`",
        file.display()
    );
    assert!(says.contains(&place), "{says}");
}

#[test]
fn help_and_version_are_not_errors() {
    let help = run(&["--help"]);
    assert!(help.status.success());
    assert!(
        String::from_utf8(help.stdout)
            .unwrap()
            .contains("--rtmps-private-key")
    );
    let version = run(&["--version"]);
    let text = String::from_utf8(version.stdout).unwrap();
    assert_eq!(
        text.trim(),
        format!("relay-node {}", env!("CARGO_PKG_VERSION"))
    );
}
