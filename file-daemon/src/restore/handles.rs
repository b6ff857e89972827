//! Open directories of the target, a bounded number of them, reopened one name at a time when needed again.
//!
//! Never resolves more than one name in a call, never follows a link, and never takes a directory for the one it made
//! unless device and inode are the same.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use parking_lot::Mutex;
use rustix::fs::{Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::Errno;

use super::directory::Directory;
use crate::attributes::look::look_at;

/// Most directories kept open.
const MOST_OPEN: usize = 256;

/// Open directories by key.
pub struct Handles {
    root: Arc<OwnedFd>,
    cache: Mutex<Cache>,
}

#[derive(Default)]
struct Cache {
    open: HashMap<u64, (Arc<OwnedFd>, u64)>,
    clock: u64,
}

impl Handles {
    /// With the target folder, which stays open.
    #[must_use]
    pub fn new(root: OwnedFd) -> Self {
        Self {
            root: Arc::new(root),
            cache: Mutex::default(),
        }
    }

    /// The target folder.
    #[must_use]
    pub fn root(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.root)
    }

    /// The handle of a directory that exists.
    ///
    /// # Errors
    /// It or one above it cannot be opened, or is another one now.
    pub fn of(&self, directory: &Arc<Directory>) -> io::Result<Arc<OwnedFd>> {
        let (mut handle, mut missing) = (None, Vec::new());
        let mut at = directory;
        while handle.is_none() {
            match &at.parent {
                None => handle = Some(self.root()),
                Some(parent) => match self.cached(at.key) {
                    Some(found) => handle = Some(found),
                    None => {
                        missing.push(at);
                        at = parent;
                    }
                },
            }
        }
        let mut handle = handle.unwrap_or_else(|| self.root());
        for directory in missing.into_iter().rev() {
            handle = Arc::new(reopen(&handle, directory)?);
            self.keep(directory.key, &handle);
        }
        Ok(handle)
    }

    /// Remembers the handle of a directory.
    pub fn keep(&self, key: u64, handle: &Arc<OwnedFd>) {
        let mut cache = self.cache.lock();
        cache.clock += 1;
        let clock = cache.clock;
        if cache.open.len() >= MOST_OPEN {
            // Drop the older half: rare enough that looking at all of them costs nothing.
            let mut ages: Vec<u64> = cache.open.values().map(|(_, used)| *used).collect();
            let (_, middle, _) = ages.select_nth_unstable(MOST_OPEN / 2);
            let middle = *middle;
            cache.open.retain(|_, (_, used)| *used > middle);
        }
        cache.open.insert(key, (Arc::clone(handle), clock));
    }

    /// Forgets a directory that is finished.
    pub fn forget(&self, key: u64) {
        self.cache.lock().open.remove(&key);
    }

    fn cached(&self, key: u64) -> Option<Arc<OwnedFd>> {
        let mut cache = self.cache.lock();
        cache.clock += 1;
        let clock = cache.clock;
        let (handle, used) = cache.open.get_mut(&key)?;
        *used = clock;
        Some(Arc::clone(handle))
    }
}

fn reopen(parent: &OwnedFd, directory: &Directory) -> io::Result<OwnedFd> {
    let handle = open_directory(parent, &directory.name)?;
    let now = look_at(&handle)?;
    match directory.made() {
        Some(made) if (made.dev, made.ino) == (now.dev, now.stat.ino) => Ok(handle),
        _ => Err(io::Error::other(
            "the directory was exchanged for another one while it was restored",
        )),
    }
}

/// Opens the directory `name` in `parent`: a link is refused.
///
/// # Errors
/// As `openat2`; `ENOTDIR` or `ELOOP` for anything but a directory.
pub fn open_directory(parent: impl AsFd, name: &[u8]) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let confined = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    match openat2(&parent, name, flags, Mode::empty(), confined) {
        // Kernels before 5.6: one name without a slash and O_NOFOLLOW come to the same.
        Err(Errno::NOSYS) if !name.contains(&b'/') && name != b".." => {
            Ok(openat(&parent, name, flags, Mode::empty())?)
        }
        other => Ok(other?),
    }
}
