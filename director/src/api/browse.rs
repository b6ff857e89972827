//! `/browse`, `/versions`: the catalog's files.

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use common::api::browse::{At, BrowseQuery, Entry, Listing, Version, Versions, VersionsQuery};
use common::api::text::{EntryKind, PathText};
use common::ids::JobId;
use common::object::attribute::marks;
use common::object::entry::Kind;

use super::app::App;
use super::details;
use super::error::ApiError;
use super::input::{Asked, cursor, from_cursor, limit};
use crate::catalog::browse::FileEntry;
use crate::catalog::{Number, Snapshot, SnapshotFilter, SnapshotState};

/// Snapshots looked at for one that holds a path.
const CANDIDATES: u32 = 100;

pub(super) fn raw(field: &str, path: &PathText) -> Result<Vec<u8>, ApiError> {
    match path.to_bytes() {
        Ok(raw) if raw.starts_with(b"/") => Ok(raw),
        _ => Err(ApiError::invalid(
            field,
            format!("{:?} is not an absolute path", path.0),
        )),
    }
}

/// Which snapshot a question is about.
struct Which<'a> {
    client: Option<&'a str>,
    job: Option<&'a str>,
    job_id: Option<JobId>,
    as_of: Option<DateTime<Utc>>,
}

async fn snapshot(app: &App, which: Which<'_>, path: &[u8]) -> Result<Snapshot, ApiError> {
    if let Some(job_id) = which.job_id {
        let found = app.catalog.snapshot_of_run(job_id).await?;
        return found
            .filter(|s| s.state != SnapshotState::Released)
            .ok_or_else(|| ApiError::not_found(format!("run {job_id} has no snapshot")));
    }
    if which.client.is_none() && which.job.is_none() {
        return Err(ApiError::invalid("client", "name a client, a job or a run"));
    }
    let filter = SnapshotFilter {
        client: which.client.map(str::to_owned),
        job: which.job.map(str::to_owned),
        at: which.as_of,
        ..SnapshotFilter::default()
    };
    let candidates = app.catalog.snapshots(&filter, CANDIDATES).await?;
    for candidate in &candidates {
        if is_root(path)
            || app
                .catalog
                .lookup((candidate.series, candidate.number), path)
                .await?
                .is_some()
        {
            return Ok(candidate.clone());
        }
    }
    let what = which.client.or(which.job).unwrap_or_default();
    candidates
        .into_iter()
        .next()
        .ok_or_else(|| ApiError::not_found(format!("there is no snapshot of {what} at that time")))
}

pub(super) fn is_root(path: &[u8]) -> bool {
    path.iter().all(|b| *b == b'/')
}

fn at(snapshot: &Snapshot) -> At {
    At {
        client: snapshot.client.clone(),
        job: snapshot.job.clone(),
        job_id: snapshot.job_id,
        as_of: snapshot.started_at,
    }
}

pub(super) async fn browse(
    State(app): State<App>,
    Asked(query): Asked<BrowseQuery>,
) -> Result<Json<Listing>, ApiError> {
    let limit = limit(query.limit)?;
    let path = raw(
        "path",
        &query
            .path
            .clone()
            .unwrap_or_else(|| PathText("/".to_owned())),
    )?;
    let which = Which {
        client: query.client.as_deref(),
        job: query.job.as_deref(),
        job_id: query.job_id,
        as_of: query.as_of,
    };
    let snapshot = snapshot(&app, which, &path).await?;
    let place = (snapshot.series, snapshot.number);
    let mut listing = Listing {
        at: at(&snapshot),
        path: PathText::from_bytes(&path),
        entries: Vec::new(),
        next: None,
    };
    if !is_root(&path) {
        let entry = app.catalog.lookup(place, &path).await?.ok_or_else(|| {
            ApiError::not_found(format!(
                "{} is not in the snapshot of run {}",
                listing.path, snapshot.job_id
            ))
        })?;
        if entry.kind != Some(Kind::Directory) {
            listing.entries.extend(shown(&entry, &entry.name));
            let parent = path.iter().rposition(|b| *b == b'/').unwrap_or(0);
            let parent = path.get(..parent).unwrap_or_default();
            let what = (std::slice::from_ref(&entry), &mut listing.entries[..]);
            details::complete(&app, &snapshot, parent, what).await;
            return Ok(Json(listing));
        }
    }
    let Some(dir) = app.catalog.directory(snapshot.series, &path).await? else {
        // A directory that never had an entry is in no row.
        return Ok(Json(listing));
    };
    let after: Option<Vec<u8>> = from_cursor(query.cursor.as_deref())?;
    let page = app
        .catalog
        .list_directory(place, dir, after.as_deref(), limit)
        .await?;
    listing.entries = page
        .entries
        .iter()
        .filter_map(|e| shown(e, &e.name))
        .collect();
    let what = (&page.entries[..], &mut listing.entries[..]);
    details::complete(&app, &snapshot, &path, what).await;
    listing.next = page.next.map(|name| cursor(&name));
    Ok(Json(listing))
}

/// A row as an entry under `name`; nothing when it is gone.
pub(super) fn shown(entry: &FileEntry, name: &[u8]) -> Option<Entry> {
    Some(Entry {
        name: PathText::from_bytes(name),
        hex: PathText::hex_of(name),
        kind: EntryKind::from(entry.kind?),
        size: entry.size_bytes,
        mtime: DateTime::from_timestamp_nanos(entry.mtime_ns),
        mode: entry.mode & 0o7777,
        uid: Some(entry.uid),
        gid: Some(entry.gid),
        owner: String::new(),
        group: String::new(),
        target: None,
        saved_by: None,
        stale: u64::from(entry.marks) & marks::STALE != 0,
    })
}

pub(super) async fn versions(
    State(app): State<App>,
    Asked(query): Asked<VersionsQuery>,
) -> Result<Json<Versions>, ApiError> {
    let limit = limit(query.limit)?;
    let path = raw("path", &query.path)?;
    let (first, before): (usize, Option<u32>) =
        from_cursor(query.cursor.as_deref())?.unwrap_or_default();
    let series = app
        .catalog
        .list_series(query.job.as_deref(), Some(&query.client))
        .await?;
    let mut versions = Versions {
        items: Vec::new(),
        next: None,
    };
    let mut before = before.map(Number);
    for (place, series) in series.iter().enumerate().skip(first) {
        let left = limit - u32::try_from(versions.items.len()).unwrap_or(limit);
        if left == 0 {
            versions.next = Some(cursor(&(place, None::<u32>)));
            break;
        }
        let upper = before.take();
        let rows = app.catalog.versions(series.id, &path, upper, left).await?;
        let full = rows.len() >= left as usize;
        // The newest snapshot that still shows a version is the one before the next version's.
        let newest = app
            .catalog
            .snapshots(
                &SnapshotFilter {
                    series: Some(series.id),
                    ..SnapshotFilter::default()
                },
                1000,
            )
            .await?;
        let mut above: Option<Number> = upper;
        for row in &rows {
            let last = newest.iter().find(|s| above.is_none_or(|n| s.number < n));
            versions.items.push(Version {
                job: series.job.clone(),
                job_id: row.job_id,
                as_of: row.started_at,
                last_job_id: last.map_or(row.job_id, |s| s.job_id),
                entry: shown(&row.entry, &path).map(|mut e| {
                    e.saved_by = Some(row.job_id);
                    e
                }),
            });
            above = Some(row.entry.since);
        }
        if full && let Some(last) = rows.last() {
            versions.next = Some(cursor(&(place, Some(last.entry.since.0))));
            break;
        }
    }
    if versions.items.is_empty() && query.cursor.is_none() {
        return Err(ApiError::not_found(format!(
            "no snapshot of client {} holds {}",
            query.client, query.path
        )));
    }
    Ok(Json(versions))
}
