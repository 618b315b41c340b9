//! A network of a test's own, in which packets can vanish without a word: a namespace of the
//! kernel's, behind a pair of virtual interfaces.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::AsFd as _;
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;

use anyhow::{Context, Result, anyhow, ensure};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use socket2::{Domain, Socket, Type};

/// The namespace, until it is dropped.
pub struct Namespace {
    name: String,
    far: Ipv4Addr,
}

impl Namespace {
    /// Makes one; needs root.
    pub fn start() -> Result<Self> {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        // Two runs of the suite at the same time use other addresses.
        let place = (std::process::id() as u16 % 1000) * 16 + number % 16;
        let [high, low] = (place * 4).to_be_bytes();
        let at = |last: u8| Ipv4Addr::new(198, 18 + (high >> 7), high & 0x7F, low + last);
        let name = format!("sct-{}-{number}", std::process::id());
        let veth = format!("sct{place}");
        let namespace = Self { name, far: at(2) };
        let name = namespace.name.as_str();
        ip(&["netns", "add", name])?;
        let made = ip(&[
            "link", "add", &veth, "type", "veth", "peer", "name", "far", "netns", name,
        ]);
        made.context("a pair of virtual interfaces")?;
        ip(&["addr", "add", &format!("{}/30", at(1)), "dev", &veth])?;
        ip(&["link", "set", &veth, "up"])?;
        let far = format!("{}/30", at(2));
        ip(&["-n", name, "addr", "add", &far, "dev", "far"])?;
        ip(&["-n", name, "link", "set", "far", "up"])?;
        Ok(namespace)
    }

    /// Listens in it, on a port that the kernel chooses, with so small a buffer that one who is not
    /// read from notices soon.
    pub fn listen(&self, buffer: usize) -> Result<TcpListener> {
        let namespace = File::open(format!("/run/netns/{}", self.name))?;
        let far = self.far;
        let listening = thread::spawn(move || {
            // This thread alone; the socket stays there when it ends.
            let network = Some(LinkNameSpaceType::Network);
            move_into_link_name_space(namespace.as_fd(), network)?;
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
            socket.set_recv_buffer_size(buffer)?;
            socket.bind(&SocketAddr::from((far, 0)).into())?;
            socket.listen(64)?;
            anyhow::Ok(socket.into())
        });
        let listener = listening.join();
        listener.map_err(|_| anyhow!("the thread in the namespace panicked"))?
    }

    /// From now on, packets to and from that port vanish.
    pub fn drop_packets(&self, port: u16) -> Result<()> {
        let port = port.to_string();
        for [chain, side] in [["INPUT", "--dport"], ["OUTPUT", "--sport"]] {
            run(
                "ip",
                &[
                    "netns", "exec", &self.name, "iptables", "-A", chain, "-p", "tcp", side, &port,
                    "-j", "DROP",
                ],
            )?;
        }
        Ok(())
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // Takes both interfaces with it.
        let _ = ip(&["netns", "del", &self.name]);
    }
}

fn ip(arguments: &[&str]) -> Result<()> {
    run("ip", arguments)
}

fn run(program: &str, arguments: &[&str]) -> Result<()> {
    let output = Command::new(program).args(arguments).output();
    let output = output.with_context(|| format!("starting {program}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} {arguments:?}: {said}");
    Ok(())
}

static NEXT: AtomicU16 = AtomicU16::new(0);
