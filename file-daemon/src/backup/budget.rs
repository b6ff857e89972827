//! Budget: bytes of content in flight, so that memory is bounded whatever the sizes of files and the speed of storage.

use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

use crate::sink::error::SinkError;
use crate::sink::stop::{LOOK, Stop};

/// A number of bytes that may be held.
#[derive(Debug)]
pub struct Budget {
    total: usize,
    left: Mutex<usize>,
    freed: Condvar,
}

/// Bytes held until dropped.
#[derive(Debug)]
pub struct Permit {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Budget {
    /// Of so many bytes.
    #[must_use]
    pub fn new(total: usize) -> Arc<Self> {
        Arc::new(Self {
            total,
            left: Mutex::new(total),
            freed: Condvar::new(),
        })
    }

    /// Waits until so many bytes are free. One holder may always have what is over the whole budget alone.
    ///
    /// # Errors
    /// The run was stopped.
    pub fn acquire(self: &Arc<Self>, bytes: usize, stop: &Stop) -> Result<Permit, SinkError> {
        let bytes = bytes.min(self.total);
        let mut left = self.left.lock();
        while *left < bytes {
            stop.check()?;
            self.freed.wait_for(&mut left, LOOK);
        }
        *left -= bytes;
        Ok(Permit {
            budget: Arc::clone(self),
            bytes,
        })
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        *self.budget.left.lock() += self.bytes;
        self.budget.freed.notify_all();
    }
}
