//! Consumers: the pools that keep copies of a series. Place 0 is the pool its runs write to.

use sqlx::FromRow;

use super::connect::Catalog;
use super::error::{CatalogError, During};
use super::series::SeriesId;

/// A pool that keeps copies of a series.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Consumer {
    /// 0 = primary.
    pub place: i16,
    /// Pool.
    pub pool: String,
}

impl Catalog {
    /// Says which pools keep copies of a series; the first is the primary one. Copies made stay as they are.
    ///
    /// # Errors
    /// The catalog cannot be written.
    pub async fn set_consumers(
        &self,
        series: SeriesId,
        pools: &[String],
    ) -> Result<(), CatalogError> {
        let mut tx = self.begin().await?;
        sqlx::query("DELETE FROM consumer WHERE series = $1")
            .bind(series.0)
            .execute(&mut *tx)
            .await
            .during("replace a series' consumers")?;
        sqlx::query(
            "INSERT INTO consumer (series, place, pool) SELECT $1, p.place - 1, p.pool \
             FROM unnest($2::text[]) WITH ORDINALITY AS p (pool, place)",
        )
        .bind(series.0)
        .bind(pools)
        .execute(&mut *tx)
        .await
        .during("replace a series' consumers")?;
        tx.commit().await.during("replace a series' consumers")
    }

    /// The pools that keep copies of a series, primary first.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub async fn consumers(&self, series: SeriesId) -> Result<Vec<Consumer>, CatalogError> {
        sqlx::query_as("SELECT place, pool FROM consumer WHERE series = $1 ORDER BY place")
            .bind(series.0)
            .fetch_all(self.pool())
            .await
            .during("list a series' consumers")
    }
}
