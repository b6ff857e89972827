//! `cargo xtask compare SOURCE RESTORED`: whether two trees are the same, by a reader that shares
//! no line with Holdfast: a restore that is wrong in the way the backup was cannot hide from it.

mod entry;
mod walk;

mod check;

pub use check::check;
