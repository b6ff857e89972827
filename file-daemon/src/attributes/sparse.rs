//! Sparse files: where the data lies, by SEEK_DATA and SEEK_HOLE. Allocated zeros are data and stay allocated.

use std::io;
use std::os::fd::AsFd;

use common::object::attribute::Extent;
use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;

/// Most extents of one file; what lies behind the last counts as data. 8 bytes each stay well below one chunk.
const MOST_EXTENTS: usize = 500_000;

/// The data extents of an open file of `size` bytes; `None` when it has no hole. Leaves the file offset at 0.
///
/// # Errors
/// As `lseek`.
pub fn extents(file: impl AsFd, size: u64) -> io::Result<Option<Vec<Extent>>> {
    let found = walk(&file, size);
    seek(&file, SeekFrom::Start(0))?;
    let found = match found {
        // A file system that knows no holes.
        Err(Errno::INVAL | Errno::NOTSUP) => return Ok(None),
        other => other?,
    };
    let whole = matches!(found.as_slice(), [Extent { offset: 0, len }] if *len == size);
    Ok((!whole && size > 0).then_some(found))
}

fn walk(file: &impl AsFd, size: u64) -> Result<Vec<Extent>, Errno> {
    let mut found: Vec<Extent> = Vec::new();
    let mut at = 0;
    while at < size {
        let data = match seek(file, SeekFrom::Data(at)) {
            Ok(data) if data < size => data,
            Ok(_) | Err(Errno::NXIO) => break,
            Err(e) => return Err(e),
        };
        let end = if found.len() + 1 < MOST_EXTENTS {
            // The file may have been cut meanwhile: then there is no hole to find behind `data`.
            seek(file, SeekFrom::Hole(data))
                .or_else(|e| if e == Errno::NXIO { Ok(size) } else { Err(e) })?
        } else {
            size
        };
        let end = end.min(size).max(data + 1);
        found.push(Extent {
            offset: data,
            len: end - data,
        });
        at = end;
    }
    Ok(found)
}
