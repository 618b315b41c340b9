//! An HTTP server that nginx-rtmp calls for each thing that happens to a stream.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Something that happened at a destination.
#[derive(Clone, Debug)]
pub struct Event {
    /// nginx-rtmp's word: `publish`, `publish_done`, `record_done`.
    pub call: String,
    /// The stream, which is the key that it was published with.
    pub name: String,
    /// The file, for `record_done`.
    pub path: Option<String>,
    /// When we were told.
    pub at: Instant,
}

/// The server, until it is dropped.
pub struct Hooks {
    port: u16,
    heard: Arc<Heard>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Heard {
    events: Mutex<Vec<Event>>,
    news: Condvar,
    stop: AtomicBool,
}

impl Hooks {
    /// Starts the server.
    pub fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let heard = Arc::new(Heard::default());
        let thread = {
            let heard = Arc::clone(&heard);
            thread::spawn(move || heard.serve(&listener))
        };
        Ok(Self {
            port,
            heard,
            thread: Some(thread),
        })
    }

    /// Where nginx shall call.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    /// The `nth` (from 1) time that `call` happened to the stream `name`, waited for until
    /// `deadline`. An event after it is an error even if it is seen.
    pub fn wait(&self, call: &str, name: &str, nth: usize, deadline: Instant) -> Result<Event> {
        let mut events = self.heard.events();
        loop {
            let mut matching = events
                .iter()
                .filter(|event| event.call == call && event.name == name);
            let now = Instant::now();
            match matching.nth(nth - 1) {
                Some(event) if event.at <= deadline => return Ok(event.clone()),
                Some(event) => {
                    let late = event.at - deadline;
                    bail!("{call} came {} ms too late", late.as_millis());
                }
                None if now >= deadline => bail!("{call} did not come in time"),
                None => {
                    let wait = self.heard.news.wait_timeout(events, deadline - now);
                    events = wait.unwrap_or_else(PoisonError::into_inner).0;
                }
            }
        }
    }

    /// How often `call` has happened to the stream `name`.
    pub fn count(&self, call: &str, name: &str) -> usize {
        let events = self.heard.events();
        events
            .iter()
            .filter(|event| event.call == call && event.name == name)
            .count()
    }
}

impl Drop for Hooks {
    fn drop(&mut self) {
        self.heard.stop.store(true, Ordering::SeqCst);
        // Wakes the thread up.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Heard {
    fn serve(&self, listener: &TcpListener) {
        while let Ok((stream, _)) = listener.accept() {
            if self.stop.load(Ordering::SeqCst) {
                return;
            }
            // nginx goes away while it is asked to end.
            let _ = self.answer(stream);
        }
    }

    fn answer(&self, stream: TcpStream) -> std::io::Result<()> {
        let at = Instant::now();
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        let mut lines = BufReader::new(&stream).lines();
        let request = lines.next().transpose()?.unwrap_or_default();
        while lines
            .next()
            .transpose()?
            .is_some_and(|line| !line.is_empty())
        {}
        let query = request
            .split_whitespace()
            .nth(1)
            .and_then(|target| target.split_once('?'))
            .map_or("", |(_, query)| query);
        let field = |name: &str| {
            query
                .split('&')
                .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
                .map(decoded)
        };
        if let (Some(call), Some(name)) = (field("call"), field("name")) {
            let path = field("path");
            self.events().push(Event {
                call,
                name,
                path,
                at,
            });
            self.news.notify_all();
        }
        (&stream).write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
    }

    fn events(&self) -> MutexGuard<'_, Vec<Event>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// nginx escapes all but letters, digits and a few signs in its calls.
fn decoded(text: &str) -> String {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let code = part
            .get(..2)
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (code, part.get(2..)) {
            (Some(code), Some(rest)) => {
                bytes.push(code);
                bytes.extend_from_slice(rest.as_bytes());
            }
            _ => bytes.extend_from_slice(part.as_bytes()),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_read() {
        assert_eq!(decoded("%2ftmp%2Fa-1.flv"), "/tmp/a-1.flv");
        assert_eq!(decoded("plain"), "plain");
        assert_eq!(decoded("100%"), "100");
    }
}
