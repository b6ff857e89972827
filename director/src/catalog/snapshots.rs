//! Snapshots and where they are: what can be restored, what can be a base.

use chrono::{DateTime, Utc};
use common::ids::{JobId, PageId, SnapshotId};
use common::object::snapshot::Counts;
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};
use uuid::Uuid;

use super::connect::Catalog;
use super::error::{CatalogError, During};
use super::row::{Columns, signed};
use super::series::{Number, SeriesId};
use super::words::{Level, SnapshotState};

/// A snapshot with its place in a series and its primary copy.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// Its name.
    pub id: SnapshotId,
    /// Series.
    pub series: SeriesId,
    /// UUID of the series.
    pub series_uuid: Uuid,
    /// Number in the series.
    pub number: Number,
    /// Run that stored it.
    pub job_id: JobId,
    /// Name of the job.
    pub job: String,
    /// Name of the client.
    pub client: String,
    /// The client.
    pub client_id: Uuid,
    /// Root page.
    pub root: PageId,
    /// Attributes of `/` itself: an encoded entry, empty when not captured.
    pub root_entry: Vec<u8>,
    /// Level.
    pub level: Level,
    /// Why this level.
    pub level_reason: String,
    /// Base.
    pub base: Option<SnapshotId>,
    /// Start of the run.
    pub started_at: DateTime<Utc>,
    /// End of its scan.
    pub finished_at: DateTime<Utc>,
    /// Counts.
    pub counts: Counts,
    /// FileSet as text.
    pub fileset: String,
    /// Kept until; `None` = for ever.
    pub keep_until: Option<DateTime<Utc>>,
    /// Names of the volumes its run wrote to.
    pub volumes: Vec<String>,
    /// What it is good for.
    pub state: SnapshotState,
    /// Why, when not good.
    pub state_reason: String,
    /// Pool of its best copy (a good one before a broken one); empty when it has none.
    pub pool: String,
    /// Storage Daemon of that copy.
    pub storage: Option<Uuid>,
}

/// Which snapshots. `None` = any.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SnapshotFilter {
    /// Series.
    pub series: Option<SeriesId>,
    /// Name of the job.
    pub job: Option<String>,
    /// Name of the client.
    pub client: Option<String>,
    /// State; `None` = good and broken ones, not released ones.
    pub state: Option<SnapshotState>,
    /// Started at this time or earlier: the first of the list is "as of" then.
    pub at: Option<DateTime<Utc>>,
    /// Only those of runs with a lower JobId: the last one of the page before.
    pub before: Option<JobId>,
}

impl FromRow<'_, PgRow> for Snapshot {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.snapshot_id("id")?,
            series: SeriesId(row.try_get("series")?),
            series_uuid: row.try_get("series_uuid")?,
            number: Number::from_column(row.try_get("number")?)?,
            job_id: row.job_id("job_id")?,
            job: row.try_get("job")?,
            client: row.try_get("client")?,
            client_id: row.try_get("client_id")?,
            root: row.page_id("root")?,
            root_entry: row.try_get("root_entry")?,
            level: row.try_get("level")?,
            level_reason: row.try_get("level_reason")?,
            base: row.snapshot_id_opt("base")?,
            started_at: row.at("started_at")?,
            finished_at: row.at("finished_at")?,
            counts: row.counts()?,
            fileset: row.try_get("fileset")?,
            keep_until: row.at_opt("keep_until")?,
            volumes: row.try_get("volumes")?,
            state: row.try_get("state")?,
            state_reason: row.try_get("state_reason")?,
            pool: row
                .try_get::<Option<String>, _>("pool")?
                .unwrap_or_default(),
            storage: row.try_get("storage")?,
        })
    }
}

/// `SELECT` of snapshots with series and best copy.
macro_rules! select_snapshot {
    ($rest:literal) => {
        concat!(include_str!("snapshots_select.sql"), $rest)
    };
}
pub(super) use select_snapshot;

impl Catalog {
    /// One snapshot.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub async fn snapshot(&self, id: SnapshotId) -> Result<Option<Snapshot>, CatalogError> {
        sqlx::query_as(select_snapshot!("WHERE s.id = $1"))
            .bind(id.as_bytes().as_slice())
            .fetch_optional(self.pool())
            .await
            .during("read a snapshot")
    }

    /// What a run stored.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub async fn snapshot_of_run(&self, job_id: JobId) -> Result<Option<Snapshot>, CatalogError> {
        sqlx::query_as(select_snapshot!(
            "WHERE s.job_id = $1 ORDER BY s.number DESC LIMIT 1"
        ))
        .bind(signed(job_id.0))
        .fetch_optional(self.pool())
        .await
        .during("find a run's snapshot")
    }

    /// The last good snapshot of a series: the base of the next run, never pruned.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub async fn last_good_snapshot(
        &self,
        series: SeriesId,
    ) -> Result<Option<Snapshot>, CatalogError> {
        sqlx::query_as(select_snapshot!(
            "WHERE s.series = $1 AND s.state = 'good' ORDER BY s.number DESC LIMIT 1"
        ))
        .bind(series.0)
        .fetch_optional(self.pool())
        .await
        .during("find the last good snapshot")
    }

    /// The last good snapshot of a level, for Differentials and `max_full_interval`.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub async fn last_good_of_level(
        &self,
        series: SeriesId,
        level: Level,
    ) -> Result<Option<Snapshot>, CatalogError> {
        sqlx::query_as(select_snapshot!(
            "WHERE s.series = $1 AND s.level = $2 AND s.state = 'good' ORDER BY s.number DESC LIMIT 1"
        ))
        .bind(series.0)
        .bind(level)
        .fetch_optional(self.pool())
        .await
        .during("find the last good snapshot of a level")
    }

    /// Snapshots, newest run first; at most `limit`. The next page is asked for with `before`.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub async fn snapshots(
        &self,
        filter: &SnapshotFilter,
        limit: u32,
    ) -> Result<Vec<Snapshot>, CatalogError> {
        sqlx::query_as(select_snapshot!(
            "WHERE ($1::integer IS NULL OR s.series = $1) AND ($2::text IS NULL OR r.job = $2) \
             AND ($3::text IS NULL OR r.client = $3) \
             AND (CASE WHEN $4::text IS NULL THEN s.state <> 'released' ELSE s.state = $4 END) \
             AND ($5::timestamptz IS NULL OR s.started_at <= $5) AND ($6::bigint IS NULL OR s.job_id < $6) \
             ORDER BY s.job_id DESC LIMIT $7"
        ))
        .bind(filter.series.map(|s| s.0))
        .bind(&filter.job)
        .bind(&filter.client)
        .bind(filter.state)
        .bind(filter.at)
        .bind(filter.before.map(|id| signed(id.0)))
        .bind(i64::from(limit))
        .fetch_all(self.pool())
        .await
        .during("list snapshots")
    }

    /// The snapshots of a series that can be restored, oldest first: numbers and their runs.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub async fn kept_numbers(
        &self,
        series: SeriesId,
    ) -> Result<Vec<(Number, JobId)>, CatalogError> {
        let what = "list the numbers of a series";
        let rows = sqlx::query(
            "SELECT number, job_id FROM snapshot WHERE series = $1 AND state <> 'released' \
             AND number <= (SELECT head FROM series WHERE id = $1) ORDER BY number",
        )
        .bind(series.0)
        .fetch_all(self.pool())
        .await
        .during(what)?;
        let read = |row: &PgRow| {
            let number = Number::from_column(row.try_get("number")?)?;
            Ok((number, row.job_id("job_id")?))
        };
        rows.iter().map(read).collect::<Result<_, _>>().during(what)
    }

    /// Changes how long a snapshot is kept. `false` = there is none, or it is released.
    ///
    /// # Errors
    /// The catalog cannot be written.
    pub async fn keep_snapshot(
        &self,
        id: SnapshotId,
        until: Option<DateTime<Utc>>,
    ) -> Result<bool, CatalogError> {
        let done = sqlx::query(
            "UPDATE snapshot SET keep_until = $2 WHERE id = $1 AND state <> 'released'",
        )
        .bind(id.as_bytes().as_slice())
        .bind(until)
        .execute(self.pool())
        .await
        .during("set a snapshot's keep-until")?;
        Ok(done.rows_affected() == 1)
    }
}
