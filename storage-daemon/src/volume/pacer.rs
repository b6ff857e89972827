//! Paced writeback: what was appended is made durable in the background every 32 MiB, so that the sync of a commit is
//! short and the page cache never holds gigabytes of one session.
//!
//! Invariant: syncs of one volume go through its gate one at a time; after one failed, none is ever tried again, for
//! the kernel reports a lost write only once.

use std::sync::Arc;

use crossbeam_channel::{Sender, TrySendError, bounded};
use parking_lot::Mutex;

use crate::device::{DeviceError, VolumeFile};

/// Bytes appended between two background syncs of a volume.
pub const PACE_BYTES: u64 = 32 << 20;

/// Why a volume's tail cannot be made durable.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// This sync failed.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// An earlier one failed.
    #[error("an earlier sync of the volume failed: what it holds since is unknown")]
    FailedBefore,
}

/// The one way to sync a volume.
pub struct SyncGate {
    file: Arc<dyn VolumeFile>,
    failed: Mutex<bool>,
}

impl SyncGate {
    /// A gate before this file.
    pub fn new(file: Arc<dyn VolumeFile>) -> Self {
        Self {
            file,
            failed: Mutex::new(false),
        }
    }

    /// The volume.
    #[must_use]
    pub fn file(&self) -> &Arc<dyn VolumeFile> {
        &self.file
    }

    /// Whether a sync has failed.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        *self.failed.lock()
    }

    /// Makes everything appended so far durable.
    ///
    /// # Errors
    /// Now and for ever after.
    pub fn sync(&self) -> Result<(), SyncError> {
        let mut failed = self.failed.lock();
        if *failed {
            return Err(SyncError::FailedBefore);
        }
        self.file.sync().inspect_err(|_| *failed = true)?;
        Ok(())
    }
}

/// One thread that syncs in the background.
#[derive(Clone)]
pub struct Pacer {
    queue: Sender<Arc<SyncGate>>,
}

impl Default for Pacer {
    fn default() -> Self {
        Self::new()
    }
}

impl Pacer {
    /// Starts the thread; it ends when the last handle is gone.
    #[must_use]
    pub fn new() -> Self {
        let (queue, work) = bounded::<Arc<SyncGate>>(64);
        let thread = std::thread::Builder::new().name("pacer".to_owned());
        let spawned = thread.spawn(move || {
            for gate in work {
                if let Err(error) = gate.sync() {
                    tracing::error!(%error, "background sync failed; the volume takes no more");
                }
            }
        });
        spawned.expect("a daemon that starts can start its threads");
        Self { queue }
    }

    /// Asks for a sync; when many are waiting already the commit's own sync does it.
    pub fn nudge(&self, gate: &Arc<SyncGate>) {
        match self.queue.try_send(gate.clone()) {
            Ok(()) | Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {}
        }
    }
}
