//! A batch: rows of a walk with the directories they are in, on the way to the catalog.
//!
//! Directories are named by reference until the catalog has given them ids: one that was open when
//! the batch began by its depth, one entered in this batch by its place. So a batch stands alone and
//! its size is bounded, whatever the tree.

/// Rows after which a batch is sent.
pub(super) const BATCH_ROWS: usize = 16 << 10;
/// Bytes of names after which a batch is sent.
pub(super) const BATCH_BYTES: usize = 1 << 20;

/// A directory as rows of a batch name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DirRef {
    /// Open when the batch began, at this depth; 0 = `/`.
    Open(u32),
    /// Entered in this batch, by its place in [`Batch::entered`].
    Entered(u32),
}

/// One row before its directory has an id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub dir: DirRef,
    pub name: Vec<u8>,
    /// [`common::object::entry::Kind`], 0 = gone.
    pub kind: i16,
    pub flags: i16,
    pub size: i64,
    pub mtime_ns: i64,
    pub mode: i32,
    pub uid: i32,
    pub gid: i32,
}

/// What a walk told since the batch before.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// Directories entered, parents before children.
    pub entered: Vec<(DirRef, Vec<u8>)>,
    /// Rows in the order of the walk.
    pub rows: Vec<Row>,
    /// Directories open at its end, `/` first: what [`DirRef::Open`] means in the next batch.
    pub open: Vec<DirRef>,
    /// Bytes of names.
    pub name_bytes: usize,
    /// First of another walk of the same ingest: directories that were new may be known by now.
    pub again: bool,
}

impl Batch {
    pub fn is_full(&self) -> bool {
        self.rows.len() >= BATCH_ROWS
            || self.entered.len() >= BATCH_ROWS
            || self.name_bytes >= BATCH_BYTES
    }
}

/// What the walking side says.
#[derive(Debug)]
pub(super) enum Message {
    /// More.
    Batch(Batch),
    /// The walk has told everything.
    End,
}
