//! When a checkpoint is due, and the tree it stands for.
//!
//! A checkpoint's root holds every finished entry; directories still open stand in it with the mark UNFINISHED. A run
//! that resumes takes what is there and looks at the rest as if there had been no checkpoint.

use std::time::{Duration, Instant};

use common::ids::PageId;
use common::object::attribute::marks;
use common::object::entry::{Content, Entry};
use common::object::page_builder::{BuiltPage, PageBuilder};

use crate::sink::error::SinkError;

/// Seconds between checkpoints when the order does not say.
pub const DEFAULT_SECONDS: u32 = 60;
/// Bytes sent after which one is due in any case.
pub const DUE_BYTES: u64 = 1 << 30;

/// A directory being built.
#[derive(Debug)]
pub struct OpenDirectory {
    /// Its own entry.
    pub own: Entry,
    /// Its finished entries.
    pub builder: PageBuilder,
}

/// When the next checkpoint is due.
#[derive(Debug)]
pub struct Timer {
    every: Duration,
    last: Instant,
    last_bytes: u64,
}

impl Timer {
    /// Starts now.
    #[must_use]
    pub fn new(seconds: u32) -> Self {
        let seconds = if seconds == 0 {
            DEFAULT_SECONDS
        } else {
            seconds
        };
        Self {
            every: Duration::from_secs(seconds.into()),
            last: Instant::now(),
            last_bytes: 0,
        }
    }

    /// Whether one is due.
    #[must_use]
    pub fn is_due(&self, sent_bytes: u64) -> bool {
        self.last.elapsed() >= self.every || sent_bytes.saturating_sub(self.last_bytes) >= DUE_BYTES
    }

    /// One was made.
    pub fn made(&mut self, sent_bytes: u64) {
        self.last = Instant::now();
        self.last_bytes = sent_bytes;
    }
}

/// Builds the root of what is finished. `None` = nothing was begun.
///
/// # Errors
/// Whatever `emit` returns.
pub fn unfinished_root(
    open: &[OpenDirectory],
    emit: &mut impl FnMut(BuiltPage) -> Result<(), SinkError>,
) -> Result<Option<PageId>, SinkError> {
    let mut below: Option<Entry> = None;
    let mut root = None;
    for directory in open.iter().rev() {
        let mut builder = directory.builder.clone();
        if let Some(entry) = below.take() {
            builder.push(entry, emit)?;
        }
        let page = builder.finish(emit)?;
        let mut entry = directory.own.clone();
        entry.marks |= marks::UNFINISHED;
        entry.content = Content::Directory(page);
        below = Some(entry);
        root = Some(page);
    }
    Ok(root)
}
