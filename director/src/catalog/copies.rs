//! Copies: a snapshot in a pool. The first is made by publishing, others by whoever replicates.

use chrono::{DateTime, Utc};
use common::ids::SnapshotId;
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};
use uuid::Uuid;

use super::connect::Catalog;
use super::error::{CatalogError, During};
use super::row::Columns;
use super::words::SnapshotState;

/// A snapshot in a pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// Pool.
    pub pool: String,
    /// Storage Daemon.
    pub storage: Uuid,
    /// What it is good for.
    pub state: SnapshotState,
    /// Kept there until; `None` = as long as the snapshot.
    pub expires_at: Option<DateTime<Utc>>,
    /// Made at.
    pub made_at: DateTime<Utc>,
}

impl FromRow<'_, PgRow> for Copy {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            pool: row.try_get("pool")?,
            storage: row.try_get("storage")?,
            state: row.try_get("state")?,
            expires_at: row.at_opt("expires_at")?,
            made_at: row.at("made_at")?,
        })
    }
}

impl Catalog {
    /// All copies of a snapshot, good ones first.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub async fn copies(&self, id: SnapshotId) -> Result<Vec<Copy>, CatalogError> {
        sqlx::query_as(
            "SELECT * FROM copy WHERE snapshot = $1 ORDER BY state = 'good' DESC, made_at, pool",
        )
        .bind(id.as_bytes().as_slice())
        .fetch_all(self.pool())
        .await
        .during("list a snapshot's copies")
    }

    /// Records a copy, or that one has changed.
    ///
    /// # Errors
    /// No such snapshot; the catalog cannot be written.
    pub async fn record_copy(&self, id: SnapshotId, copy: &Copy) -> Result<(), CatalogError> {
        sqlx::query(
            "INSERT INTO copy (snapshot, pool, storage, state, expires_at, made_at) VALUES ($1, $2, $3, $4, $5, $6) \
             ON CONFLICT (snapshot, pool) DO UPDATE SET storage = excluded.storage, state = excluded.state, \
             expires_at = excluded.expires_at, made_at = excluded.made_at",
        )
        .bind(id.as_bytes().as_slice())
        .bind(&copy.pool)
        .bind(copy.storage)
        .bind(copy.state)
        .bind(copy.expires_at)
        .bind(copy.made_at)
        .execute(self.pool())
        .await
        .during("record a copy")?;
        Ok(())
    }

    /// Marks the copy of a snapshot on a Storage Daemon as reaching damage; the snapshot is broken as a whole when no
    /// good copy is left.
    ///
    /// # Errors
    /// The catalog cannot be written.
    pub async fn break_copy(
        &self,
        id: SnapshotId,
        storage: Uuid,
        reason: &str,
    ) -> Result<(), CatalogError> {
        let mut tx = self.begin().await?;
        sqlx::query("UPDATE copy SET state = 'broken' WHERE snapshot = $1 AND storage = $2 AND state = 'good'")
            .bind(id.as_bytes().as_slice())
            .bind(storage)
            .execute(&mut *tx)
            .await
            .during("mark a copy broken")?;
        sqlx::query(
            "UPDATE snapshot SET state = 'broken', state_reason = $2 WHERE id = $1 AND state = 'good' \
             AND NOT EXISTS (SELECT 1 FROM copy WHERE snapshot = $1 AND state = 'good')",
        )
        .bind(id.as_bytes().as_slice())
        .bind(reason)
        .execute(&mut *tx)
        .await
        .during("mark a snapshot broken")?;
        tx.commit().await.during("mark a snapshot broken")
    }
}
