//! Pools as they are configured, kept so that rows which name one keep their meaning.

use chrono::{DateTime, Utc};
use sqlx::FromRow;

use super::connect::Catalog;
use super::error::{CatalogError, During};

/// A pool.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Pool {
    /// Name.
    pub name: String,
    /// Label of its Storage Daemon.
    pub storage: String,
    /// How long it keeps snapshots, as configured; empty = for ever.
    pub keep: String,
}

impl Catalog {
    /// Takes over the configured pools. One that is no longer configured stays, with what it was.
    ///
    /// # Errors
    /// The catalog cannot be written.
    pub async fn record_pools(
        &self,
        pools: &[Pool],
        at: DateTime<Utc>,
    ) -> Result<(), CatalogError> {
        let column = |of: fn(&Pool) -> &str| pools.iter().map(of).collect::<Vec<_>>();
        sqlx::query(
            "INSERT INTO pool (name, storage, keep, updated_at) \
             SELECT name, storage, keep, $4 FROM unnest($1::text[], $2::text[], $3::text[]) AS p (name, storage, keep) \
             ON CONFLICT (name) DO UPDATE SET storage = excluded.storage, keep = excluded.keep, \
             updated_at = excluded.updated_at",
        )
        .bind(column(|p| &p.name))
        .bind(column(|p| &p.storage))
        .bind(column(|p| &p.keep))
        .bind(at)
        .execute(self.pool())
        .await
        .during("record pools")?;
        Ok(())
    }

    /// Pools by name.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub async fn pools(&self) -> Result<Vec<Pool>, CatalogError> {
        sqlx::query_as("SELECT name, storage, keep FROM pool ORDER BY name")
            .fetch_all(self.pool())
            .await
            .during("list pools")
    }
}
