//! The relay node alone, with inputs and outputs from a file.

use std::fmt::Write as _;
use std::fs;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use tempfile::TempDir;

use crate::authority::Authority;
use crate::process::{Process, Running, Signal};
use crate::{api, ports, process, wait};

/// One input with its outputs.
pub struct Input {
    /// What encoders publish with.
    pub key: String,
    /// URL and key of each.
    pub outputs: Vec<(String, String)>,
}

/// The node, until it is dropped.
pub struct Node {
    // First, so that it ends before its folder goes.
    running: Running,
    /// Those that took over, the newest last.
    successors: Vec<Process>,
    rtmp: u16,
    rtmps: u16,
    admin: u16,
    _folder: TempDir,
}

impl Node {
    /// Starts it with these inputs. It shows encoders the authority's server certificate, and
    /// believes destinations by the authority.
    pub fn start(inputs: &[Input], authority: &Authority) -> Result<Self> {
        Self::start_with(inputs, authority, |_| {})
    }

    /// The same, and more said of its process.
    pub fn start_with(
        inputs: &[Input],
        authority: &Authority,
        more: impl FnOnce(&mut Command),
    ) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut file = String::new();
        for input in inputs {
            writeln!(
                file,
                "[[input]]\nstream_key = '{0}'\nname = '{0}'",
                input.key
            )?;
            for (url, key) in &input.outputs {
                writeln!(
                    file,
                    "[[input.output]]\nurl = '{url}'\nstream_key = '{key}'"
                )?;
            }
        }
        let path = folder.path().join("inputs.toml");
        fs::write(&path, file)?;
        let (rtmp, rtmps, admin) = (ports::one()?, ports::one()?, ports::one()?);
        let mut command = Command::new(program()?);
        command
            .arg("--static")
            .arg(&path)
            .arg(format!("--rtmp-listen=127.0.0.1:{rtmp}"))
            .arg(format!("--rtmps-listen=127.0.0.1:{rtmps}"))
            .arg("--rtmps-certificate")
            .arg(&authority.server_certificate)
            .arg("--rtmps-private-key")
            .arg(&authority.server_key)
            .arg(format!("--admin-listen=127.0.0.1:{admin}"))
            .arg("--hand-over-socket")
            .arg(folder.path().join("hand-over"))
            .arg("--outputs-allow-loopback")
            // Where network namespaces of tests are.
            .arg("--outputs-allow=198.18.0.0/15")
            .arg("--outputs-ca-file")
            .arg(&authority.certificate)
            // Not the level of the other tests: this one's logs are not searched for secrets.
            .env("RUST_LOG", "info");
        more(&mut command);
        let log = folder.path().join("relay-node.log");
        let running = Running::start("relay-node", &mut command, &log)?;
        for port in [rtmp, rtmps] {
            wait::until("the node", START_WITHIN, || {
                Ok(TcpStream::connect(("127.0.0.1", port)).ok())
            })?;
        }
        Ok(Self {
            running,
            successors: Vec::new(),
            rtmp,
            rtmps,
            admin,
            _folder: folder,
        })
    }

    /// Where plain RTMP is accepted.
    pub fn rtmp(&self) -> u16 {
        self.rtmp
    }

    /// Where RTMPS is accepted.
    pub fn rtmps(&self) -> u16 {
        self.rtmps
    }

    /// What it says of its broadcasts.
    pub fn status(&self) -> Result<Value> {
        let text = api::get(&format!("http://127.0.0.1:{}/status", self.admin))?;
        Ok(serde_json::from_str(&text)?)
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.running.pid()
    }

    /// Lets a new process take over from the newest one, and returns when it has.
    pub fn upgrade(&mut self) -> Result<()> {
        let newest = self.successors.last().map(|process| process.pid);
        process::signal(newest.unwrap_or_else(|| self.running.pid()), Signal::USR2)?;
        let nth = self.successors.len();
        let log = |what: &str| -> Result<Option<String>> {
            let log = self.running.printed()?;
            let line = log.lines().filter(|line| line.contains(what)).nth(nth);
            Ok(line.map(str::to_owned))
        };
        let started = wait::until("the new process", START_WITHIN, || log(STARTING))?;
        let pid = started
            .rsplit_once("pid=")
            .map(|(_, pid)| pid.trim().parse());
        let pid = pid.context("no process id")??;
        let successor = Process::find(pid).context("the new process is gone")?;
        self.successors.push(successor);
        let log = |what: &str| {
            let log = self.running.printed()?;
            Ok(log
                .lines()
                .filter(|line| line.contains(what))
                .nth(nth)
                .map(drop))
        };
        wait::until("the take-over", START_WITHIN, || log(TAKEN_OVER))
    }

    /// Waits for the end of the process that was there first.
    pub fn first_ended(&mut self, limit: Duration) -> Result<ExitStatus> {
        self.running.wait(limit)
    }

    /// What it has logged.
    pub fn log(&self) -> Result<String> {
        self.running.printed()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        process::end_all(&self.successors, START_WITHIN);
    }
}

/// What a process logs when it starts one that is to take over.
const STARTING: &str = "a new process starts, to take over";

/// What it logs when that one has.
const TAKEN_OVER: &str = "another process has taken over";

/// The program.
pub fn program() -> Result<PathBuf> {
    let program = std::env::var_os(PROGRAM_VARIABLE);
    let program = program.with_context(|| format!("{PROGRAM_VARIABLE} is not set"))?;
    Ok(program.into())
}

/// Where the program is, as `cargo xtask test` tells.
const PROGRAM_VARIABLE: &str = "STREAM_CONNECT_RELAY_NODE";

/// It listens within milliseconds; more is a busy machine.
const START_WITHIN: Duration = Duration::from_secs(10);
