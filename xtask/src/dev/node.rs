//! The relay node on this machine.

use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};

use super::child::Start;
use super::control::open_log;
use super::http;
use super::ports::{Ports, loopback};
use super::state::State;
use super::tls::Certificates;
use crate::process;
use crate::secrets::Seed;

/// Everything that its command depends on.
pub(crate) struct Node<'a> {
    pub(crate) program: PathBuf,
    pub(crate) state: &'a State,
    pub(crate) ports: &'a Ports,
    pub(crate) seed: &'a Seed,
}

impl Node<'_> {
    /// Writes its configuration.
    pub(crate) fn configure(
        &self,
        certificates: &Certificates,
        output_ca: Option<&Path>,
    ) -> Result<()> {
        let Ports {
            control,
            admin,
            rtmp,
            rtmps,
            ..
        } = *self.ports;
        let output_ca = output_ca
            .map(|file| format!("ca_file = {}\n", quoted(file)))
            .unwrap_or_default();
        let text = format!(
            "# Written by `cargo xtask dev` at each start.\n\
             node = \"dev\"\n\n\
             [rtmps]\nlisten = {}\ncertificate = {}\nprivate_key = {}\n\n\
             [rtmp]\nlisten = {}\n\n\
             [control]\nurl = \"http://127.0.0.1:{control}\"\n\n\
             [state]\ndirectory = {}\n\n\
             [admin]\nlisten = \"127.0.0.1:{admin}\"\n\n\
             [log]\nlevel = \"{}\"\n\n\
             [outputs]\n{output_ca}allow_loopback = true\n",
            listen(rtmps),
            quoted(&certificates.certificate),
            quoted(&certificates.private_key),
            listen(rtmp),
            quoted(&self.state.folder("relay")?),
            log_level(),
        );
        let path = self.file();
        fs::write(&path, text).with_context(|| format!("writing {}", path.display()))
    }

    /// Starts it; its token travels by environment.
    pub(crate) fn command(&self) -> Result<Start> {
        let log = self.state.log("relay-node")?;
        let mut command = process::command(&self.program);
        command
            .arg(self.file())
            .env("STREAM_CONNECT_TOKEN", self.seed.relay_token().expose())
            .env("NO_COLOR", "1")
            .stdout(open_log(&log)?)
            .stderr(open_log(&log)?);
        Ok(Start { command, log })
    }

    /// Whether it takes encoders.
    pub(crate) fn is_ready(&self) -> bool {
        http::get(self.ports.admin, "/health", None).is_ok_and(|answer| answer.status == 200)
    }

    /// Where the logs of all parts are.
    pub(crate) fn logs(&self) -> Result<String> {
        Ok(self.state.folder("logs")?.display().to_string())
    }

    fn file(&self) -> PathBuf {
        self.state.path().join("relay-node.toml")
    }
}

/// How much the node logs: what `RUST_LOG` asks of every Rust program, if it is a plain level.
fn log_level() -> String {
    let levels = ["error", "warn", "info", "debug", "trace"];
    std::env::var("RUST_LOG")
        .ok()
        .filter(|level| levels.contains(&level.as_str()))
        .unwrap_or_else(|| "info".to_owned())
}

fn listen(port: u16) -> String {
    let addresses: Vec<_> = loopback(port)
        .iter()
        .map(|address| format!("\"{address}\""))
        .collect();
    format!("[{}]", addresses.join(", "))
}

/// A path as a TOML string.
fn quoted(path: &Path) -> String {
    format!(
        "\"{}\"",
        path.display()
            .to_string()
            .replace('\\', "\\\\")
            .replace('"', "\\\"")
    )
}
