//! The control plane on this machine: the Worker in workerd, started by wrangler.

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::child::Start;
use super::http;
use super::ports::Ports;
use super::state::State;
use crate::account::insert_first_rows;
use crate::build::Profile;
use crate::place::{Place, hex};
use crate::process;
use crate::secrets::Seed;
use crate::worker;

/// Everything that its commands depend on.
pub(crate) struct Control<'a> {
    pub(crate) place: &'a Place,
    pub(crate) state: &'a State,
    pub(crate) ports: &'a Ports,
    pub(crate) seed: &'a Seed,
    pub(crate) profile: Profile,
}

/// The database's binding in `wrangler.toml`.
const DATABASE: &str = "DB";

/// Where outputs may send on this machine: to it.
const LOOPBACK_NETWORKS: &str = "127.0.0.0/8,::1/128";

impl Control<'_> {
    /// Brings the database up to date, with the first account and tokens in it.
    ///
    /// Each of the two commands takes wrangler seconds, so both are left out when the migrations
    /// are those of the last time.
    pub(crate) fn prepare(&self) -> Result<()> {
        let stamp = self.state.path().join("migrated");
        let wanted = self.migrations()?;
        if fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
            return Ok(());
        }
        eprintln!("dev: preparing the database");
        process::run(
            self.wrangler(&["d1", "migrations", "apply", DATABASE, "--local"])?
                .arg("--persist-to")
                .arg(self.storage()?)
                .stdout(self.log_file()?),
        )?;
        process::run(
            self.wrangler(&["d1", "execute", DATABASE, "--local", "--yes"])?
                .arg("--persist-to")
                .arg(self.storage()?)
                .arg("--command")
                .arg(insert_first_rows(self.seed))
                .stdout(self.log_file()?),
        )?;
        fs::write(&stamp, wanted).with_context(|| format!("writing {}", stamp.display()))
    }

    /// Starts the Workers runtime. Its secrets travel by environment, where wrangler looks for what
    /// `wrangler.toml` requires.
    pub(crate) fn command(&self) -> Result<Start> {
        let log = self.state.log("control")?;
        let mut command = self.wrangler(&["dev", "--ip", "127.0.0.1"])?;
        command
            .args(["--show-interactive-dev-session", "false"])
            .arg("--port")
            .arg(self.ports.control.to_string())
            .arg("--inspector-port")
            .arg(self.ports.inspector.to_string())
            .arg("--persist-to")
            .arg(self.storage()?)
            .arg("--var")
            .arg(format!(
                "INGEST_RTMPS_URL:rtmps://localhost:{}/live/",
                self.ports.rtmps
            ))
            .arg("--var")
            .arg(format!("OUTPUT_NETWORKS:{LOOPBACK_NETWORKS}"))
            .arg("--var")
            .arg(format!("WEBHOOK_NETWORKS:{LOOPBACK_NETWORKS}"))
            .stdout(self.log_file()?)
            .stderr(self.log_file()?);
        let (name, keys) = self.seed.worker_secret();
        command.env(name, keys.expose());
        Ok(Start { command, log })
    }

    /// Whether the Worker answers and knows the first account.
    pub(crate) fn answers(&self) -> bool {
        let path = format!(
            "/client/v4/accounts/{}/stream/live_inputs",
            self.seed.account()
        );
        http::get(self.ports.control, &path, Some(&self.seed.api_token()))
            .is_ok_and(|answer| answer.status == 200)
    }

    fn wrangler(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = process::command("node");
        command
            .arg(self.place.wrangler()?)
            .args(arguments)
            .current_dir(&self.place.root)
            .env("PATH", self.place.path_with_node()?)
            .env(worker::PROFILE_VARIABLE, self.profile.name())
            .env("CI", "1")
            .env("NO_COLOR", "1")
            .env("WRANGLER_SEND_METRICS", "false")
            .env("CLOUDFLARE_CF_FETCH_ENABLED", "false")
            .env("WRANGLER_LOG_PATH", self.state.folder("logs")?)
            .env("WRANGLER_REGISTRY_PATH", self.state.folder("registry")?);
        Ok(command)
    }

    fn storage(&self) -> Result<PathBuf> {
        self.state.folder("worker")
    }

    fn log_file(&self) -> Result<File> {
        open_log(&self.state.log("control")?)
    }

    /// Names the content of all migrations.
    fn migrations(&self) -> Result<String> {
        let folder = self.place.root.join("control-worker/migrations");
        let mut files = fs::read_dir(&folder)
            .with_context(|| format!("reading {}", folder.display()))?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<std::io::Result<Vec<_>>>()?;
        files.sort();
        let mut digest = Sha256::new();
        for file in files {
            digest.update(fs::read(&file).with_context(|| format!("reading {}", file.display()))?);
        }
        Ok(hex(&digest.finalize()))
    }
}

/// Opens a log to be continued.
pub(crate) fn open_log(path: &Path) -> Result<File> {
    let file = File::options().create(true).append(true).open(path);
    file.with_context(|| format!("opening {}", path.display()))
}
