//! Columns to domain values. PostgreSQL has no unsigned integers and no hashes: the conversions stand here, once.
//!
//! Invariant: a row that does not hold what this program writes is an error naming the column, never a wrong value.

use chrono::{DateTime, Utc};
use common::ids::{JobId, PageId, Role, SnapshotId};
use common::object::snapshot::Counts;
use sqlx::postgres::PgRow;
use sqlx::{Error, Row};

/// Typed reading of columns by name.
pub(super) trait Columns {
    fn unsigned(&self, column: &str) -> Result<u64, Error>;
    fn unsigned_opt(&self, column: &str) -> Result<Option<u64>, Error>;
    fn small(&self, column: &str) -> Result<u32, Error>;
    fn job_id(&self, column: &str) -> Result<JobId, Error>;
    fn snapshot_id(&self, column: &str) -> Result<SnapshotId, Error>;
    fn snapshot_id_opt(&self, column: &str) -> Result<Option<SnapshotId>, Error>;
    fn page_id(&self, column: &str) -> Result<PageId, Error>;
    fn page_id_opt(&self, column: &str) -> Result<Option<PageId>, Error>;
    fn role(&self, column: &str) -> Result<Role, Error>;
    fn at(&self, column: &str) -> Result<DateTime<Utc>, Error>;
    fn at_opt(&self, column: &str) -> Result<Option<DateTime<Utc>>, Error>;
    fn counts(&self) -> Result<Counts, Error>;
}

fn bad(column: &str, source: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::ColumnDecode {
        index: column.to_owned(),
        source: Box::new(source),
    }
}

impl Columns for PgRow {
    fn unsigned(&self, column: &str) -> Result<u64, Error> {
        u64::try_from(self.try_get::<i64, _>(column)?).map_err(|e| bad(column, e))
    }

    fn unsigned_opt(&self, column: &str) -> Result<Option<u64>, Error> {
        self.try_get::<Option<i64>, _>(column)?
            .map(|n| u64::try_from(n).map_err(|e| bad(column, e)))
            .transpose()
    }

    fn small(&self, column: &str) -> Result<u32, Error> {
        u32::try_from(self.try_get::<i32, _>(column)?).map_err(|e| bad(column, e))
    }

    fn job_id(&self, column: &str) -> Result<JobId, Error> {
        self.unsigned(column).map(JobId)
    }

    fn snapshot_id(&self, column: &str) -> Result<SnapshotId, Error> {
        SnapshotId::from_slice(self.try_get(column)?).map_err(|e| bad(column, e))
    }

    fn snapshot_id_opt(&self, column: &str) -> Result<Option<SnapshotId>, Error> {
        let bytes: Option<&[u8]> = self.try_get(column)?;
        bytes
            .map(|b| SnapshotId::from_slice(b).map_err(|e| bad(column, e)))
            .transpose()
    }

    fn page_id(&self, column: &str) -> Result<PageId, Error> {
        PageId::from_slice(self.try_get(column)?).map_err(|e| bad(column, e))
    }

    fn page_id_opt(&self, column: &str) -> Result<Option<PageId>, Error> {
        let bytes: Option<&[u8]> = self.try_get(column)?;
        bytes
            .map(|b| PageId::from_slice(b).map_err(|e| bad(column, e)))
            .transpose()
    }

    fn role(&self, column: &str) -> Result<Role, Error> {
        self.try_get::<&str, _>(column)?
            .parse()
            .map_err(|e| bad(column, e))
    }

    fn at(&self, column: &str) -> Result<DateTime<Utc>, Error> {
        self.try_get(column)
    }

    fn at_opt(&self, column: &str) -> Result<Option<DateTime<Utc>>, Error> {
        self.try_get(column)
    }

    fn counts(&self) -> Result<Counts, Error> {
        Ok(Counts {
            entries: self.unsigned("entries")?,
            files: self.unsigned("files")?,
            directories: self.unsigned("directories")?,
            protected_bytes: self.unsigned("protected_bytes")?,
            read_bytes: self.unsigned("read_bytes")?,
            sent_bytes: self.unsigned("sent_bytes")?,
            stored_bytes: self.unsigned("stored_bytes")?,
            files_read: self.unsigned("files_read")?,
            new_entries: self.unsigned("new_entries")?,
            changed_entries: self.unsigned("changed_entries")?,
            removed_entries: self.unsigned("removed_entries")?,
            unsaved: self.unsigned("unsaved")?,
            vanished: self.unsigned("vanished")?,
            changed_while_read: self.unsigned("changed_while_read")?,
        })
    }
}

/// For a `bigint` column. Counts beyond 2^63 do not occur: they are held at the largest value rather than refused.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Counts in the order of the columns `entries .. changed_while_read`, as one array parameter.
pub(super) fn counts_array(c: &Counts) -> Vec<i64> {
    [
        c.entries,
        c.files,
        c.directories,
        c.protected_bytes,
        c.read_bytes,
        c.sent_bytes,
        c.stored_bytes,
        c.files_read,
        c.new_entries,
        c.changed_entries,
        c.removed_entries,
        c.unsaved,
        c.vanished,
        c.changed_while_read,
    ]
    .into_iter()
    .map(signed)
    .collect()
}
