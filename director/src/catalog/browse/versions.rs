//! The history of a path: each version with the run that stored it.

use chrono::{DateTime, Utc};
use common::ids::{JobId, SnapshotId};
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};

use super::super::connect::Catalog;
use super::super::error::{CatalogError, During};
use super::super::row::Columns;
use super::super::series::{Number, SeriesId};
use super::directories::split_path;
use super::entries::FileEntry;

/// A version of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// As it was; `kind` is `None` where it was gone.
    pub entry: FileEntry,
    /// The oldest kept snapshot that shows it: restore from here.
    pub snapshot: SnapshotId,
    /// Its number.
    pub number: Number,
    /// Its run.
    pub job_id: JobId,
    /// Start of that run.
    pub started_at: DateTime<Utc>,
}

impl FromRow<'_, PgRow> for Version {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            entry: FileEntry::from_row(row)?,
            snapshot: row.snapshot_id("snapshot")?,
            number: Number::from_column(row.try_get("number")?)?,
            job_id: row.job_id("job_id")?,
            started_at: row.at("started_at")?,
        })
    }
}

impl Catalog {
    /// Versions of a path that kept snapshots show, newest first, with `since` below `before` (`None` = from the
    /// newest), at most `limit`.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub async fn versions(
        &self,
        series: SeriesId,
        path: &[u8],
        before: Option<Number>,
        limit: u32,
    ) -> Result<Vec<Version>, CatalogError> {
        let Some((parent, name)) = split_path(path) else {
            return Ok(Vec::new());
        };
        let Some(dir) = self.directory(series, parent).await? else {
            return Ok(Vec::new());
        };
        sqlx::query_as(include_str!("versions.sql"))
            .bind(series.0)
            .bind(dir.0)
            .bind(name)
            .bind(before.map(Number::column))
            .bind(i64::from(limit))
            .fetch_all(self.pool())
            .await
            .during("list versions of a path")
    }
}
