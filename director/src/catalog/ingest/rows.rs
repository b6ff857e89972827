//! The walking side of an ingest: turns the steps of a walk into rows, in batches of bounded size.
//!
//! Runs on a thread that may block: a full channel holds the walk up until the catalog has caught up.

use common::object::attribute::marks;
use common::object::entry::Entry;
use common::walk::{PageSource, Step, Walk, WalkError};
use tokio::sync::mpsc;

use super::super::row::signed;
use super::batch::{Batch, DirRef, Message, Row};

/// Why rows cannot be taken: the writer has failed; [`super::Ingest::finish`] says how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the catalog no longer takes rows of this ingest")]
pub struct RowsError;

/// Why a walk could not be told to the end.
#[derive(Debug, thiserror::Error)]
pub enum WalkRowsError<E: std::error::Error + 'static> {
    /// A page cannot be had.
    #[error(transparent)]
    Walk(#[from] WalkError<E>),
    /// The catalog has failed.
    #[error(transparent)]
    Rows(#[from] RowsError),
}

/// Takes steps of a walk on a thread that may block (never in async code).
#[derive(Debug)]
pub struct Rows {
    to: mpsc::Sender<Message>,
    batch: Batch,
    /// Directories around the current step; `/` is the first and never left.
    open: Vec<DirRef>,
    /// Name of the step before: what [`Step::Enter`] enters.
    last: Vec<u8>,
    /// Whether a walk has been told already.
    told: bool,
}

impl Rows {
    pub(super) fn new(to: mpsc::Sender<Message>) -> Self {
        Self {
            to,
            batch: Batch::default(),
            open: vec![DirRef::Open(0)],
            last: Vec::new(),
            told: false,
        }
    }

    /// Tells a whole walk; a later one adds to it. Call [`Rows::close`] when there is no other walk to tell.
    ///
    /// # Errors
    /// A page cannot be had, or the writer has failed: the ingest is to be aborted.
    pub fn walk<S: PageSource>(
        &mut self,
        walk: &mut Walk,
        source: &mut S,
    ) -> Result<(), WalkRowsError<S::Error>> {
        if std::mem::replace(&mut self.told, true) {
            self.flush()?;
            self.batch.again = true;
        }
        while let Some(step) = walk.next(source)? {
            self.step(&step)?;
        }
        Ok(())
    }

    fn step(&mut self, step: &Step) -> Result<(), RowsError> {
        match step {
            Step::Added(entry) | Step::Changed { new: entry, .. } => {
                self.push(self.version(entry))?;
                self.remember(&entry.name);
            }
            Step::Removed(entry) => {
                self.push(self.removal(&entry.name))?;
                self.remember(&entry.name);
            }
            Step::Same(entry) => self.remember(&entry.name),
            Step::Enter => self.enter()?,
            Step::Leave => {
                if self.open.len() > 1 {
                    self.open.pop();
                }
            }
        }
        Ok(())
    }

    /// Sends what is left and says that the walk is told to its end.
    ///
    /// # Errors
    /// The writer has failed.
    pub fn close(mut self) -> Result<(), RowsError> {
        self.flush()?;
        self.to.blocking_send(Message::End).map_err(|_| RowsError)
    }

    fn remember(&mut self, name: &[u8]) {
        self.last.clear();
        self.last.extend_from_slice(name);
    }

    fn here(&self) -> DirRef {
        self.open.last().copied().unwrap_or(DirRef::Open(0))
    }

    fn version(&self, entry: &Entry) -> Row {
        // The mark of an unfinished directory belongs to a checkpoint, not to the file.
        let shown = entry.marks & !marks::UNFINISHED & 0x7fff;
        Row {
            dir: self.here(),
            name: entry.name.clone(),
            kind: i16::from(entry.kind as u8),
            flags: i16::try_from(shown).unwrap_or(0),
            size: signed(entry.stat.size),
            mtime_ns: entry.stat.mtime.as_nanos(),
            mode: entry.stat.mode.cast_signed(),
            uid: entry.stat.uid.cast_signed(),
            gid: entry.stat.gid.cast_signed(),
        }
    }

    fn removal(&self, name: &[u8]) -> Row {
        Row {
            dir: self.here(),
            name: name.to_vec(),
            kind: 0,
            flags: 0,
            size: 0,
            mtime_ns: 0,
            mode: 0,
            uid: 0,
            gid: 0,
        }
    }

    fn push(&mut self, row: Row) -> Result<(), RowsError> {
        self.batch.name_bytes = self.batch.name_bytes.saturating_add(row.name.len());
        self.batch.rows.push(row);
        self.flush_full()
    }

    fn enter(&mut self) -> Result<(), RowsError> {
        self.flush_full()?;
        let place = u32::try_from(self.batch.entered.len()).map_err(|_| RowsError)?;
        self.batch.name_bytes = self.batch.name_bytes.saturating_add(self.last.len());
        self.batch.entered.push((self.here(), self.last.clone()));
        self.open.push(DirRef::Entered(place));
        Ok(())
    }

    fn flush_full(&mut self) -> Result<(), RowsError> {
        if self.batch.is_full() {
            self.flush()
        } else {
            Ok(())
        }
    }

    fn flush(&mut self) -> Result<(), RowsError> {
        let depth = u32::try_from(self.open.len()).map_err(|_| RowsError)?;
        let mut batch = std::mem::take(&mut self.batch);
        batch.open = std::mem::replace(&mut self.open, (0..depth).map(DirRef::Open).collect());
        if batch.rows.is_empty() && batch.entered.is_empty() && batch.open == self.open {
            return Ok(());
        }
        self.to
            .blocking_send(Message::Batch(batch))
            .map_err(|_| RowsError)
    }
}
