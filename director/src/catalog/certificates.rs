//! Certificates the authority has issued, and those it takes back.

use chrono::{DateTime, Utc};
use common::ids::Identity;
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};

use super::connect::Catalog;
use super::error::{CatalogError, During};
use super::row::Columns;

/// A certificate of a daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Serial number, as in the certificate.
    pub serial: Vec<u8>,
    /// Whose it is.
    pub identity: Identity,
    /// Issued at.
    pub issued_at: DateTime<Utc>,
    /// Good until.
    pub not_after: DateTime<Utc>,
    /// Taken back at.
    pub revoked_at: Option<DateTime<Utc>>,
}

impl FromRow<'_, PgRow> for Certificate {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            serial: row.try_get("serial")?,
            identity: Identity {
                role: row.role("role")?,
                id: row.try_get("daemon")?,
            },
            issued_at: row.at("issued_at")?,
            not_after: row.at("not_after")?,
            revoked_at: row.at_opt("revoked_at")?,
        })
    }
}

impl Catalog {
    /// Records a certificate of an enrolled daemon, before it is handed out.
    ///
    /// # Errors
    /// The daemon is not enrolled; the serial is known; the catalog cannot be written.
    pub async fn record_certificate(&self, certificate: &Certificate) -> Result<(), CatalogError> {
        sqlx::query("INSERT INTO certificate (serial, daemon, issued_at, not_after, revoked_at) VALUES ($1, $2, $3, $4, $5)")
            .bind(&certificate.serial)
            .bind(certificate.identity.id)
            .bind(certificate.issued_at)
            .bind(certificate.not_after)
            .bind(certificate.revoked_at)
            .execute(self.pool())
            .await
            .during("record a certificate")?;
        Ok(())
    }

    /// One certificate.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub async fn certificate(&self, serial: &[u8]) -> Result<Option<Certificate>, CatalogError> {
        sqlx::query_as("SELECT c.*, d.role FROM certificate c JOIN daemon d ON d.id = c.daemon WHERE serial = $1")
            .bind(serial)
            .fetch_optional(self.pool())
            .await
            .during("read a certificate")
    }

    /// Certificates of a daemon, newest first.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub async fn certificates(&self, identity: Identity) -> Result<Vec<Certificate>, CatalogError> {
        sqlx::query_as(
            "SELECT c.*, d.role FROM certificate c JOIN daemon d ON d.id = c.daemon WHERE d.id = $1 AND d.role = $2 \
             ORDER BY issued_at DESC, serial LIMIT 1000",
        )
        .bind(identity.id)
        .bind(identity.role.label())
        .fetch_all(self.pool())
        .await
        .during("list a daemon's certificates")
    }

    /// Takes one certificate back. `false` = unknown, or taken back already.
    ///
    /// # Errors
    /// The catalog cannot be written.
    pub async fn revoke_certificate(
        &self,
        serial: &[u8],
        at: DateTime<Utc>,
    ) -> Result<bool, CatalogError> {
        let done = sqlx::query(
            "UPDATE certificate SET revoked_at = $2 WHERE serial = $1 AND revoked_at IS NULL",
        )
        .bind(serial)
        .bind(at)
        .execute(self.pool())
        .await
        .during("revoke a certificate")?;
        Ok(done.rows_affected() == 1)
    }

    /// Serial numbers taken back. Expired ones stay in the list: an expired certificate opens renewal unless revoked.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub async fn revoked_serials(&self) -> Result<Vec<Vec<u8>>, CatalogError> {
        sqlx::query_scalar(
            "SELECT serial FROM certificate WHERE revoked_at IS NOT NULL ORDER BY serial",
        )
        .fetch_all(self.pool())
        .await
        .during("list revoked certificates")
    }
}
