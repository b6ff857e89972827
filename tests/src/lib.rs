//! What system tests are made of: an installation of real daemons on free ports, trees with everything a file
//! system can hold, a comparison that sees every difference, and faults: a proxy that cuts, a corrupter that flips.
//!
//! The scenarios are in `tests/system`. This crate shares no reading or writing of files with Holdfast itself, so that
//! one mistake cannot hide in both. docs/testing.md tells how to run and write a scenario.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "all of this is test code: a failure ends the test with its reason, and files need not survive a crash"
)]

pub mod seed;
pub mod wait;

pub mod compare;
pub mod folder;
pub mod tree;

pub mod binaries;
pub mod console;
pub mod installation;
pub mod journal;
pub mod mounts;
pub mod ports;
pub mod postgres;
pub mod process;
pub mod reaper;

pub mod corrupter;
pub mod proxy;
