//! One installation for all tests that do not disturb each other: each has jobs and folders with names of its own.

use std::ops::Deref;
use std::sync::OnceLock;

use tests::installation::Installation;

/// Warnings of daemons that tests on the shared installation provoke.
const EXPECTED: [&str; 4] = [
    // Strangers.
    "refused: not TLS, or the handshake failed",
    "data connection refused",
    // A canceled run.
    "code=\"canceled\"",
    // The machine is busy with the other tests.
    "slow statement",
];

/// The shared installation, for as long as one test uses it; the logs are checked when the test ends well.
pub struct Shared(&'static Installation);

/// The shared installation; the first test starts it.
#[track_caller]
pub fn installation() -> Shared {
    static SHARED: OnceLock<Installation> = OnceLock::new();
    Shared(SHARED.get_or_init(Installation::start))
}

impl Deref for Shared {
    type Target = Installation;

    fn deref(&self) -> &Installation {
        self.0
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.0.check_logs(&EXPECTED);
        }
    }
}
