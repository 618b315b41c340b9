//! What `dev` says once everything answers: to a person, or to a program.

use anyhow::Result;
use serde::Serialize;
use std::fmt::Write as _;
use std::path::Path;

use super::Pids;
use super::ports::Ports;
use super::state::State;
use super::tls::{Certificates, STORE_FILE};
use crate::secrets::Seed;

/// All that is announced. Addresses say `localhost`: encoders match names in certificates only.
pub(crate) struct Announcement<'a> {
    pub(crate) ports: &'a Ports,
    pub(crate) seed: &'a Seed,
    pub(crate) state: &'a State,
    pub(crate) certificates: &'a Certificates,
    pub(crate) pids: Pids,
}

#[derive(Serialize)]
struct Line<'a> {
    api: String,
    account: String,
    token: &'a str,
    rtmps: Url,
    rtmp: Url,
    ca_certificate: &'a Path,
    relay_admin: String,
    state_dir: &'a Path,
    pids: Pids,
}

#[derive(Serialize)]
struct Url {
    url: String,
}

impl Announcement<'_> {
    /// One line of JSON.
    pub(crate) fn json(&self) -> Result<String> {
        Ok(serde_json::to_string(&Line {
            api: self.api(),
            account: self.seed.account(),
            token: self.seed.api_token().expose(),
            rtmps: Url { url: self.rtmps() },
            rtmp: Url { url: self.rtmp() },
            ca_certificate: &self.certificates.authority,
            relay_admin: self.relay_admin(),
            state_dir: self.state.path(),
            pids: self.pids,
        })?)
    }

    /// Addresses, and lines to copy.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        let token = self.seed.api_token();
        let inputs = format!(
            "{}/accounts/{}/stream/live_inputs",
            self.api(),
            self.seed.account()
        );
        let bearer = format!("-H 'Authorization: Bearer {}'", token.expose());
        let authority = self.certificates.authority.display();
        let mut line = |line: &str| {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{line}");
        };
        line("");
        line(&format!("  page     {}", self.page()));
        line(&format!("  API      {}", self.api()));
        line(&format!("  account  {}", self.seed.account()));
        line(&format!("  token    {}", token.expose()));
        line(&format!("  RTMPS    {}", self.rtmps()));
        line(&format!(
            "  RTMP     {}   (in the clear; on in `dev` only)",
            self.rtmp()
        ));
        line(&format!("  relay    {}/status", self.relay_admin()));
        line(&format!(
            "  logs     {}",
            self.state.path().join("logs").display()
        ));
        line("");
        line("Make a live input; the answer holds its uid and, under rtmps, its stream key:");
        line(&format!(
            "  curl -X POST {bearer} -d '{{\"meta\":{{\"name\":\"first\"}}}}' {inputs}"
        ));
        line("Add a destination to it:");
        line(&format!(
            "  curl -X POST {bearer} -d '{{\"url\":\"rtmp://…\",\"streamKey\":\"…\"}}' {inputs}/UID/outputs"
        ));
        line("Stream a test picture from FFmpeg:");
        line(&format!(
            "  ffmpeg -re -f lavfi -i testsrc2=size=1280x720:rate=30 -f lavfi -i sine=frequency=440 \
             -c:v libx264 -preset veryfast -tune zerolatency -pix_fmt yuv420p -g 60 -b:v 2500k \
             -c:a aac -f flv \"{}STREAM_KEY\"",
            self.rtmps()
        ));
        line("Stream from OBS: Settings → Stream → Service: Custom…");
        line(&format!(
            "  Server: {}   Stream Key: STREAM_KEY",
            self.rtmps()
        ));
        line("OBS trusts only what the system trusts. To make it trust this CA, and to undo that:");
        line(&format!(
            "  sudo cp {authority} {STORE_FILE} && sudo update-ca-certificates"
        ));
        line(&format!(
            "  sudo rm {STORE_FILE} && sudo update-ca-certificates"
        ));
        line("");
        line("Ctrl-C ends everything; the state is kept.");
        text
    }

    fn page(&self) -> String {
        format!("http://localhost:{}/", self.ports.control)
    }

    fn api(&self) -> String {
        format!("http://localhost:{}/client/v4", self.ports.control)
    }

    fn rtmps(&self) -> String {
        format!("rtmps://localhost:{}/live/", self.ports.rtmps)
    }

    fn rtmp(&self) -> String {
        format!("rtmp://localhost:{}/live/", self.ports.rtmp)
    }

    fn relay_admin(&self) -> String {
        format!("http://localhost:{}", self.ports.admin)
    }
}
