//! Volumes and space, as the Storage Daemons report them.

use chrono::{DateTime, Utc};
use common::protocol::control::StorageReport;
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};
use uuid::Uuid;

use super::connect::Catalog;
use super::error::{CatalogError, During};
use super::row::{Columns, signed};

/// A volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// UUID.
    pub id: Uuid,
    /// Name.
    pub name: String,
    /// Storage Daemon.
    pub storage: Uuid,
    /// Pool.
    pub pool: String,
    /// `data` or `pages`.
    pub holds: String,
    /// Bytes of its file.
    pub size_bytes: u64,
    /// `append`, `full`, `error`.
    pub status: String,
    /// Made at.
    pub created_at: DateTime<Utc>,
    /// Last reported at.
    pub reported_at: DateTime<Utc>,
}

/// Space of a Storage Daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageSpace {
    /// Storage Daemon.
    pub storage: Uuid,
    /// Free for new volumes.
    pub free_bytes: u64,
    /// Of the file system.
    pub total_bytes: u64,
    /// Chunks and pages it holds.
    pub chunks: u64,
    /// Reported at.
    pub reported_at: DateTime<Utc>,
}

impl FromRow<'_, PgRow> for Volume {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.try_get("id")?,
            name: row.try_get("name")?,
            storage: row.try_get("storage")?,
            pool: row.try_get("pool")?,
            holds: row.try_get("holds")?,
            size_bytes: row.unsigned("bytes")?,
            status: row.try_get("status")?,
            created_at: row.at("created_at")?,
            reported_at: row.at("reported_at")?,
        })
    }
}

impl FromRow<'_, PgRow> for StorageSpace {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            storage: row.try_get("storage")?,
            free_bytes: row.unsigned("free_bytes")?,
            total_bytes: row.unsigned("total_bytes")?,
            chunks: row.unsigned("chunks")?,
            reported_at: row.at("reported_at")?,
        })
    }
}

impl Catalog {
    /// Takes over a report: all volumes of a Storage Daemon and its space. Volumes it no longer has are forgotten.
    ///
    /// # Errors
    /// A volume without a 16-byte UUID; the catalog cannot be written.
    pub async fn record_storage(
        &self,
        storage: Uuid,
        report: &StorageReport,
        at: DateTime<Utc>,
    ) -> Result<(), CatalogError> {
        let ids = report
            .volumes
            .iter()
            .map(|v| Uuid::from_slice(&v.uuid))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| CatalogError::Range {
                what: "UUID of a reported volume",
            })?;
        let made = |ms| DateTime::from_timestamp_millis(ms).unwrap_or_default();
        let mut tx = self.begin().await?;
        sqlx::query(include_str!("volumes_report.sql"))
            .bind(storage)
            .bind(&ids)
            .bind(
                report
                    .volumes
                    .iter()
                    .map(|v| v.name.as_str())
                    .collect::<Vec<_>>(),
            )
            .bind(
                report
                    .volumes
                    .iter()
                    .map(|v| v.pool.as_str())
                    .collect::<Vec<_>>(),
            )
            .bind(
                report
                    .volumes
                    .iter()
                    .map(|v| v.holds.as_str())
                    .collect::<Vec<_>>(),
            )
            .bind(
                report
                    .volumes
                    .iter()
                    .map(|v| signed(v.bytes))
                    .collect::<Vec<_>>(),
            )
            .bind(
                report
                    .volumes
                    .iter()
                    .map(|v| v.status.as_str())
                    .collect::<Vec<_>>(),
            )
            .bind(
                report
                    .volumes
                    .iter()
                    .map(|v| made(v.created_ms))
                    .collect::<Vec<DateTime<Utc>>>(),
            )
            .bind(at)
            .execute(&mut *tx)
            .await
            .during("record volumes")?;
        sqlx::query(
            "INSERT INTO storage_space (storage, free_bytes, total_bytes, chunks, reported_at) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (storage) DO UPDATE SET free_bytes = excluded.free_bytes, total_bytes = excluded.total_bytes, \
             chunks = excluded.chunks, reported_at = excluded.reported_at",
        )
        .bind(storage)
        .bind(signed(report.free_bytes))
        .bind(signed(report.total_bytes))
        .bind(signed(report.chunks))
        .bind(at)
        .execute(&mut *tx)
        .await
        .during("record a Storage Daemon's space")?;
        tx.commit().await.during("record volumes")
    }

    /// Volumes of a Storage Daemon and a pool, or of any, by name.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub async fn volumes(
        &self,
        storage: Option<Uuid>,
        pool: Option<&str>,
    ) -> Result<Vec<Volume>, CatalogError> {
        sqlx::query_as(
            "SELECT * FROM volume WHERE ($1::uuid IS NULL OR storage = $1) AND ($2::text IS NULL OR pool = $2) \
             ORDER BY name, storage",
        )
        .bind(storage)
        .bind(pool)
        .fetch_all(self.pool())
        .await
        .during("list volumes")
    }

    /// Space of all Storage Daemons that have reported.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub async fn storage_space(&self) -> Result<Vec<StorageSpace>, CatalogError> {
        sqlx::query_as("SELECT * FROM storage_space ORDER BY storage")
            .fetch_all(self.pool())
            .await
            .during("read storage space")
    }
}
