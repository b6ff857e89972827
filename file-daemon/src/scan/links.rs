//! Hard links within one run: which names share a content, so that it is read once and every name carries it.
//!
//! Bounded: beyond [`MOST_GROUPS`] groups under way each name is read by itself; the content is still stored once.

use std::collections::HashMap;

use crate::attributes::look::Looked;

/// Groups remembered at once; the tree keeps an entry for each.
const MOST_GROUPS: usize = 64 << 10;

/// Device, inode and change time: a reused inode is another file.
pub type LinkId = (u64, u64, i64);

/// A name of a hard-linked file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkKey {
    /// Its group.
    pub id: LinkId,
    /// Whether a name before it was captured already.
    pub again: bool,
    /// Whether no further name is expected.
    pub last: bool,
}

/// Groups with names still to come.
#[derive(Debug, Default)]
pub struct LinkGroups {
    left: HashMap<LinkId, u64>,
}

impl LinkGroups {
    /// The key of a file that is to be captured; `None` = it has one name, or too many groups are under way.
    pub fn key(&mut self, looked: &Looked) -> Option<LinkKey> {
        let names = looked.stat.nlink;
        if names < 2 {
            return None;
        }
        let id = (looked.dev, looked.stat.ino, looked.stat.ctime.as_nanos());
        if let Some(left) = self.left.get_mut(&id) {
            *left = left.saturating_sub(1);
            let last = *left == 0;
            if last {
                self.left.remove(&id);
            }
            return Some(LinkKey {
                id,
                again: true,
                last,
            });
        }
        if self.left.len() >= MOST_GROUPS {
            return None;
        }
        self.left.insert(id, names - 1);
        Some(LinkKey {
            id,
            again: false,
            last: false,
        })
    }
}
