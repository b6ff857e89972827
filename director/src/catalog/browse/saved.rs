//! What one run stored: the rows that began with its snapshot.

use sqlx::{FromRow, Row};

use super::super::connect::Catalog;
use super::super::error::{CatalogError, During};
use super::super::series::{Number, SeriesId};
use super::entries::{Cursor, FileEntry, Found};

/// Some entries of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedPage {
    /// Entries added or changed, and (kind `None`) removed ones, by directory and name.
    pub entries: Vec<Found>,
    /// Where to go on; `None` = that was all.
    pub next: Option<Cursor>,
}

impl Catalog {
    /// What snapshot `number` added, changed and removed; at most `limit`.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub async fn saved_by(
        &self,
        (series, number): (SeriesId, Number),
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<SavedPage, CatalogError> {
        let start = after.map_or((0, &[][..]), |c| (c.dir, c.name.as_slice()));
        let rows = sqlx::query(include_str!("saved.sql"))
            .bind(series.0)
            .bind(number.column())
            .bind(start.0)
            .bind(start.1)
            .bind(i64::from(limit))
            .fetch_all(self.pool())
            .await
            .during("list what a run stored")?;
        let mut hits = Vec::with_capacity(rows.len());
        for row in &rows {
            let dir: i32 = row.try_get("dir").during("list what a run stored")?;
            hits.push((
                dir,
                FileEntry::from_row(row).during("list what a run stored")?,
            ));
        }
        let full = u32::try_from(hits.len()).unwrap_or(u32::MAX) >= limit;
        let next = hits.last().filter(|_| full).map(|(dir, entry)| Cursor {
            series: series.0,
            dir: *dir,
            name: entry.name.clone(),
        });
        let entries = self.with_paths(series, hits).await?;
        Ok(SavedPage { entries, next })
    }
}
