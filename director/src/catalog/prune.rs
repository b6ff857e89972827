//! Pruning: snapshots past their keep-until are released, and the file versions that nobody sees any more go.
//!
//! Invariants: never the last good snapshot of a series; a version is deleted only when no kept snapshot shows it. The
//! cost is the churn of one interval, whatever the size of the tree.

use chrono::{DateTime, Utc};
use common::ids::SnapshotId;
use sqlx::PgConnection;

use super::connect::{Catalog, LongWork};
use super::error::{CatalogError, During};
use super::series::{Number, SeriesId};
use super::snapshots::{Snapshot, select_snapshot};

/// What releasing a snapshot did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pruned {
    /// File versions deleted.
    pub versions: u64,
    /// Notes of removal deleted that had nothing left to hide.
    pub removals: u64,
}

impl Catalog {
    /// Snapshots past their keep-until that may go, oldest first: all but the last good one of each series.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub async fn prunable(
        &self,
        now: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<Snapshot>, CatalogError> {
        sqlx::query_as(select_snapshot!(
            "WHERE s.keep_until <= $1 AND s.state <> 'released' AND s.number < (\
             SELECT max(number) FROM snapshot WHERE series = s.series AND state = 'good') \
             ORDER BY s.keep_until, s.job_id LIMIT $2"
        ))
        .bind(now)
        .bind(i64::from(limit))
        .fetch_all(self.pool())
        .await
        .during("find snapshots past their keep-until")
    }

    /// Releases a snapshot with its copies and deletes the versions only it showed. The note to the Storage Daemon comes
    /// first: what is released here may be reclaimed there. Releasing twice changes nothing.
    ///
    /// # Errors
    /// It is the last good one of its series ([`CatalogError::Conflict`]); the catalog cannot be written.
    pub async fn release_snapshot(
        &self,
        id: SnapshotId,
        reason: &str,
    ) -> Result<Pruned, CatalogError> {
        let mut tx = self.begin().await?;
        tx.without_time_limit().await.during(RELEASE)?;
        let Some((series, number)) = place(&mut tx, id).await? else {
            return Ok(Pruned::default());
        };
        refuse_last_good(&mut tx, series, number, id).await?;
        sqlx::query(include_str!("prune_release.sql"))
            .bind(id.as_bytes().as_slice())
            .bind(reason)
            .execute(&mut *tx)
            .await
            .during(RELEASE)?;
        let pruned = delete_unseen(&mut tx, series, number).await?;
        tx.commit().await.during(RELEASE)?;
        Ok(pruned)
    }
}

const RELEASE: &str = "release a snapshot";

/// Series and number of a snapshot that is not released, with its series' snapshots locked: one release at a time. The
/// writer of the series is not held up, it adds above the head.
async fn place(
    connection: &mut PgConnection,
    id: SnapshotId,
) -> Result<Option<(SeriesId, Number)>, CatalogError> {
    let row: Option<(i32, i32)> =
        sqlx::query_as("SELECT series, number FROM snapshot WHERE id = $1 AND state <> 'released'")
            .bind(id.as_bytes().as_slice())
            .fetch_optional(&mut *connection)
            .await
            .during(RELEASE)?;
    let Some((series, number)) = row else {
        return Ok(None);
    };
    sqlx::query("SELECT 1 FROM snapshot WHERE series = $1 ORDER BY number FOR UPDATE")
        .bind(series)
        .execute(connection)
        .await
        .during(RELEASE)?;
    let number = Number::from_column(number).during(RELEASE)?;
    Ok(Some((SeriesId(series), number)))
}

async fn refuse_last_good(
    connection: &mut PgConnection,
    series: SeriesId,
    number: Number,
    id: SnapshotId,
) -> Result<(), CatalogError> {
    let last: Option<i32> =
        sqlx::query_scalar("SELECT max(number) FROM snapshot WHERE series = $1 AND state = 'good'")
            .bind(series.0)
            .fetch_one(connection)
            .await
            .during(RELEASE)?;
    if last.is_some_and(|last| last > number.column()) {
        return Ok(());
    }
    let id = id.short();
    Err(CatalogError::Conflict {
        what: format!("snapshot {id} is kept: its series has no good one that is newer"),
    })
}

async fn delete_unseen(
    connection: &mut PgConnection,
    series: SeriesId,
    number: Number,
) -> Result<Pruned, CatalogError> {
    let what = "delete versions nobody sees";
    let (after, until) = neighbours(connection, series, number.column()).await?;
    let versions = sqlx::query(include_str!("prune_versions.sql"))
        .bind(series.0)
        .bind(after.column())
        .bind(number.column())
        .bind(until.column())
        .execute(&mut *connection)
        .await
        .during(what)?;
    let removals = sqlx::query(include_str!("prune_removals.sql"))
        .bind(series.0)
        .bind(after.column())
        .bind(until.column())
        .execute(connection)
        .await
        .during(what)?;
    Ok(Pruned {
        versions: versions.rows_affected(),
        removals: removals.rows_affected(),
    })
}

/// The kept snapshots before and after a number (0 = none before).
async fn neighbours(
    connection: &mut PgConnection,
    series: SeriesId,
    number: i32,
) -> Result<(Number, Number), CatalogError> {
    let (before, after): (Option<i32>, Option<i32>) = sqlx::query_as(
        "SELECT max(number) FILTER (WHERE number < $2), min(number) FILTER (WHERE number > $2) \
         FROM snapshot WHERE series = $1 AND state <> 'released'",
    )
    .bind(series.0)
    .bind(number)
    .fetch_one(connection)
    .await
    .during("find the neighbours of a snapshot")?;
    let from = |n: Option<i32>| {
        Number::from_column(n.unwrap_or(0)).during("find the neighbours of a snapshot")
    };
    Ok((from(before)?, from(after)?))
}
