//! `run`, `runs`, `show`, `log`, `cancel`, `jobs`.

use common::api::jobs::Job;
use common::api::runs::{
    Cancel, LogPage, LogQuery, Run, RunKind, RunsQuery, Severity, StartRun, Started,
};

use super::Context;
use super::follow;
use crate::arguments::{CancelArgs, LogArgs, RunArgs, RunsArgs, ShowArgs};
use crate::director::Director;
use crate::director::api::MOST;
use crate::outcome::{CommandError, Outcome};
use crate::show::{Grid, Zone, count, duration, facts, log_line, run_report, size};

pub(super) async fn start(context: &Context, a: &RunArgs) -> Result<Outcome, CommandError> {
    let director = context.director().await?;
    let request = StartRun {
        job: a.job.clone().unwrap_or_default(),
        client: a.client.clone(),
        level: a.level.map(Into::into),
    };
    let started: Started = director.post("/runs", &request).await?;
    if !a.wait {
        context
            .screen
            .answer(&started, |s, _| started_text(&s.runs))?;
        return Ok(Outcome::Ok);
    }
    context.screen.note(&started_text(&started.runs));
    let ids: Vec<_> = started.runs.iter().map(|run| run.job_id).collect();
    let runs = Box::pin(follow::to_the_end(context, &director, &ids)).await?;
    context.screen.answer(&runs, |runs, zone| {
        let reports: Vec<String> = runs.iter().map(|run| run_report(run, zone)).collect();
        reports.join("\n\n")
    })?;
    Ok(runs
        .iter()
        .map(|run| Outcome::from(run.status))
        .max()
        .unwrap_or_default())
}

fn started_text(runs: &[Run]) -> String {
    let lines: Vec<String> = runs
        .iter()
        .map(|run| {
            let waiting = if run.waiting.is_empty() {
                String::new()
            } else {
                format!(": {}", run.waiting)
            };
            format!(
                "run {} of {} on {} is {}{waiting}",
                run.job_id, run.job, run.client, run.status
            )
        })
        .collect();
    lines.join("\n")
}

pub(super) async fn list(context: &Context, a: &RunsArgs) -> Result<Outcome, CommandError> {
    let director = context.director().await?;
    let query = runs_query(context, &director, a).await?;
    let found = director.list::<Run>("/runs", &query, a.limit).await?;
    context.screen.answer(&found.items, table_or_none)?;
    if found.more {
        context.screen.note(&format!(
            "the newest {} are shown; --limit shows more",
            found.items.len()
        ));
    }
    Ok(Outcome::Ok)
}

async fn runs_query(
    context: &Context,
    director: &Director,
    a: &RunsArgs,
) -> Result<RunsQuery, CommandError> {
    let status = match (a.failed, a.running) {
        (true, _) => Some("error,canceled,incomplete".to_owned()),
        (_, true) => Some("queued,waiting,running,committing".to_owned()),
        _ => a.status.clone(),
    };
    let (mut since, mut until) = (None, None);
    if a.since.is_some() || a.until.is_some() {
        let now = director.status().await?;
        since = a
            .since
            .as_deref()
            .map(|typed| context.instant(&now, typed))
            .transpose()?;
        until = a
            .until
            .as_deref()
            .map(|typed| context.instant(&now, typed))
            .transpose()?;
    }
    Ok(RunsQuery {
        job: a.job.clone(),
        client: a.client.clone(),
        status,
        since,
        until,
        ..RunsQuery::default()
    })
}

// The argument is what `Screen::answer` hands out.
#[allow(clippy::ptr_arg)]
fn table_or_none(runs: &Vec<Run>, zone: &Zone) -> String {
    if runs.is_empty() {
        return "no runs: `holdfast run JOB` starts one, `holdfast jobs` lists the jobs".to_owned();
    }
    table(runs, zone)
}

/// Runs as a table; the five figures in five columns.
pub(super) fn table(runs: &[Run], zone: &Zone) -> String {
    let mut grid = Grid::new(&[
        ">run",
        "what",
        "client",
        "status",
        "started",
        ">took",
        ">files",
        ">protected",
        ">read",
        ">sent",
        ">stored",
    ]);
    for run in runs {
        grid.row(&row(run, zone));
    }
    grid.text()
}

fn row(run: &Run, zone: &Zone) -> [String; 11] {
    let what = match (run.kind, run.level) {
        (RunKind::Backup, Some(level)) => format!("{} {level}", run.job),
        (RunKind::Backup, None) => run.job.clone(),
        (kind, _) => kind.to_string(),
    };
    let took = match (run.started_at, run.ended_at) {
        (Some(start), Some(end)) => {
            duration(u64::try_from((end - start).num_seconds()).unwrap_or(0))
        }
        _ => String::new(),
    };
    let c = &run.counts;
    let backup = |bytes: u64| {
        if run.kind == RunKind::Backup {
            size(bytes)
        } else {
            String::new()
        }
    };
    [
        run.job_id.to_string(),
        what,
        run.client.clone(),
        run.status.to_string(),
        zone.short(run.started_at.unwrap_or(run.queued_at)),
        took,
        count(c.files),
        size(c.protected_bytes),
        backup(c.read_bytes),
        backup(c.sent_bytes),
        backup(c.stored_bytes),
    ]
}

pub(super) async fn show(context: &Context, a: &ShowArgs) -> Result<Outcome, CommandError> {
    let run = context.director().await?.run(a.id).await?;
    context.screen.answer(&run, run_report)?;
    Ok(Outcome::Ok)
}

pub(super) async fn log(context: &Context, a: &LogArgs) -> Result<Outcome, CommandError> {
    let director = context.director().await?;
    let from = if a.problems {
        Severity::Warning
    } else {
        Severity::Info
    };
    if a.follow {
        let run = Box::pin(follow::log(context, &director, a.id, a.after, from)).await?;
        if !context.screen.is_json() {
            let reason = if run.reason.is_empty() {
                String::new()
            } else {
                format!(": {}", run.reason)
            };
            context.screen.text(&format!(
                "run {} is over: {}{reason}",
                run.job_id, run.status
            ))?;
        }
        return Ok(run.status.into());
    }
    let mut after = a.after;
    loop {
        let query = LogQuery {
            after: Some(after),
            limit: Some(1000),
            severity: a.problems.then_some(from),
        };
        let page = director.log(a.id, &query).await?;
        show_page(context, &page)?;
        match page.lines.last() {
            Some(last) if page.more && last.seq > after => after = last.seq,
            _ => return Ok(Outcome::Ok),
        }
    }
}

fn show_page(context: &Context, page: &LogPage) -> Result<(), CommandError> {
    for line in &page.lines {
        if context.screen.is_json() {
            context.screen.json_line(line)?;
        } else {
            context.screen.text(&log_line(line, &context.screen.zone))?;
        }
    }
    Ok(())
}

pub(super) async fn cancel(context: &Context, a: &CancelArgs) -> Result<Outcome, CommandError> {
    let director = context.director().await?;
    let body = Cancel {
        reason: a.reason.clone(),
    };
    let run: Run = director
        .post(&format!("/runs/{}/cancel", a.id), &body)
        .await?;
    context.screen.answer(&run, |run, _| {
        if run.status.is_over() {
            format!("run {} is {}", run.job_id, run.status)
        } else {
            format!(
                "run {} is told to stop; `holdfast log {} -f` shows its end",
                run.job_id, run.job_id
            )
        }
    })?;
    Ok(Outcome::Ok)
}

pub(super) async fn jobs(context: &Context) -> Result<Outcome, CommandError> {
    let jobs = context
        .director()
        .await?
        .list::<Job>("/jobs", &(), MOST)
        .await?
        .items;
    context.screen.answer(&jobs, |jobs, zone| {
        if jobs.is_empty() {
            return "no jobs yet: `holdfast protect /etc --daily 21:00 --keep 30d` makes one"
                .to_owned();
        }
        let mut grid = Grid::new(&[
            "job", "clients", "fileset", "level", "keep", "pool", "last run", "next run",
        ]);
        for job in jobs {
            grid.row(&job_row(job, zone));
        }
        grid.text()
    })?;
    Ok(Outcome::Ok)
}

fn job_row(job: &Job, zone: &Zone) -> [String; 8] {
    let last = job.last.as_ref().map_or_else(
        || "never".to_owned(),
        |last| {
            format!(
                "{} ({}, run {})",
                zone.short(last.at),
                last.status,
                last.job_id
            )
        },
    );
    let next = match (job.enabled, job.next_run) {
        (false, _) => "disabled".to_owned(),
        (true, next) => zone.or(next, "by hand"),
    };
    [
        job.name.clone(),
        job.clients.join(", "),
        job.fileset.clone(),
        job.level.to_string(),
        job.keep.clone().unwrap_or_else(|| "for ever".to_owned()),
        job.pool.clone(),
        last,
        next,
    ]
}

/// A job's facts, after it was made.
pub(super) fn job_facts(job: &Job, zone: &Zone) -> String {
    facts(&[
        ("job", job.name.clone()),
        ("clients", job.clients.join(", ")),
        ("FileSet", job.fileset.clone()),
        (
            "schedule",
            job.schedule
                .clone()
                .unwrap_or_else(|| "none: it runs by hand".to_owned()),
        ),
        ("next run", zone.or(job.next_run, "by hand")),
        (
            "keep",
            job.keep
                .clone()
                .unwrap_or_else(|| "as the pool says".to_owned()),
        ),
        ("pool", job.pool.clone()),
    ])
}
