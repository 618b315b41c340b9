//! A TCP proxy between a relay node and the control plane that can cut the socket.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::Result;

/// The proxy, until it is dropped.
pub struct LinkProxy {
    port: u16,
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
}

struct State {
    target: u16,
    stop: AtomicBool,
    refusing: AtomicBool,
    /// How many upgrades were let through, and how many were refused.
    upgrades: AtomicUsize,
    refused: AtomicUsize,
    sockets: Mutex<Vec<TcpStream>>,
}

impl LinkProxy {
    /// Starts a proxy for the local port `target`.
    pub fn start(target: u16) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let state = Arc::new(State {
            target,
            stop: AtomicBool::new(false),
            refusing: AtomicBool::new(false),
            upgrades: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
            sockets: Mutex::default(),
        });
        let thread = {
            let state = Arc::clone(&state);
            thread::spawn(move || accept(&listener, &state))
        };
        Ok(Self {
            port,
            state,
            thread: Some(thread),
        })
    }

    /// Where the proxy listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Cuts every WebSocket and refuses new ones; plain HTTP goes on.
    pub fn cut(&self) {
        self.state.refusing.store(true, Ordering::SeqCst);
        self.state.close_sockets();
    }

    /// Lets WebSockets through again.
    pub fn restore(&self) {
        self.state.refusing.store(false, Ordering::SeqCst);
    }

    /// How many WebSockets were let through until now.
    pub fn upgrades(&self) -> usize {
        self.state.upgrades.load(Ordering::SeqCst)
    }

    /// How many were refused until now.
    pub fn refused(&self) -> usize {
        self.state.refused.load(Ordering::SeqCst)
    }
}

impl Drop for LinkProxy {
    fn drop(&mut self) {
        self.state.stop.store(true, Ordering::SeqCst);
        self.state.close_sockets();
        // Wakes the thread up.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl State {
    fn sockets(&self) -> std::sync::MutexGuard<'_, Vec<TcpStream>> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close_sockets(&self) {
        for socket in self.sockets().drain(..) {
            // One that has ended meanwhile is what is wanted.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    fn serve(&self, mut client: TcpStream) -> io::Result<()> {
        let head = read_head(&mut client)?;
        let is_upgrade = String::from_utf8_lossy(&head)
            .to_ascii_lowercase()
            .contains("upgrade: websocket");
        if is_upgrade && self.refusing.load(Ordering::SeqCst) {
            self.refused.fetch_add(1, Ordering::SeqCst);
            return client.write_all(
                b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
            );
        }
        let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, self.target))?;
        server.write_all(&head)?;
        if is_upgrade {
            self.upgrades.fetch_add(1, Ordering::SeqCst);
            self.sockets().push(client.try_clone()?);
            self.sockets().push(server.try_clone()?);
        }
        let mut back = (server.try_clone()?, client.try_clone()?);
        let returning = thread::spawn(move || pass(&mut back.0, &mut back.1));
        pass(&mut client, &mut server);
        let _ = returning.join();
        Ok(())
    }
}

fn accept(listener: &TcpListener, state: &Arc<State>) {
    while let Ok((client, _)) = listener.accept() {
        if state.stop.load(Ordering::SeqCst) {
            return;
        }
        let state = Arc::clone(state);
        // A thread ends with its connection.
        thread::spawn(move || state.serve(client));
    }
}

fn read_head(client: &mut TcpStream) -> io::Result<Vec<u8>> {
    client.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && client.read(&mut byte)? == 1 {
        head.extend_from_slice(&byte);
    }
    client.set_read_timeout(None)?;
    Ok(head)
}

fn pass(from: &mut TcpStream, to: &mut TcpStream) {
    // An error is an end like any other: the other direction must end, too.
    let _ = io::copy(from, to);
    let _ = to.shutdown(Shutdown::Write);
}
