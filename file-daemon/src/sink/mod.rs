//! Sink: the storage as the backup sees it. What fails here fails the run; it is never mixed up with a file that cannot
//! be read.

pub mod error;
pub mod port;
pub mod stop;

