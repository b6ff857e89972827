//! A page of a directory as of a snapshot, and one name.
//!
//! The loose scan: the next name by one index probe, then its newest version by another. Cost follows the names shown,
//! not the versions kept. Names that are gone are stepped over, a bounded number at a time.

use sqlx::{FromRow, Row};

use super::super::connect::Catalog;
use super::super::error::{CatalogError, During};
use super::super::series::{Number, SeriesId};
use super::directories::split_path;
use super::entries::{DirId, FileEntry};

/// Most names of one page.
pub const MAX_PAGE: u32 = 10_000;
/// Names looked at for one page, those that are gone included.
const MAX_SCANNED: i32 = 50_000;

/// A page of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// Entries by name.
    pub entries: Vec<FileEntry>,
    /// Name to go on after; `None` = that was all. A page can be short, even empty, and have more behind it.
    pub next: Option<Vec<u8>>,
}

impl Catalog {
    /// Entries of a directory as of snapshot `number`, after the name `after`, at most `limit` (and [`MAX_PAGE`]).
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub async fn list_directory(
        &self,
        (series, number): (SeriesId, Number),
        dir: DirId,
        after: Option<&[u8]>,
        limit: u32,
    ) -> Result<Listing, CatalogError> {
        let limit = limit.clamp(1, MAX_PAGE);
        let rows = sqlx::query(include_str!("page.sql"))
            .bind(series.0)
            .bind(dir.0)
            .bind(after.unwrap_or_default())
            .bind(number.column())
            .bind(i64::from(limit))
            .bind(MAX_SCANNED)
            .fetch_all(self.pool())
            .await
            .during("list a directory")?;
        let mut entries = Vec::with_capacity(rows.len());
        let mut last = None;
        for row in &rows {
            let scanned: i32 = row.try_get("scanned").during("list a directory")?;
            let shown: Option<i16> = row.try_get("kind").during("list a directory")?;
            last = (scanned >= MAX_SCANNED)
                .then(|| row.try_get::<Vec<u8>, _>("name"))
                .transpose()
                .during("list a directory")?;
            if shown.is_some_and(|kind| kind != 0) {
                entries.push(FileEntry::from_row(row).during("list a directory")?);
            }
        }
        let full = u32::try_from(rows.len()).unwrap_or(u32::MAX) >= limit;
        let next = last.or_else(|| entries.last().filter(|_| full).map(|e| e.name.clone()));
        Ok(Listing { entries, next })
    }

    /// One path as of snapshot `number`. `None` = it was not there; also for `/`, which is in no directory.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub async fn lookup(
        &self,
        (series, number): (SeriesId, Number),
        path: &[u8],
    ) -> Result<Option<FileEntry>, CatalogError> {
        let Some((parent, name)) = split_path(path) else {
            return Ok(None);
        };
        let Some(dir) = self.directory(series, parent).await? else {
            return Ok(None);
        };
        let found: Option<FileEntry> = sqlx::query_as(include_str!("lookup.sql"))
            .bind(series.0)
            .bind(dir.0)
            .bind(name)
            .bind(number.column())
            .fetch_optional(self.pool())
            .await
            .during("look a path up")?;
        Ok(found.filter(|entry| entry.kind.is_some()))
    }
}
