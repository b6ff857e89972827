//! Publishing: the one transaction in which a snapshot comes to be for readers, together with the run's outcome.
//!
//! Invariant: rows, head, snapshot and outcome are seen together or not at all; publishing twice changes nothing.

use chrono::{DateTime, Utc};
use common::ids::{JobId, SnapshotId};
use common::object::snapshot as stored;
use sqlx::PgConnection;
use uuid::Uuid;

use super::connect::Catalog;
use super::error::{CatalogError, During};
use super::row::{counts_array, signed};
use super::runs::{Outcome, end_run};
use super::series::{Number, SeriesId, release_lease};

/// What is published.
#[derive(Debug, Clone, PartialEq)]
pub struct Publication<'a> {
    /// The snapshot as it is stored on volumes.
    pub snapshot: &'a stored::Snapshot,
    /// Series, by its short form.
    pub series: SeriesId,
    /// Storage Daemon that has it.
    pub storage: Uuid,
    /// How the run ended: ok or warnings.
    pub outcome: Outcome,
}

impl Catalog {
    /// Publishes a snapshot whose rows are all in: snapshot, copy, head, lease, outcome. `false` = it was published
    /// already (the outcome is written all the same when the run is not over).
    ///
    /// # Errors
    /// The snapshot's fields do not fit; another snapshot has its number; the catalog cannot be written.
    pub async fn publish(&self, publication: &Publication<'_>) -> Result<bool, CatalogError> {
        let snapshot = publication.snapshot;
        let number = u32::try_from(snapshot.number).map_err(|_| CatalogError::Range {
            what: "number of a snapshot",
        })?;
        if number == 0 || snapshot.incomplete {
            return Err(CatalogError::Range {
                what: "number of a snapshot",
            });
        }
        let job_id = JobId(snapshot.job_id);
        let mut tx = self.begin().await?;
        let fresh = insert_snapshot(&mut tx, publication, Number(number)).await?;
        sqlx::query("UPDATE run SET snapshot = $2 WHERE job_id = $1 AND ended_at IS NULL")
            .bind(signed(job_id.0))
            .bind(snapshot.id().as_bytes().as_slice())
            .execute(&mut *tx)
            .await
            .during("publish a snapshot")?;
        end_run(&mut tx, job_id, &publication.outcome).await?;
        release_lease(&mut tx, job_id).await?;
        tx.commit().await.during("publish a snapshot")?;
        Ok(fresh)
    }
}

/// Snapshot, copy and head. `false` = it was there.
async fn insert_snapshot(
    connection: &mut PgConnection,
    publication: &Publication<'_>,
    number: Number,
) -> Result<bool, CatalogError> {
    let what = "publish a snapshot";
    let snapshot = publication.snapshot;
    let id = snapshot.id();
    let root = snapshot.root_page().map_err(|_| CatalogError::Range {
        what: "root page of a snapshot",
    })?;
    let base = match snapshot.base.as_slice() {
        [] => None,
        bytes => Some(
            SnapshotId::from_slice(bytes).map_err(|_| CatalogError::Range {
                what: "base of a snapshot",
            })?,
        ),
    };
    let keep_until = Some(snapshot.keep_until_ms)
        .filter(|ms| *ms != 0)
        .map(at_ms)
        .transpose()?;
    let done = sqlx::query(include_str!("publish_snapshot.sql"))
        .bind(id.as_bytes().as_slice())
        .bind(publication.series.0)
        .bind(number.column())
        .bind(signed(snapshot.job_id))
        .bind(root.as_bytes().as_slice())
        .bind(&snapshot.root_entry)
        .bind(&snapshot.level)
        .bind(&snapshot.level_reason)
        .bind(base.as_ref().map(|b| b.as_bytes().to_vec()))
        .bind(at_ms(snapshot.started_ms)?)
        .bind(at_ms(snapshot.finished_ms)?)
        .bind(counts_array(&snapshot.counts.unwrap_or_default()))
        .bind(&snapshot.fileset)
        .bind(keep_until)
        .bind(&snapshot.volumes)
        .execute(&mut *connection)
        .await
        .during(what)?;
    sqlx::query(
        "INSERT INTO copy (snapshot, pool, storage, state, expires_at, made_at) VALUES ($1, $2, $3, 'good', $4, $5) \
         ON CONFLICT (snapshot, pool) DO NOTHING",
    )
    .bind(id.as_bytes().as_slice())
    .bind(&snapshot.pool)
    .bind(publication.storage)
    .bind(keep_until)
    .bind(publication.outcome.ended_at)
    .execute(&mut *connection)
    .await
    .during(what)?;
    sqlx::query("UPDATE series SET head = greatest(head, $2), next_number = greatest(next_number, $2 + 1) WHERE id = $1")
        .bind(publication.series.0)
        .bind(number.column())
        .execute(connection)
        .await
        .during(what)?;
    Ok(done.rows_affected() == 1)
}

fn at_ms(ms: i64) -> Result<DateTime<Utc>, CatalogError> {
    DateTime::from_timestamp_millis(ms).ok_or(CatalogError::Range {
        what: "time of a snapshot",
    })
}
