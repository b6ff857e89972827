//! Compares two trees to the last attribute and says each difference as a line of text.
//!
//! By directory handles, so that trees of any depth and paths of any length can be compared; reading leaves no trace in
//! access times.

mod entry;
mod walk;

pub use walk::{Compare, accessed, assert_same, differences};
