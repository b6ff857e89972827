//! Names by pattern: in one snapshot, or over all series as of their heads.
//!
//! A search looks at a bounded number of names a call and says where to go on, so that a pattern nobody matches cannot
//! hold a connection.

use sqlx::{FromRow, Row};

use super::super::connect::Catalog;
use super::super::error::{CatalogError, During};
use super::super::series::{Number, SeriesId};
use super::entries::{Cursor, FileEntry, Found};
use super::pattern::NamePattern;

/// Rows looked at in one call.
const MAX_SCANNED: i64 = 500_000;

/// Some results of a search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundPage {
    /// What was found, with the series it is in.
    pub found: Vec<(SeriesId, Found)>,
    /// Where to go on; `None` = that was all. A page can be empty and have more behind it.
    pub next: Option<Cursor>,
}

impl Catalog {
    /// Entries whose name matches, as of snapshot `number`; at most `limit`.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub async fn find(
        &self,
        (series, number): (SeriesId, Number),
        pattern: &NamePattern,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<FoundPage, CatalogError> {
        let start = after.map_or((0, &[][..]), |c| (c.dir, c.name.as_slice()));
        let rows = sqlx::query(include_str!("find.sql"))
            .bind(series.0)
            .bind(start.0)
            .bind(start.1)
            .bind(number.column())
            .bind(pattern.like())
            .bind(MAX_SCANNED)
            .fetch_all(self.pool())
            .await
            .during("find names")?;
        let mut hits: Vec<(i32, FileEntry)> = Vec::new();
        let mut next = None;
        for row in &rows {
            let dir: i32 = row.try_get("dir").during("find names")?;
            let entry = FileEntry::from_row(row).during("find names")?;
            let bound: bool = row.try_get("bound").during("find names")?;
            let full = hits.len() >= usize::try_from(limit).unwrap_or(usize::MAX);
            if full || bound {
                let last = hits
                    .last()
                    .filter(|_| full)
                    .map_or((dir, &entry.name), |(d, e)| (*d, &e.name));
                next = Some(Cursor {
                    series: series.0,
                    dir: last.0,
                    name: last.1.clone(),
                });
                break;
            }
            if entry.kind.is_some() && pattern.matches(&entry.name) {
                hits.push((dir, entry));
            }
        }
        Ok(FoundPage {
            found: self.with_paths(series, hits).await?,
            next,
        })
    }

    /// Entries whose name matches, in every series as of its head; at most `limit`.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub async fn find_everywhere(
        &self,
        pattern: &NamePattern,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<FoundPage, CatalogError> {
        let from = after.map_or(0, |c| c.series);
        let series: Vec<(i32, i32)> =
            sqlx::query_as("SELECT id, head FROM series WHERE id >= $1 AND head > 0 ORDER BY id")
                .bind(from)
                .fetch_all(self.pool())
                .await
                .during("list series")?;
        let mut page = FoundPage {
            found: Vec::new(),
            next: None,
        };
        for (id, head) in series {
            let place = (
                SeriesId(id),
                Number::from_column(head).during("list series")?,
            );
            let left = limit.saturating_sub(u32::try_from(page.found.len()).unwrap_or(u32::MAX));
            if left == 0 {
                page.next = Some(Cursor {
                    series: id,
                    dir: 0,
                    name: Vec::new(),
                });
                break;
            }
            let part = self
                .find(place, pattern, after.filter(|c| c.series == id), left)
                .await?;
            page.found.extend(part.found);
            if part.next.is_some() {
                page.next = part.next;
                break;
            }
        }
        Ok(page)
    }

    pub(super) async fn with_paths(
        &self,
        series: SeriesId,
        hits: Vec<(i32, FileEntry)>,
    ) -> Result<Vec<(SeriesId, Found)>, CatalogError> {
        let mut dirs: Vec<i32> = hits.iter().map(|(dir, _)| *dir).collect();
        dirs.dedup();
        let paths = self.directory_paths(series, &dirs).await?;
        let by_dir: std::collections::HashMap<i32, Vec<u8>> = dirs.into_iter().zip(paths).collect();
        let whole = |(dir, entry): (i32, FileEntry)| {
            let parent = by_dir.get(&dir).map_or(&b""[..], Vec::as_slice);
            let path = [parent, b"/", &entry.name].concat();
            (series, Found { path, entry })
        };
        Ok(hits.into_iter().map(whole).collect())
    }
}
