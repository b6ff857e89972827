//! Small files that must survive a crash: written whole or not at all.
//!
//! A file is written beside its place, synced, renamed, and its folder synced. Never a half-written file under its
//! name; never a name that a power cut takes back after the call returned.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

/// Permissions of a file that holds a secret.
pub const SECRET: u32 = 0o600;
/// Permissions of a file anyone on the machine may read.
pub const PUBLIC: u32 = 0o644;

/// Puts `bytes` at `path` with permissions `mode`, replacing what was there.
///
/// # Errors
/// What the file system said; the old file is then still whole.
pub fn write_atomic(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let folder = parent(path);
    let mut temp = tempfile::Builder::new()
        .prefix(".new-")
        .tempfile_in(folder)?;
    temp.as_file()
        .set_permissions(Permissions::from_mode(mode))?;
    temp.write_all(bytes)?;
    temp.as_file().sync_all()?;
    temp.persist(path).map_err(|e| e.error)?;
    sync_folder(folder)
}

/// Renames within one file system and makes it last.
///
/// # Errors
/// What the file system said.
#[allow(clippy::disallowed_methods)] // synced right after
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    sync_folder(parent(to))
}

/// Makes a folder with permissions `mode`, and those above it as needed, and makes their names last.
/// One that is there stays as it is.
///
/// # Errors
/// What the file system said.
pub fn create_folder(path: &Path, mode: u32) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => return Ok(()),
        Ok(_) => return Err(io::ErrorKind::NotADirectory.into()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => return Err(e),
    }
    create_folder(parent(path), 0o755)?;
    match fs::DirBuilder::new().mode(mode).create(path) {
        Ok(()) => sync_folder(parent(path)),
        // Someone else was quicker.
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(e) => Err(e),
    }
}

/// Makes the names in a folder last.
///
/// # Errors
/// What the file system said.
pub fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(p) if !p.as_os_str().is_empty() => p,
        Some(_) => Path::new("."),
        None => Path::new("/"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_with_its_permissions() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("a/b");
        create_folder(&folder, 0o700).unwrap();
        create_folder(&folder, 0o700).unwrap();
        let path = folder.join("key");
        write_atomic(&path, b"one", SECRET).unwrap();
        write_atomic(&path, b"two", SECRET).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
    }

    #[test]
    fn a_failed_write_leaves_the_old_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("taken");
        fs::create_dir(&path).unwrap();
        assert!(write_atomic(&path, b"x", PUBLIC).is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
