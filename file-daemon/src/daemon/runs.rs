//! Runs under way: one per JobId, each with what stops it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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
    /// Its work is done; only its end is still to be heard. The Director may order it again then: a resumed run.
    pub over: AtomicBool,
    /// Canceled when it was ordered again: the end of the earlier try is of no interest any more.
    pub replaced: StopToken,
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
    /// A new run, or a new try of one whose work is done.
    ///
    /// # Errors
    /// Under way already, or too many.
    pub fn begin(&self, job_id: u64, parent: &StopToken) -> Result<Arc<Run>, NotStarted> {
        let mut runs = self.runs.lock();
        match runs.get(&job_id) {
            Some(earlier) if !earlier.over.load(Ordering::Acquire) => {
                return Err(NotStarted::Again);
            }
            Some(earlier) => earlier.replaced.cancel(),
            None => {}
        }
        runs.remove(&job_id);
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

    /// The Director knows that it is over. A later try of it stays.
    pub fn forget(&self, run: &Arc<Run>) {
        let mut runs = self.runs.lock();
        if runs.get(&run.job_id).is_some_and(|r| Arc::ptr_eq(r, run)) {
            runs.remove(&run.job_id);
        }
    }

    /// JobIds of all.
    #[must_use]
    pub fn ids(&self) -> Vec<u64> {
        self.runs.lock().keys().copied().collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_ordered_again_once_its_work_is_done_and_before_its_end_was_heard() {
        let (runs, parent) = (Runs::default(), StopToken::new());
        let first = runs.begin(7, &parent).unwrap();
        assert_eq!(runs.begin(7, &parent).unwrap_err(), NotStarted::Again);
        first.over.store(true, Ordering::Release);
        let second = runs.begin(7, &parent).unwrap();
        assert!(first.replaced.is_cancelled());
        assert!(!second.token.is_cancelled());
        // The end of the first is heard late: the second goes on.
        runs.forget(&first);
        assert!(runs.get(7).is_some_and(|run| Arc::ptr_eq(&run, &second)));
        runs.forget(&second);
        assert!(runs.get(7).is_none());
    }
}
