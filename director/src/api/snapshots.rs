//! `/snapshots`: what can be restored.

use axum::Json;
use axum::extract::State;
use common::api::page::Page;
use common::api::snapshots::{Snapshot, SnapshotsQuery};
use common::ids::JobId;

use super::app::App;
use super::error::ApiError;
use super::input::{Asked, cursor, from_cursor, limit};
use super::runs::level;
use crate::catalog::{Snapshot as Row, SnapshotFilter, SnapshotState};
use crate::config::includes_of_text;

pub(super) async fn list(
    State(app): State<App>,
    Asked(query): Asked<SnapshotsQuery>,
) -> Result<Json<Page<Snapshot>>, ApiError> {
    let limit = limit(query.limit)?;
    let filter = SnapshotFilter {
        job: query.job,
        client: query.client,
        before: from_cursor::<u64>(query.cursor.as_deref())?.map(JobId),
        ..SnapshotFilter::default()
    };
    let rows = app.catalog.snapshots(&filter, limit).await?;
    let full = rows.len() >= limit as usize;
    let next = rows
        .last()
        .filter(|_| full)
        .map(|row| cursor(&row.job_id.0));
    Ok(Json(Page {
        items: rows.into_iter().map(shown).collect(),
        next,
    }))
}

fn shown(row: Row) -> Snapshot {
    Snapshot {
        id: row.id.to_string(),
        job_id: row.job_id,
        job: row.job,
        client: row.client,
        number: row.number.0.into(),
        level: level(row.level),
        level_reason: row.level_reason,
        as_of: row.started_at,
        finished_at: row.finished_at,
        counts: row.counts,
        pool: row.pool,
        keep_until: row.keep_until,
        damaged: row.state == SnapshotState::Broken,
        includes: includes_of_text(&row.fileset),
    }
}
