//! Free ports of loopback, never the same twice.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};

/// Two ports, the second two above the first, that nobody has now; never given twice by this process.
pub(crate) fn free_ports() -> u16 {
    // Below the range the system takes for outgoing connections.
    const FIRST: u16 = 15_000;
    const COUNT: u16 = 4_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::SeqCst);
        let offset = u16::try_from(std::process::id() % u32::from(COUNT)).expect("below COUNT");
        let port = FIRST + (offset.wrapping_mul(7).wrapping_add(step)) % COUNT * 4;
        let free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
        if free(port) && free(port + 2) {
            return port;
        }
    }
    panic!("no free ports");
}

/// A port that nobody has now.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn free_port() -> u16 {
    free_ports() + 1
}
