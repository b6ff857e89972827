//! The private PostgreSQL of a Director: the machine's own binaries on a cluster in the state folder.
//!
//! Unix socket only, never as root, started and watched by the Director. A Director that was killed finds the server of
//! its folder still running and takes it over.

mod binaries;

pub use binaries::Binaries;
mod cluster;
mod error;

pub use cluster::Embedded;
pub use error::EmbeddedError;
