//! `--demo`: a test picture that FFmpeg sends, and two RTMP servers that receive it.

use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use super::control::open_log;
use super::http;
use super::ports::{Ports, loopback};
use super::state::State;
use super::tls::Certificates;
use crate::process;
use crate::secrets::Seed;

/// FFmpeg ends when its connection does; it is started again after this long.
const ENCODER_PAUSE: Duration = Duration::from_secs(1);

/// How often the servers are asked for their figures.
const INTERVAL: Duration = Duration::from_secs(1);

/// Under this name the input of the demo is found again after a restart.
const NAME: &str = "demo";

/// The demo's processes.
pub(crate) struct Demo {
    servers: Child,
    encoder: Child,
    ended: Option<Instant>,
    start: EncoderStart,
    figures: u16,
    next: Instant,
    received: Vec<u64>,
}

/// What starting FFmpeg needs each time.
struct EncoderStart {
    url: String,
    key: String,
    authority: PathBuf,
    log: PathBuf,
}

impl Demo {
    /// Starts servers and encoder, the input and its outputs made by the API like anybody's.
    pub(crate) fn start(
        ports: &Ports,
        seed: &Seed,
        state: &State,
        certificates: &Certificates,
    ) -> Result<Self> {
        let mut servers = start_servers(ports, state)?;
        let started = input(ports, seed).and_then(|key| {
            let start = EncoderStart {
                url: format!("rtmps://localhost:{}/live/", ports.rtmps),
                key,
                authority: certificates.authority.clone(),
                log: state.log("demo-encoder")?,
            };
            Ok((start.run()?, start))
        });
        match started {
            Ok((encoder, start)) => Ok(Self {
                servers,
                encoder,
                ended: None,
                start,
                figures: ports.demo_figures,
                next: Instant::now(),
                received: vec![0; ports.demo.len()],
            }),
            Err(error) => {
                process::end(&mut servers)?;
                Err(error)
            }
        }
    }

    /// Keeps the encoder alive; what each server has received, in bytes, about once a second.
    pub(crate) fn tick(&mut self) -> Result<Vec<u64>> {
        let now = Instant::now();
        if self.encoder.try_wait()?.is_some() {
            let ended = *self.ended.get_or_insert(now);
            if now - ended > ENCODER_PAUSE {
                self.ended = None;
                self.encoder = self.start.run()?;
            }
        }
        if let Some(status) = self.servers.try_wait()? {
            bail!("the demo's RTMP servers ended with {status}");
        }
        if now >= self.next {
            self.next = now + INTERVAL;
            if let Ok(answer) = http::get(self.figures, "/", None) {
                self.received = received(&answer.body);
            }
        }
        Ok(self.received.clone())
    }

    /// Its processes, to end them.
    pub(crate) fn processes(&mut self) -> [&mut Child; 2] {
        [&mut self.encoder, &mut self.servers]
    }
}

impl EncoderStart {
    fn run(&self) -> Result<Child> {
        let mut command = process::command("ffmpeg");
        command
            .args(["-hide_banner", "-loglevel", "warning", "-nostats", "-re"])
            .args(["-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=30"])
            .args(["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000"])
            .args([
                "-c:v",
                "libx264",
                "-preset",
                "veryfast",
                "-tune",
                "zerolatency",
            ])
            .args([
                "-pix_fmt", "yuv420p", "-g", "60", "-b:v", "2500k", "-c:a", "aac",
            ])
            .args(["-tls_verify", "1", "-ca_file"])
            .arg(&self.authority)
            .args(["-f", "flv"])
            .arg(format!("{}{}", self.url, self.key))
            .stderr(Stdio::piped());
        let mut child = process::spawn(&mut command)?;
        // FFmpeg's messages name the whole URL, and the key is its end.
        let messages = child
            .stderr
            .take()
            .ok_or_else(|| anyhow!("no messages from ffmpeg"))?;
        let (mut log, key) = (open_log(&self.log)?, self.key.clone());
        std::thread::spawn(move || {
            for line in BufReader::new(messages).lines().map_while(Result::ok) {
                let line = line.replace(&key, "<redacted>");
                // A log that cannot be written is no reason to end the demo.
                let _ = std::io::Write::write_all(&mut log, format!("{line}\n").as_bytes());
            }
        });
        Ok(child)
    }
}

fn start_servers(ports: &Ports, state: &State) -> Result<Child> {
    let folder = state.folder("demo")?;
    let file = folder.join("nginx.conf");
    let path = folder.display();
    let [first, second] = ports.demo;
    let server = |port: u16| {
        let listen: String = loopback(port)
            .iter()
            .map(|address| format!("listen {address}; "))
            .collect();
        format!("server {{ {listen}application live {{ live on; }} }}")
    };
    let text = format!(
        "# Written by `cargo xtask dev --demo` at each start.\n\
         load_module /usr/lib/nginx/modules/ngx_rtmp_module.so;\n\
         daemon off;\nmaster_process off;\npid {path}/nginx.pid;\n\
         events {{}}\n\
         rtmp {{\n  access_log off;\n  {}\n  {}\n}}\n\
         http {{\n  access_log off;\n  client_body_temp_path {path}/body;\n  proxy_temp_path {path}/proxy;\n  \
         fastcgi_temp_path {path}/fastcgi;\n  uwsgi_temp_path {path}/uwsgi;\n  scgi_temp_path {path}/scgi;\n  \
         server {{ listen 127.0.0.1:{}; location / {{ rtmp_stat all; }} }}\n}}\n",
        server(first),
        server(second),
        ports.demo_figures
    );
    fs::write(&file, text).with_context(|| format!("writing {}", file.display()))?;
    let nginx = ["/usr/sbin/nginx", "/usr/bin/nginx"]
        .into_iter()
        .find(|path| fs::exists(path).unwrap_or(false));
    let log = state.log("demo-servers")?;
    process::spawn(
        process::command(nginx.unwrap_or("nginx"))
            .arg("-e")
            .arg(&log)
            .arg("-p")
            .arg(&folder)
            .arg("-c")
            .arg(&file)
            .stdout(open_log(&log)?)
            .stderr(open_log(&log)?),
    )
}

/// The stream key of the demo's input, which is made, with its outputs, when there is none yet.
fn input(ports: &Ports, seed: &Seed) -> Result<String> {
    let inputs = format!("/client/v4/accounts/{}/stream/live_inputs", seed.account());
    let token = seed.api_token();
    let result = |answer: http::Answer| -> Result<Value> {
        if answer.status != 200 {
            bail!(
                "the API answered {} to the demo: {}",
                answer.status,
                answer.body
            );
        }
        let mut answer: Value = serde_json::from_str(&answer.body)?;
        Ok(answer
            .get_mut("result")
            .map(Value::take)
            .unwrap_or_default())
    };
    let key = |input: &Value| {
        let key = input.pointer("/rtmps/streamKey").and_then(Value::as_str);
        key.map(str::to_owned)
            .ok_or_else(|| anyhow!("the API gave the demo's input no stream key"))
    };
    let found = result(http::get(ports.control, &inputs, Some(&token))?)?;
    let list = found
        .as_array()
        .or_else(|| found.get("liveInputs")?.as_array())
        .cloned();
    let demo = list
        .unwrap_or_default()
        .into_iter()
        .find(|input| input.pointer("/meta/name").and_then(Value::as_str) == Some(NAME));
    if let Some(uid) = demo.as_ref().and_then(|input| input.get("uid")?.as_str()) {
        let input = http::get(ports.control, &format!("{inputs}/{uid}"), Some(&token))?;
        return key(&result(input)?);
    }
    let input = json!({ "meta": { "name": NAME } });
    let input = result(http::post(ports.control, &inputs, &token, &input)?)?;
    let uid = input.get("uid").and_then(Value::as_str);
    let uid = uid.ok_or_else(|| anyhow!("the API gave the demo's input no uid"))?;
    for (number, port) in ports.demo.iter().enumerate() {
        let output = json!({
            "url": format!("rtmp://localhost:{port}/live"),
            "streamKey": format!("demo-{}", number + 1),
        });
        result(http::post(
            ports.control,
            &format!("{inputs}/{uid}/outputs"),
            &token,
            &output,
        )?)?;
    }
    key(&input)
}

/// The bytes that each server received on streams that are there now, from nginx-rtmp's XML.
fn received(xml: &str) -> Vec<u64> {
    let bytes = |text: &str| -> Option<u64> {
        let (_, behind) = text.split_once("<bytes_in>")?;
        behind.split_once("</bytes_in>")?.0.trim().parse().ok()
    };
    let server = |text: &str| text.split("<stream>").skip(1).filter_map(bytes).sum();
    xml.split("<server>").skip(1).map(server).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_counted_per_server() {
        let xml = "<rtmp><bytes_in>9</bytes_in><server><application><live><stream><name>demo-1</name>\
                   <bytes_in>12</bytes_in></stream></live></application></server>\
                   <server><application><live></live></application></server></rtmp>";
        assert_eq!(received(xml), [12, 0]);
    }
}
