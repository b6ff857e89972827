//! Directories that were renamed or moved since the base: found by inode and birth time, so that what is in them is
//! reused unread.
//!
//! The base is gone through for them once, and only when a directory turns up that is older than the base and has no
//! place in it. Bounded in pages read and directories remembered; beyond that, files are read again.

use std::collections::HashMap;

use common::ids::PageId;
use common::object::attribute::FileTime;
use common::object::entry::Content;

use super::base::BasePages;
use super::subtree::for_each_below;
use crate::attributes::look::Looked;
use crate::sink::error::SinkError;

/// Directories remembered: about 14 MiB.
const MOST_DIRECTORIES: usize = 256 << 10;
/// Entries gone through.
const MOST_ENTRIES: u64 = 8_000_000;

/// The base's directories by what they are, made when first wanted.
#[derive(Debug, Default)]
pub struct Moved {
    known: Option<HashMap<(u64, FileTime), PageId>>,
}

impl Moved {
    /// The page in the tree of `root` of the directory that is now somewhere else.
    ///
    /// # Errors
    /// The storage is lost.
    pub fn find(
        &mut self,
        pages: &BasePages,
        root: &PageId,
        looked: &Looked,
    ) -> Result<Option<PageId>, SinkError> {
        let Some(birth) = looked.birth else {
            return Ok(None);
        };
        let known = match &self.known {
            Some(known) => known,
            None => self.known.insert(collect(pages, root)?),
        };
        Ok(known.get(&(looked.stat.ino, birth)).copied())
    }
}

fn collect(
    pages: &BasePages,
    root: &PageId,
) -> Result<HashMap<(u64, FileTime), PageId>, SinkError> {
    let mut known = HashMap::new();
    let mut passed = 0u64;
    for_each_below(pages, root, &mut |entry| {
        passed += 1;
        if let (Some(birth), Content::Directory(page)) = (entry.birth, &entry.content)
            && known.len() < MOST_DIRECTORIES
        {
            known.insert((entry.stat.ino, birth), *page);
        }
        passed < MOST_ENTRIES
    })?;
    Ok(known)
}
