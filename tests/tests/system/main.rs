//! System tests: real daemons, a real PostgreSQL, real files. One program, so that it is linked once.
//!
//! Each module is a subject; docs/testing.md tells how to run one and how to add one.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a failure ends the test with its reason, and files of tests need not survive a crash"
)]

mod machinery;
mod shared;

mod backups;
mod changes;
mod commands;
mod filesets;
mod mounted;
mod names;
mod sources;

mod browsing;
mod hostile;
mod replacing;
mod restores;

mod kills;
mod network;
mod runs;
mod storage;

mod configuration;
mod installations;
mod schedules;
mod strangers;
