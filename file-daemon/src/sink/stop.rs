//! One stop for all stages of a run: the first reason wins, every stage looks before it waits.

use std::sync::OnceLock;

use super::error::SinkError;

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

    /// The reason; `stage` when a neighbour went away without one.
    #[must_use]
    pub fn reason(&self, stage: &'static str) -> SinkError {
        self.reason
            .get()
            .cloned()
            .unwrap_or(SinkError::Stage(stage))
    }
}
