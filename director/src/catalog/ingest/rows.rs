//! The walking side of an ingest: turns the steps of a walk into rows, in batches of bounded size.

use common::object::entry::Entry;

/// Why rows cannot be taken: the writer has failed; [`super::Ingest::finish`] says how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the catalog no longer takes rows of this ingest")]
pub struct RowsError;

/// Takes steps of a walk on a blocking thread.
#[derive(Debug)]
pub struct Rows {}

impl Rows {
    /// A name is there as of this snapshot: added or changed.
    ///
    /// # Errors
    /// The writer has failed.
    pub fn entry(&mut self, entry: &Entry) -> Result<(), RowsError> {
        let _ = entry;
        Ok(())
    }

    /// A name is gone as of this snapshot.
    ///
    /// # Errors
    /// The writer has failed.
    pub fn removed(&mut self, name: &[u8]) -> Result<(), RowsError> {
        let _ = name;
        Ok(())
    }

    /// Into a directory of the current one.
    ///
    /// # Errors
    /// The writer has failed.
    pub fn enter(&mut self, name: &[u8]) -> Result<(), RowsError> {
        let _ = name;
        Ok(())
    }

    /// Out of it again.
    pub fn leave(&mut self) {}

    /// Sends what is left.
    ///
    /// # Errors
    /// The writer has failed.
    pub fn close(self) -> Result<(), RowsError> {
        Ok(())
    }
}
