//! A destination: nginx with its RTMP module, which records what it gets.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::authority::Authority;
use crate::hooks::{Event, Hooks};
use crate::packets::Packets;
use crate::process::Running;
use crate::{ports, wait};

/// An nginx that takes RTMP, and the same behind TLS.
pub struct Destination {
    // First, so that it ends before what it needs goes.
    nginx: Running,
    hooks: Hooks,
    rtmp: u16,
    rtmps: u16,
    authority: Authority,
    folder: TempDir,
}

impl Destination {
    /// Starts it.
    pub fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let authority = Authority::new(folder.path())?;
        let hooks = Hooks::start()?;
        let (rtmp, rtmps) = (ports::one()?, ports::one()?);
        let configuration = configuration(folder.path(), &authority, &hooks.url(), rtmp, rtmps);
        let file = folder.path().join("nginx.conf");
        fs::write(&file, configuration)?;
        fs::create_dir(folder.path().join(RECORDINGS))?;
        let mut command = Command::new("/usr/sbin/nginx");
        command
            .args(["-e", "stderr", "-p"])
            .arg(folder.path())
            .arg("-c")
            .arg(&file);
        let log = folder.path().join("output.log");
        let nginx = Running::start("nginx", &mut command, &log)?;
        for port in [rtmp, rtmps] {
            wait::until("nginx", START_WITHIN, || {
                Ok(std::net::TcpStream::connect(("127.0.0.1", port)).ok())
            })?;
        }
        Ok(Self {
            nginx,
            hooks,
            rtmp,
            rtmps,
            authority,
            folder,
        })
    }

    /// The URL for plain RTMP.
    pub fn rtmp_url(&self) -> String {
        format!("rtmp://localhost:{}/live", self.rtmp)
    }

    /// The URL for RTMPS.
    pub fn rtmps_url(&self) -> String {
        format!("rtmps://localhost:{}/live", self.rtmps)
    }

    /// The certificate authority behind [`Self::rtmps_url`].
    pub fn authority(&self) -> &Path {
        &self.authority.certificate
    }

    /// The authority's files, for what else needs a certificate.
    pub fn certificates(&self) -> &Authority {
        &self.authority
    }

    /// When `key` was published for the `nth` time, not after `deadline`.
    pub fn published(&self, key: &str, nth: usize, deadline: Instant) -> Result<Instant> {
        let event = self.hooks.wait("publish", key, nth, deadline);
        let event = event.with_context(|| format!("an output's publish number {nth}"))?;
        Ok(event.at)
    }

    /// When `key` ended for the `nth` time, not after `deadline`.
    pub fn ended(&self, key: &str, nth: usize, deadline: Instant) -> Result<Instant> {
        let event = self.hooks.wait("publish_done", key, nth, deadline);
        let event = event.with_context(|| format!("an output's end number {nth}"))?;
        Ok(event.at)
    }

    /// How often `key` was published.
    pub fn publishes(&self, key: &str) -> usize {
        self.hooks.count("publish", key)
    }

    /// The `nth` recording of `key`, once it is complete.
    pub fn recording(&self, key: &str, nth: usize) -> Result<PathBuf> {
        let deadline = Instant::now() + RECORDED_WITHIN;
        let event: Event = self.hooks.wait("record_done", key, nth, deadline)?;
        Ok(PathBuf::from(event.path.context("a recording has a path")?))
    }

    /// What the `nth` recording of `key` holds.
    pub fn recorded(&self, key: &str, nth: usize) -> Result<Packets> {
        Packets::read(&self.recording(key, nth)?)
    }

    /// Waits until a recording that begins has another name than those that have begun: nginx names
    /// them by the second, and a second one of a key in the same second would take the first one's file.
    #[expect(clippy::disallowed_methods, reason = "nginx goes by the time of day")]
    pub fn next_recording(&self) -> Result<()> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        thread::sleep(Duration::from_secs(1) - Duration::from_nanos(now.subsec_nanos().into()));
        Ok(())
    }

    /// Waits until so many bytes more have come for `key`.
    pub fn receives(&self, key: &str, bytes: u64, limit: Duration) -> Result<()> {
        let so_far = self.received(key)?;
        wait::until("media", limit, || {
            Ok((self.received(key)? >= so_far + bytes).then_some(()))
        })
    }

    /// What nginx has said.
    pub fn log(&self) -> Result<String> {
        self.nginx.printed()
    }

    fn received(&self, key: &str) -> Result<u64> {
        let mut bytes = 0;
        for entry in fs::read_dir(self.folder.path().join(RECORDINGS))? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(key) {
                bytes += entry.metadata()?.len();
            }
        }
        Ok(bytes)
    }
}

fn configuration(
    folder: &Path,
    authority: &Authority,
    hooks: &str,
    rtmp: u16,
    rtmps: u16,
) -> String {
    let path = folder.display();
    let certificate = authority.server_certificate.display();
    let key = authority.server_key.display();
    format!(
        "load_module /usr/lib/nginx/modules/ngx_rtmp_module.so;
load_module /usr/lib/nginx/modules/ngx_stream_module.so;
daemon off;
master_process off;
pid {path}/nginx.pid;
error_log stderr info;
events {{}}
rtmp {{
  access_log off;
  server {{
    listen 127.0.0.1:{rtmp};
    application live {{
      live on;
      record all;
      record_unique on;
      record_path {path}/{RECORDINGS};
      notify_method get;
      on_publish {hooks};
      on_publish_done {hooks};
      on_record_done {hooks};
    }}
  }}
}}
stream {{
  server {{
    listen 127.0.0.1:{rtmps} ssl;
    ssl_certificate {certificate};
    ssl_certificate_key {key};
    proxy_pass 127.0.0.1:{rtmp};
  }}
}}
"
    )
}

/// Where recordings go, in the destination's folder.
const RECORDINGS: &str = "recordings";

/// nginx listens within milliseconds; more is a busy machine.
const START_WITHIN: Duration = Duration::from_secs(10);

/// A recording is complete when its publisher has gone.
const RECORDED_WITHIN: Duration = Duration::from_secs(10);
