//! Trees with everything a file system can hold, from a seed: the same seed gives the same tree.
//!
//! [`everything::make`] is one of each kind and hard case; [`plain::make`] is many ordinary files;
//! [`mutate::mutate`] does to a tree what days of work do to it. Making devices, owners and attributes needs root.

pub mod attributes;
pub mod content;
pub mod everything;
pub mod links;
pub mod mutate;
pub mod names;
pub mod plain;
pub mod settled;
pub mod sparse;
pub mod special;
pub mod times;
