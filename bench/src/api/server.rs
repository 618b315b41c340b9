//! The workerd that runs the Worker and its floor: `bench/serve.mjs`.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result};
use serde::Deserialize;
use shared::id::AccountId;

use super::client::Client;
use super::statements::statements;

/// Runs until it is dropped.
pub(crate) struct Server {
    child: Child,
    account: AccountId,
    line: Line,
}

/// What `serve.mjs` prints.
#[derive(Deserialize)]
struct Line {
    worker: String,
    floor: String,
    token: String,
    operator: String,
}

impl Server {
    pub(crate) fn start() -> Result<Self> {
        let account = AccountId::from_random([0x5c; 16]);
        let mut child = Command::new("node")
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/serve.mjs"))
            .env("STREAM_CONNECT_ACCOUNT", account.to_string())
            .env(
                "STREAM_CONNECT_STATEMENTS",
                statements(account)?.to_string(),
            )
            .env("WRANGLER_LOG", "error")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting node")?;
        let mut line = String::new();
        let output = child.stdout.as_mut().context("no output of node")?;
        BufReader::new(output).read_line(&mut line)?;
        let line = serde_json::from_str(&line).context("bench/serve.mjs did not start")?;
        Ok(Self {
            child,
            account,
            line,
        })
    }

    /// So many connections to the Worker.
    pub(crate) fn worker(&self, connections: usize) -> Result<Vec<Client>> {
        self.clients(&self.line.worker, connections)
    }

    /// So many connections to the floor.
    pub(crate) fn floor(&self, connections: usize) -> Result<Vec<Client>> {
        self.clients(&self.line.floor, connections)
    }

    fn clients(&self, url: &str, connections: usize) -> Result<Vec<Client>> {
        let client = |_| Client::new(url, self.account, &self.line.token, &self.line.operator);
        (0..connections).map(client).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The end of its input asks it to end workerd and itself.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
