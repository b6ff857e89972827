//! The log of a run: lines of the Director and the daemons, written to the catalog in batches by one task.
//!
//! Batches form by themselves: while one is written the next collects. When the catalog is away lines wait in a bounded
//! queue, and who writes them waits too. Each line starts with who says it in brackets: `[client web01] ...`.

use std::sync::Arc;

use common::ids::JobId;
use common::protocol::orders::{LogLine, Severity};
use common::shutdown::StopToken;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::live::Live;
use super::patience::stubbornly;
use crate::catalog::Catalog;

/// Lines that wait to be written.
const QUEUE: usize = 4096;
/// Lines of one batch.
const BATCH: usize = 1000;

/// Writes a run's log.
#[derive(Debug)]
pub(super) struct RunLog {
    lines: mpsc::Sender<LogLine>,
    writer: JoinHandle<()>,
}

impl RunLog {
    pub fn open(catalog: Catalog, live: Arc<Live>, stop: StopToken) -> Self {
        let (lines, queue) = mpsc::channel(QUEUE);
        let writer = tokio::spawn(write(catalog, live, queue, stop));
        Self { lines, writer }
    }

    /// A line of the Director.
    pub async fn say(&self, severity: Severity, text: impl Into<String>) {
        let line = LogLine {
            at_ms: common::clock::now_ms(),
            severity: severity.into(),
            text: format!("[director] {}", text.into()),
        };
        let _ = self.lines.send(line).await;
    }

    /// Lines of a daemon.
    pub async fn repeat(&self, source: &str, lines: Vec<LogLine>) {
        for mut line in lines {
            line.text = format!("[{source}] {}", line.text);
            let _ = self.lines.send(line).await;
        }
    }

    /// Returns once every line is in the catalog.
    pub async fn close(self) {
        drop(self.lines);
        let _ = self.writer.await;
    }
}

async fn write(
    catalog: Catalog,
    live: Arc<Live>,
    mut queue: mpsc::Receiver<LogLine>,
    stop: StopToken,
) {
    let job_id: JobId = live.job_id;
    let mut batch = Vec::with_capacity(64);
    while queue.recv_many(&mut batch, BATCH).await > 0 {
        let count = |severity: Severity| {
            batch
                .iter()
                .filter(|line| line.severity == i32::from(severity))
                .count() as u64
        };
        match stubbornly(&stop, || catalog.append_log(job_id, &batch)).await {
            Ok(seq) => live.logged(seq.into(), count(Severity::Warning), count(Severity::Error)),
            Err(error) => {
                tracing::error!(%job_id, error = &error as &dyn std::error::Error, "lines of a run's log are lost");
            }
        }
        batch.clear();
    }
}
