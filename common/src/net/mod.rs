//! The network: mutual TLS 1.3 between daemons, certificates and their folder, framed connections, tickets, and the
//! conversation a daemon keeps open with its Director.
//!
//! Read bottom up. Never a connection without TLS, never a peer without a role from its certificate, never a wait
//! without a limit.

pub mod tls;

pub mod pki;

pub mod store;

pub mod issuer;

pub mod framed;

pub mod connect;

mod door;

pub mod acceptor;

pub mod ticket;

pub mod enrol;

pub mod conversation;

pub mod control;

pub mod testing;

#[cfg(test)]
mod tests;
