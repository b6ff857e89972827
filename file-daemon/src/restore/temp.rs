//! Names of unfinished files: `.holdfast-PID-JOB-N.tmp` in the directory of the final name.
//!
//! What a killed daemon left behind is removed when a later restore comes to the directory.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use rustix::fs::{AtFlags, Dir, Mode, OFlags, openat, unlinkat};
use rustix::io::Errno;

/// Gives names no other run gives.
pub struct TempNames {
    start: String,
    next: AtomicU64,
}

impl TempNames {
    /// For one run of this process.
    #[must_use]
    pub fn new(job_id: u64) -> Self {
        Self {
            start: format!(".holdfast-{}-{job_id}-", std::process::id()),
            next: AtomicU64::new(0),
        }
    }

    /// The next name.
    #[must_use]
    pub fn next(&self) -> Vec<u8> {
        format!("{}{}.tmp", self.start, self.next.fetch_add(1, Relaxed)).into_bytes()
    }

    /// Makes a new empty file for writing, readable by its owner only.
    ///
    /// # Errors
    /// As `openat`.
    pub fn create(&self, directory: impl AsFd) -> io::Result<(OwnedFd, Vec<u8>)> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        self.try_names(|name| openat(&directory, name, flags, Mode::RUSR | Mode::WUSR))
    }

    /// Calls `make` with names until one is free.
    ///
    /// # Errors
    /// Whatever `make` fails with besides `EEXIST`.
    pub fn try_names<T>(
        &self,
        make: impl Fn(&[u8]) -> Result<T, Errno>,
    ) -> io::Result<(T, Vec<u8>)> {
        for _ in 0..100 {
            let name = self.next();
            match make(&name) {
                Err(Errno::EXIST) => {}
                Ok(made) => return Ok((made, name)),
                Err(e) => return Err(e.into()),
            }
        }
        Err(Errno::EXIST.into())
    }
}

/// Removes the unfinished files of processes that are gone. Never touches those of a living process.
pub fn remove_leftovers(directory: impl AsFd) {
    let Ok(listing) = Dir::read_from(&directory) else {
        return;
    };
    for found in listing.flatten() {
        let name = found.file_name();
        if let Some(pid) = owner_of(name.to_bytes())
            && pid != std::process::id()
            && !is_alive(pid)
        {
            // Somebody else may have removed it already, or it is not ours to remove: both are no loss.
            let _ = unlinkat(&directory, name, AtFlags::empty());
        }
    }
}

/// Whether the process may still be there; when nobody can say, it is.
fn is_alive(pid: u32) -> bool {
    std::path::Path::new(&format!("/proc/{pid}"))
        .try_exists()
        .unwrap_or(true)
}

/// The process a temporary name belongs to; `None` for all other names.
fn owner_of(name: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(name).ok()?;
    let body = text.strip_prefix(".holdfast-")?.strip_suffix(".tmp")?;
    let mut numbers = body.split('-').map(|n| n.parse::<u64>().ok());
    let pid = numbers.next()??;
    let rest: Vec<Option<u64>> = numbers.collect();
    (rest.len() == 2 && rest.iter().all(Option::is_some)).then_some(u32::try_from(pid).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_ours_are_recognised() {
        let mine = TempNames::new(7).next();
        assert_eq!(owner_of(&mine), Some(std::process::id()));
        for name in [
            &b".holdfast-1-2.tmp"[..],
            b".holdfast-a-2-3.tmp",
            b".holdfast-1-2-3",
            b"holdfast-1-2-3.tmp",
            b"\xff",
        ] {
            assert_eq!(owner_of(name), None);
        }
    }
}
