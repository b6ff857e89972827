//! Adopting: what a rebuild reads from volumes becomes series and runs again, under the names they had.
//!
//! Rows of files come by the same ingest as ever, snapshots by [`Catalog::publish`]. Adopting twice changes nothing.

use chrono::DateTime;
use common::ids::JobId;
use common::object::snapshot as stored;
use uuid::Uuid;

use super::connect::Catalog;
use super::error::{CatalogError, During};
use super::row::{counts_array, signed};
use super::series::Series;

impl Catalog {
    /// The series of a snapshot found on a volume, under the UUID it has there.
    ///
    /// # Errors
    /// This job and client have another series already ([`CatalogError::Conflict`]); the catalog cannot be written.
    pub async fn adopt_series(&self, snapshot: &stored::Snapshot) -> Result<Series, CatalogError> {
        let uuid =
            |bytes: &[u8], what| Uuid::from_slice(bytes).map_err(|_| CatalogError::Range { what });
        let wanted = uuid(&snapshot.series, "series of a snapshot")?;
        let client_id = uuid(&snapshot.client_id, "client of a snapshot")?;
        let series = self
            .make_series(wanted, &snapshot.job, client_id, &snapshot.client)
            .await?;
        if series.uuid == wanted {
            return Ok(series);
        }
        let (job, client, other) = (&snapshot.job, &snapshot.client, series.uuid);
        Err(CatalogError::Conflict {
            what: format!(
                "job {job} of client {client} has series {other} here, the volume has {wanted}"
            ),
        })
    }

    /// The run of a snapshot found on a volume, under its JobId, when the catalog has none. New runs get higher ones.
    ///
    /// # Errors
    /// The snapshot's times or level are out of range; the catalog cannot be written.
    pub async fn adopt_run(
        &self,
        snapshot: &stored::Snapshot,
        series: &Series,
    ) -> Result<JobId, CatalogError> {
        let time = |ms| {
            DateTime::from_timestamp_millis(ms).ok_or(CatalogError::Range {
                what: "time of a snapshot",
            })
        };
        let number = i32::try_from(snapshot.number).map_err(|_| CatalogError::Range {
            what: "number of a snapshot",
        })?;
        let warned = snapshot.counts.is_some_and(|c| c.unsaved > 0);
        sqlx::query(include_str!("adopt_run.sql"))
            .bind(signed(snapshot.job_id))
            .bind(&snapshot.job)
            .bind(&snapshot.client)
            .bind(series.client_id)
            .bind(&snapshot.level)
            .bind(&snapshot.level_reason)
            .bind(if warned { "warnings" } else { "ok" })
            .bind(time(snapshot.started_ms)?)
            .bind(time(snapshot.finished_ms)?)
            .bind(counts_array(&snapshot.counts.unwrap_or_default()))
            .bind(&snapshot.pool)
            .bind(series.id.0)
            .bind(number)
            .bind(snapshot.id().as_bytes().as_slice())
            .bind(&snapshot.fileset)
            .execute(self.pool())
            .await
            .during("adopt a run")?;
        sqlx::query(
            "SELECT setval(pg_get_serial_sequence('run', 'job_id'), \
             greatest((SELECT max(job_id) FROM run), (SELECT last_value FROM run_job_id_seq)))",
        )
        .execute(self.pool())
        .await
        .during("count JobIds on")?;
        Ok(JobId(snapshot.job_id))
    }
}
