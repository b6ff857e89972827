//! Level: one directory the walker is in, and how it comes back to it from below.
//!
//! Only the deepest [`OPEN_LEVELS`] keep their directory open; the others are opened again through `..` of the directory
//! just left, checked by device and inode, or else name by name from `/`.

use std::io;
use std::sync::Arc;

use crate::select::Verdict;

use super::directory::{Directory, Identity};
use super::names::Names;

/// Directories on the way down that stay open.
pub const OPEN_LEVELS: usize = 64;

/// A directory that is being gone through.
#[derive(Debug)]
pub struct Level {
    /// Open, closed for the moment, or (`identity` is `None`) not there at all: only the way to a command.
    pub open: Option<Arc<Directory>>,
    /// Which directory it is.
    pub identity: Option<Identity>,
    /// Mount it belongs to.
    pub mnt_id: u64,
    /// What was decided about it.
    pub verdict: Verdict,
    /// Its names.
    pub names: Names,
    /// The next name.
    pub next: usize,
    /// Length of its path.
    pub path_bytes: usize,
}

/// Directories from `/` down to where the walk is.
#[derive(Debug, Default)]
pub struct Levels {
    stack: Vec<Level>,
}

impl Levels {
    /// The deepest.
    pub fn top(&mut self) -> Option<&mut Level> {
        self.stack.last_mut()
    }

    /// Goes down one, and closes the one that is now too far up.
    pub fn push(&mut self, level: Level) {
        self.stack.push(level);
        if let Some(far) = self.stack.len().checked_sub(OPEN_LEVELS + 1)
            && far > 0
        {
            self.stack[far].open = None;
        }
    }

    /// Goes up one. `path` is that of the directory left.
    ///
    /// # Errors
    /// The directory above cannot be opened again.
    pub fn pop(&mut self, path: &[u8]) -> io::Result<()> {
        let left = self.stack.pop();
        let Some(level) = self.stack.last() else {
            return Ok(());
        };
        let (None, Some(identity)) = (&level.open, level.identity) else {
            return Ok(());
        };
        let by_parent = left
            .and_then(|left| left.open)
            .map(|below| below.parent(identity));
        let again = match by_parent {
            Some(Ok(directory)) => directory,
            _ => self.by_names(&path[..level.path_bytes], identity)?,
        };
        if let Some(level) = self.stack.last_mut() {
            level.open = Some(again);
        }
        Ok(())
    }

    /// From `/` name by name: the directory below was moved away meanwhile.
    fn by_names(&self, path: &[u8], expected: Identity) -> io::Result<Arc<Directory>> {
        let mut at = match self.stack.first().and_then(|l| l.open.clone()) {
            Some(root) => root,
            None => Directory::root()?,
        };
        for name in path.split(|b| *b == b'/').filter(|n| !n.is_empty()) {
            at = at.child(name)?;
        }
        if at.identity()? == expected {
            Ok(at)
        } else {
            Err(io::Error::new(
                io::ErrorKind::NotFound,
                "it was replaced while it was gone through",
            ))
        }
    }
}
