//! A live file: its attributes as a scan would capture them, and its content chunk by chunk.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;

use common::ids::ChunkId;
use common::object::entry::{Entry, Kind};
use common::object::link::ChunkRef;
use common::object::segment::MAX_CHUNK_BYTES;
use rustix::fs::{Mode, OFlags, openat};
use rustix::io::Errno;

use crate::attributes::look::Looked;
use crate::attributes::{Capturer, Place, look};
use crate::restore::pieces::Layout;

/// Opens a file or directory for reading, touching its access time as little as it may.
///
/// # Errors
/// As `openat`.
pub fn open(directory: impl AsFd, name: &[u8]) -> io::Result<OwnedFd> {
    let how = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    match openat(&directory, name, how | OFlags::NOATIME, Mode::empty()) {
        // Not the owner.
        Err(Errno::PERM) => Ok(openat(&directory, name, how, Mode::empty())?),
        other => Ok(other?),
    }
}

/// Captures the attributes of `name`; `None` = nothing is there.
///
/// # Errors
/// It cannot be looked at or opened.
pub fn capture(
    capturer: &mut Capturer,
    directory: impl AsFd,
    name: &[u8],
) -> io::Result<Option<(Entry, Looked)>> {
    let looked = match look(&directory, name) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    let mut entry = looked.entry(name.to_vec());
    let missed = if matches!(looked.kind, Kind::File | Kind::Directory) {
        let handle = open(&directory, name)?;
        capturer.fill(&mut entry, &looked, Place::Open(handle.as_fd()))
    } else {
        capturer.fill(&mut entry, &looked, Place::Named(directory.as_fd(), name))
    };
    match missed.into_iter().next() {
        Some(first) => Err(io::Error::new(
            first.source.kind(),
            format!("{}: {}", first.what, first.source),
        )),
        None => Ok(Some((entry, looked))),
    }
}

/// Whether the live file holds these chunks from content offset `offset` on.
///
/// # Errors
/// It cannot be read.
pub fn holds(
    file: &File,
    layout: &Layout,
    mut offset: u64,
    chunks: &[ChunkRef],
) -> io::Result<bool> {
    let mut bytes = Vec::new();
    for chunk in chunks {
        let len = (chunk.len as usize).min(MAX_CHUNK_BYTES);
        bytes.resize(len, 0);
        let read = layout.parts(offset, len, &mut |at, part| {
            file.read_exact_at(bytes.get_mut(part).unwrap_or_default(), at)
        });
        match read {
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            other => other?,
        }
        if ChunkId::of(&bytes) != chunk.id {
            return Ok(false);
        }
        offset = offset.saturating_add(chunk.len.into());
    }
    Ok(true)
}
