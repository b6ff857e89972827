//! Backup: what the scan says is new is read, cut into chunks, named, asked for, packed, compressed and sent; the tree's
//! pages follow what they name.
//!
//! ```text
//! walker -> merge -> readers -+-> packer -> compressors -> sender -> storage
//!               \-> tree -----+
//! ```
//! Threads and bounded channels; content in flight is counted in bytes. Order through the packer is the order of storage:
//! a page is sent after everything it names.

pub mod source;
pub mod budget;
pub mod seen;
pub mod upload;
pub mod compress;
pub mod packer;
pub mod sender;
pub mod known;
pub mod content;
pub mod command;
pub mod reader;
pub mod checkpoint;
pub mod tree;
pub mod run;

#[cfg(test)]
pub mod tests_memory;
#[cfg(test)]
mod tests_scenarios;
#[cfg(test)]
mod tests_random;
#[cfg(test)]
mod tests_speed;
