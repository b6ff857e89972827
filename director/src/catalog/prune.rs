//! Pruning: snapshots past their keep-until are released, and the file versions that nobody sees any more go.
//!
//! Invariants: never the last good snapshot of a series; a version is deleted only when no kept snapshot shows it. The
//! cost is the churn of one interval, whatever the size of the tree.

use chrono::{DateTime, Utc};
use common::ids::SnapshotId;

use super::connect::Catalog;
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
        let what = "release a snapshot";
        let mut tx = self.begin().await?;
        let place: Option<(i32, i32)> = sqlx::query_as(
            "SELECT series, number FROM snapshot WHERE id = $1 AND state <> 'released'",
        )
        .bind(id.as_bytes().as_slice())
        .fetch_optional(&mut *tx)
        .await
        .during(what)?;
        let Some((series, number)) = place else {
            return Ok(Pruned::default());
        };
        // One releaser at a time in a series; the writer of the series is not held up: it adds above the head.
        sqlx::query("SELECT 1 FROM snapshot WHERE series = $1 ORDER BY number FOR UPDATE")
            .bind(series)
            .execute(&mut *tx)
            .await
            .during(what)?;
        let last: Option<i32> = sqlx::query_scalar(
            "SELECT max(number) FROM snapshot WHERE series = $1 AND state = 'good'",
        )
        .bind(series)
        .fetch_one(&mut *tx)
        .await
        .during(what)?;
        if last.is_none_or(|last| last <= number) {
            return Err(CatalogError::Conflict {
                what: format!(
                    "snapshot {} is the last good one of its series and is kept",
                    id.short()
                ),
            });
        }
        sqlx::query(include_str!("prune_release.sql"))
            .bind(id.as_bytes().as_slice())
            .bind(reason)
            .execute(&mut *tx)
            .await
            .during(what)?;
        let (after, until) = neighbours(&mut tx, SeriesId(series), number).await?;
        let mut gone = [0; 2];
        for (sql, gone) in [
            include_str!("prune_versions.sql"),
            include_str!("prune_removals.sql"),
        ]
        .into_iter()
        .zip(&mut gone)
        {
            let done = sqlx::query(sql)
                .bind(series)
                .bind(after.column())
                .bind(number)
                .bind(until.column())
                .execute(&mut *tx)
                .await
                .during("delete versions nobody sees")?;
            *gone = done.rows_affected();
        }
        tx.commit().await.during(what)?;
        Ok(Pruned {
            versions: gone[0],
            removals: gone[1],
        })
    }
}

/// The kept snapshots before and after a number (0 = none before).
async fn neighbours(
    connection: &mut sqlx::PgConnection,
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
