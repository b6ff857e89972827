//! The network: mutual TLS 1.3 between daemons, certificates and their folder, framed connections, tickets, and the
//!
//! Read bottom up. Never a connection without TLS, never a peer without a role from its certificate, never a wait
//! without a limit.

pub mod acceptor;
pub mod connect;
pub mod control;
pub mod conversation;
pub mod enrol;
pub mod framed;
pub mod pki;
pub mod ticket;
pub mod tls;
