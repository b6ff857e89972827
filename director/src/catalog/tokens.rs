//! Enrolment tokens: known by the SHA-256 of their secret, used once.

use chrono::{DateTime, Utc};
use common::ids::Role;
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};

use super::connect::Catalog;
use super::error::{CatalogError, During};
use super::row::Columns;

/// A token to be handed out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEnrolToken {
    /// SHA-256 of its secret.
    pub sha256: [u8; 32],
    /// Role it is for.
    pub role: Role,
    /// Label it is for.
    pub name: String,
    /// Who made it.
    pub created_by: String,
    /// Now, by the Director's clock.
    pub created_at: DateTime<Utc>,
    /// Good until.
    pub expires_at: DateTime<Utc>,
}

/// A token handed out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrolToken {
    /// Role it is for.
    pub role: Role,
    /// Label it is for.
    pub name: String,
    /// Who made it.
    pub created_by: String,
    /// Made at.
    pub created_at: DateTime<Utc>,
    /// Good until.
    pub expires_at: DateTime<Utc>,
    /// Used at.
    pub used_at: Option<DateTime<Utc>>,
}

impl FromRow<'_, PgRow> for EnrolToken {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            role: row.role("role")?,
            name: row.try_get("name")?,
            created_by: row.try_get("created_by")?,
            created_at: row.at("created_at")?,
            expires_at: row.at("expires_at")?,
            used_at: row.at_opt("used_at")?,
        })
    }
}

impl Catalog {
    /// Records a token before it is shown.
    ///
    /// # Errors
    /// The catalog cannot be written.
    pub async fn create_enrol_token(&self, token: &NewEnrolToken) -> Result<(), CatalogError> {
        sqlx::query(
            "INSERT INTO enrol_token (sha256, role, name, created_by, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(token.sha256.as_slice())
        .bind(token.role.label())
        .bind(&token.name)
        .bind(&token.created_by)
        .bind(token.created_at)
        .bind(token.expires_at)
        .execute(self.pool())
        .await
        .during("record an enrolment token")?;
        Ok(())
    }

    /// Uses a token up; of two that try, one wins. `None` = unknown, used, or expired.
    ///
    /// # Errors
    /// The catalog cannot be written.
    pub async fn use_enrol_token(
        &self,
        sha256: [u8; 32],
        at: DateTime<Utc>,
    ) -> Result<Option<EnrolToken>, CatalogError> {
        sqlx::query_as(
            "UPDATE enrol_token SET used_at = $2 WHERE sha256 = $1 AND used_at IS NULL AND expires_at > $2 RETURNING *",
        )
        .bind(sha256.as_slice())
        .bind(at)
        .fetch_optional(self.pool())
        .await
        .during("use an enrolment token")
    }

    /// Tokens not used and not expired, oldest first.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub async fn open_enrol_tokens(
        &self,
        at: DateTime<Utc>,
    ) -> Result<Vec<EnrolToken>, CatalogError> {
        sqlx::query_as("SELECT * FROM enrol_token WHERE used_at IS NULL AND expires_at > $1 ORDER BY created_at, name")
            .bind(at)
            .fetch_all(self.pool())
            .await
            .during("list enrolment tokens")
    }

    /// Forgets the open tokens for a role and a name. Returns how many.
    ///
    /// # Errors
    /// The catalog cannot be written.
    pub async fn withdraw_enrol_tokens(&self, role: Role, name: &str) -> Result<u64, CatalogError> {
        let done = sqlx::query(
            "DELETE FROM enrol_token WHERE role = $1 AND name = $2 AND used_at IS NULL",
        )
        .bind(role.label())
        .bind(name)
        .execute(self.pool())
        .await
        .during("withdraw enrolment tokens")?;
        Ok(done.rows_affected())
    }
}
