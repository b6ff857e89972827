//! Paths to directory ids and back.

use super::super::connect::Catalog;
use super::super::error::{CatalogError, During};
use super::super::series::SeriesId;
use super::entries::DirId;

/// Deepest path followed, in parts: PATH_MAX has room for no more.
const MAX_DEPTH: usize = 2048;

impl Catalog {
    /// The directory a path names in a series, in any of its snapshots. `None` = no snapshot ever had it.
    ///
    /// # Errors
    /// The catalog cannot be read; the path is too deep.
    pub async fn directory(
        &self,
        series: SeriesId,
        path: &[u8],
    ) -> Result<Option<DirId>, CatalogError> {
        let parts: Vec<&[u8]> = path
            .split(|b| *b == b'/')
            .filter(|p| !p.is_empty())
            .collect();
        if parts.len() > MAX_DEPTH {
            return Err(CatalogError::Range {
                what: "depth of a path",
            });
        }
        if parts.is_empty() {
            return Ok(Some(DirId::ROOT));
        }
        let id: Option<i32> = sqlx::query_scalar(include_str!("directory_of_path.sql"))
            .bind(series.0)
            .bind(&parts)
            .fetch_optional(self.pool())
            .await
            .during("find a directory")?;
        Ok(id.map(DirId))
    }

    /// Paths of directories, in the order asked for; empty for one that does not exist.
    pub(super) async fn directory_paths(
        &self,
        series: SeriesId,
        dirs: &[i32],
    ) -> Result<Vec<Vec<u8>>, CatalogError> {
        let rows: Vec<(i32, Vec<u8>)> = sqlx::query_as(include_str!("directory_paths.sql"))
            .bind(series.0)
            .bind(dirs)
            .fetch_all(self.pool())
            .await
            .during("find paths of directories")?;
        let by_id: std::collections::HashMap<i32, Vec<u8>> = rows.into_iter().collect();
        Ok(dirs
            .iter()
            .map(|id| by_id.get(id).cloned().unwrap_or_default())
            .collect())
    }
}

/// Directory and last part of a path; `None` for `/`.
pub(super) fn split_path(path: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = path.iter().rposition(|b| *b != b'/')?.saturating_add(1);
    let path = path.get(..end)?;
    match path.iter().rposition(|b| *b == b'/') {
        Some(slash) => Some((path.get(..slash)?, path.get(slash.saturating_add(1)..)?)),
        None => Some((b"", path)),
    }
}
