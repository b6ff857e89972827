//! The queue: what waits in the catalog is admitted when its daemons are here and the limits allow.
//!
//! Woken by events (a run queued or over, a daemon come or gone, a new configuration) and by nothing else but the end of
//! a wait. Never is a run started twice: the task that drives it is entered before it is spawned, and the catalog lets
//! only one writer take it out of the queue.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use common::ids::{JobId, Role};

use super::engine::Inner;
use super::follow::Follow;
use super::log::RunLog;
use super::patience::patiently;
use super::record::{Driven, Halt, now, state_of};
use super::{backup, restore};
use crate::catalog::{CatalogError, Daemon, Outcome, Run, RunKind, RunState};
use crate::config::Config;
use crate::policy::admission::{Candidate, Kind, Limits, admit};

/// Runs looked at in one pass.
const PASS: u32 = 1000;
/// When the catalog is away, or nothing else wakes the queue.
const AGAIN: Duration = Duration::from_secs(60);

/// Takes up what an earlier Director had begun. Called before daemons are let in.
pub(super) async fn take_up(inner: &Arc<Inner>) -> Result<(), CatalogError> {
    let freed = patiently(&inner.stop, || inner.catalog.release_dead_leases()).await?;
    if freed > 0 {
        tracing::info!(freed, "leases of runs that are over were given free");
    }
    for row in patiently(&inner.stop, || inner.catalog.unfinished_runs()).await? {
        let begun = matches!(row.state, RunState::Running | RunState::Committing);
        let interrupted = row.state == RunState::Waiting && row.started_at.is_some();
        if begun || interrupted {
            tracing::info!(job_id = %row.job_id, state = %row.state, "taking up a run of before");
            let candidate = candidate(&inner.config.get(), &row);
            spawn(inner, row, candidate);
        } else {
            inner.board.place(row.job_id);
        }
    }
    Ok(())
}

/// Works until the Director stops.
pub(super) async fn work(inner: &Arc<Inner>) {
    let mut changes = inner.registry.changes();
    let mut config = inner.config.changes();
    loop {
        let pause = match pass(inner).await {
            Ok(until) => until.map_or(AGAIN, |until| {
                (until - now()).to_std().unwrap_or_default().min(AGAIN)
            }),
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the queue cannot be read"
                );
                Duration::from_secs(1)
            }
        };
        tokio::select! {
            () = inner.wake.notified() => {}
            _ = changes.changed() => {}
            _ = config.changed() => {}
            () = tokio::time::sleep(pause.max(Duration::from_millis(20))) => {}
            () = inner.stop.cancelled() => return,
        }
    }
}

/// Looks at the queue once. Returns when the first of its waits ends.
async fn pass(inner: &Arc<Inner>) -> Result<Option<DateTime<Utc>>, CatalogError> {
    let driven: HashMap<JobId, Candidate> = inner.driven.lock().clone();
    let mut rows = inner.catalog.queue(PASS).await?;
    rows.retain(|row| !driven.contains_key(&row.job_id));
    if rows.is_empty() {
        return Ok(None);
    }
    let config = inner.config.get();
    let daemons = inner.catalog.daemons(None).await?;
    let at = now();
    let mut next: Option<DateTime<Utc>> = None;
    let mut ready = Vec::new();
    for row in rows {
        if row.scheduled_at > at {
            next = next.into_iter().chain([row.scheduled_at]).min();
            continue;
        }
        match missing(inner, &config, (&row, &daemons)) {
            None => ready.push(row),
            Some(what) => {
                let until = row.scheduled_at + config.director.offline_limit;
                if at >= until {
                    give_up(inner, &row, &what, config.director.offline_limit).await?;
                } else {
                    let zoned = until.format("%Y-%m-%d %H:%M:%S UTC");
                    hold(inner, &row, &format!("{what}; waiting until {zoned}")).await?;
                    next = next.into_iter().chain([until]).min();
                }
            }
        }
    }
    let waiting: Vec<Candidate> = ready.iter().map(|row| candidate(&config, row)).collect();
    let running: Vec<Candidate> = driven.into_values().collect();
    let configured = &config.director.limits;
    let limits = Limits {
        director: configured.director,
        client: configured.client,
        storage: configured.storage,
    };
    let decided = admit(&waiting, &running, &limits);
    for ((row, candidate), (_, held)) in ready.into_iter().zip(waiting).zip(decided) {
        match held {
            None => spawn(inner, row, candidate),
            Some(held) => hold(inner, &row, &held.to_string()).await?,
        }
    }
    Ok(next)
}

/// The daemon that a run needs and that is not here.
fn missing(inner: &Inner, config: &Config, (row, daemons): (&Run, &[Daemon])) -> Option<String> {
    let storage = config
        .pools
        .get(&row.pool)
        .map(|pool| pool.storage.as_str());
    let needed = [
        (Role::File, Some(row.client.as_str())),
        (Role::Storage, storage),
    ];
    for (role, name) in needed {
        let Some(name) = name else { continue };
        let word = if role == Role::File {
            "client"
        } else {
            "storage"
        };
        let mut known = daemons
            .iter()
            .filter(|d| d.identity.role == role && d.name == name && d.revoked_at.is_none());
        match known.next() {
            None => return Some(format!("{word} {name} is not enrolled")),
            Some(daemon) if inner.registry.get(daemon.identity).is_none() => {
                return Some(format!("{word} {name} is not connected"));
            }
            Some(_) => {}
        }
    }
    None
}

async fn hold(inner: &Inner, row: &Run, reason: &str) -> Result<(), CatalogError> {
    if row.state == RunState::Waiting && row.waiting == reason {
        return Ok(());
    }
    let from = [RunState::Queued, RunState::Waiting];
    inner
        .catalog
        .move_run(row.job_id, &from, RunState::Waiting, reason)
        .await?;
    tracing::debug!(job_id = %row.job_id, reason, "run waits");
    Ok(())
}

async fn give_up(
    inner: &Inner,
    row: &Run,
    what: &str,
    limit: Duration,
) -> Result<(), CatalogError> {
    let limit = common::config::Period::from_secs(limit.as_secs());
    let outcome = Outcome {
        state: RunState::Error,
        text: format!(
            "{what}, and has not been for {limit}: start its daemon, then run the job again"
        ),
        counts: None,
        ended_at: now(),
    };
    if inner.catalog.finish_run(row.job_id, &outcome).await? {
        tracing::warn!(job_id = %row.job_id, job = row.job, client = row.client, reason = outcome.text, "run failed");
    }
    inner.board.over(row.job_id);
    Ok(())
}

fn candidate(config: &Config, row: &Run) -> Candidate {
    let storage = config
        .pools
        .get(&row.pool)
        .map(|pool| pool.storage.clone())
        .unwrap_or_default();
    Candidate {
        job_id: row.job_id,
        kind: if row.kind == RunKind::Backup {
            Kind::Backup
        } else {
            Kind::Restore
        },
        client: row.client.clone(),
        storage,
        series: format!("{}/{}", row.job, row.client),
    }
}

/// Starts the task that drives a run.
fn spawn(inner: &Arc<Inner>, row: Run, candidate: Candidate) {
    let job_id = row.job_id;
    let live = inner.board.place(job_id);
    let Some(mailbox) = live.take_mailbox() else {
        // Another task has driven it; it leaves the board when it is over.
        return;
    };
    inner.driven.lock().insert(job_id, candidate);
    let inner = Arc::clone(inner);
    let tasks = inner.tasks.clone();
    tasks.spawn(async move {
        let log = RunLog::open(inner.catalog.clone(), Arc::clone(&live), inner.stop.clone());
        let follow = Follow::new(Arc::clone(&live), mailbox, inner.registry.clone(), inner.stop.clone());
        let (kind, state) = (row.kind, state_of(&row));
        let driven = Driven { inner: Arc::clone(&inner), live, log, row, state };
        let done = match kind {
            RunKind::Backup => Box::pin(backup::drive(driven, follow)).await,
            _ => Box::pin(restore::drive(driven, follow)).await,
        };
        inner.driven.lock().remove(&job_id);
        match done {
            // The run stays as it is and is taken up by the next Director.
            Err(Halt::Stopping) => {}
            Err(Halt::Catalog(error)) => {
                tracing::error!(%job_id, error = &error as &dyn std::error::Error, "a run is left as it is: the catalog refuses its changes");
                inner.board.over(job_id);
            }
            Ok(()) | Err(Halt::Over) => inner.board.over(job_id),
        }
        inner.wake.notify_one();
    });
}
