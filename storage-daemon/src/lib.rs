//! The Storage Daemon: volumes, the index over them, and the sessions that write and read them.
//!
//! Read bottom up: `format` (bytes of a volume, pure), `device` (where bytes lie), `volume` (append and read across
//! volumes, recovery), `store` (which chunk lies where, what is present), `session` (what a client may do), then the
//! edges. Invariant: an id is present for others only after its commit block is synced; nothing committed is ever cut.

#![cfg_attr(test, allow(clippy::disallowed_methods))]

pub mod config;
pub mod daemon;
pub mod device;
pub mod format;
pub mod offline;
pub mod session;
pub mod store;
pub mod volume;
