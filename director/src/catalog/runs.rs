//! Runs: created, moved from state to state, finished. The table is the job queue too, so a Director that dies resumes.
//!
//! Invariants: a run changes its state only from a state the caller names, so that of two writers one loses and knows
//! it; a run that is over never changes its state again; a JobId is never used twice.

use chrono::{DateTime, Utc};
use common::ids::{JobId, PageId, SnapshotId};
use common::object::snapshot::Counts;
use sqlx::postgres::PgRow;
use sqlx::{FromRow, PgConnection, Postgres, Row, Transaction};
use uuid::Uuid;

use super::connect::{Catalog, LongWork};
use super::error::{CatalogError, During};
use super::row::{Columns, counts_array, signed};
use super::series::{Number, SeriesId};
use super::sql::set_counts;
use super::words::{Level, Origin, RunKind, RunState};

/// A run to be queued.
#[derive(Debug, Clone, PartialEq)]
pub struct NewRun {
    /// Name of the job.
    pub job: String,
    /// Name of the client.
    pub client: String,
    /// The client's identity, when it is enrolled.
    pub client_id: Option<Uuid>,
    /// What it does.
    pub kind: RunKind,
    /// Level asked for (backups).
    pub level: Option<Level>,
    /// Smaller goes first.
    pub priority: i32,
    /// Who asked.
    pub origin: Origin,
    /// Name of the schedule or the person.
    pub origin_name: String,
    /// Now, by the Director's clock.
    pub created_at: DateTime<Utc>,
    /// When it is due.
    pub scheduled_at: DateTime<Utc>,
    /// Pool it writes to or reads from; empty = not known yet.
    pub pool: String,
    /// What was asked for in full, for the run's own code.
    pub parameters: serde_json::Value,
}

/// A run as the catalog has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Its number.
    pub job_id: JobId,
    /// Name of the job.
    pub job: String,
    /// Name of the client.
    pub client: String,
    /// The client's identity, when it is enrolled.
    pub client_id: Option<Uuid>,
    /// What it does.
    pub kind: RunKind,
    /// Level: asked for until it starts, then run.
    pub level: Option<Level>,
    /// Why this level, in words.
    pub level_reason: String,
    /// Where it stands.
    pub state: RunState,
    /// What holds it, while waiting.
    pub waiting: String,
    /// Smaller goes first.
    pub priority: i32,
    /// Who asked.
    pub origin: Origin,
    /// Name of the schedule or the person.
    pub origin_name: String,
    /// Queued at.
    pub created_at: DateTime<Utc>,
    /// Due at.
    pub scheduled_at: DateTime<Utc>,
    /// Started at.
    pub started_at: Option<DateTime<Utc>>,
    /// Over at.
    pub ended_at: Option<DateTime<Utc>>,
    /// Counts so far.
    pub counts: Counts,
    /// Pool; empty = not known yet.
    pub pool: String,
    /// Storage Daemon.
    pub storage: Option<Uuid>,
    /// Series it writes.
    pub series: Option<SeriesId>,
    /// Its number in the series.
    pub number: Option<Number>,
    /// Base it compares with.
    pub base: Option<SnapshotId>,
    /// What it stored; for a restore: what it restores.
    pub snapshot: Option<SnapshotId>,
    /// Root page of its last checkpoint.
    pub checkpoint: Option<PageId>,
    /// FileSet as text.
    pub fileset: String,
    /// How it ended, in words.
    pub outcome: String,
    /// What was asked for in full.
    pub parameters: serde_json::Value,
}

/// What is decided when a run starts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunStart {
    /// Level that is run (backups).
    pub level: Option<Level>,
    /// Why this level.
    pub level_reason: String,
    /// Pool.
    pub pool: String,
    /// Storage Daemon.
    pub storage: Option<Uuid>,
    /// Series and number, taken with [`Catalog::lease_series`].
    pub series: Option<(SeriesId, Number)>,
    /// Base.
    pub base: Option<SnapshotId>,
    /// Restore: what is restored.
    pub snapshot: Option<SnapshotId>,
    /// FileSet as text.
    pub fileset: String,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// A final state.
    pub state: RunState,
    /// In words; empty when there is nothing to say.
    pub text: String,
    /// Final counts; `None` = those recorded stay.
    pub counts: Option<Counts>,
    /// Over at.
    pub ended_at: DateTime<Utc>,
}

impl FromRow<'_, PgRow> for Run {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            job_id: row.job_id("job_id")?,
            job: row.try_get("job")?,
            client: row.try_get("client")?,
            client_id: row.try_get("client_id")?,
            kind: row.try_get("kind")?,
            level: row.try_get("level")?,
            level_reason: row.try_get("level_reason")?,
            state: row.try_get("state")?,
            waiting: row.try_get("waiting")?,
            priority: row.try_get("priority")?,
            origin: row.try_get("origin")?,
            origin_name: row.try_get("origin_name")?,
            created_at: row.at("created_at")?,
            scheduled_at: row.at("scheduled_at")?,
            started_at: row.at_opt("started_at")?,
            ended_at: row.at_opt("ended_at")?,
            counts: row.counts()?,
            pool: row.try_get("pool")?,
            storage: row.try_get("storage")?,
            series: row.try_get::<Option<i32>, _>("series")?.map(SeriesId),
            number: row
                .try_get::<Option<i32>, _>("number")?
                .map(Number::from_column)
                .transpose()?,
            base: row.snapshot_id_opt("base")?,
            snapshot: row.snapshot_id_opt("snapshot")?,
            checkpoint: row.page_id_opt("checkpoint")?,
            fileset: row.try_get("fileset")?,
            outcome: row.try_get("outcome")?,
            parameters: row.try_get("parameters")?,
        })
    }
}

/// Words of states, as an array parameter.
pub(super) fn state_words(states: &[RunState]) -> Vec<&'static str> {
    states.iter().map(|s| s.as_str()).collect()
}

impl Catalog {
    /// Queues a run.
    ///
    /// # Errors
    /// The catalog cannot be written.
    pub async fn create_run(&self, run: &NewRun) -> Result<JobId, CatalogError> {
        let mut connection = self.connection().await?;
        insert_run(&mut connection, run).await
    }

    /// One run.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub async fn run(&self, job_id: JobId) -> Result<Option<Run>, CatalogError> {
        sqlx::query_as("SELECT * FROM run WHERE job_id = $1")
            .bind(signed(job_id.0))
            .fetch_optional(self.pool())
            .await
            .during("read a run")
    }

    /// Moves a run to another state that is not final; `waiting` says what holds it, empty otherwise.
    /// `false` = it is in none of the states `from`: somebody else was first.
    ///
    /// # Errors
    /// The catalog cannot be written.
    pub async fn move_run(
        &self,
        job_id: JobId,
        from: &[RunState],
        to: RunState,
        waiting: &str,
    ) -> Result<bool, CatalogError> {
        if to.is_final() {
            return Err(CatalogError::Range {
                what: "state to move a run to",
            });
        }
        let done = sqlx::query(
            "UPDATE run SET state = $3, waiting = $4 WHERE job_id = $1 AND state = ANY($2)",
        )
        .bind(signed(job_id.0))
        .bind(state_words(from))
        .bind(to)
        .bind(waiting)
        .execute(self.pool())
        .await
        .during("move a run")?;
        Ok(done.rows_affected() == 1)
    }

    /// From queued or waiting to running. `false` = it is in neither: canceled, or claimed by somebody else.
    ///
    /// # Errors
    /// The catalog cannot be written.
    pub async fn start_run(
        &self,
        job_id: JobId,
        start: &RunStart,
        at: DateTime<Utc>,
    ) -> Result<bool, CatalogError> {
        let done = sqlx::query(include_str!("runs_start.sql"))
            .bind(signed(job_id.0))
            .bind(start.level)
            .bind(&start.level_reason)
            .bind(&start.pool)
            .bind(start.storage)
            .bind(start.series.map(|(series, _)| series.0))
            .bind(start.series.map(|(_, number)| number.column()))
            .bind(start.base.as_ref().map(|id| id.as_bytes().to_vec()))
            .bind(start.snapshot.as_ref().map(|id| id.as_bytes().to_vec()))
            .bind(&start.fileset)
            .bind(at)
            .execute(self.pool())
            .await
            .during("start a run")?;
        Ok(done.rows_affected() == 1)
    }

    /// Remembers the last checkpoint of a run, to resume from.
    ///
    /// # Errors
    /// The catalog cannot be written.
    pub async fn record_checkpoint(&self, job_id: JobId, root: PageId) -> Result<(), CatalogError> {
        sqlx::query("UPDATE run SET checkpoint = $2 WHERE job_id = $1")
            .bind(signed(job_id.0))
            .bind(root.as_bytes().as_slice())
            .execute(self.pool())
            .await
            .during("record a checkpoint")?;
        Ok(())
    }

    /// Counts so far of a run that is not over.
    ///
    /// # Errors
    /// The catalog cannot be written.
    pub async fn record_counts(&self, job_id: JobId, counts: &Counts) -> Result<(), CatalogError> {
        sqlx::query(concat!(
            "UPDATE run SET ",
            set_counts!("$2::bigint[]"),
            " WHERE job_id = $1 AND ended_at IS NULL"
        ))
        .bind(signed(job_id.0))
        .bind(counts_array(counts))
        .execute(self.pool())
        .await
        .during("record a run's counts")?;
        Ok(())
    }

    /// Ends a run that published nothing (restores, errors, canceled ones; a good backup ends with
    /// [`Catalog::publish`]) and gives its series free. `false` = it was over already.
    ///
    /// Rows that its checkpoints left go with the lease: the next number published would make them visible. No ingest
    /// of the run may be under way.
    ///
    /// # Errors
    /// The catalog cannot be written; the outcome's state is not final.
    pub async fn finish_run(&self, job_id: JobId, outcome: &Outcome) -> Result<bool, CatalogError> {
        let mut tx = self.begin().await?;
        let ended = end_run(&mut tx, job_id, outcome).await?;
        if ended {
            delete_unpublished(&mut tx, job_id).await?;
            super::series::release_lease(&mut tx, job_id).await?;
        }
        tx.commit().await.during("end a run")?;
        Ok(ended)
    }

    /// Changes the priority of a run that has not started. `false` = it has.
    ///
    /// # Errors
    /// The catalog cannot be written.
    pub async fn set_priority(&self, job_id: JobId, priority: i32) -> Result<bool, CatalogError> {
        let sql =
            "UPDATE run SET priority = $2 WHERE job_id = $1 AND state IN ('queued', 'waiting')";
        let done = sqlx::query(sql)
            .bind(signed(job_id.0))
            .bind(priority)
            .execute(self.pool())
            .await;
        Ok(done.during("set a run's priority")?.rows_affected() == 1)
    }
}

/// Deletes what a run told of a snapshot that never came to be.
async fn delete_unpublished(
    tx: &mut Transaction<'static, Postgres>,
    job_id: JobId,
) -> Result<(), CatalogError> {
    let what = "delete rows of a run that stored nothing";
    let place: Option<(i32, i32)> = sqlx::query_as(
        "SELECT series.id, run.number FROM run JOIN series ON series.id = run.series \
         WHERE run.job_id = $1 AND run.number > series.head AND series.lease_job_id = $1",
    )
    .bind(signed(job_id.0))
    .fetch_optional(&mut **tx)
    .await
    .during(what)?;
    if let Some((series, number)) = place {
        tx.without_time_limit().await.during(what)?;
        sqlx::query("DELETE FROM entry WHERE series = $1 AND since = $2")
            .bind(series)
            .bind(number)
            .execute(&mut **tx)
            .await
            .during(what)?;
    }
    Ok(())
}

/// Queues a run inside a transaction of the caller.
pub(super) async fn insert_run(
    connection: &mut PgConnection,
    run: &NewRun,
) -> Result<JobId, CatalogError> {
    let id: i64 = sqlx::query_scalar(include_str!("runs_insert.sql"))
        .bind(&run.job)
        .bind(&run.client)
        .bind(run.client_id)
        .bind(run.kind)
        .bind(run.level)
        .bind(run.priority)
        .bind(run.origin)
        .bind(&run.origin_name)
        .bind(run.created_at)
        .bind(run.scheduled_at)
        .bind(&run.pool)
        .bind(&run.parameters)
        .fetch_one(connection)
        .await
        .during("queue a run")?;
    u64::try_from(id)
        .map(JobId)
        .map_err(|_| CatalogError::Damaged { what: "run.job_id" })
}

/// Writes the outcome inside a transaction of the caller; `false` = the run was over already.
pub(super) async fn end_run(
    connection: &mut PgConnection,
    job_id: JobId,
    outcome: &Outcome,
) -> Result<bool, CatalogError> {
    if !outcome.state.is_final() {
        return Err(CatalogError::Range {
            what: "state to end a run in",
        });
    }
    let sql = "UPDATE run SET state = $2, outcome = $3, ended_at = $4, waiting = '' WHERE job_id = $1 AND ended_at IS NULL";
    let done = sqlx::query(sql)
        .bind(signed(job_id.0))
        .bind(outcome.state)
        .bind(&outcome.text)
        .bind(outcome.ended_at)
        .execute(&mut *connection)
        .await
        .during("end a run")?;
    if let (1, Some(counts)) = (done.rows_affected(), &outcome.counts) {
        sqlx::query(concat!(
            "UPDATE run SET ",
            set_counts!("$2::bigint[]"),
            " WHERE job_id = $1"
        ))
        .bind(signed(job_id.0))
        .bind(counts_array(counts))
        .execute(connection)
        .await
        .during("end a run")?;
    }
    Ok(done.rows_affected() == 1)
}
