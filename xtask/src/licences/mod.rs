//! What the program is built from: every crate of the dependency graph under a licence we accept,
//! none of the banned ones, all from the public registry. The rules are those of `deny.toml`, so
//! that cargo-deny and this check, which needs no installation, read one table.

mod expression;
mod graph;
mod rules;

mod check;

pub use check::check;
