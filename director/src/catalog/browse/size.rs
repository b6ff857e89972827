//! How much lies below a directory as of a snapshot: entries, files, bytes, up to a bound.

use sqlx::Row;

use super::super::connect::Catalog;
use super::super::error::{CatalogError, During};
use super::super::row::Columns;
use super::super::series::{Number, SeriesId};
use super::entries::DirId;

/// Directories asked about in one statement.
const BATCH: usize = 500;

/// Size of a subtree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SubtreeSize {
    /// Entries of any kind below the directory.
    pub entries: u64,
    /// Regular files.
    pub files: u64,
    /// Directories.
    pub directories: u64,
    /// Sum of the files' sizes in bytes.
    pub size_bytes: u64,
    /// `false` = the bound was reached; the figures are what was counted until then.
    pub complete: bool,
}

impl Catalog {
    /// Counts what lies below a directory as of snapshot `number`, until more than `max_entries` are seen.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub async fn subtree_size(
        &self,
        (series, number): (SeriesId, Number),
        dir: DirId,
        max_entries: u64,
    ) -> Result<SubtreeSize, CatalogError> {
        let mut size = SubtreeSize {
            complete: true,
            ..SubtreeSize::default()
        };
        let mut open = vec![dir.0];
        while !open.is_empty() {
            if size.entries >= max_entries {
                size.complete = false;
                break;
            }
            let batch = open.split_off(open.len().saturating_sub(BATCH));
            let row = sqlx::query(include_str!("size.sql"))
                .bind(series.0)
                .bind(&batch)
                .bind(number.column())
                .fetch_one(self.pool())
                .await
                .during("count a directory")?;
            let add = |sum: &mut u64, column| {
                row.unsigned(column)
                    .map(|n| *sum = sum.saturating_add(n))
                    .during("count a directory")
            };
            add(&mut size.entries, "entries")?;
            add(&mut size.files, "files")?;
            add(&mut size.directories, "directories")?;
            add(&mut size.size_bytes, "size_bytes")?;
            open.extend(
                row.try_get::<Vec<i32>, _>("below")
                    .during("count a directory")?,
            );
        }
        Ok(size)
    }
}
