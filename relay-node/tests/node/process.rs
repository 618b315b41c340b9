//! The program itself: how it starts, checks and stops.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Output};
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
    assert_eq!(output.status.code(), Some(1));
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
