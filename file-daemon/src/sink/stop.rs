//! One stop for all stages of a run: the first reason wins, and no stage waits longer than [`LOOK`] without looking.
//!
//! Never rely on the other end of a channel being dropped: what lies in a queue when its reader ends may keep it alive.

use std::sync::OnceLock;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, SendTimeoutError, Sender, TrySendError};

use super::error::SinkError;

/// How often a stage that waits looks whether the run was stopped.
pub const LOOK: Duration = Duration::from_millis(200);

/// Shared by all threads of a run.
#[derive(Debug, Default)]
pub struct Stop {
    reason: OnceLock<SinkError>,
}

impl Stop {
    /// Stops the run. Later reasons are consequences of the first and are dropped.
    pub fn set(&self, reason: SinkError) {
        let _ = self.reason.set(reason);
    }

    /// Whether it was stopped.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.reason.get().is_some()
    }

    /// Goes on, or ends with the reason.
    ///
    /// # Errors
    /// Stopped.
    pub fn check(&self) -> Result<(), SinkError> {
        self.reason.get().map_or(Ok(()), |e| Err(e.clone()))
    }

    /// Waits for what a neighbour says.
    ///
    /// # Errors
    /// Stopped, or the neighbour `stage` went away.
    pub fn recv<T>(&self, from: &Receiver<T>, stage: &'static str) -> Result<T, SinkError> {
        loop {
            match from.recv_timeout(LOOK) {
                Ok(got) => return Ok(got),
                Err(RecvTimeoutError::Timeout) => self.check()?,
                Err(RecvTimeoutError::Disconnected) => return Err(self.reason(stage)),
            }
        }
    }

    /// Waits for the next of a queue; `None` = it has ended.
    ///
    /// # Errors
    /// Stopped.
    pub fn next<T>(&self, from: &Receiver<T>) -> Result<Option<T>, SinkError> {
        loop {
            match from.recv_timeout(LOOK) {
                Ok(got) => return Ok(Some(got)),
                Err(RecvTimeoutError::Timeout) => self.check()?,
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
            }
        }
    }

    /// Gives a neighbour something, waiting for room.
    ///
    /// # Errors
    /// Stopped, or the neighbour `stage` went away.
    pub fn send<T>(&self, to: &Sender<T>, value: T, stage: &'static str) -> Result<(), SinkError> {
        let mut value = match to.try_send(value) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Full(back)) => back,
            Err(TrySendError::Disconnected(_)) => return Err(self.reason(stage)),
        };
        loop {
            value = match to.send_timeout(value, LOOK) {
                Ok(()) => return Ok(()),
                Err(SendTimeoutError::Timeout(back)) => back,
                Err(SendTimeoutError::Disconnected(_)) => return Err(self.reason(stage)),
            };
            self.check()?;
        }
    }

    /// The reason; `stage` when a neighbour went away without one.
    #[must_use]
    pub fn reason(&self, stage: &'static str) -> SinkError {
        self.reason
            .get()
            .cloned()
            .unwrap_or(SinkError::Stage(stage))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "stop_tests.rs"]
mod tests;
