//! Lists of runs: history filtered and paged, the queue, what a Director that starts must settle.

use chrono::{DateTime, Utc};
use common::ids::JobId;

use super::connect::Catalog;
use super::error::{CatalogError, During};
use super::row::signed;
use super::runs::{Run, state_words};
use super::words::{RunKind, RunState};

/// Most runs one list gives.
pub const MAX_RUNS: u32 = 1000;

/// Which runs. Empty and `None` = any.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunFilter {
    /// Name of the job.
    pub job: Option<String>,
    /// Name of the client.
    pub client: Option<String>,
    /// States.
    pub states: Vec<RunState>,
    /// Kinds.
    pub kinds: Vec<RunKind>,
    /// Queued at this time or later.
    pub since: Option<DateTime<Utc>>,
    /// Queued before this time.
    pub until: Option<DateTime<Utc>>,
    /// Only runs with a lower JobId: the last one of the page before.
    pub before: Option<JobId>,
}

impl Catalog {
    /// Runs, newest first; at most `limit` (and [`MAX_RUNS`]). The next page is asked for with `before`.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub async fn runs(&self, filter: &RunFilter, limit: u32) -> Result<Vec<Run>, CatalogError> {
        let kinds: Vec<&str> = filter.kinds.iter().map(|k| k.as_str()).collect();
        sqlx::query_as(include_str!("run_list.sql"))
            .bind(&filter.job)
            .bind(&filter.client)
            .bind(state_words(&filter.states))
            .bind(kinds)
            .bind(filter.since)
            .bind(filter.until)
            .bind(filter.before.map(|id| signed(id.0)))
            .bind(i64::from(limit.min(MAX_RUNS)))
            .fetch_all(self.pool())
            .await
            .during("list runs")
    }

    /// Runs queued or waiting, in the order they go: priority, then due time, then JobId. At most `limit`.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub async fn queue(&self, limit: u32) -> Result<Vec<Run>, CatalogError> {
        sqlx::query_as(
            "SELECT * FROM run WHERE state IN ('queued', 'waiting') ORDER BY priority, scheduled_at, job_id LIMIT $1",
        )
        .bind(i64::from(limit))
        .fetch_all(self.pool())
        .await
        .during("read the queue")
    }

    /// Runs that were started and are not over: after a restart each is settled with its Storage Daemon.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub async fn started_runs(&self) -> Result<Vec<Run>, CatalogError> {
        sqlx::query_as("SELECT * FROM run WHERE state IN ('running', 'committing') ORDER BY job_id")
            .fetch_all(self.pool())
            .await
            .during("list started runs")
    }

    /// All runs that are not over, oldest first.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub async fn unfinished_runs(&self) -> Result<Vec<Run>, CatalogError> {
        sqlx::query_as(
            "SELECT * FROM run WHERE state IN ('queued', 'waiting', 'running', 'committing') ORDER BY job_id",
        )
        .fetch_all(self.pool())
        .await
        .during("list unfinished runs")
    }

    /// The newest run of a job that is over, of one client or of any.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub async fn last_run(
        &self,
        job: &str,
        client: Option<&str>,
    ) -> Result<Option<Run>, CatalogError> {
        sqlx::query_as(
            "SELECT * FROM run WHERE job = $1 AND ($2::text IS NULL OR client = $2) AND ended_at IS NOT NULL \
             ORDER BY job_id DESC LIMIT 1",
        )
        .bind(job)
        .bind(client)
        .fetch_optional(self.pool())
        .await
        .during("find a job's last run")
    }
}
