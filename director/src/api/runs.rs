//! `/runs`: list, start, look at, stop, log.

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use common::api::page::Page;
use common::api::runs::{
    Cancel, Level, LogLine, LogPage, LogQuery, RestoreOf, Run, RunKind, RunStatus, RunsQuery,
    Severity, StartRun, Started,
};
use common::ids::JobId;

use super::app::App;
use super::caller::Caller;
use super::error::ApiError;
use super::input::{Asked, Input, Named, cursor, from_cursor, limit};
use crate::catalog::{Origin, Run as Row, RunFilter, RunKind as StoredKind, RunState, StoredLine};
use crate::runs::{RestorePlan, StartBackup};

pub(super) async fn list(
    State(app): State<App>,
    Asked(query): Asked<RunsQuery>,
) -> Result<Json<Page<Run>>, ApiError> {
    let limit = limit(query.limit)?;
    let states = query
        .status
        .as_deref()
        .map(states)
        .transpose()?
        .unwrap_or_default();
    let filter = RunFilter {
        job: query.job,
        client: query.client,
        states,
        kinds: match query.kind {
            None => Vec::new(),
            Some(RunKind::Backup) => vec![StoredKind::Backup],
            Some(RunKind::Restore) => vec![StoredKind::Restore],
            Some(RunKind::Compare) => vec![StoredKind::Verify],
        },
        since: query.since,
        until: query.until,
        before: from_cursor::<u64>(query.cursor.as_deref())?.map(JobId),
    };
    let rows = app.catalog.runs(&filter, limit).await?;
    let full = rows.len() >= limit as usize;
    let next = rows
        .last()
        .filter(|_| full)
        .map(|row| cursor(&row.job_id.0));
    let mut items = Vec::with_capacity(rows.len());
    for row in rows {
        items.push(shown(&app, row, Detail::List).await?);
    }
    Ok(Json(Page { items, next }))
}

fn states(words: &str) -> Result<Vec<RunState>, ApiError> {
    let all = words.split(',').map(str::trim).filter(|w| !w.is_empty());
    all.map(|word| {
        word.parse().map_err(|_| {
            let known: Vec<&str> = RunState::ALL.iter().map(|s| s.as_str()).collect();
            ApiError::invalid(
                "status",
                format!("{word:?} is none of {}", known.join(", ")),
            )
        })
    })
    .collect()
}

pub(super) async fn start(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Input(input): Input<StartRun>,
) -> Result<(StatusCode, Json<Started>), ApiError> {
    let start = StartBackup {
        job: input.job,
        client: input.client,
        level: input.level,
        by: caller.name.clone(),
    };
    let mut runs = Vec::new();
    for job_id in app.runs.start_backups(&start).await? {
        app.audit(
            &caller,
            "run.start",
            format!("run {job_id} of job {}", start.job),
        )
        .await?;
        runs.push(one(&app, job_id).await?);
    }
    Ok((StatusCode::ACCEPTED, Json(Started { runs })))
}

pub(super) async fn get(
    State(app): State<App>,
    Named(id): Named<u64>,
) -> Result<Json<Run>, ApiError> {
    Ok(Json(one(&app, JobId(id)).await?))
}

pub(super) async fn cancel(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Named(id): Named<u64>,
    Input(input): Input<Cancel>,
) -> Result<(StatusCode, Json<Run>), ApiError> {
    let by = format!("user {}", caller.name);
    let reason = if input.reason.is_empty() {
        by
    } else {
        format!("{by}: {}", input.reason)
    };
    let reason: String = reason
        .chars()
        .filter(|c| !c.is_control())
        .take(500)
        .collect();
    app.runs.cancel(JobId(id), &reason).await?;
    app.audit_with(&caller, ("run.cancel", format!("run {id}")), reason)
        .await?;
    Ok((StatusCode::ACCEPTED, Json(one(&app, JobId(id)).await?)))
}

pub(super) async fn log(
    State(app): State<App>,
    Named(id): Named<u64>,
    Asked(query): Asked<LogQuery>,
) -> Result<Json<LogPage>, ApiError> {
    let limit = limit(query.limit)?;
    // The outcome first: a run that is over then has all its lines below.
    let row = app
        .catalog
        .run(JobId(id))
        .await?
        .ok_or_else(|| no_run(id))?;
    let after = u32::try_from(query.after.unwrap_or(0)).unwrap_or(u32::MAX);
    let stored = app.catalog.read_log(JobId(id), after, limit).await?;
    let more = stored.len() >= limit as usize;
    let least = query.severity.unwrap_or(Severity::Info);
    let lines = stored
        .into_iter()
        .map(line)
        .filter(|l| l.severity >= least)
        .collect();
    Ok(Json(LogPage {
        lines,
        more,
        over: row.state.is_final(),
    }))
}

pub(super) fn no_run(id: u64) -> ApiError {
    ApiError::not_found(format!("there is no run {id}"))
}

/// A stored line; who says it stands in brackets at its start.
pub(super) fn line(stored: StoredLine) -> LogLine {
    use common::protocol::orders::Severity as Stored;
    let split = stored
        .text
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("] "));
    let (source, text) = match split {
        Some((source, text)) => (source.to_owned(), text.to_owned()),
        None => (String::new(), stored.text),
    };
    LogLine {
        seq: stored.seq.into(),
        at: stored.at,
        severity: match stored.severity {
            Stored::Info => Severity::Info,
            Stored::Notice => Severity::Notice,
            Stored::Warning => Severity::Warning,
            Stored::Error => Severity::Error,
        },
        source,
        text,
    }
}

/// How much is looked up for a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Detail {
    /// What its row says.
    List,
    /// Its snapshot and base too.
    One,
}

pub(super) async fn one(app: &App, job_id: JobId) -> Result<Run, ApiError> {
    let row = app
        .catalog
        .run(job_id)
        .await?
        .ok_or_else(|| no_run(job_id.0))?;
    shown(app, row, Detail::One).await
}

/// A run as the API shows it: its row, and what is known of it in memory.
pub(super) async fn shown(app: &App, row: Row, detail: Detail) -> Result<Run, ApiError> {
    let live = app
        .runs
        .remembered(row.job_id)
        .map(|live| live.watch().borrow().clone());
    let live = live.filter(|_| !row.state.is_final()).unwrap_or_default();
    let plan: Option<RestorePlan> = match row.kind {
        StoredKind::Restore | StoredKind::Verify => {
            serde_json::from_value(row.parameters.clone()).ok()
        }
        _ => None,
    };
    let expected = plan
        .as_ref()
        .map_or((0, 0), |p| (p.expected_entries, p.expected_bytes));
    let progress = live.progress.as_ref();
    let counts = live.counts.unwrap_or(row.counts);
    let mut run = Run {
        job_id: row.job_id,
        kind: kind(row.kind),
        job: row.job,
        client: row.client,
        status: status(row.state),
        waiting: if row.waiting.is_empty() {
            progress.map(|p| p.waiting.clone()).unwrap_or_default()
        } else {
            row.waiting
        },
        level: row.level.filter(|_| row.started_at.is_some()).map(level),
        level_reason: row.level_reason,
        started_by: started_by(row.origin, &row.origin_name),
        queued_at: row.created_at,
        started_at: row.started_at,
        ended_at: row.ended_at,
        counts,
        expected_entries: progress.map_or(expected.0, |p| p.expected_entries.max(expected.0)),
        expected_bytes: progress.map_or(expected.1, |p| p.expected_bytes.max(expected.1)),
        warnings: live.warnings.max(counts.unsaved),
        errors: live.errors + u64::from(row.state == RunState::Error),
        reason: row.outcome,
        snapshot: row
            .snapshot
            .filter(|_| row.kind == StoredKind::Backup)
            .map(|s| s.to_string()),
        number: row
            .number
            .filter(|_| row.state.is_good())
            .map(|n| n.0.into()),
        base_job_id: None,
        pool: row.pool,
        volumes: Vec::new(),
        keep_until: None,
        restore: plan.map(|p: RestorePlan| -> RestoreOf { p.shown }),
    };
    if detail == Detail::One && row.kind == StoredKind::Backup {
        if let Some(base) = row.base {
            run.base_job_id = app.catalog.snapshot(base).await?.map(|s| s.job_id);
        }
        if let Some(snapshot) = row.snapshot
            && let Some(snapshot) = app.catalog.snapshot(snapshot).await?
        {
            run.keep_until = snapshot.keep_until;
            run.volumes = snapshot.volumes;
        }
    }
    Ok(run)
}

fn started_by(origin: Origin, name: &str) -> String {
    match origin {
        Origin::Director => "director".to_owned(),
        Origin::Schedule => format!("schedule {name}"),
        Origin::User => format!("user {name}"),
    }
}

fn kind(kind: StoredKind) -> RunKind {
    match kind {
        StoredKind::Restore => RunKind::Restore,
        StoredKind::Verify => RunKind::Compare,
        _ => RunKind::Backup,
    }
}

pub(super) fn level(level: crate::catalog::Level) -> Level {
    match level {
        crate::catalog::Level::Full => Level::Full,
        crate::catalog::Level::Differential => Level::Differential,
        crate::catalog::Level::Incremental => Level::Incremental,
    }
}

pub(super) fn status(state: RunState) -> RunStatus {
    match state {
        RunState::Queued => RunStatus::Queued,
        RunState::Waiting => RunStatus::Waiting,
        RunState::Running => RunStatus::Running,
        RunState::Committing => RunStatus::Committing,
        RunState::Ok => RunStatus::Ok,
        RunState::Warnings => RunStatus::Warnings,
        RunState::Error => RunStatus::Error,
        RunState::Canceled => RunStatus::Canceled,
        RunState::Incomplete => RunStatus::Incomplete,
    }
}
