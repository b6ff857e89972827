//! The bytes of a volume, PURE: block header and slot table, label, commit and seal. docs/volume-format.md says the
//! same in words, complete enough for a second reader.

pub mod block;
pub mod commit;
pub mod label;
