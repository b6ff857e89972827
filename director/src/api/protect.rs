//! `/protections`: a folder protected with one request. FileSet, schedule and job are written to `conf.d`, checked and
//! taken into use; pool and client are made when there is none.

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use common::api::protect::{Protect, Protected};
use common::api::text::PathText;
use common::config::Period;
use common::ids::Role;
use toml_edit::{Array, InlineTable, Table, value};

use super::app::App;
use super::caller::Caller;
use super::error::ApiError;
use super::input::Input;
use super::jobs::shown;
use crate::config::{Config, Draft};

/// Name and retention of the pool that is made when there is none.
const POOL: &str = "main";
const POOL_KEEP: &str = "30d";

/// Checks, writes and takes a draft into use, on a thread that may block.
pub(super) async fn apply(app: &App, draft: Draft) -> Result<Vec<String>, ApiError> {
    let live = app.config.clone();
    let applied = tokio::task::spawn_blocking(move || live.apply(&draft))
        .await
        .map_err(|e| ApiError::internal(&e))?;
    let (_, files) = applied?;
    app.runs.wake();
    Ok(files.iter().map(|f| f.display().to_string()).collect())
}

pub(super) async fn protect(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Input(input): Input<Protect>,
) -> Result<(StatusCode, Json<Protected>), ApiError> {
    let config = app.config.get();
    check(&input)?;
    let client = client(&app, &config, &input).await?;
    let name = match &input.name {
        Some(name) => name.clone(),
        None => free_name(&config, &input.dirs),
    };
    if config.jobs.contains_key(&name) {
        return Err(
            ApiError::conflict(format!("there is a job {name:?} already"))
                .remedy("choose another name"),
        );
    }
    let mut draft = Draft::default();
    let pool = pool(&config, &mut draft)?;
    if !config.clients.contains_key(&client) {
        draft.set("client", &client, Table::new())?;
    }
    draft.set("fileset", &name, fileset(&input))?;
    if let Some(daily) = &input.daily {
        draft.set("schedule", &name, schedule(daily)?)?;
    }
    draft.set("job", &name, job(&input, (&name, &client, &pool)))?;
    let files = apply(&app, draft).await?;
    let dirs: Vec<&str> = input.dirs.iter().map(|d| d.0.as_str()).collect();
    app.audit_with(&caller, ("protect", format!("job {name}")), dirs.join(", "))
        .await?;
    let config = app.config.get();
    let made = config
        .jobs
        .get(&name)
        .ok_or_else(|| ApiError::conflict(format!("job {name} was removed again")))?;
    let mut remarks = Vec::new();
    if app.registry.by_name(Role::File, &client).is_none() {
        remarks.push(format!("client {client} is not connected now"));
    }
    let job = shown(&app, &config, (&name, made)).await?;
    Ok((
        StatusCode::CREATED,
        Json(Protected {
            job,
            files,
            remarks,
        }),
    ))
}

fn check(input: &Protect) -> Result<(), ApiError> {
    if input.dirs.is_empty() {
        return Err(ApiError::invalid("/dirs", "name at least one folder"));
    }
    for (place, dir) in input.dirs.iter().enumerate() {
        if !dir.to_bytes().is_ok_and(|raw| raw.starts_with(b"/")) {
            return Err(ApiError::invalid(
                &format!("/dirs/{place}"),
                format!("{:?} is not an absolute folder", dir.0),
            ));
        }
    }
    if let Some(keep) = &input.keep {
        Period::parse(keep).map_err(|e| ApiError::invalid("/keep", e))?;
    }
    Ok(())
}

/// The client that is meant: the one named, or the only one there is.
async fn client(app: &App, config: &Config, input: &Protect) -> Result<String, ApiError> {
    let mut names: Vec<String> = config.clients.keys().cloned().collect();
    let enrolled = app.catalog.daemons(Some(Role::File)).await?;
    names.extend(
        enrolled
            .into_iter()
            .filter(|d| d.revoked_at.is_none())
            .map(|d| d.name),
    );
    names.sort();
    names.dedup();
    match (&input.client, names.as_slice()) {
        (Some(name), names) if names.contains(name) => Ok(name.clone()),
        (Some(name), _) => {
            Err(ApiError::not_found(format!("there is no client {name:?}")).remedy("add it first"))
        }
        (None, [only]) => Ok(only.clone()),
        (None, []) => Err(ApiError::not_found("there is no client yet").remedy("add one first")),
        (None, names) => Err(ApiError::invalid(
            "/client",
            format!("which client? there are {}", names.join(", ")),
        )),
    }
}

/// A name made from the first folder that no job, FileSet or schedule has.
fn free_name(config: &Config, dirs: &[PathText]) -> String {
    let folder = dirs.first().map(|d| d.0.as_str()).unwrap_or_default();
    let last = folder
        .rsplit('/')
        .find(|part| !part.is_empty())
        .unwrap_or("root");
    let mut name: String = last
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || "._-".contains(c) {
                c
            } else {
                '-'
            }
        })
        .take(50)
        .collect();
    if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        name.insert(0, 'd');
    }
    let taken = |n: &String| {
        config.jobs.contains_key(n)
            || config.filesets.contains_key(n)
            || config.schedules.contains_key(n)
    };
    let numbered = (2..10_000).map(|n| format!("{name}-{n}"));
    let free = std::iter::once(name.clone())
        .chain(numbered)
        .find(|n| !taken(n));
    free.unwrap_or(name)
}

/// The pool to write to, made when there is none.
fn pool(config: &Config, draft: &mut Draft) -> Result<String, ApiError> {
    if let Some(name) = config
        .pools
        .get_key_value(POOL)
        .or_else(|| config.pools.first_key_value())
        .map(|(n, _)| n)
    {
        return Ok(name.clone());
    }
    let Some(storage) = config.storages.keys().next() else {
        return Err(
            ApiError::conflict("there is no storage yet").remedy("add a Storage Daemon first")
        );
    };
    let mut table = Table::new();
    table.insert("storage", value(storage.as_str()));
    table.insert("keep", value(POOL_KEEP));
    draft.set("pool", POOL, table)?;
    Ok(POOL.to_owned())
}

fn fileset(input: &Protect) -> Table {
    let mut table = Table::new();
    let dirs: Array = input.dirs.iter().map(|d| d.0.as_str()).collect();
    table.insert("include", value(dirs));
    if !input.rules.is_empty() {
        let rules: Array = input.rules.iter().map(String::as_str).collect();
        table.insert("rules", value(rules));
    }
    table.insert("skip_caches", value(true));
    table
}

/// `HH:MM` as a crontab line.
fn schedule(daily: &str) -> Result<Table, ApiError> {
    let split = daily
        .split_once(':')
        .and_then(|(h, m)| Some((h.parse::<u8>().ok()?, m.parse::<u8>().ok()?)));
    let Some((hour, minute)) = split.filter(|(h, m)| *h < 24 && *m < 60) else {
        return Err(ApiError::invalid(
            "/daily",
            format!("{daily:?} is not a time of day: write HH:MM"),
        ));
    };
    let mut run = InlineTable::new();
    run.insert("at", format!("{minute} {hour} * * *").into());
    let mut runs = Array::new();
    runs.push(run);
    let mut table = Table::new();
    table.insert("run", value(runs));
    Ok(table)
}

fn job(input: &Protect, (name, client, pool): (&str, &str, &str)) -> Table {
    let mut table = Table::new();
    let clients: Array = [client].into_iter().collect();
    table.insert("clients", value(clients));
    table.insert("fileset", value(name));
    if input.daily.is_some() {
        table.insert("schedule", value(name));
    }
    table.insert("pool", value(pool));
    if let Some(keep) = &input.keep {
        table.insert("keep", value(keep.as_str()));
    }
    table
}
