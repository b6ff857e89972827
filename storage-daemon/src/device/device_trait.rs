//! The trait `Device`, and what can go wrong with one.
//!
//! Contract: `append` at the current end either stores all bytes or fails, and then any part of them may be there;
//! `sync` makes everything appended before it durable, and after a failed `sync` nothing is known of what was not
//! durable before: it is never tried again. A created volume is durable by name before `create` returns.

use std::io;
use std::sync::Arc;

/// What was done to what, and how it failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} {object}")]
pub struct DeviceError {
    /// In words: "create volume", "read".
    pub operation: &'static str,
    /// Volume name or path.
    pub object: String,
    /// What the system said.
    pub source: io::Error,
}

impl DeviceError {
    /// An error of `operation` on `object`.
    pub fn new(operation: &'static str, object: impl Into<String>, source: io::Error) -> Self {
        Self {
            operation,
            object: object.into(),
            source,
        }
    }

    /// Whether space (or quota) is exhausted: others may go on, nothing stored is in doubt.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(
            self.source.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
        )
    }

    /// Whether the object does not exist.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        self.source.kind() == io::ErrorKind::NotFound
    }
}

/// A volume found on a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Bytes it has.
    pub bytes: u64,
}

/// Room on a device, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Space {
    /// Free for this daemon.
    pub free: u64,
    /// In all.
    pub total: u64,
}

impl Space {
    /// What backups leave free, so that sessions end in order: 2 %, at most 1 GiB.
    #[must_use]
    pub fn reserve(&self) -> u64 {
        (self.total / 50).min(1 << 30)
    }
}

/// A place for volumes.
pub trait Device: Send + Sync + 'static {
    /// All volumes, by name. What is not a volume is left alone.
    ///
    /// # Errors
    /// The device cannot be read.
    fn list(&self) -> Result<Vec<Listed>, DeviceError>;

    /// Makes an empty volume that did not exist.
    ///
    /// # Errors
    /// It exists, or cannot be made.
    fn create(&self, name: &str) -> Result<Arc<dyn VolumeFile>, DeviceError>;

    /// Opens a volume to read and append.
    ///
    /// # Errors
    /// It does not exist or cannot be opened.
    fn open(&self, name: &str) -> Result<Arc<dyn VolumeFile>, DeviceError>;

    /// Removes a volume and makes that durable.
    ///
    /// # Errors
    /// It cannot be removed.
    fn delete(&self, name: &str) -> Result<(), DeviceError>;

    /// Moves everything from `offset` on out of a volume into a keepsake beside it, and returns where that is.
    ///
    /// # Errors
    /// The volume is left as it was.
    fn set_aside(&self, name: &str, offset: u64) -> Result<String, DeviceError>;

    /// Free and total bytes.
    ///
    /// # Errors
    /// Not known.
    fn space(&self) -> Result<Space, DeviceError>;
}

/// An open volume. Shared by readers; one writer at a time.
pub trait VolumeFile: Send + Sync + 'static {
    /// Bytes it has.
    ///
    /// # Errors
    /// Not known.
    fn bytes(&self) -> Result<u64, DeviceError>;

    /// Stores `parts` one after the other from `offset` on, which is the end of what counts.
    ///
    /// # Errors
    /// Any part may be stored.
    fn append(&self, offset: u64, parts: &[&[u8]]) -> Result<(), DeviceError>;

    /// Fills `buffer` from `offset` and returns how many bytes there were: fewer only at the end of the volume.
    ///
    /// # Errors
    /// Nothing of the buffer counts.
    fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, DeviceError>;

    /// Makes all appended bytes durable.
    ///
    /// # Errors
    /// What was not durable before may be lost. Never call it again.
    fn sync(&self) -> Result<(), DeviceError>;

    /// Gives up everything from `offset` on, which was never committed.
    ///
    /// # Errors
    /// It may still be there.
    fn truncate(&self, offset: u64) -> Result<(), DeviceError>;
}
