//! A TCP proxy that does to connections what networks do.
//!
//! It works on what the sockets carry. Where packets themselves must vanish, a test needs a network
//! namespace instead.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::Result;
use socket2::{Domain, SockRef, Socket, Type};

/// The proxy, until it is dropped.
pub struct FaultProxy {
    address: SocketAddr,
    listener: TcpListener,
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
}

/// How connections end that are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// As if the process had closed them.
    Finish,
    /// As if it had died with data unread.
    Reset,
}

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From whoever connected.
    ToServer,
    /// From whom the proxy stands for.
    ToClient,
}

/// What is done to every byte from now on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Faults {
    delay: Duration,
    stalled: bool,
    swallowing: bool,
    refusing: bool,
    /// One byte of what goes to the server is changed, once.
    corrupting: bool,
}

struct State {
    target: SocketAddr,
    stop: AtomicBool,
    accepted: AtomicUsize,
    faults: Mutex<Faults>,
    changed: Condvar,
    pairs: Mutex<Vec<(TcpStream, TcpStream)>>,
}

impl FaultProxy {
    /// Starts one for `target`, without a fault.
    pub fn start(target: SocketAddr) -> Result<Self> {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        listener.set_recv_buffer_size(RECEIVE_BUFFER)?;
        listener.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
        listener.listen(64)?;
        Self::of(listener.into(), target)
    }

    /// The same, on a socket that listens already.
    pub fn of(listener: TcpListener, target: SocketAddr) -> Result<Self> {
        let address = listener.local_addr()?;
        let state = Arc::new(State {
            target,
            stop: AtomicBool::new(false),
            accepted: AtomicUsize::new(0),
            faults: Mutex::default(),
            changed: Condvar::new(),
            pairs: Mutex::default(),
        });
        let thread = {
            let (state, listener) = (Arc::clone(&state), listener.try_clone()?);
            thread::spawn(move || state.accept(&listener))
        };
        Ok(Self {
            address,
            listener,
            state,
            thread: Some(thread),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections it has taken until now, refused ones too.
    pub fn accepted(&self) -> usize {
        self.state.accepted.load(Ordering::SeqCst)
    }

    /// Holds everything up for so long.
    pub fn delay(&self, delay: Duration) {
        self.state.set(|faults| faults.delay = delay);
    }

    /// Takes no byte any more, on either side, so that senders' buffers fill up; or goes on. New
    /// connections are opened and carry nothing.
    pub fn stall(&self, stalled: bool) {
        self.state.set(|faults| faults.stalled = stalled);
    }

    /// Takes every byte and lets it vanish, or goes on. What has vanished is not sent again.
    pub fn swallow(&self, swallowing: bool) {
        self.state.set(|faults| faults.swallowing = swallowing);
    }

    /// Changes one byte of what the clients send next.
    pub fn corrupt(&self) {
        self.state.set(|faults| faults.corrupting = true);
    }

    /// Ends every connection.
    pub fn cut(&self, how: Cut) {
        for pair in self.state.pairs().drain(..) {
            for socket in [pair.0, pair.1] {
                if how == Cut::Reset {
                    // One that has ended meanwhile is what is wanted; so below.
                    let _ = SockRef::from(&socket).set_linger(Some(Duration::ZERO));
                    let _ = SockRef::from(&socket).set_nonblocking(true);
                }
                let _ = socket.shutdown(Shutdown::Both);
            }
        }
    }

    /// Ends one direction of every connection.
    pub fn half_close(&self, way: Way) {
        for (client, server) in self.state.pairs().iter() {
            let socket = match way {
                Way::ToServer => server,
                Way::ToClient => client,
            };
            let _ = socket.shutdown(Shutdown::Write);
        }
    }

    /// Ends every connection, and every new one at once; or takes new ones again.
    pub fn refuse(&self, refusing: bool) {
        self.state.set(|faults| faults.refusing = refusing);
        if refusing {
            self.cut(Cut::Reset);
        }
    }

    /// Does no harm any more. What has ended stays so.
    pub fn restore(&self) {
        self.state.set(|faults| *faults = Faults::default());
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.state.stop.store(true, Ordering::SeqCst);
        self.restore();
        self.cut(Cut::Finish);
        // Wakes the thread up; a connection might not get there.
        let _ = SockRef::from(&self.listener).shutdown(Shutdown::Both);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl State {
    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pairs(&self) -> MutexGuard<'_, Vec<(TcpStream, TcpStream)>> {
        self.pairs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.faults());
        self.changed.notify_all();
    }

    /// The faults, once nothing is stalled.
    fn passing(&self) -> Faults {
        let faults = self.faults();
        let stalled = |faults: &mut Faults| faults.stalled && !self.stop.load(Ordering::SeqCst);
        let faults = self.changed.wait_while(faults, stalled);
        *faults.unwrap_or_else(PoisonError::into_inner)
    }

    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        while let Ok((client, _)) = listener.accept() {
            if self.stop.load(Ordering::SeqCst) {
                return;
            }
            self.accepted.fetch_add(1, Ordering::SeqCst);
            if self.faults().refusing {
                let _ = SockRef::from(&client).set_linger(Some(Duration::ZERO));
                continue;
            }
            // A thread ends with its connection.
            let state = Arc::clone(self);
            thread::spawn(move || state.serve(client));
        }
    }

    fn serve(self: Arc<Self>, client: TcpStream) -> io::Result<()> {
        let server = TcpStream::connect(self.target)?;
        for socket in [&client, &server] {
            socket.set_nodelay(true)?;
            // So that a new fault is noticed by one that reads.
            socket.set_read_timeout(Some(NOTICE_WITHIN))?;
        }
        {
            let mut pairs = self.pairs();
            if self.faults().refusing {
                return Ok(());
            }
            pairs.push((client.try_clone()?, server.try_clone()?));
        }
        let back = (server.try_clone()?, client.try_clone()?);
        let state = Arc::clone(&self);
        let returning = thread::spawn(move || state.pass(back.0, back.1, Way::ToClient));
        self.pass(client, server, Way::ToServer);
        let _ = returning.join();
        Ok(())
    }

    fn pass(&self, mut from: TcpStream, mut to: TcpStream, way: Way) {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            // Before it reads, so that senders feel it; and after, so that nothing slips through.
            self.passing();
            let length = match from.read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => length,
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
                        && !self.stop.load(Ordering::SeqCst) =>
                {
                    continue;
                }
                Err(_) => break,
            };
            let faults = self.passing();
            thread::sleep(faults.delay);
            let Some(bytes) = buffer.get_mut(..length) else {
                break;
            };
            if way == Way::ToServer
                && std::mem::take(&mut self.faults().corrupting)
                && let Some(byte) = bytes.last_mut()
            {
                *byte ^= 0x55;
            }
            if !faults.swallowing && to.write_all(bytes).is_err() {
                break;
            }
        }
        // An error is an end like any other: the other direction must end, too.
        let _ = to.shutdown(Shutdown::Write);
    }
}

/// Of the sockets on the clients' side, in bytes: so little that one who is not read from notices
/// soon.
pub const RECEIVE_BUFFER: usize = 16 * 1024;

/// How soon a fault is noticed at most.
const NOTICE_WITHIN: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;

    /// A connection through a proxy: both ends. What has come through it is known to the proxy; until
    /// then it may be open without that.
    fn connection() -> Result<(FaultProxy, TcpStream, TcpStream)> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let proxy = FaultProxy::start(listener.local_addr()?)?;
        let mut client = TcpStream::connect(proxy.address())?;
        let (mut server, _) = listener.accept()?;
        for socket in [&client, &server] {
            socket.set_read_timeout(Some(Duration::from_secs(10)))?;
        }
        assert_eq!(arrives(&mut client, &mut server, b"known")?, b"known");
        Ok((proxy, client, server))
    }

    fn arrives(from: &mut TcpStream, to: &mut TcpStream, sent: &[u8]) -> Result<Vec<u8>> {
        from.write_all(sent)?;
        let mut received = vec![0; sent.len()];
        to.read_exact(&mut received)?;
        Ok(received)
    }

    fn is_silent(
        socket: &TcpStream,
        mut read: impl FnMut(&TcpStream) -> io::Result<usize>,
    ) -> bool {
        let _ = socket.set_read_timeout(Some(Duration::from_millis(200)));
        let outcome = read(socket);
        let _ = socket.set_read_timeout(Some(Duration::from_secs(10)));
        outcome.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }

    #[test]
    fn does_no_harm_by_itself_and_corrupts_one_byte_when_asked() -> Result<()> {
        let (proxy, mut client, mut server) = connection()?;
        assert_eq!(arrives(&mut client, &mut server, b"there")?, b"there");
        assert_eq!(arrives(&mut server, &mut client, b"back")?, b"back");
        proxy.corrupt();
        assert_eq!(arrives(&mut server, &mut client, b"back")?, b"back");
        assert_ne!(arrives(&mut client, &mut server, b"there")?, b"there");
        assert_eq!(arrives(&mut client, &mut server, b"there")?, b"there");
        Ok(())
    }

    #[test]
    fn what_is_stalled_comes_later_and_what_is_swallowed_never() -> Result<()> {
        let (proxy, mut client, mut server) = connection()?;
        proxy.stall(true);
        client.write_all(b"one")?;
        assert!(is_silent(&server, |mut server| server.read(&mut [0; 8])));
        proxy.stall(false);
        let mut received = [0; 3];
        server.read_exact(&mut received)?;
        assert_eq!(&received, b"one");
        proxy.swallow(true);
        client.write_all(b"two")?;
        assert!(is_silent(&server, |mut server| server.read(&mut [0; 8])));
        proxy.restore();
        assert_eq!(arrives(&mut client, &mut server, b"three")?, b"three");
        Ok(())
    }

    #[test]
    fn ends_connections_in_each_way() -> Result<()> {
        let (proxy, mut client, mut server) = connection()?;
        proxy.half_close(Way::ToServer);
        assert_eq!(server.read(&mut [0; 8])?, 0);
        assert_eq!(arrives(&mut server, &mut client, b"back")?, b"back");
        proxy.cut(Cut::Finish);
        assert_eq!(client.read(&mut [0; 8])?, 0);

        let (proxy, mut client, mut server) = connection()?;
        proxy.refuse(true);
        for socket in [&mut client, &mut server] {
            let outcome = socket.read(&mut [0; 8]);
            assert!(!matches!(outcome, Ok(1..)), "{outcome:?}");
        }
        let mut refused = TcpStream::connect(proxy.address())?;
        assert!(!matches!(refused.read(&mut [0; 8]), Ok(1..)));
        assert_eq!(proxy.accepted(), 2);
        Ok(())
    }
}
