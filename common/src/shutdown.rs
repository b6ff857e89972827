//! Stopping: one tree of stop tokens per daemon, rooted in the signals of the service manager.
//!
//! daemon -> job -> conversation: each owner makes child tokens and joins its tasks. Never a task that outlives its owner.

use std::future::Future;
use std::io;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
pub use tokio_util::sync::CancellationToken as StopToken;
use tokio_util::task::TaskTracker;

/// A token that stops at the first SIGTERM or SIGINT. Call once, inside the runtime.
///
/// # Errors
/// When the handlers cannot be installed.
pub fn on_signals() -> io::Result<StopToken> {
    let mut term = signal(SignalKind::terminate())?;
    let mut int = signal(SignalKind::interrupt())?;
    let stop = StopToken::new();
    let fired = stop.clone();
    tokio::spawn(async move {
        let name = tokio::select! {
            _ = term.recv() => "SIGTERM",
            _ = int.recv() => "SIGINT",
        };
        tracing::info!(signal = name, "stopping");
        fired.cancel();
    });
    Ok(stop)
}

/// The tasks of one owner and their stop token.
#[derive(Debug, Clone, Default)]
pub struct Tasks {
    stop: StopToken,
    tracker: TaskTracker,
}

impl Tasks {
    /// Tasks that stop when `parent` does.
    #[must_use]
    pub fn child_of(parent: &StopToken) -> Self {
        Self {
            stop: parent.child_token(),
            tracker: TaskTracker::new(),
        }
    }

    /// The token its tasks watch.
    #[must_use]
    pub fn stop_token(&self) -> &StopToken {
        &self.stop
    }

    /// Runs a task that [`Tasks::join`] waits for. The task watches the token itself.
    pub fn spawn<F>(&self, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.tracker.spawn(task);
    }

    /// Asks all tasks to stop and waits for them, at most `limit`; whether all ended in time.
    pub async fn join(&self, limit: Duration) -> bool {
        self.stop.cancel();
        self.tracker.close();
        tokio::time::timeout(limit, self.tracker.wait())
            .await
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tasks_end_with_their_parent() {
        let root = StopToken::new();
        let tasks = Tasks::child_of(&root);
        let stop = tasks.stop_token().clone();
        tasks.spawn(async move { stop.cancelled().await });
        root.cancel();
        assert!(tasks.join(Duration::from_secs(5)).await);
        tasks.spawn(std::future::pending());
        assert!(!tasks.join(Duration::from_millis(1)).await);
    }
}
