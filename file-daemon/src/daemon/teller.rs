//! Teller: tells the Director about a run: progress twice a second, log lines in batches, the end until it is heard.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use common::net::conversation::{ControlError, ControlSender};
use common::object::snapshot::Counts;
use common::protocol::control::Body;
use common::protocol::orders::{LogLines, Progress, RunEnd};

use super::runs::Run;

/// Progress is told this often.
const EVERY: Duration = Duration::from_millis(500);
/// Lines of one message.
const LINES: usize = 500;
/// The end is told again after this time without an answer.
const HEARD: Duration = Duration::from_secs(120);

/// Says the counts so far.
pub type CountsNow = Arc<dyn Fn() -> Counts + Send + Sync>;

/// Tells progress and lines until dropped.
pub async fn tell(run: &Run, sender: &ControlSender, counts: &CountsNow) {
    let mut beat = tokio::time::interval(EVERY);
    loop {
        beat.tick().await;
        tell_lines(run, sender).await;
        let progress = Progress {
            job_id: run.job_id,
            counts: Some(counts()),
            current: run.tally.current.lock().clone(),
            expected_entries: run.tally.expected_entries.load(Relaxed),
            expected_bytes: run.tally.expected_bytes.load(Relaxed),
            waiting: run.tally.waiting.lock().clone(),
        };
        // A full queue means the Director is away: the next progress says more.
        let _ = sender.offer(Body::Progress(progress));
    }
}

/// Tells all lines that wait.
async fn tell_lines(run: &Run, sender: &ControlSender) {
    loop {
        let lines = run.log.take(LINES);
        if lines.is_empty() {
            return;
        }
        let lines = LogLines {
            job_id: run.job_id,
            lines,
        };
        if let Err(e) = sender.send(Body::LogLines(lines)).await {
            tracing::warn!(job_id = run.job_id, "log lines lost: {e}");
            return;
        }
    }
}

/// Tells the end until the Director has heard it.
pub async fn tell_end(run: &Run, sender: &ControlSender, end: RunEnd) {
    run.log.close();
    tell_lines(run, sender).await;
    loop {
        match sender.request(Body::RunEnd(end.clone()), HEARD).await {
            Ok(_) => return,
            Err(ControlError::Gone) => return,
            Err(ControlError::Fault(fault)) => {
                tracing::warn!(
                    job_id = run.job_id,
                    "the Director did not take the end of the run: {}",
                    fault.text
                );
                return;
            }
            Err(ControlError::Timeout(_) | ControlError::Full) => {}
        }
    }
}
