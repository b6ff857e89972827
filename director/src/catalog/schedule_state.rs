//! What a schedule has fired and when it is due next: survives the Director, so that each time fires exactly once.

use chrono::{DateTime, Utc};
use common::ids::JobId;
use sqlx::FromRow;

use super::connect::Catalog;
use super::error::{CatalogError, During};
use super::runs::{NewRun, insert_run};

/// Where a schedule stands. The key is the scheduler's own: job, client and line.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct ScheduleState {
    /// Key.
    pub key: String,
    /// The last time that was fired (or skipped with a reason).
    pub last_fired: Option<DateTime<Utc>>,
    /// The next time it is due.
    pub next_due: Option<DateTime<Utc>>,
}

/// A time of a schedule that has come.
#[derive(Debug, Clone, PartialEq)]
pub struct Firing {
    /// Key.
    pub key: String,
    /// `last_fired` as the caller has read it: if it has moved since, somebody else fired.
    pub expected: Option<DateTime<Utc>>,
    /// The time that has come.
    pub fired: DateTime<Utc>,
    /// The time after it.
    pub next_due: Option<DateTime<Utc>>,
}

impl Catalog {
    /// All states.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub async fn schedule_states(&self) -> Result<Vec<ScheduleState>, CatalogError> {
        sqlx::query_as("SELECT * FROM schedule_state ORDER BY key")
            .fetch_all(self.pool())
            .await
            .during("read schedule states")
    }

    /// One state.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub async fn schedule_state(&self, key: &str) -> Result<Option<ScheduleState>, CatalogError> {
        sqlx::query_as("SELECT * FROM schedule_state WHERE key = $1")
            .bind(key)
            .fetch_optional(self.pool())
            .await
            .during("read a schedule's state")
    }

    /// Records when a schedule is due next, without firing it.
    ///
    /// # Errors
    /// The catalog cannot be written.
    pub async fn set_next_due(
        &self,
        key: &str,
        next_due: Option<DateTime<Utc>>,
    ) -> Result<(), CatalogError> {
        sqlx::query(
            "INSERT INTO schedule_state (key, next_due) VALUES ($1, $2) \
             ON CONFLICT (key) DO UPDATE SET next_due = excluded.next_due",
        )
        .bind(key)
        .bind(next_due)
        .execute(self.pool())
        .await
        .during("record when a schedule is due")?;
        Ok(())
    }

    /// Fires a time and queues its runs (none = skipped), all or nothing. `None` = it was fired already.
    ///
    /// # Errors
    /// The catalog cannot be written.
    pub async fn fire_schedule(
        &self,
        firing: &Firing,
        runs: &[NewRun],
    ) -> Result<Option<Vec<JobId>>, CatalogError> {
        let mut tx = self.begin().await?;
        let done = sqlx::query(
            "INSERT INTO schedule_state AS s (key, last_fired, next_due) VALUES ($1, $3, $4) \
             ON CONFLICT (key) DO UPDATE SET last_fired = excluded.last_fired, next_due = excluded.next_due \
             WHERE s.last_fired IS NOT DISTINCT FROM $2",
        )
        .bind(&firing.key)
        .bind(firing.expected)
        .bind(firing.fired)
        .bind(firing.next_due)
        .execute(&mut *tx)
        .await
        .during("fire a schedule")?;
        if done.rows_affected() == 0 {
            return Ok(None);
        }
        let mut ids = Vec::with_capacity(runs.len());
        for run in runs {
            ids.push(insert_run(&mut tx, run).await?);
        }
        tx.commit().await.during("fire a schedule")?;
        Ok(Some(ids))
    }

    /// Forgets schedules that are no longer configured. Returns how many.
    ///
    /// # Errors
    /// The catalog cannot be written.
    pub async fn retain_schedules(&self, keys: &[String]) -> Result<u64, CatalogError> {
        let done = sqlx::query("DELETE FROM schedule_state WHERE key <> ALL($1)")
            .bind(keys)
            .execute(self.pool())
            .await;
        Ok(done.during("forget schedules")?.rows_affected())
    }
}
