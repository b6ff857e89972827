//! The state of the installation in figures: what `status` shows first.

use sqlx::Row;

use super::connect::Catalog;
use super::error::{CatalogError, During};
use super::row::Columns;
use super::words::RunState;

/// Runs in a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateCount {
    /// State.
    pub state: RunState,
    /// How many: of finished ones those of the last 24 hours.
    pub runs: u64,
}

/// The installation in figures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Runs by state, only states that occur.
    pub runs: Vec<StateCount>,
    /// Series.
    pub series: u64,
    /// Snapshots that can be restored.
    pub snapshots: u64,
    /// Snapshots that reach damage.
    pub broken_snapshots: u64,
    /// Content bytes of the newest good snapshot of each series.
    pub protected_bytes: u64,
    /// Files of the newest good snapshot of each series.
    pub files: u64,
    /// Volumes.
    pub volumes: u64,
    /// Bytes in volumes.
    pub volume_bytes: u64,
    /// Version of PostgreSQL.
    pub server_version: String,
    /// Bytes of the catalog itself.
    pub catalog_bytes: u64,
    /// File versions, as PostgreSQL estimates them.
    pub file_versions: u64,
}

impl Catalog {
    /// The installation in figures.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub async fn summary(&self) -> Result<Summary, CatalogError> {
        self.read_summary().await.during("read the summary")
    }

    async fn read_summary(&self) -> Result<Summary, sqlx::Error> {
        let states = sqlx::query(
            "SELECT state, count(*) AS runs FROM run \
             WHERE ended_at IS NULL OR ended_at > now() - interval '24 hours' GROUP BY state ORDER BY state",
        )
        .fetch_all(self.pool())
        .await?;
        let runs = states
            .iter()
            .map(|row| {
                Ok(StateCount {
                    state: row.try_get("state")?,
                    runs: row.unsigned("runs")?,
                })
            })
            .collect::<Result<Vec<_>, sqlx::Error>>()?;
        let row = sqlx::query(include_str!("summary.sql"))
            .fetch_one(self.pool())
            .await?;
        Ok(Summary {
            runs,
            series: row.unsigned("series")?,
            snapshots: row.unsigned("snapshots")?,
            broken_snapshots: row.unsigned("broken_snapshots")?,
            protected_bytes: row.unsigned("protected_bytes")?,
            files: row.unsigned("files")?,
            volumes: row.unsigned("volumes")?,
            volume_bytes: row.unsigned("volume_bytes")?,
            server_version: row.try_get("server_version")?,
            catalog_bytes: row.unsigned("catalog_bytes")?,
            file_versions: row.unsigned("file_versions")?,
        })
    }
}
