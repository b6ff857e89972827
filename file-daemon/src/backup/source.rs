//! Why one file could not be saved. Counted, logged with its path, and never the end of a run.

use std::io;

use common::name::Shown;

/// A file that cannot be read as it should. Never about storage: that is [`crate::sink::error::SinkError`].
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// It was there when its folder was listed.
    #[error("{} vanished before it was saved", Shown(.0))]
    Vanished(Vec<u8>),
    /// Opening or reading failed.
    #[error("cannot {operation} {}", Shown(path))]
    Read {
        /// `open`, `read`.
        operation: &'static str,
        /// Absolute path.
        path: Vec<u8>,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It is no regular file any more.
    #[error("{} became another kind of file while it was saved", Shown(.0))]
    Swapped(Vec<u8>),
}

impl SourceError {
    /// From a failed system call.
    #[must_use]
    pub fn from_io(operation: &'static str, path: Vec<u8>, source: io::Error) -> Self {
        if source.kind() == io::ErrorKind::NotFound {
            Self::Vanished(path)
        } else {
            Self::Read {
                operation,
                path,
                source,
            }
        }
    }
}
