//! Hard links in a comparison: names that are one file in the snapshot must be one file on disk.
//!
//! Bounded: groups beyond the bound are not compared.

use std::collections::HashMap;

use common::object::attribute::LinkGroup;
use common::object::entry::{Entry, Kind};

use crate::attributes::look::Looked;

const MOST_GROUPS: usize = 200_000;

/// Which live inode each group turned out to be.
#[derive(Debug, Default)]
pub struct LiveGroups(HashMap<LinkGroup, (u64, u64)>);

impl LiveGroups {
    /// Whether this name belongs to another file than the names of its group before it, or shares one it should not.
    pub fn differs(&mut self, stored: &Entry, live: &Looked) -> bool {
        if stored.kind == Kind::Directory {
            return false;
        }
        let Some(group) = stored.link_group else {
            return live.stat.nlink > 1;
        };
        let inode = (live.dev, live.stat.ino);
        match self.0.get(&group) {
            Some(known) => *known != inode,
            None => {
                if self.0.len() < MOST_GROUPS {
                    self.0.insert(group, inode);
                }
                false
            }
        }
    }
}
