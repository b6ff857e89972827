//! The log of a run: lines in the order they came, numbered from 1, read on from a number.
//!
//! Invariant: numbers of one run have no duplicates and only grow, whoever writes.

use chrono::{DateTime, Utc};
use common::ids::JobId;
use common::protocol::orders::{LogLine, Severity};
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};

use super::connect::Catalog;
use super::error::{CatalogError, During};
use super::row::{Columns, signed};

/// Lines kept of one run; those after are counted, not stored. A million unreadable files must not fill the catalog.
pub const MAX_LOG_LINES: u32 = 100_000;

/// Longest line kept, in bytes.
const MAX_LINE_BYTES: usize = 8 << 10;

/// A line of a run's log.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredLine {
    /// Number in the run's log, from 1.
    pub seq: u32,
    /// When, by the clock of whoever said it.
    pub at: DateTime<Utc>,
    /// How grave.
    pub severity: Severity,
    /// The line.
    pub text: String,
}

impl FromRow<'_, PgRow> for StoredLine {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let severity: i16 = row.try_get("severity")?;
        Ok(Self {
            seq: row.small("seq")?,
            at: row.at("at")?,
            severity: Severity::try_from(i32::from(severity)).unwrap_or(Severity::Error),
            text: row.try_get("line")?,
        })
    }
}

impl Catalog {
    /// Appends lines. Returns the number of the last one; lines beyond [`MAX_LOG_LINES`] are counted but not stored.
    ///
    /// # Errors
    /// The catalog cannot be written; no such run.
    pub async fn append_log(&self, job_id: JobId, lines: &[LogLine]) -> Result<u32, CatalogError> {
        let at: Vec<DateTime<Utc>> = lines
            .iter()
            .map(|l| DateTime::from_timestamp_millis(l.at_ms).unwrap_or_default())
            .collect();
        let severities: Vec<i16> = lines
            .iter()
            .map(|l| i16::try_from(l.severity).unwrap_or(3))
            .collect();
        let texts: Vec<String> = lines.iter().map(|l| storable(&l.text)).collect();
        let last: Option<i32> = sqlx::query_scalar(include_str!("run_log_append.sql"))
            .bind(signed(job_id.0))
            .bind(at)
            .bind(severities)
            .bind(texts)
            .bind(i32::try_from(MAX_LOG_LINES).unwrap_or(i32::MAX))
            .fetch_optional(self.pool())
            .await
            .during("append to a run's log")?;
        let last = last.ok_or(CatalogError::Conflict {
            what: format!("there is no run {job_id}"),
        })?;
        u32::try_from(last).map_err(|_| CatalogError::Damaged {
            what: "run.log_lines",
        })
    }

    /// Lines after number `after` (0 = from the start), at most `limit`.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub async fn read_log(
        &self,
        job_id: JobId,
        after: u32,
        limit: u32,
    ) -> Result<Vec<StoredLine>, CatalogError> {
        sqlx::query_as("SELECT seq, at, severity, line FROM run_log WHERE job_id = $1 AND seq > $2 ORDER BY seq LIMIT $3")
            .bind(signed(job_id.0))
            .bind(i32::try_from(after).unwrap_or(i32::MAX))
            .bind(i64::from(limit))
            .fetch_all(self.pool())
            .await
            .during("read a run's log")
    }
}

/// PostgreSQL text holds no NUL; a line has a bound.
fn storable(text: &str) -> String {
    let mut end = text.len().min(MAX_LINE_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].replace('\0', "\\x00")
}
