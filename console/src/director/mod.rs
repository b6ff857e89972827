//! The Director's API as the console calls it: where it is, requests and their errors, the event stream of a run.

mod access;
pub mod api;
mod connection;
mod error;
mod events;

pub use access::{ReadyAccess, console_file, load};
pub use connection::Director;
pub use error::DirectorError;
pub use events::{EventStream, Lost};
