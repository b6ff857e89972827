//! A restore order from connection to end.

use std::sync::Arc;

use common::net::pki::CredentialStore;
use common::object::snapshot::Counts;
use common::protocol::fault::{Fault, code};
use common::protocol::orders::{RestoreOrder, RunEnd, Severity};
use parking_lot::Mutex;

use super::runs::Run;
use crate::compare::run as run_compare;
use crate::config::Config;
use crate::restore::connection::Connection;
use crate::restore::{RestoreContext, StreamError, run as run_restore};

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
        link = Connection::open(&order, store, run.token.clone()) => link,
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
    (config, mut link): (&Config, Connection),
    told: &Told,
) -> RunEnd {
    let (for_log, for_progress) = (Arc::clone(run), (Arc::clone(run), Arc::clone(told)));
    let context = RestoreContext {
        permit: config.permit_restore.clone(),
        permit_commands: config.permit_commands.clone(),
        spool: config.state(),
        log: Box::new(move |severity, text| match severity {
            Severity::Info | Severity::Notice => for_log.log.notice(text),
            Severity::Warning => for_log.log.warning(text),
            Severity::Error => for_log.log.error(text),
        }),
        progress: Box::new(move |counts, current| {
            let (run, told) = &for_progress;
            *told.lock() = counts;
            if !current.is_empty() {
                current.clone_into(&mut run.tally.current.lock());
            }
        }),
        stop: run.token.clone(),
        workers: WORKERS,
    };
    let work = move || {
        if order.mode == "compare" {
            let outcome = run_compare(&order, &mut link, &context);
            (outcome.status, outcome.counts(), outcome.fault)
        } else {
            let outcome = run_restore(&order, &mut link, &context);
            (outcome.status, outcome.counts, outcome.fault)
        }
    };
    match tokio::task::spawn_blocking(work).await {
        Ok((status, counts, fault)) => RunEnd {
            job_id: run.job_id,
            outcome: status.word().to_owned(),
            counts: Some(counts),
            snapshot: Vec::new(),
            fault,
        },
        Err(_) => {
            let text = "the restore ended by a defect; see the File Daemon's log";
            over(run, "error", Some(Fault::new(code::INTERNAL, text)))
        }
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
