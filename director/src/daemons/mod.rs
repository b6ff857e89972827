//! The daemons that are connected: one listener, who is there, and conversations with them.
//!
//! Never two live connections of one identity; never an event lost or out of order: when nobody takes them, the
//! daemons are read no further. Never a wait without a limit.

mod registry;

mod conversation;

mod listener;

mod newcomers;

mod http;

mod pages;

#[cfg(test)]
mod tests;

pub use http::{HttpService, RemoteAddress};
pub use listener::{Listener, ListenerError, PURPOSES};
pub use pages::{PageError, RemotePages};
pub use registry::{Daemon, DaemonError, DaemonEvent, Happening, Registry, RegistryFacts};
