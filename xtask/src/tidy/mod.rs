//! The house rules that can be read off the text of the project, one file per rule.
//!
//! `blank` makes Rust text safe to scan (comments and string contents become spaces), `source` and
//! `tree` bring the files, each rule turns files into findings, `check` runs them all.
//! Rules are tables: to change the house, change the table beside the rule.

mod blank;
mod source;
mod tree;

mod docs;
mod layer_table;
mod layers;
mod names;
mod paths;
mod promises;
mod sizes;
mod words;

mod check;

pub use check::check;
