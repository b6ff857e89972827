//! Window: loads that were sent and not yet acknowledged, so that the Storage Daemon is never flooded.

use std::collections::VecDeque;

use parking_lot::{Condvar, Mutex};

use super::error::SinkError;
use super::stop::{LOOK, Stop};

#[derive(Debug, Default)]
struct Open {
    last: u64,
    bytes: u64,
    loads: VecDeque<(u64, u64)>,
}

/// What is under way on one connection.
#[derive(Debug)]
pub struct Window {
    most_bytes: u64,
    open: Mutex<Open>,
    moved: Condvar,
}

impl Window {
    /// Of so many payload bytes; at least one load is always let through.
    #[must_use]
    pub fn new(most_bytes: u64) -> Self {
        Self {
            most_bytes,
            open: Mutex::default(),
            moved: Condvar::new(),
        }
    }

    /// Waits for room and gives the next load its number, from 1.
    ///
    /// # Errors
    /// The run was stopped.
    pub fn enter(&self, bytes: u64, stop: &Stop) -> Result<u64, SinkError> {
        let mut open = self.open.lock();
        while !open.loads.is_empty() && open.bytes + bytes > self.most_bytes {
            stop.check()?;
            self.moved.wait_for(&mut open, LOOK);
        }
        open.last += 1;
        open.bytes += bytes;
        let number = open.last;
        open.loads.push_back((number, bytes));
        Ok(number)
    }

    /// Everything up to `number` arrived.
    pub fn acknowledge(&self, number: u64) {
        let mut open = self.open.lock();
        while let Some((_, bytes)) = open.loads.pop_front_if(|(n, _)| *n <= number) {
            open.bytes -= bytes;
        }
        self.moved.notify_all();
    }

    /// Waits until nothing is under way.
    ///
    /// # Errors
    /// The run was stopped.
    pub fn drain(&self, stop: &Stop) -> Result<(), SinkError> {
        let mut open = self.open.lock();
        while !open.loads.is_empty() {
            stop.check()?;
            self.moved.wait_for(&mut open, LOOK);
        }
        Ok(())
    }
}
