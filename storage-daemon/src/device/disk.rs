//! Disk device: a directory of volume files `NAME.hfv`. A lock file keeps a second daemon out; what else lies there is
//! left alone and mentioned once. A torn tail is kept as `NAME.OFFSET.torn`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::FlockOperation;

use super::{Device, DeviceError, Listed, Space, VolumeFile};

const EXTENSION: &str = "hfv";
const LOCK: &str = ".holdfast.lock";
const TORN: &str = "torn";

/// A directory of volume files.
pub struct DiskDevice {
    directory: PathBuf,
    /// Held as long as the device is open.
    _lock: File,
}

impl DiskDevice {
    /// Opens a directory, made when missing, and takes its lock. Probes that files can be made, synced and removed.
    ///
    /// # Errors
    /// In use by another daemon, or not usable.
    pub fn open(directory: &Path) -> Result<Self, DeviceError> {
        let shown = directory.display().to_string();
        let fail = |operation, source| DeviceError::new(operation, shown.clone(), source);
        fs::create_dir_all(directory).map_err(|e| fail("make volume folder", e))?;
        let lock = private_file()
            .create(true)
            .truncate(false)
            .open(directory.join(LOCK))
            .map_err(|e| fail("open lock file of volume folder", e))?;
        rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|e| {
            fail(
                "lock (is another Storage Daemon using it?) volume folder",
                e.into(),
            )
        })?;
        let device = Self {
            directory: directory.to_owned(),
            _lock: lock,
        };
        device
            .probe()
            .map_err(|e| fail("write a test file into volume folder", e))?;
        Ok(device)
    }

    fn probe(&self) -> io::Result<()> {
        let path = self.directory.join(".holdfast.probe");
        let mut file = private_file().create(true).truncate(true).open(&path)?;
        file.write_all(b"probe")?;
        file.sync_all()?;
        fs::remove_file(&path)?;
        self.sync_directory()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{name}.{EXTENSION}"))
    }

    fn sync_directory(&self) -> io::Result<()> {
        File::open(&self.directory)?.sync_all()
    }
}

fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    options
}

/// Letters, digits and dashes: what this daemon names volumes.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

impl Device for DiskDevice {
    fn list(&self) -> Result<Vec<Listed>, DeviceError> {
        let fail = |e| {
            DeviceError::new(
                "list volume folder",
                self.directory.display().to_string(),
                e,
            )
        };
        let mut volumes = Vec::new();
        for entry in fs::read_dir(&self.directory).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            let path = entry.path();
            let name = path
                .file_stem()
                .and_then(|s| s.to_str())
                .filter(|s| is_name(s));
            let extension = path.extension().and_then(|s| s.to_str());
            let meta = entry.metadata().map_err(fail)?;
            match (name, extension) {
                (Some(name), Some(EXTENSION)) if meta.is_file() => {
                    volumes.push(Listed {
                        name: name.to_owned(),
                        bytes: meta.len(),
                    });
                }
                (_, Some(TORN)) => {}
                _ if entry
                    .file_name()
                    .to_str()
                    .is_some_and(|n| n.starts_with(".holdfast.")) => {}
                _ => tracing::info!(path = %path.display(), "not a volume: left alone"),
            }
        }
        volumes.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(volumes)
    }

    fn create(&self, name: &str) -> Result<Arc<dyn VolumeFile>, DeviceError> {
        let fail = |e| DeviceError::new("create volume", name, e);
        let file = private_file()
            .create_new(true)
            .open(self.path(name))
            .map_err(fail)?;
        self.sync_directory().map_err(fail)?;
        Ok(Arc::new(DiskVolume {
            name: name.to_owned(),
            file,
        }))
    }

    fn open(&self, name: &str) -> Result<Arc<dyn VolumeFile>, DeviceError> {
        let file = private_file()
            .open(self.path(name))
            .map_err(|e| DeviceError::new("open volume", name, e))?;
        Ok(Arc::new(DiskVolume {
            name: name.to_owned(),
            file,
        }))
    }

    fn delete(&self, name: &str) -> Result<(), DeviceError> {
        let fail = |e| DeviceError::new("delete volume", name, e);
        fs::remove_file(self.path(name)).map_err(fail)?;
        self.sync_directory().map_err(fail)
    }

    fn set_aside(&self, name: &str, offset: u64) -> Result<String, DeviceError> {
        let fail = |e| DeviceError::new("set aside the torn tail of volume", name, e);
        let target = self.directory.join(format!("{name}.{offset}.{TORN}"));
        let file = private_file().open(self.path(name)).map_err(fail)?;
        let mut keepsake = private_file()
            .create(true)
            .truncate(true)
            .open(&target)
            .map_err(fail)?;
        copy_from(&file, offset, &mut keepsake).map_err(fail)?;
        keepsake.sync_all().map_err(fail)?;
        self.sync_directory().map_err(fail)?;
        file.set_len(offset)
            .and_then(|()| file.sync_all())
            .map_err(fail)?;
        Ok(target.display().to_string())
    }

    fn space(&self) -> Result<Space, DeviceError> {
        let fail = |e: rustix::io::Errno| {
            DeviceError::new(
                "ask for free space of",
                self.directory.display().to_string(),
                e.into(),
            )
        };
        let stat = rustix::fs::statvfs(&self.directory).map_err(fail)?;
        Ok(Space {
            free: stat.f_bavail.saturating_mul(stat.f_frsize),
            total: stat.f_blocks.saturating_mul(stat.f_frsize),
        })
    }
}

fn copy_from(file: &File, mut offset: u64, to: &mut File) -> io::Result<()> {
    let mut buffer = vec![0; 1 << 20];
    loop {
        let got = file.read_at(&mut buffer, offset)?;
        if got == 0 {
            return Ok(());
        }
        to.write_all(&buffer[..got])?;
        offset += got as u64;
    }
}

/// All parts with as few system calls as the system allows.
fn write_all(file: &File, mut offset: u64, parts: &[&[u8]]) -> io::Result<()> {
    let mut slices: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
    let mut rest = slices.as_mut_slice();
    // Empty parts in front would look like a write of nothing.
    IoSlice::advance_slices(&mut rest, 0);
    while !rest.is_empty() {
        match rustix::io::pwritev(file, rest, offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                offset += written as u64;
                IoSlice::advance_slices(&mut rest, written);
            }
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

struct DiskVolume {
    name: String,
    file: File,
}

impl DiskVolume {
    fn fail(&self, operation: &'static str, source: io::Error) -> DeviceError {
        DeviceError::new(operation, self.name.clone(), source)
    }
}

impl VolumeFile for DiskVolume {
    fn bytes(&self) -> Result<u64, DeviceError> {
        let meta = self
            .file
            .metadata()
            .map_err(|e| self.fail("ask for the size of volume", e))?;
        Ok(meta.len())
    }

    fn append(&self, offset: u64, parts: &[&[u8]]) -> Result<(), DeviceError> {
        write_all(&self.file, offset, parts).map_err(|e| self.fail("append to volume", e))
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, DeviceError> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self
                .file
                .read_at(&mut buffer[filled..], offset + filled as u64)
            {
                Ok(0) => break,
                Ok(got) => filled += got,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(self.fail("read volume", e)),
            }
        }
        Ok(filled)
    }

    fn sync(&self) -> Result<(), DeviceError> {
        self.file
            .sync_data()
            .map_err(|e| self.fail("sync volume", e))
    }

    fn truncate(&self, offset: u64) -> Result<(), DeviceError> {
        self.file
            .set_len(offset)
            .map_err(|e| self.fail("truncate volume", e))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn conforms() {
        let dir = tempfile::tempdir().unwrap();
        crate::device::conformance::run(&|| Arc::new(DiskDevice::open(dir.path()).unwrap()));
    }

    #[test]
    fn a_second_daemon_is_refused_and_foreign_files_are_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("README.txt"), "mine").unwrap();
        fs::write(dir.path().join("odd name.hfv"), "mine").unwrap();
        let device = DiskDevice::open(dir.path()).unwrap();
        assert!(device.list().unwrap().is_empty());
        let error = DiskDevice::open(dir.path()).err().unwrap();
        assert!(
            error.to_string().contains("another Storage Daemon"),
            "{error}"
        );
        drop(device);
        DiskDevice::open(dir.path()).unwrap();
        assert!(dir.path().join("README.txt").exists());
    }

    #[test]
    fn a_tail_is_kept_beside_its_volume() {
        let dir = tempfile::tempdir().unwrap();
        let device = DiskDevice::open(dir.path()).unwrap();
        device
            .create("data-1")
            .unwrap()
            .append(0, &[b"good", b"torn"])
            .unwrap();
        let kept = device.set_aside("data-1", 4).unwrap();
        assert_eq!(fs::read(kept).unwrap(), b"torn");
        assert_eq!(device.open("data-1").unwrap().bytes().unwrap(), 4);
    }
}
