//! Decisions of the Director, PURE: facts in, decision with its reason out. No clock, no I/O, no SQL.

pub mod admission;
pub mod level;
pub mod retention;
