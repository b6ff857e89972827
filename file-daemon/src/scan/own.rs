//! A directory's own entry: captured, and the base's where it says the same.

use std::os::fd::AsFd;
use std::sync::Arc;

use common::object::attribute::Stat;
use common::object::entry::{Content, Entry, Kind};

use super::directory::Directory;
use super::frame::Found;
use super::merge::Merge;
use crate::attributes::Place;
use crate::attributes::look::Looked;

impl Merge<'_> {
    pub(super) fn own_entry(
        &mut self,
        name: &[u8],
        looked: &Looked,
        (within, open): (Option<&Arc<Directory>>, Option<&Arc<Directory>>),
        wanted_marks: u64,
    ) -> Entry {
        let mut entry = looked.entry(name.to_vec());
        let place = match (open, within) {
            (Some(open), _) => Some(Place::Open(open.as_fd())),
            (None, Some(within)) => Some(Place::Named(within.as_fd(), name)),
            (None, None) => None,
        };
        if let Some(place) = place {
            for missed in self.capturer.fill(&mut entry, looked, place) {
                let path = within.map_or_else(|| b"/".to_vec(), |d| d.path_of(name));
                self.set.log.warning(format!(
                    "{}: {missed}: {}",
                    common::name::Shown(&path),
                    missed.source
                ));
            }
        }
        entry.marks |= wanted_marks;
        entry
    }

    /// The primary's entry when the fresh one says the same, so that equal trees have equal pages.
    pub(super) fn inherit(&self, fresh: Entry, found: &Found) -> (Entry, bool) {
        let primary = if self.is_primary_resume() {
            &found.resume
        } else {
            &found.base
        };
        match primary {
            Some(entry) if same_attributes(entry, &fresh) => (entry.clone(), true),
            _ => match [&found.resume, &found.base]
                .into_iter()
                .flatten()
                .find(|e| same_attributes(e, &fresh))
            {
                Some(entry) => (entry.clone(), false),
                None => (fresh, false),
            },
        }
    }
}

/// Whether two entries say the same, but for when they were last read, and where their content lies.
#[must_use]
pub fn same_attributes(a: &Entry, b: &Entry) -> bool {
    let plain = |e: &Entry| Entry {
        content: Content::None,
        stat: Stat {
            atime: common::object::attribute::FileTime::default(),
            ..e.stat
        },
        ..e.clone()
    };
    plain(a) == plain(b)
}

/// What stands for a directory that is not there, only in a command's path.
pub(super) fn absent() -> Looked {
    Looked {
        kind: Kind::Directory,
        stat: Stat {
            mode: 0o755,
            nlink: 1,
            ..Stat::default()
        },
        birth: None,
        dev: 0,
        mnt_id: 0,
        mount_root: false,
        allocated_bytes: 0,
        device: None,
        nodump: false,
    }
}
