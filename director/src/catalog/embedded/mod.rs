//! The private PostgreSQL of a Director: the machine's own binaries on a cluster in the state folder.
//!
//! Unix socket only, never as root, started and watched by the Director. A Director that was killed
//! finds the server of its folder still running and takes it over.

mod error;

mod account;
mod binaries;
mod cluster;
mod layout;
mod postmaster;
mod supervisor;

pub use binaries::Binaries;
pub use error::EmbeddedError;
pub use supervisor::Embedded;

#[cfg(any(test, feature = "testing"))]
pub(super) use account::Account;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
