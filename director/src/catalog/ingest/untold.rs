//! Removals without a difference: when the tree before can no longer be read, the new tree is told whole, and what the
//! catalog still shows from before and the new tree did not tell is gone.

use super::super::connect::{Catalog, LongWork as _};
use super::super::error::{CatalogError, During as _};
use super::super::series::{Number, SeriesId};

/// The newest published version of each name, unless it is a removal or the new number has a row of its own.
const SQL: &str = "\
    INSERT INTO entry (size, mtime_ns, series, dir, since, mode, uid, gid, kind, flags, name) \
    SELECT 0, 0, $1, last.dir, $2, 0, 0, 0, 0, 0, last.name \
      FROM (SELECT DISTINCT ON (dir, name) dir, name, kind FROM entry \
             WHERE series = $1 AND since <= (SELECT head FROM series WHERE id = $1) \
             ORDER BY dir, name, since DESC) last \
     WHERE last.kind <> 0 \
       AND NOT EXISTS (SELECT 1 FROM entry told WHERE told.series = $1 AND told.dir = last.dir \
                          AND told.name = last.name AND told.since = $2)";

impl Catalog {
    /// After a whole tree was told under a number that is not published: removes all that it did not tell. Returns how
    /// many names that were. May be repeated.
    ///
    /// # Errors
    /// The catalog cannot be written.
    pub async fn remove_untold(
        &self,
        (series, number): (SeriesId, Number),
    ) -> Result<u64, CatalogError> {
        let what = "remove what a whole tree no longer has";
        let mut tx = self.begin().await?;
        tx.without_time_limit().await.during(what)?;
        let done = sqlx::query(SQL)
            .bind(series.0)
            .bind(number.column())
            .execute(&mut *tx)
            .await
            .during(what)?;
        tx.commit().await.during(what)?;
        Ok(done.rows_affected())
    }
}
