//! Sink: the storage as the backup sees it. What fails here fails the run; it is never mixed up with a file that cannot
//! be read.

pub mod error;
pub mod stop;
pub mod port;
pub mod window;
pub mod pending;
pub mod session;
mod wire;
