//! `restore`: the request from what was typed, then the run is followed and its end told.

use common::api::restore::{Mode, Point, RestoreRequest, RestoreStarted, Target};
use common::api::runs::{LogQuery, Run, RunStatus, Severity};
use common::api::status::Status;
use common::api::text::PathText;

use super::Context;
use super::follow;
use crate::arguments::RestoreArgs;
use crate::director::Director;
use crate::outcome::{CommandError, Outcome};
use crate::show::{facts, log_line, restore_end};
use crate::typed::{TypedError, parse_path, parse_place};

/// Most lines shown of what went wrong, or of a dry run's or a comparison's answer; the log has all.
const SHOWN_LINES: u32 = 100;

pub(super) async fn restore(
    context: &Context,
    arguments: RestoreArgs,
) -> Result<Outcome, CommandError> {
    let director = context.director().await?;
    let request = request(context, &director, &arguments).await?;
    let started: RestoreStarted = director.post("/restores", &request).await?;
    if arguments.no_wait {
        context.screen.answer(&started.run, |run, zone| {
            format!(
                "{}\n`holdfast log {} -f` follows it",
                started_text(run, zone),
                run.job_id
            )
        })?;
        return Ok(Outcome::Ok);
    }
    context
        .screen
        .note(&started_text(&started.run, &context.screen.zone));
    let ended = Box::pin(follow::to_the_end(
        context,
        &director,
        &[started.run.job_id],
    ))
    .await?;
    let Some(run) = ended.into_iter().next() else {
        return Err(CommandError::Refused(format!(
            "run {} has no end",
            started.run.job_id
        )));
    };
    if !context.screen.is_json() {
        show_details(context, &director, &run, request.mode).await?;
    }
    context.screen.answer(&run, |run, _| restore_end(run))?;
    Ok(run.status.into())
}

fn started_text(run: &Run, zone: &crate::show::Zone) -> String {
    let of = run.restore.as_ref();
    let from = of.map(|of| {
        format!(
            "{}, run {}, as of {}",
            of.from_client,
            of.from_job_id,
            zone.full(of.as_of)
        )
    });
    let to = of.map(|of| {
        if of.to.0 == "/" {
            format!("{}, where the files were", run.client)
        } else {
            format!("{}:{}", run.client, of.to)
        }
    });
    facts(&[
        ("run", format!("{} ({})", run.job_id, run.kind)),
        ("from", from.unwrap_or_default()),
        ("to", to.unwrap_or_default()),
    ])
}

/// A dry run's and a comparison's lines are the answer; of a restore, problems came by while it was followed.
async fn show_details(
    context: &Context,
    director: &Director,
    run: &Run,
    mode: Mode,
) -> Result<(), CommandError> {
    if mode == Mode::Restore || run.status == RunStatus::Error {
        return Ok(());
    }
    let severity = if mode == Mode::Compare {
        Severity::Warning
    } else {
        Severity::Info
    };
    let query = LogQuery {
        after: None,
        limit: Some(SHOWN_LINES),
        severity: Some(severity),
    };
    let page = director.log(run.job_id, &query).await?;
    for line in &page.lines {
        context.screen.text(&log_line(line, &context.screen.zone))?;
    }
    if page.more {
        context.screen.note(&format!(
            "the first {SHOWN_LINES} lines are shown; `holdfast log {}` has all",
            run.job_id
        ));
    }
    Ok(())
}

async fn request(
    context: &Context,
    director: &Director,
    a: &RestoreArgs,
) -> Result<RestoreRequest, CommandError> {
    let Selected { client, paths } = places(a)?;
    let point = match (a.saved_by, &a.at) {
        (Some(id), _) => Point::SavedBy(id),
        (None, None) => Point::Latest,
        (None, Some(typed)) => {
            let at = context.at(director, Some(typed)).await?;
            match (at.job_id, at.as_of) {
                (Some(id), _) => Point::JobId(id),
                (None, Some(instant)) => Point::AsOf(instant),
                (None, None) => Point::Latest,
            }
        }
    };
    let named = matches!(point, Point::JobId(_) | Point::SavedBy(_)) || a.job.is_some();
    if client.is_none() && !named {
        return Err(CommandError::Refused(
            "whose files? name the client, a job with --job, or a run with --at ID\n  `holdfast client list` lists the clients, `holdfast jobs` the jobs".into(),
        ));
    }
    let mode = match (a.dry_run, a.compare) {
        (true, _) => Mode::DryRun,
        (_, true) => Mode::Compare,
        _ => Mode::Restore,
    };
    let optional =
        |typed: &Option<std::ffi::OsString>| typed.as_deref().map(parse_path).transpose();
    Ok(RestoreRequest {
        client,
        job: a.job.clone(),
        point,
        paths,
        globs: a.glob.clone(),
        regexes: a.regex.clone(),
        excluded: a
            .exclude
            .iter()
            .map(|p| parse_path(p))
            .collect::<Result<_, _>>()?,
        to_client: a.to_client.clone(),
        to: target(director, a, mode).await?,
        strip: optional(&a.strip)?,
        prefix: optional(&a.prefix)?,
        replace: a.replace.into(),
        exact: a.exact,
        mode,
    })
}

/// Client and paths: from `client`, `client:/path`, further `/paths` and `--path`.
fn places(a: &RestoreArgs) -> Result<Selected, CommandError> {
    let mut selected = Selected {
        client: a.client.clone(),
        paths: Vec::new(),
    };
    for typed in &a.places {
        let place = parse_place(typed)?;
        match (place.client, &selected.client) {
            (Some(new), Some(old)) if new != *old => {
                return Err(CommandError::Refused(format!(
                    "a restore is of one client, {old} and {new} are two"
                )));
            }
            (Some(new), _) => selected.client = Some(new),
            (None, _) => {}
        }
        selected.paths.extend(place.path);
    }
    let more = a
        .path
        .iter()
        .map(|p| parse_path(p))
        .collect::<Result<Vec<_>, TypedError>>()?;
    selected.paths.extend(more);
    Ok(selected)
}

/// Whose and which files.
#[derive(Debug, Default, PartialEq, Eq)]
struct Selected {
    client: Option<String>,
    paths: Vec<PathText>,
}

/// Where to: what was typed; a comparison looks where the files were; else a new folder named by the Director's time.
async fn target(director: &Director, a: &RestoreArgs, mode: Mode) -> Result<Target, CommandError> {
    if let Some(dir) = &a.to {
        return Ok(Target::Dir(parse_path(dir)?));
    }
    if a.in_place || mode == Mode::Compare {
        return Ok(Target::InPlace);
    }
    Ok(Target::Dir(new_folder(&director.status().await?)))
}

fn new_folder(status: &Status) -> PathText {
    let zone = jiff::tz::TimeZone::get(&status.director.zone).unwrap_or(jiff::tz::TimeZone::UTC);
    let now = jiff::Timestamp::from_second(status.director.now.timestamp()).unwrap_or_default();
    let name = now.to_zoned_datetime(zone).strftime("%Y%m%d-%H%M%S");
    // Two restores of one second must not share a folder.
    let apart = uuid::Uuid::new_v4().simple().to_string();
    PathText(format!(
        "/tmp/holdfast-restore-{name}-{}",
        apart.get(..4).unwrap_or_default()
    ))
}

#[cfg(test)]
#[path = "restore_tests.rs"]
mod tests;
