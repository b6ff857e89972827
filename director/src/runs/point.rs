//! A point in time becomes a snapshot: "latest", an instant, a run, or what one run saved.

use common::api::restore::{Point, RestoreRequest};
use common::ids::{JobId, PageId};

use crate::catalog::browse::DirId;
use crate::catalog::{Catalog, CatalogError, Snapshot, SnapshotFilter, SnapshotState};

/// Snapshots looked at for one that holds the paths asked for.
const CANDIDATES: u32 = 100;
/// Entries counted for the expected size; above it is unknown.
const COUNTED: u64 = 200_000;

/// Why there is no snapshot.
#[derive(Debug, thiserror::Error)]
pub enum PointError {
    /// No run of this number stored anything.
    #[error("run {job_id} has no snapshot to restore: {reason}")]
    NoSnapshot {
        /// Run.
        job_id: JobId,
        /// What became of it.
        reason: String,
    },
    /// Nothing of the client or job at that time.
    #[error("there is no snapshot of {of}{when}; `holdfast snapshots` lists what there is")]
    Nothing {
        /// Client, job, or both, as asked for.
        of: String,
        /// ` at or before ...`, or nothing.
        when: String,
    },
    /// Neither client nor run.
    #[error("which client? name it, or a run")]
    NoClient,
    /// The snapshot is there, a path is not in it.
    #[error("{path} is not in the snapshot of run {job_id}")]
    NoPath {
        /// As shown.
        path: String,
        /// Run of the snapshot.
        job_id: JobId,
    },
    /// A path that cannot be one.
    #[error("{0:?} is not an absolute path")]
    BadPath(String),
    /// The catalog.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

/// A snapshot to restore from.
#[derive(Debug, Clone)]
pub struct ResolvedPoint {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// Only what differs from this tree (`--saved-by`).
    pub not_in_root: Option<PageId>,
    /// Entries expected; 0 = unknown.
    pub expected_entries: u64,
    /// Content bytes expected; 0 = unknown.
    pub expected_bytes: u64,
}

/// Finds the snapshot of a request.
///
/// # Errors
/// [`PointError`]
pub async fn resolve(
    catalog: &Catalog,
    request: &RestoreRequest,
) -> Result<ResolvedPoint, PointError> {
    let paths = paths_of(request)?;
    let (snapshot, not_in_root) = match request.point {
        Point::JobId(job_id) => (of_run(catalog, job_id).await?, None),
        Point::SavedBy(job_id) => {
            let snapshot = of_run(catalog, job_id).await?;
            let before = before(catalog, &snapshot).await?;
            (snapshot, before)
        }
        Point::Latest => (newest(catalog, request, (None, &paths)).await?, None),
        Point::AsOf(at) => (newest(catalog, request, (Some(at), &paths)).await?, None),
    };
    for path in &paths {
        if !holds(catalog, &snapshot, path).await? {
            let path = common::name::Shown(path).to_string();
            return Err(PointError::NoPath {
                path,
                job_id: snapshot.job_id,
            });
        }
    }
    let simple = not_in_root.is_none() && request.globs.is_empty() && request.regexes.is_empty();
    let (expected_entries, expected_bytes) = if simple {
        size(catalog, &snapshot, &paths).await?
    } else {
        (0, 0)
    };
    Ok(ResolvedPoint {
        snapshot,
        not_in_root,
        expected_entries,
        expected_bytes,
    })
}

fn paths_of(request: &RestoreRequest) -> Result<Vec<Vec<u8>>, PointError> {
    let all = request.paths.iter().map(|path| match path.to_bytes() {
        Ok(raw) if raw.starts_with(b"/") => Ok(raw),
        _ => Err(PointError::BadPath(path.0.chars().take(200).collect())),
    });
    all.collect()
}

async fn of_run(catalog: &Catalog, job_id: JobId) -> Result<Snapshot, PointError> {
    if let Some(snapshot) = catalog.snapshot_of_run(job_id).await?
        && snapshot.state != SnapshotState::Released
    {
        return Ok(snapshot);
    }
    let reason = match catalog.run(job_id).await? {
        None => "there is no such run".to_owned(),
        Some(run) if !run.state.is_final() => format!("it is {}", run.state),
        Some(run) if run.state.is_good() => {
            "it was released by retention, or the run was no backup".to_owned()
        }
        Some(run) => format!("it ended as {}", run.state),
    };
    Err(PointError::NoSnapshot { job_id, reason })
}

fn asked_for(client: Option<&str>, job: Option<&str>) -> String {
    match (client, job) {
        (Some(client), Some(job)) => format!("job {job:?} on client {client:?}"),
        (Some(client), None) => format!("client {client:?}"),
        (None, Some(job)) => format!("job {job:?}"),
        (None, None) => "any client".to_owned(),
    }
}

/// The tree before a snapshot: its base when that is kept, else the one before it in the series.
async fn before(catalog: &Catalog, snapshot: &Snapshot) -> Result<Option<PageId>, PointError> {
    if let Some(base) = snapshot.base
        && let Some(base) = catalog.snapshot(base).await?
        && base.state != SnapshotState::Released
    {
        return Ok(Some(base.root));
    }
    let filter = SnapshotFilter {
        series: Some(snapshot.series),
        before: Some(snapshot.job_id),
        ..SnapshotFilter::default()
    };
    Ok(catalog.snapshots(&filter, 1).await?.first().map(|s| s.root))
}

async fn newest(
    catalog: &Catalog,
    request: &RestoreRequest,
    (at, paths): (Option<chrono::DateTime<chrono::Utc>>, &[Vec<u8>]),
) -> Result<Snapshot, PointError> {
    let client = match (&request.client, &request.job) {
        (None, None) => return Err(PointError::NoClient),
        (client, _) => client.clone(),
    };
    let filter = SnapshotFilter {
        client: client.clone(),
        job: request.job.clone(),
        state: Some(SnapshotState::Good),
        at,
        ..SnapshotFilter::default()
    };
    let candidates = catalog.snapshots(&filter, CANDIDATES).await?;
    for snapshot in &candidates {
        let mut all = true;
        for path in paths {
            all = all && holds(catalog, snapshot, path).await?;
        }
        if all {
            return Ok(snapshot.clone());
        }
    }
    // None holds all paths: the newest one says which is missing.
    candidates
        .into_iter()
        .next()
        .ok_or_else(|| PointError::Nothing {
            of: asked_for(client.as_deref(), request.job.as_deref()),
            when: at.map_or_else(String::new, |at| {
                format!(" at or before {}", at.to_rfc3339())
            }),
        })
}

async fn holds(catalog: &Catalog, snapshot: &Snapshot, path: &[u8]) -> Result<bool, CatalogError> {
    if path.iter().all(|b| *b == b'/') {
        return Ok(true);
    }
    Ok(catalog
        .lookup((snapshot.series, snapshot.number), path)
        .await?
        .is_some())
}

/// What is to be expected below the paths; zero when that is too much to count.
async fn size(
    catalog: &Catalog,
    snapshot: &Snapshot,
    paths: &[Vec<u8>],
) -> Result<(u64, u64), CatalogError> {
    if paths.is_empty() || paths.iter().any(|p| p.iter().all(|b| *b == b'/')) {
        return Ok((snapshot.counts.entries, snapshot.counts.protected_bytes));
    }
    let place = (snapshot.series, snapshot.number);
    let (mut entries, mut bytes) = (0u64, 0u64);
    for path in paths {
        let Some(entry) = catalog.lookup(place, path).await? else {
            continue;
        };
        entries += 1;
        bytes += entry.size_bytes;
        if entry.kind == Some(common::object::entry::Kind::Directory)
            && let Some(dir) = catalog.directory(snapshot.series, path).await?
        {
            let below: DirId = dir;
            let below = catalog.subtree_size(place, below, COUNTED).await?;
            if !below.complete {
                return Ok((0, 0));
            }
            entries += below.entries;
            bytes += below.size_bytes;
        }
    }
    Ok((entries, bytes))
}
