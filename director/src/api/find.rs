//! `/find`: names in the catalog, series by series, each continued where the page before stopped.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use common::api::browse::{FindQuery, Found, Hit};
use common::ids::JobId;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::app::App;
use super::browse::{is_root, raw, shown};
use super::error::ApiError;
use super::input::{Asked, cursor, from_cursor, limit};
use crate::catalog::browse::{Cursor, Match, NamePattern, Search};
use crate::catalog::{Number, Series, SnapshotFilter, SnapshotState};

/// A page that took this long ends, short as it is.
const LONG: Duration = Duration::from_secs(3);

/// What a search asks for: a glob over names, and one over paths when it has a slash.
struct Pattern {
    name: NamePattern,
    path: Option<globset::GlobMatcher>,
    below: Option<Vec<u8>>,
}

impl Pattern {
    fn new(query: &FindQuery) -> Result<Self, ApiError> {
        let text = &query.pattern;
        let wild = text.contains(['*', '?', '[', '{', '\\']);
        let (name, path) = match text.rsplit_once('/') {
            Some((_, name)) if !name.is_empty() => {
                (if name == "**" { "*" } else { name }.to_owned(), Some(text))
            }
            Some(_) => {
                return Err(ApiError::invalid(
                    "pattern",
                    "a pattern does not end with a slash",
                ));
            }
            None if wild => (text.clone(), None),
            None => (format!("*{text}*"), None),
        };
        let bad = |e: &dyn std::fmt::Display| ApiError::invalid("pattern", e.to_string());
        let glob = |text: &String| {
            globset::GlobBuilder::new(text)
                .literal_separator(true)
                .build()
        };
        Ok(Self {
            name: NamePattern::glob(&name).map_err(|e| bad(&e))?,
            path: path
                .map(glob)
                .transpose()
                .map_err(|e| bad(&e.kind()))?
                .map(|g| g.compile_matcher()),
            below: query.path.as_ref().map(|p| raw("path", p)).transpose()?,
        })
    }

    fn takes(&self, path: &[u8]) -> bool {
        use std::os::unix::ffi::OsStrExt;
        let below = self.below.as_ref().is_none_or(|below| {
            is_root(below)
                || path
                    .strip_prefix(below.as_slice())
                    .is_some_and(|rest| rest.starts_with(b"/"))
        });
        below
            && self
                .path
                .as_ref()
                .is_none_or(|glob| glob.is_match(std::ffi::OsStr::from_bytes(path)))
    }
}

/// The order of series: by client and job.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Order {
    client: String,
    job: String,
    series: i32,
}

impl Order {
    fn of(series: &Series) -> Self {
        Self {
            client: series.client.clone(),
            job: series.job.clone(),
            series: series.id.0,
        }
    }
}

pub(super) async fn find(
    State(app): State<App>,
    Asked(query): Asked<FindQuery>,
) -> Result<Json<Found>, ApiError> {
    let limit = limit(query.limit)?;
    let pattern = Pattern::new(&query)?;
    let goes_on: Option<(Order, Option<Cursor>)> = from_cursor(query.cursor.as_deref())?;
    let (first, mut from) = goes_on.map_or((None, None), |(first, from)| (Some(first), from));
    let mut found = Found {
        items: Vec::new(),
        next: None,
    };
    let start = Instant::now();
    for series in series(&app, &query).await? {
        let order = Order::of(&series);
        if first.as_ref().is_some_and(|first| order < *first) {
            continue;
        }
        let left = limit - u32::try_from(found.items.len()).unwrap_or(limit);
        if left == 0 || start.elapsed() > LONG {
            found.next = Some(cursor(&(order, None::<Cursor>)));
            break;
        }
        // It belongs to one series; when that is gone the next one begins at its start.
        let here = from.take().filter(|_| first.as_ref() == Some(&order));
        let next = search(
            &app,
            (&query, &pattern),
            &series,
            (here, left),
            &mut found.items,
        )
        .await?;
        if let Some(next) = next {
            found.next = Some(cursor(&(order, Some(next))));
            break;
        }
    }
    Ok(Json(found))
}

/// Hits of one series, and where to go on in it.
async fn search(
    app: &App,
    (query, pattern): (&FindQuery, &Pattern),
    series: &Series,
    (from, left): (Option<Cursor>, u32),
    hits: &mut Vec<Hit>,
) -> Result<Option<Cursor>, ApiError> {
    let searched = searched(app, query, series).await?;
    let Some(&(newest, _)) = searched.last() else {
        return Ok(None);
    };
    let numbers: Vec<Number> = searched.iter().map(|(number, _)| *number).collect();
    let search = Search {
        pattern: &pattern.name,
        takes: &|path| pattern.takes(path),
    };
    let page = app
        .catalog
        .find((series.id, &numbers), &search, from.as_ref(), left)
        .await?;
    hits.extend(
        page.found
            .into_iter()
            .filter_map(|Match { found, shown_by }| {
                let place = searched.binary_search_by_key(&shown_by, |(number, _)| *number);
                let (_, job_id) = searched.get(place.ok()?)?;
                Some(Hit {
                    client: series.client.clone(),
                    job: series.job.clone(),
                    entry: shown(&found.entry, &found.path)?,
                    job_id: *job_id,
                    removed: shown_by < newest,
                })
            }),
    );
    Ok(page.next)
}

/// The series that are searched, by client and job.
async fn series(app: &App, query: &FindQuery) -> Result<Vec<Series>, ApiError> {
    let all = app
        .catalog
        .list_series(query.job.as_deref(), query.client.as_deref());
    let mut all = all.await?;
    if let Some(job_id) = query.job_id {
        let snapshot = app.catalog.snapshot_of_run(job_id).await?;
        let snapshot = snapshot
            .filter(|s| s.state != SnapshotState::Released)
            .ok_or_else(|| ApiError::not_found(format!("run {job_id} has no snapshot")))?;
        all.retain(|s| s.id == snapshot.series);
    }
    all.sort_by_cached_key(Order::of);
    Ok(all)
}

/// The snapshots of a series that are searched, oldest first, with their runs.
async fn searched(
    app: &App,
    query: &FindQuery,
    series: &Series,
) -> Result<Vec<(Number, JobId)>, ApiError> {
    if query.job_id.is_none() && query.as_of.is_none() {
        return Ok(app.catalog.kept_numbers(series.id).await?);
    }
    let found = match query.job_id {
        Some(job_id) => app.catalog.snapshot_of_run(job_id).await?,
        None => {
            let filter = SnapshotFilter {
                series: Some(series.id),
                at: query.as_of,
                ..SnapshotFilter::default()
            };
            app.catalog.snapshots(&filter, 1).await?.pop()
        }
    };
    Ok(found.map(|s| (s.number, s.job_id)).into_iter().collect())
}
