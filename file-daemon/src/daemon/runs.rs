//! Runs under way: one per JobId, each with what stops it.

use std::collections::BTreeMap;
use std::sync::Arc;

use common::shutdown::StopToken;
use parking_lot::Mutex;

use crate::runlog::RunLog;
use crate::scan::tally::Tally;
use crate::sink::error::SinkError;
use crate::sink::stop::Stop;

/// Runs at once on one client.
const MOST_RUNS: usize = 16;

/// What a run shares with the daemon.
#[derive(Debug, Default)]
pub struct Run {
    /// Its JobId.
    pub job_id: u64,
    /// Its log.
    pub log: RunLog,
    /// Its counts.
    pub tally: Tally,
    /// Why it stopped.
    pub stop: Arc<Stop>,
    /// Canceled with it: what waits in async code.
    pub token: StopToken,
}

impl Run {
    /// Stops it.
    pub fn cancel(&self) {
        self.stop.set(SinkError::Canceled);
        self.token.cancel();
    }
}

/// Why a run is not started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotStarted {
    /// It is under way already: the order came twice.
    Again,
    /// Too many are.
    TooMany,
}

/// All runs.
#[derive(Debug, Default)]
pub struct Runs {
    runs: Mutex<BTreeMap<u64, Arc<Run>>>,
}

impl Runs {
    /// A new run.
    ///
    /// # Errors
    /// Under way already, or too many.
    pub fn begin(&self, job_id: u64, parent: &StopToken) -> Result<Arc<Run>, NotStarted> {
        let mut runs = self.runs.lock();
        if runs.contains_key(&job_id) {
            return Err(NotStarted::Again);
        }
        if runs.len() >= MOST_RUNS {
            return Err(NotStarted::TooMany);
        }
        let run = Arc::new(Run {
            job_id,
            token: parent.child_token(),
            ..Run::default()
        });
        runs.insert(job_id, Arc::clone(&run));
        Ok(run)
    }

    /// A run under way.
    #[must_use]
    pub fn get(&self, job_id: u64) -> Option<Arc<Run>> {
        self.runs.lock().get(&job_id).cloned()
    }

    /// The Director knows that it is over.
    pub fn forget(&self, job_id: u64) {
        self.runs.lock().remove(&job_id);
    }

    /// JobIds of all.
    #[must_use]
    pub fn ids(&self) -> Vec<u64> {
        self.runs.lock().keys().copied().collect()
    }
}
