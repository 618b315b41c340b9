//! The relays: ours and its peers, each started for one run.

use std::fmt::Write as _;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use system_tests::authority::Authority;
use system_tests::ports;
use system_tests::process::Running;

use super::bare::publishing_key;
use super::processors::Processors;
use super::sink::key;
use super::source::Target;
use super::{Case, USAGE};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relay {
    /// Not a relay: the same bytes from one thread that has them, gathered for so many
    /// milliseconds.
    Floor(u64),
    /// The least that a relay can be, gathering for so many milliseconds.
    Bare(u64),
    /// The same, which keeps the last seconds of each encoder.
    Keeping(u64),
    /// Ours, gathering for so many milliseconds.
    Ours(u64),
    /// nginx with its RTMP module; for RTMPS its stream module does TLS.
    Nginx,
    /// FFmpeg, one process for each input.
    Tee,
}

impl Relay {
    /// What everything is compared with: a write for each message and socket.
    pub(super) const FLOOR: Self = Self::Floor(0);

    /// In the order in which they run.
    pub(super) const ALL: [Self; 14] = [
        Self::FLOOR,
        Self::Floor(20),
        Self::Floor(100),
        Self::Bare(0),
        Self::Bare(20),
        Self::Bare(100),
        Self::Keeping(0),
        Self::Keeping(20),
        Self::Keeping(100),
        Self::Ours(0),
        Self::Ours(20),
        Self::Ours(100),
        Self::Nginx,
        Self::Tee,
    ];

    /// In the table.
    pub(super) fn name(self) -> String {
        match self {
            Self::FLOOR => "floor".to_owned(),
            Self::Floor(gather) => format!("floor, gathering {gather} ms"),
            Self::Bare(gather) => format!("bare, gather {gather} ms"),
            Self::Keeping(gather) => format!("bare that keeps, gather {gather} ms"),
            Self::Ours(gather) => format!("ours, gather {gather} ms"),
            Self::Nginx => "nginx-rtmp".to_owned(),
            Self::Tee => "FFmpeg tee".to_owned(),
        }
    }

    /// As it is called on the command line.
    pub(super) fn named(name: &str) -> Result<Self> {
        Ok(match name {
            "floor" => Self::FLOOR,
            "floor-20" => Self::Floor(20),
            "floor-100" => Self::Floor(100),
            "bare-0" => Self::Bare(0),
            "bare-20" => Self::Bare(20),
            "bare-100" => Self::Bare(100),
            "keeping-0" => Self::Keeping(0),
            "keeping-20" => Self::Keeping(20),
            "keeping-100" => Self::Keeping(100),
            "ours-0" => Self::Ours(0),
            "ours-20" => Self::Ours(20),
            "ours-100" => Self::Ours(100),
            "nginx" => Self::Nginx,
            "tee" => Self::Tee,
            _ => bail!("no relay is called `{name}`; {USAGE}"),
        })
    }

    /// Whether it only shows what others could be at best.
    pub(super) fn is_bound(self) -> bool {
        self.is_thread() && self != Self::FLOOR
    }

    /// Whether it is a thread of the measuring process.
    pub(super) fn is_thread(self) -> bool {
        matches!(self, Self::Floor(_) | Self::Bare(_) | Self::Keeping(_))
    }

    /// Whether its cost is compared with ours.
    pub(super) fn is_peer(self) -> bool {
        matches!(self, Self::Nginx | Self::Tee)
    }

    /// Starts it so that the stream of each target goes to `sink` under its outputs' keys.
    pub(super) fn start(
        self,
        case: Case,
        sink: u16,
        authority: &Authority,
        processors: Processors,
    ) -> Result<Started> {
        let folder = tempfile::tempdir()?;
        let mut started = Started {
            processors,
            processes: Vec::new(),
            targets: Vec::new(),
            listener: None,
            _folder: folder,
        };
        let place = started._folder.path().to_owned();
        match self {
            Self::Floor(_) => {}
            Self::Bare(_) | Self::Keeping(_) => bare(&mut started, case)?,
            Self::Ours(gather) => ours(&mut started, &place, case, sink, authority, gather)?,
            Self::Nginx => nginx(&mut started, &place, case, sink)?,
            Self::Tee => tee(&mut started, &place, case, sink)?,
        }
        Ok(started)
    }
}

/// A relay that runs.
pub(super) struct Started {
    processors: Processors,
    // First, so that they end before their folder goes.
    processes: Vec<Running>,
    /// Where its publishers go.
    pub(super) targets: Vec<Target>,
    /// Where the bare one listens, which is to be a thread of this process.
    pub(super) listener: Option<TcpListener>,
    _folder: tempfile::TempDir,
}

impl Started {
    /// All its processes.
    pub(super) fn pids(&self) -> Vec<u32> {
        self.processes.iter().map(Running::pid).collect()
    }

    /// Ends it.
    pub(super) fn end(mut self) -> Result<()> {
        for process in &mut self.processes {
            process.end(END_WITHIN)?;
        }
        Ok(())
    }
}

fn bare(started: &mut Started, case: Case) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    started
        .targets
        .extend((0..case.inputs).map(|publisher| Target {
            port,
            app: "live".to_owned(),
            key: publishing_key(publisher),
        }));
    started.listener = Some(listener);
    Ok(())
}

fn ours(
    started: &mut Started,
    folder: &Path,
    case: Case,
    sink: u16,
    authority: &Authority,
    gather: u64,
) -> Result<()> {
    let port = ports::one()?;
    let mut inputs = String::new();
    for publisher in 0..case.inputs {
        writeln!(inputs, "[[input]]\nstream_key = \"in{publisher}\"")?;
        for output in 0..case.outputs {
            let url = match case.tls {
                true => format!("rtmps://localhost:{sink}/live"),
                false => format!("rtmp://127.0.0.1:{sink}/live"),
            };
            let key = key(publisher, output);
            writeln!(
                inputs,
                "[[input.output]]\nurl = \"{url}\"\nstream_key = \"{key}\""
            )?;
        }
        started.targets.push(Target {
            port,
            app: "live".to_owned(),
            key: publishing_key(publisher),
        });
    }
    let file = folder.join("inputs.toml");
    fs::write(&file, inputs)?;
    // It lies beside this program.
    let program = std::env::current_exe()?.with_file_name("relay-node");
    let mut command = started
        .processors
        .measured(program.to_str().context("a path")?);
    command
        .arg("--static")
        .arg(&file)
        .arg(format!("--rtmp-listen=127.0.0.1:{port}"))
        .arg("--admin-listen=127.0.0.1:0")
        .arg("--outputs-allow-loopback")
        .arg(format!("--outputs-gather={gather}"))
        .arg("--outputs-ca-file")
        .arg(&authority.certificate);
    let log = folder.join("relay-node.log");
    started
        .processes
        .push(Running::start("relay-node", &mut command, &log)?);
    Ok(())
}

fn nginx(started: &mut Started, folder: &Path, case: Case, sink: u16) -> Result<()> {
    let port = ports::one()?;
    let (mut stream, mut push_to) = (String::new(), sink);
    if case.tls {
        push_to = ports::one()?;
        stream = format!(
            "stream {{ server {{ listen 127.0.0.1:{push_to}; proxy_pass 127.0.0.1:{sink}; \
             proxy_ssl on; }} }}"
        );
    }
    let mut applications = String::new();
    for publisher in 0..case.inputs {
        writeln!(applications, "application in{publisher} {{ live on;")?;
        for output in 0..case.outputs {
            let key = key(publisher, output);
            writeln!(applications, "push rtmp://127.0.0.1:{push_to}/live/{key};")?;
        }
        writeln!(applications, "}}")?;
        started.targets.push(Target {
            port,
            app: format!("in{publisher}"),
            key: "stream".to_owned(),
        });
    }
    let path = folder.display();
    let configuration = format!(
        "load_module /usr/lib/nginx/modules/ngx_rtmp_module.so;
load_module /usr/lib/nginx/modules/ngx_stream_module.so;
daemon off;
master_process off;
pid {path}/nginx.pid;
error_log stderr error;
events {{ worker_connections 1024; }}
rtmp {{ access_log off; server {{ listen 127.0.0.1:{port}; {applications} }} }}
{stream}
"
    );
    let file = folder.join("nginx.conf");
    fs::write(&file, configuration)?;
    let mut command = started.processors.measured("/usr/sbin/nginx");
    command
        .args(["-e", "stderr", "-p"])
        .arg(folder)
        .arg("-c")
        .arg(&file);
    let log = folder.join("nginx.log");
    started
        .processes
        .push(Running::start("nginx", &mut command, &log)?);
    Ok(())
}

fn tee(started: &mut Started, folder: &Path, case: Case, sink: u16) -> Result<()> {
    let scheme = if case.tls { "rtmps" } else { "rtmp" };
    for publisher in 0..case.inputs {
        let port = ports::one()?;
        let outputs: Vec<_> = (0..case.outputs)
            .map(|output| {
                let key = key(publisher, output);
                format!("[f=flv:onfail=ignore]{scheme}://localhost:{sink}/live/{key}")
            })
            .collect();
        let mut command = started.processors.measured("/usr/bin/ffmpeg");
        command
            .args(["-nostdin", "-v", "fatal", "-listen", "1", "-i"])
            .arg(format!("rtmp://127.0.0.1:{port}/live/stream"))
            .args(["-map", "0", "-c", "copy", "-f", "tee"])
            .arg(outputs.join("|"));
        let log = folder.join(format!("ffmpeg-{publisher}.log"));
        let running = Running::start("ffmpeg", &mut command, &log).context("FFmpeg")?;
        started.processes.push(running);
        started.targets.push(Target {
            port,
            app: "live".to_owned(),
            key: "stream".to_owned(),
        });
    }
    Ok(())
}

/// How long a relay may take to end.
const END_WITHIN: Duration = Duration::from_secs(10);
