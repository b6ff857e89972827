//! A backup order from session to end: dials the storage, runs the pipeline on its threads, says how it went.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use common::clock::now_ms;
use common::net::pki::CredentialStore;
use common::object::snapshot::Counts;
use common::protocol::orders::{BackupOrder, RunEnd};

use super::runs::Run;
use super::teller::CountsNow;
use crate::backup::run::{BackupError, Saved, Site, run as run_backup};
use crate::sink::error::SinkError;
use crate::sink::port::Storage;
use crate::sink::session::{Greeting, Session};

/// After a cancel, threads that hang in the kernel are waited for this long.
const GRACE: Duration = Duration::from_secs(8);

/// What a run needs of the daemon.
pub struct Means {
    /// Certificates.
    pub store: Arc<CredentialStore>,
    /// State folder.
    pub state: PathBuf,
}

/// Bytes of a session that is opened later.
pub type SharedStorage = Arc<std::sync::OnceLock<Arc<Session>>>;

/// The counts of a run with the bytes of its session, once there is one.
#[must_use]
pub fn counts_now(run: &Arc<Run>, storage: &SharedStorage) -> CountsNow {
    let (run, storage) = (Arc::clone(run), Arc::clone(storage));
    Arc::new(move || counts(&run, &storage))
}

fn counts(run: &Run, storage: &SharedStorage) -> Counts {
    let figures = storage.get().map(|s| s.figures()).unwrap_or_default();
    Counts {
        sent_bytes: figures.sent_bytes,
        stored_bytes: figures.stored_bytes,
        ..run.tally.counts()
    }
}

/// Runs it to its end.
pub async fn backup(
    order: BackupOrder,
    run: &Arc<Run>,
    means: Means,
    storage: &SharedStorage,
) -> RunEnd {
    let opened = open(&order, run, &means).await;
    let result = match opened {
        Ok((session, greeting)) => {
            // Set once: there is one session per run.
            let _ = storage.set(Arc::clone(&session));
            on_threads(order, run, (session, greeting), means.state).await
        }
        Err(e) => Err(BackupError::Sink(e)),
    };
    end(run, result, storage)
}

async fn open(
    order: &BackupOrder,
    run: &Run,
    means: &Means,
) -> Result<(Arc<Session>, Greeting), SinkError> {
    let Some(target) = &order.storage else {
        return Err(SinkError::Protocol {
            got: "an order without a storage".to_owned(),
            expected: "a storage",
        });
    };
    format!("storage {}", target.name).clone_into(&mut run.tally.waiting.lock());
    let stop = (Arc::clone(&run.stop), run.token.clone());
    let opened = tokio::select! {
        opened = Session::open(target, &order.ticket, &means.store, stop) => opened,
        () = run.token.cancelled() => Err(SinkError::Canceled),
    };
    run.tally.waiting.lock().clear();
    opened
}

async fn on_threads(
    order: BackupOrder,
    run: &Arc<Run>,
    (session, greeting): (Arc<Session>, Greeting),
    state: PathBuf,
) -> Result<Saved, BackupError> {
    let shared = Arc::clone(run);
    let work = tokio::task::spawn_blocking(move || {
        let site = Site {
            state,
            storage: session,
            present: (greeting.base_present, greeting.resume_present),
            log: &shared.log,
            tally: &shared.tally,
            stop: &shared.stop,
            now_ms: now_ms(),
        };
        run_backup(&order, &site)
    });
    let patience = async {
        run.token.cancelled().await;
        tokio::time::sleep(GRACE).await;
    };
    let ended = tokio::select! {
        ended = work => ended,
        () = patience => return Err(SinkError::Canceled.into()),
    };
    ended.unwrap_or_else(|_| Err(run.stop.reason("backup").into()))
}

fn end(run: &Run, result: Result<Saved, BackupError>, storage: &SharedStorage) -> RunEnd {
    match result {
        Ok(saved) => {
            let clean = run.log.warnings() == 0 && saved.counts.unsaved == 0;
            RunEnd {
                job_id: run.job_id,
                outcome: if clean { "ok" } else { "warnings" }.to_owned(),
                counts: Some(saved.counts),
                snapshot: saved.snapshot.0.to_vec(),
                fault: None,
            }
        }
        Err(e) => {
            if e.outcome() != "canceled" {
                run.log
                    .error(format!("backup failed: {}", crate::chain(&e)));
            }
            RunEnd {
                job_id: run.job_id,
                outcome: e.outcome().to_owned(),
                counts: Some(counts(run, storage)),
                snapshot: Vec::new(),
                fault: Some(e.fault()),
            }
        }
    }
}
