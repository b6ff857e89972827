//! A TCP proxy that fails by plan: cuts, stalls, delays, splits and flips at exact byte counts, so that a failure can be
//! run again.
//!
//! One thread per direction and connection; all of them end when the proxy is dropped.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::wait;

/// Longest wait for bytes before the plan and the end of the proxy are looked at again.
const TICK: Duration = Duration::from_millis(50);

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From whoever dialled to the server.
    Up,
    /// From the server back.
    Down,
}

/// What happens to a connection; counts are bytes of its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// Both ways are closed after so many bytes.
    Cut(u64),
    /// After so many bytes nothing moves on this way any more; the connection stays open.
    Stall(u64),
    /// Each piece waits so long.
    Delay(Duration),
    /// Pieces of at most so many bytes.
    Split(usize),
    /// The lowest bit of the byte after so many is flipped.
    Flip(u64),
}

#[derive(Debug)]
struct Shared {
    target: SocketAddr,
    plan: Mutex<Vec<(Way, Fault)>>,
    stop: AtomicBool,
    connections: AtomicU64,
    up_bytes: AtomicU64,
    down_bytes: AtomicU64,
    open: Mutex<Vec<TcpStream>>,
}

/// A proxy in front of one address.
#[derive(Debug)]
pub struct Proxy {
    shared: Arc<Shared>,
    address: SocketAddr,
}

impl Proxy {
    /// Starts one on a free port of loopback.
    ///
    /// # Panics
    /// When no port is free.
    #[must_use]
    pub fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let address = listener
            .local_addr()
            .expect("a bound socket has an address");
        listener
            .set_nonblocking(true)
            .expect("a socket can be made non-blocking");
        let shared = Arc::new(Shared {
            target,
            plan: Mutex::new(Vec::new()),
            stop: AtomicBool::new(false),
            connections: AtomicU64::new(0),
            up_bytes: AtomicU64::new(0),
            down_bytes: AtomicU64::new(0),
            open: Mutex::new(Vec::new()),
        });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || accept(&listener, &accepting));
        Self { shared, address }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What happens from now on to connections made from now on.
    ///
    /// # Panics
    /// When a connection's thread panicked.
    pub fn plan(&self, way: Way, fault: Fault) {
        let mut plan = self.shared.plan.lock().unwrap();
        plan.retain(|(w, _)| *w != way);
        plan.push((way, fault));
    }

    /// Nothing happens to new connections any more.
    ///
    /// # Panics
    /// When a connection's thread panicked.
    pub fn heal(&self) {
        self.shared.plan.lock().unwrap().clear();
    }

    /// Closes all connections now.
    ///
    /// # Panics
    /// When a connection's thread panicked.
    pub fn cut_all(&self) {
        for stream in self.shared.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Connections so far.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Bytes that went `way` so far, over all connections.
    #[must_use]
    pub fn bytes(&self, way: Way) -> u64 {
        match way {
            Way::Up => self.shared.up_bytes.load(Ordering::SeqCst),
            Way::Down => self.shared.down_bytes.load(Ordering::SeqCst),
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        if let Ok(mut open) = self.shared.open.lock() {
            for stream in open.drain(..) {
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    while !shared.stop.load(Ordering::SeqCst) {
        match listener.accept() {
            Ok((client, _)) => connect(&client, shared),
            Err(_) => wait::pause(),
        }
    }
}

fn connect(client: &TcpStream, shared: &Arc<Shared>) {
    shared.connections.fetch_add(1, Ordering::SeqCst);
    let Ok(server) = TcpStream::connect_timeout(&shared.target, Duration::from_secs(5)) else {
        return;
    };
    let plan = shared.plan.lock().unwrap().clone();
    let fault = |way| {
        plan.iter()
            .find(|(w, _)| *w == way)
            .map_or(Fault::None, |(_, fault)| *fault)
    };
    for stream in [client, &server] {
        let _ = stream.set_nonblocking(false);
        let _ = stream.set_nodelay(true);
        let _ = stream.set_read_timeout(Some(TICK));
        shared.open.lock().unwrap().extend(stream.try_clone());
    }
    for (way, from, to) in [(Way::Up, client, &server), (Way::Down, &server, client)] {
        if let (Ok(from), Ok(to)) = (from.try_clone(), to.try_clone()) {
            let pump = Pump {
                shared: Arc::clone(shared),
                way,
                fault: fault(way),
                moved: 0,
            };
            std::thread::spawn(move || pump.run(from, to));
        }
    }
}

struct Pump {
    shared: Arc<Shared>,
    way: Way,
    fault: Fault,
    moved: u64,
}

impl Pump {
    fn run(mut self, mut from: TcpStream, mut to: TcpStream) {
        let mut buffer = vec![0; 1 << 16];
        while !self.shared.stop.load(Ordering::SeqCst) {
            let len = match from.read(&mut buffer) {
                Ok(0) => break,
                Ok(len) => len,
                Err(e)
                    if matches!(
                        e.kind(),
                        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                    ) =>
                {
                    continue;
                }
                Err(_) => break,
            };
            if !self.pass(&mut buffer[..len], &mut to) {
                let _ = from.shutdown(Shutdown::Both);
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    }

    /// Passes one piece on; false when the connection ends here.
    fn pass(&mut self, piece: &mut [u8], to: &mut TcpStream) -> bool {
        let here = self.moved;
        match self.fault {
            Fault::Cut(at) if here + piece.len() as u64 >= at => {
                let room = usize::try_from(at.saturating_sub(here)).unwrap_or(0);
                let _ = self.send(&piece[..room], to);
                return false;
            }
            Fault::Stall(at) if here + piece.len() as u64 >= at => {
                let room = usize::try_from(at.saturating_sub(here)).unwrap_or(0);
                let sent = self.send(&piece[..room], to);
                while sent && !self.shared.stop.load(Ordering::SeqCst) {
                    wait::pause();
                }
                return false;
            }
            Fault::Flip(at) if (here..here + piece.len() as u64).contains(&at) => {
                let index = usize::try_from(at - here).expect("inside the piece");
                piece[index] ^= 1;
            }
            Fault::Delay(time) => std::thread::sleep(time),
            Fault::Split(most) => return piece.chunks(most.max(1)).all(|part| self.send(part, to)),
            _ => {}
        }
        self.send(piece, to)
    }

    fn send(&mut self, bytes: &[u8], to: &mut TcpStream) -> bool {
        let count = match self.way {
            Way::Up => &self.shared.up_bytes,
            Way::Down => &self.shared.down_bytes,
        };
        let sent = to.write_all(bytes).is_ok();
        self.moved += bytes.len() as u64;
        count.fetch_add(bytes.len() as u64, Ordering::SeqCst);
        sent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends 1000 bytes through a proxy with this fault upward; what comes out at the other end until it is closed.
    fn through(fault: Fault) -> Vec<u8> {
        let server = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let proxy = Proxy::start(server.local_addr().unwrap());
        proxy.plan(Way::Up, fault);
        let mut client = TcpStream::connect(proxy.address()).unwrap();
        client.write_all(&[2; 1000]).unwrap();
        let (mut accepted, _) = server.accept().unwrap();
        let mut out = vec![0; 1000];
        accepted
            .set_read_timeout(Some(Duration::from_millis(300)))
            .unwrap();
        let mut len = 0;
        while let Ok(more) = accepted.read(&mut out[len..]) {
            len += more;
            if more == 0 || len == 1000 {
                break;
            }
        }
        out.truncate(len);
        out
    }

    #[test]
    fn bytes_pass_and_faults_strike_at_their_count() {
        assert_eq!(through(Fault::None), [2; 1000]);
        assert_eq!(through(Fault::Split(7)), [2; 1000]);
        assert_eq!(through(Fault::Delay(Duration::from_millis(5))), [2; 1000]);
        assert_eq!(through(Fault::Cut(137)).len(), 137);
        assert_eq!(through(Fault::Stall(500)).len(), 500);
        let flipped = through(Fault::Flip(999));
        assert_eq!((flipped.len(), flipped[998], flipped[999]), (1000, 2, 3));
    }
}
