//! A restore order from connection to end.

use std::sync::Arc;

use common::net::pki::CredentialStore;
use common::object::snapshot::Counts;
use common::protocol::fault::{Fault, code};
use common::protocol::orders::{RestoreOrder, RunEnd, Severity};
use parking_lot::Mutex;

use super::restore_link::{RestoreLink, open};
use super::runs::Run;
use crate::config::Config;
use crate::restore::{RestoreContext, RestoreOutcome, StreamError, run as run_restore};

/// Threads that write.
const WORKERS: usize = 4;

/// Counts as the restore last told them.
pub type Told = Arc<Mutex<Counts>>;

/// Runs it to its end.
pub async fn restore(
    order: RestoreOrder,
    run: &Arc<Run>,
    (config, store): (&Config, &CredentialStore),
    told: &Told,
) -> RunEnd {
    let link = tokio::select! {
        link = open(&order, store, run.token.clone()) => link,
        () = run.token.cancelled() => return over(run, "canceled", None),
    };
    match link {
        Ok(link) => on_thread(order, run, (config, link), told).await,
        Err(e) => {
            let fault = match &e {
                StreamError::Fault(fault) => fault.clone(),
                e => Fault::passing(code::STORAGE, crate::chain(e)),
            };
            over(run, "error", Some(fault))
        }
    }
}

async fn on_thread(
    order: RestoreOrder,
    run: &Arc<Run>,
    (config, mut link): (&Config, RestoreLink),
    told: &Told,
) -> RunEnd {
    let (for_log, for_progress) = (Arc::clone(run), (Arc::clone(run), Arc::clone(told)));
    let context = RestoreContext {
        permit: config.permit_restore.clone(),
        log: Box::new(move |severity, text| match severity {
            Severity::Info | Severity::Notice => for_log.log.notice(text),
            Severity::Warning => for_log.log.warning(text),
            Severity::Error => for_log.log.error(text),
        }),
        progress: Box::new(move |counts, current| {
            let (run, told) = &for_progress;
            *told.lock() = counts;
            current.clone_into(&mut run.tally.current.lock());
        }),
        stop: run.token.clone(),
        workers: WORKERS,
    };
    let work = move || run_restore(&order, &mut link, &context);
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => ended(run, outcome),
        Err(_) => {
            let text = "the restore ended by a defect; see the File Daemon's log";
            over(run, "error", Some(Fault::new(code::INTERNAL, text)))
        }
    }
}

fn ended(run: &Run, outcome: RestoreOutcome) -> RunEnd {
    RunEnd {
        job_id: run.job_id,
        outcome: outcome.status.word().to_owned(),
        counts: Some(outcome.counts),
        snapshot: Vec::new(),
        fault: outcome.fault,
    }
}

fn over(run: &Run, outcome: &str, fault: Option<Fault>) -> RunEnd {
    if let Some(fault) = &fault {
        run.log.error(fault.text.clone());
    }
    RunEnd {
        job_id: run.job_id,
        outcome: outcome.to_owned(),
        counts: Some(Counts::default()),
        snapshot: Vec::new(),
        fault,
    }
}
