//! Owners: names of user and group ids, asked from the system once each and kept in a bounded cache.

use std::collections::HashMap;

use nix::unistd::{Gid, Group, Uid, User};

/// Most names kept per kind; beyond it the cache starts anew.
const MOST: usize = 4096;

/// Names of owners, empty for ids without one.
#[derive(Debug, Default)]
pub struct Owners {
    users: HashMap<u32, String>,
    groups: HashMap<u32, String>,
}

impl Owners {
    /// The user's name; empty when it has none (or the name service does not answer).
    pub fn user(&mut self, uid: u32) -> &str {
        cached(&mut self.users, uid, |id| {
            User::from_uid(Uid::from_raw(id))
                .ok()
                .flatten()
                .map(|u| u.name)
        })
    }

    /// The group's name; empty when it has none.
    pub fn group(&mut self, gid: u32) -> &str {
        cached(&mut self.groups, gid, |id| {
            Group::from_gid(Gid::from_raw(id))
                .ok()
                .flatten()
                .map(|g| g.name)
        })
    }
}

fn cached(cache: &mut HashMap<u32, String>, id: u32, ask: impl Fn(u32) -> Option<String>) -> &str {
    if cache.len() >= MOST && !cache.contains_key(&id) {
        cache.clear();
    }
    cache
        .entry(id)
        .or_insert_with(|| ask(id).unwrap_or_default())
}
