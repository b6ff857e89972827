//! Names by pattern in one series: in one of its snapshots, or in all that are kept.
//!
//! A search goes through a series in the order of its key and continues where it stopped: a page costs the rows between
//! its ends, never those before it. A call looks at a bounded number of rows, so that a pattern nobody matches cannot hold
//! a connection.

use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};

use super::super::connect::Catalog;
use super::super::error::{CatalogError, During};
use super::super::series::{Number, SeriesId};
use super::entries::{Cursor, FileEntry, Found};
use super::pattern::NamePattern;

/// Rows looked at in one call, unless a single name has more versions.
const MAX_SCANNED: i64 = 500_000;
/// Rows looked at in one statement: this many more than hits are wanted at first, then four times as many each time.
const FIRST_CHUNK: i64 = 64;
const MAX_CHUNK: i64 = 65_536;

/// What is searched for.
pub struct Search<'a> {
    /// By name.
    pub pattern: &'a NamePattern,
    /// By absolute path, of what has the name.
    pub takes: &'a (dyn Fn(&[u8]) -> bool + Sync),
}

/// A path that was found: the newest version of it that a snapshot searched shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// Path and version.
    pub found: Found,
    /// The newest of the snapshots searched that shows this version.
    pub shown_by: Number,
}

/// Some results of a search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundPage {
    /// What was found, by directory and name.
    pub found: Vec<Match>,
    /// Where to go on; `None` = that was all. A page can be empty and have more behind it.
    pub next: Option<Cursor>,
}

/// The rows of one statement that may be hits, and the name it did not come to the end of.
struct Chunk {
    rows: Vec<(i32, FileEntry, Number)>,
    bound: Option<(i32, Vec<u8>)>,
}

impl Catalog {
    /// Paths that match in any of the snapshots `kept` (ascending, published, of this series); at most `limit`, from
    /// where the page before ended.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub async fn find(
        &self,
        (series, kept): (SeriesId, &[Number]),
        search: &Search<'_>,
        from: Option<&Cursor>,
        limit: u32,
    ) -> Result<FoundPage, CatalogError> {
        let kept: Vec<i32> = kept.iter().map(|n| n.column()).collect();
        let mut at = from.map_or((0, Vec::new()), |c| (c.dir, c.name.clone()));
        let mut found: Vec<Match> = Vec::new();
        let mut chunk = i64::from(limit).saturating_add(FIRST_CHUNK).min(MAX_CHUNK);
        let mut scanned = 0_i64;
        loop {
            let part = self
                .scan((series, &kept), search.pattern, &at, chunk)
                .await?;
            scanned = scanned.saturating_add(chunk);
            for (place, hit) in self.matches(series, part.rows, search).await? {
                if found.len() >= limit as usize {
                    let next = Some(place);
                    return Ok(FoundPage { found, next });
                }
                found.push(hit);
            }
            let Some(bound) = part.bound else {
                return Ok(FoundPage { found, next: None });
            };
            let stuck = bound == at;
            at = bound;
            if scanned >= MAX_SCANNED && !stuck {
                let (dir, name) = at;
                let next = Some(Cursor {
                    series: series.0,
                    dir,
                    name,
                });
                return Ok(FoundPage { found, next });
            }
            // A name with more versions than a chunk has rows is seen whole in a larger one.
            chunk = match chunk.saturating_mul(4) {
                more if stuck => more,
                more => more.min(MAX_CHUNK),
            };
        }
    }

    async fn scan(
        &self,
        (series, kept): (SeriesId, &[i32]),
        pattern: &NamePattern,
        at: &(i32, Vec<u8>),
        chunk: i64,
    ) -> Result<Chunk, CatalogError> {
        let rows = sqlx::query(include_str!("find.sql"))
            .bind(series.0)
            .bind(at.0)
            .bind(&at.1)
            .bind(kept)
            .bind(pattern.like())
            .bind(chunk)
            .fetch_all(self.pool())
            .await
            .during("find names")?;
        chunk_of(&rows).during("find names")
    }

    /// The rows whose name and path are searched for, each with where it is.
    async fn matches(
        &self,
        series: SeriesId,
        mut rows: Vec<(i32, FileEntry, Number)>,
        search: &Search<'_>,
    ) -> Result<Vec<(Cursor, Match)>, CatalogError> {
        rows.retain(|(_, entry, _)| search.pattern.matches(&entry.name));
        let numbers: Vec<(i32, Number)> = rows.iter().map(|(dir, _, n)| (*dir, *n)).collect();
        let hits = rows.into_iter().map(|(dir, entry, _)| (dir, entry));
        let found = self.with_paths(series, hits.collect()).await?;
        let hits = numbers.into_iter().zip(found);
        let taken = hits.filter(|(_, found)| (search.takes)(&found.path));
        Ok(taken
            .map(|((dir, shown_by), found)| {
                let cursor = Cursor {
                    series: series.0,
                    dir,
                    name: found.entry.name.clone(),
                };
                (cursor, Match { found, shown_by })
            })
            .collect())
    }

    pub(super) async fn with_paths(
        &self,
        series: SeriesId,
        hits: Vec<(i32, FileEntry)>,
    ) -> Result<Vec<Found>, CatalogError> {
        let mut dirs: Vec<i32> = hits.iter().map(|(dir, _)| *dir).collect();
        dirs.dedup();
        if dirs.is_empty() {
            return Ok(Vec::new());
        }
        let paths = self.directory_paths(series, &dirs).await?;
        let by_dir: std::collections::HashMap<i32, Vec<u8>> = dirs.into_iter().zip(paths).collect();
        let whole = |(dir, entry): (i32, FileEntry)| {
            let parent = by_dir.get(&dir).map_or(&b""[..], Vec::as_slice);
            let path = [parent, b"/", &entry.name].concat();
            Found { path, entry }
        };
        Ok(hits.into_iter().map(whole).collect())
    }
}

fn chunk_of(rows: &[PgRow]) -> Result<Chunk, sqlx::Error> {
    let mut chunk = Chunk {
        rows: Vec::with_capacity(rows.len()),
        bound: None,
    };
    for row in rows {
        let dir: i32 = row.try_get("dir")?;
        if row.try_get("bound")? {
            chunk.bound = Some((dir, row.try_get("name")?));
            break;
        }
        let shown_by = Number::from_column(row.try_get("shown_by")?)?;
        chunk.rows.push((dir, FileEntry::from_row(row)?, shown_by));
    }
    if let Some((dir, name)) = &chunk.bound {
        chunk.rows.retain(|(d, e, _)| d != dir || e.name != *name);
    }
    Ok(chunk)
}
