//! `/jobs`: definitions, with their last result and their next run.

use axum::Json;
use axum::extract::State;
use common::api::jobs::{Job, LastRun};
use common::api::page::{Page, PageQuery};
use jiff::Timestamp;

use super::app::App;
use super::error::ApiError;
use super::input::{Asked, Named, page_by_name};
use super::runs::status;
use crate::catalog::RunFilter;
use crate::config::calendar::Line;
use crate::config::{Config, Job as Configured};

pub(super) async fn shown(
    app: &App,
    config: &Config,
    (name, job): (&str, &Configured),
) -> Result<Job, ApiError> {
    let filter = RunFilter {
        job: Some(name.to_owned()),
        ..RunFilter::default()
    };
    let last = app.catalog.runs(&filter, 1).await?.into_iter().next();
    let schedule = job
        .schedule
        .as_ref()
        .and_then(|s| config.schedules.get(s))
        .filter(|_| job.enabled);
    let next = schedule.and_then(|schedule| {
        let lines: Vec<Line> = schedule.runs.iter().map(|r| r.line.clone()).collect();
        let now = Timestamp::from_millisecond(common::clock::now_ms()).ok()?;
        let next = crate::config::calendar::next_of(&lines, now, &config.director.zone)?;
        chrono::DateTime::from_timestamp_millis(next.as_millisecond())
    });
    let keep = job
        .keep
        .or_else(|| config.pools.get(&job.pool).and_then(|pool| pool.keep));
    Ok(Job {
        name: name.to_owned(),
        clients: job.clients.clone(),
        fileset: job.fileset.clone(),
        schedule: job.schedule.clone(),
        pool: job.pool.clone(),
        level: job.level,
        keep: keep.map(|k| k.to_string()),
        enabled: job.enabled,
        last: last.map(|run| LastRun {
            job_id: run.job_id,
            client: run.client,
            status: status(run.state),
            at: run.started_at.unwrap_or(run.created_at),
        }),
        next_run: next,
    })
}

pub(super) async fn list(
    State(app): State<App>,
    Asked(query): Asked<PageQuery>,
) -> Result<Json<Page<Job>>, ApiError> {
    let config = app.config.get();
    let names: Vec<&String> = config.jobs.keys().collect();
    let page = page_by_name(names, (query.limit, query.cursor.as_deref()), |n| {
        n.as_str()
    })?;
    let mut items = Vec::with_capacity(page.items.len());
    for name in page.items {
        if let Some(job) = config.jobs.get(name) {
            items.push(shown(&app, &config, (name, job)).await?);
        }
    }
    Ok(Json(Page {
        items,
        next: page.next,
    }))
}

pub(super) async fn get(
    State(app): State<App>,
    Named(name): Named<String>,
) -> Result<Json<Job>, ApiError> {
    let config = app.config.get();
    let job = config
        .jobs
        .get(&name)
        .ok_or_else(|| ApiError::not_found(format!("there is no job {name:?}")))?;
    Ok(Json(shown(&app, &config, (&name, job)).await?))
}
