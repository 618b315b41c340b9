//! The product, started by `cargo xtask dev --json`.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use serde::Deserialize;
use tempfile::TempDir;

use crate::api::{self, Api};
use crate::process::{self, Process, Running, Signal, signal};
use crate::secrets::Secrets;
use crate::wait;

/// How to start it.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `--port-base`.
    pub port_base: u16,
    /// Without `--fresh`: with the state that is there.
    pub keep_state: bool,
    /// `--output-ca`.
    pub output_ca: Option<PathBuf>,
    /// The relay node's log level; all of it if none is given, to be searched for secrets.
    pub log: Option<String>,
}

/// A running copy.
pub struct Dev {
    /// What it printed.
    pub line: Line,
    /// Its API, for its first account.
    pub api: Api,
    secrets: Secrets,
    process: Running,
    output: Mutex<Receiver<String>>,
    stopped: bool,
    passed: AtomicBool,
    failed: AtomicBool,
    _folder: TempDir,
}

/// The line of JSON that it prints once everything answers.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// The API's base URL; ends in `/client/v4`.
    pub api: String,
    /// The first account's id.
    pub account: String,
    /// Its token.
    pub token: String,
    /// Where encoders send.
    pub rtmps: Ingest,
    /// Where encoders send in the clear.
    pub rtmp: Ingest,
    /// The certificate authority of the ingest.
    pub ca_certificate: PathBuf,
    /// The relay node's own HTTP server.
    pub relay_admin: String,
    /// Where everything is kept.
    pub state_dir: PathBuf,
    /// The processes themselves.
    pub pids: Pids,
}

/// An address for encoders.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ingest {
    /// Ends in `/live/`.
    pub url: String,
}

/// Process ids.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pids {
    /// workerd.
    pub control: u32,
    /// relay-node.
    pub relay: u32,
}

impl Dev {
    /// Starts it and waits until everything answers.
    pub fn start(options: &Options) -> Result<Self> {
        let (mut process, output, folder) = launch(options)?;
        let first = match output.recv_timeout(start_limit()) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => bail!("`dev` prints nothing: {}", process.printed()?),
            Err(RecvTimeoutError::Disconnected) => {
                let status = process.wait(Duration::from_secs(5))?;
                bail!("`dev` ended with {status}: {}", process.printed()?);
            }
        };
        let line: Line = serde_json::from_str(&first).context("the line that `dev` printed")?;
        let secrets = Secrets::default();
        let relay = Process::find(line.pids.relay).context("the relay node's process")?;
        secrets.add("the relay token", &relay.variable("STREAM_CONNECT_TOKEN")?);
        let api = Api::new(&line.api, &line.account, &line.token, secrets.clone())?;
        Ok(Self {
            line,
            api,
            secrets,
            process,
            output: Mutex::new(output),
            stopped: false,
            passed: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            _folder: folder,
        })
    }

    /// Starts it where it cannot start; how it ended and what it said.
    pub fn refuse(options: &Options) -> Result<(ExitStatus, String)> {
        let (mut process, output, _folder) = launch(options)?;
        let status = process.wait(start_limit())?;
        let printed = process.printed()?;
        ensure!(output.recv().is_err(), "it printed a line: {printed}");
        remove_state(&root().join(format!(".stream-connect-{}", options.port_base)));
        Ok((status, printed))
    }

    /// The id of the process itself.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// The secrets that are known of this copy.
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// What it has said on standard error.
    pub fn said(&self) -> Result<String> {
        self.process.printed()
    }

    /// Kills one of its two processes and waits until it says that another runs; the new id.
    pub fn kill(&self, part: &str, pid: u32, limit: Duration) -> Result<u32> {
        let again = format!("{part} runs again, pid ");
        let before = self.said()?.matches(&again).count();
        signal(pid, Signal::KILL)?;
        wait::until(&again, limit, || {
            let said = self.said()?;
            let news = said.lines().filter_map(|line| line.split_once(&again));
            Ok(news.map(|(_, pid)| pid.trim().parse()).nth(before))
        })?
        .context("the new process's id")
    }

    /// Asks it to end; how it did, and the processes that it left. Its state is kept.
    pub fn stop(mut self, limit: Duration) -> Result<(ExitStatus, Vec<Process>)> {
        let started = process::descendants(self.pid())?;
        ensure!(started.len() >= 2, "`dev` has {} children", started.len());
        signal(self.pid(), Signal::TERM)?;
        self.finish(started, limit)
    }

    /// Waits until it gives up; how it ended, and the processes that it left. Its state is kept.
    pub fn give_up(mut self, limit: Duration) -> Result<(ExitStatus, Vec<Process>)> {
        let started = process::descendants(self.pid())?;
        self.finish(started, limit)
    }

    /// Ends a test that has passed but for the search for secrets.
    pub fn pass(&self) -> Result<()> {
        self.scan()?;
        self.passed.store(true, Ordering::SeqCst);
        Ok(())
    }

    /// Notes that a test failed: what there is to see of that is shown and kept.
    pub fn fail(&self) {
        self.failed.store(true, Ordering::SeqCst);
        process::show_end("dev", &self.said().unwrap_or_default());
        process::show_end("relay-node", &self.relay_log().unwrap_or_default());
    }

    /// Searches everything that this copy has written or says for secrets.
    pub fn scan(&self) -> Result<()> {
        self.secrets.search_state(&self.line.state_dir)?;
        self.secrets.search_logs(&self.logs())?;
        self.secrets.search("dev's standard error", &self.said()?)?;
        self.secrets.search_answers()?;
        for page in ["/health", "/status", "/metrics"] {
            let text = api::get(&format!("{}{page}", self.line.relay_admin))?;
            self.secrets.search(page, &text)?;
        }
        Ok(())
    }

    /// What the relay node has logged.
    pub fn relay_log(&self) -> Result<String> {
        let bytes = fs::read(self.logs().join(RELAY_LOG)).context("the relay node's log")?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The relay node's configuration file.
    pub fn relay_configuration(&self) -> PathBuf {
        self.line.state_dir.join("relay-node.toml")
    }

    /// The control plane's port on this machine.
    pub fn control_port(&self) -> Result<u16> {
        let port = self.line.api.strip_suffix("/client/v4");
        let port = port.and_then(|api| api.rsplit_once(':'));
        let (_, port) = port.context("the API's port")?;
        Ok(port.parse()?)
    }

    /// Writes into the relay node's configuration that the control plane is at `port`; its next
    /// process finds it there.
    pub fn move_control(&self, port: u16) -> Result<()> {
        let configuration = fs::read_to_string(self.relay_configuration())?;
        let changed = configuration.replace(
            &format!("http://127.0.0.1:{}", self.control_port()?),
            &format!("http://127.0.0.1:{port}"),
        );
        ensure!(
            changed != configuration,
            "the control plane's URL is elsewhere"
        );
        Ok(fs::write(self.relay_configuration(), changed)?)
    }

    fn finish(
        &mut self,
        started: Vec<Process>,
        limit: Duration,
    ) -> Result<(ExitStatus, Vec<Process>)> {
        let status = self.process.wait(limit)?;
        self.stopped = true;
        let left: Vec<_> = started.into_iter().filter(Process::lives).collect();
        process::end_all(&left, KILL_WITHIN);
        let output = self
            .output
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        let more = output.try_iter().count();
        ensure!(more == 0, "{more} lines too many on standard output");
        Ok((status, left))
    }

    fn logs(&self) -> PathBuf {
        self.line.state_dir.join("logs")
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        if self.stopped {
            return;
        }
        let started = process::descendants(self.pid()).unwrap_or_default();
        // Within this it ends what it started; the rest is ended by id, by force.
        let ended = self.process.end(STOP_WITHIN);
        process::end_all(&started, KILL_WITHIN);
        let passed = self.passed.load(Ordering::SeqCst) && !self.failed.load(Ordering::SeqCst);
        if !passed || ended.is_err() {
            eprintln!("the state is kept in {}", self.line.state_dir.display());
        } else {
            remove_state(&self.line.state_dir);
        }
    }
}

/// Removes a state folder that no test uses any more.
pub fn remove_state(folder: &Path) {
    // What is left behind is git-ignored and harmless.
    let _ = fs::remove_dir_all(folder);
}

fn launch(options: &Options) -> Result<(Running, Receiver<String>, TempDir)> {
    let folder = tempfile::tempdir()?;
    let log = folder.path().join("dev.log");
    let mut command = xtask();
    command
        .args(["dev", "--json", "--port-base"])
        .arg(options.port_base.to_string());
    if !options.keep_state {
        command.arg("--fresh");
    }
    if let Some(file) = &options.output_ca {
        command.arg("--output-ca").arg(file);
    }
    if let Some(level) = &options.log {
        command.env("RUST_LOG", level);
    }
    command.stdout(Stdio::piped()).stderr(File::create(&log)?);
    let mut process = Running::start_piped("dev", &mut command, &log)?;
    let stdout = process.child().stdout.take().context("its output")?;
    let (sender, output) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    Ok((process, output, folder))
}

/// `cargo xtask`, or the program itself where it has started us.
fn xtask() -> Command {
    let mut command = match std::env::var_os(XTASK_VARIABLE) {
        Some(program) => Command::new(program),
        None => {
            let mut cargo = Command::new("cargo");
            cargo.args(["run", "--quiet", "--package", "xtask", "--"]);
            cargo
        }
    };
    command.current_dir(root());
    // Everything that is ever logged is searched for secrets.
    command.env("RUST_LOG", "trace");
    command
}

/// The clone.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Where nobody has built anything yet, `dev` does.
fn start_limit() -> Duration {
    if std::env::var_os(XTASK_VARIABLE).is_some() {
        Duration::from_secs(150)
    } else {
        Duration::from_secs(1500)
    }
}

/// When a time began, and how much of it is left.
pub fn left(since: Instant, limit: Duration) -> Duration {
    (since + limit).saturating_duration_since(Instant::now())
}

/// Tells test programs where the xtask program is that started them.
const XTASK_VARIABLE: &str = "STREAM_CONNECT_XTASK";

/// Where the relay node logs, in the folder of logs.
const RELAY_LOG: &str = "relay-node.log";

/// What `dev` promises, and a little for a busy machine.
const STOP_WITHIN: Duration = Duration::from_secs(8);

/// Processes that were killed are gone within this.
const KILL_WITHIN: Duration = Duration::from_secs(2);
