//! Users of the API and their tokens: known by the SHA-256 of the secret, never by the secret.

use chrono::{DateTime, Utc};
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};

use super::connect::Catalog;
use super::error::{CatalogError, During};
use super::row::Columns;

/// A user of the API.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiUser {
    /// Name.
    pub name: String,
    /// Name of the role that says what they may do.
    pub role: String,
    /// Password hash (PHC string); empty = no password login.
    pub password: String,
    /// Made at.
    pub created_at: DateTime<Utc>,
    /// Shut out at.
    pub disabled_at: Option<DateTime<Utc>>,
}

impl std::fmt::Debug for ApiUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiUser")
            .field("name", &self.name)
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}

/// A token to be handed out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewApiToken {
    /// SHA-256 of the secret.
    pub sha256: [u8; 32],
    /// Whose it is.
    pub user: String,
    /// What it is for.
    pub label: String,
    /// Now, by the Director's clock.
    pub created_at: DateTime<Utc>,
    /// Good until; `None` = until withdrawn.
    pub expires_at: Option<DateTime<Utc>>,
}

/// A token handed out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiToken {
    /// SHA-256 of the secret: its name in lists.
    pub sha256: Vec<u8>,
    /// Whose it is.
    pub user: String,
    /// What it is for.
    pub label: String,
    /// Made at.
    pub created_at: DateTime<Utc>,
    /// Good until.
    pub expires_at: Option<DateTime<Utc>>,
    /// Last used, to the minute.
    pub last_used_at: Option<DateTime<Utc>>,
}

impl FromRow<'_, PgRow> for ApiUser {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            name: row.try_get("name")?,
            role: row.try_get("role")?,
            password: row.try_get("password")?,
            created_at: row.at("created_at")?,
            disabled_at: row.at_opt("disabled_at")?,
        })
    }
}

impl FromRow<'_, PgRow> for ApiToken {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            sha256: row.try_get("sha256")?,
            user: row.try_get("api_user")?,
            label: row.try_get("label")?,
            created_at: row.at("created_at")?,
            expires_at: row.at_opt("expires_at")?,
            last_used_at: row.at_opt("last_used_at")?,
        })
    }
}

impl Catalog {
    /// Makes a user, or gives a known one another role and password. A user who was shut out is let in again.
    ///
    /// # Errors
    /// The catalog cannot be written.
    pub async fn set_api_user(&self, user: &ApiUser) -> Result<(), CatalogError> {
        sqlx::query(
            "INSERT INTO api_user (name, role, password, created_at, disabled_at) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (name) DO UPDATE SET role = excluded.role, password = excluded.password, \
             disabled_at = excluded.disabled_at",
        )
        .bind(&user.name)
        .bind(&user.role)
        .bind(&user.password)
        .bind(user.created_at)
        .bind(user.disabled_at)
        .execute(self.pool())
        .await
        .during("write an API user")?;
        Ok(())
    }

    /// One user.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub async fn api_user(&self, name: &str) -> Result<Option<ApiUser>, CatalogError> {
        sqlx::query_as("SELECT * FROM api_user WHERE name = $1")
            .bind(name)
            .fetch_optional(self.pool())
            .await
            .during("read an API user")
    }

    /// All users by name.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub async fn api_users(&self) -> Result<Vec<ApiUser>, CatalogError> {
        sqlx::query_as("SELECT * FROM api_user ORDER BY name")
            .fetch_all(self.pool())
            .await
            .during("list API users")
    }

    /// Shuts a user out and withdraws their tokens. `false` = no such user.
    ///
    /// # Errors
    /// The catalog cannot be written.
    pub async fn disable_api_user(
        &self,
        name: &str,
        at: DateTime<Utc>,
    ) -> Result<bool, CatalogError> {
        let done = sqlx::query(
            "WITH gone AS (DELETE FROM api_token WHERE api_user = $1) \
             UPDATE api_user SET disabled_at = $2 WHERE name = $1 AND disabled_at IS NULL",
        )
        .bind(name)
        .bind(at)
        .execute(self.pool())
        .await
        .during("disable an API user")?;
        Ok(done.rows_affected() == 1)
    }

    /// Records a token before it is shown.
    ///
    /// # Errors
    /// No such user; the catalog cannot be written.
    pub async fn create_api_token(&self, token: &NewApiToken) -> Result<(), CatalogError> {
        sqlx::query("INSERT INTO api_token (sha256, api_user, label, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)")
            .bind(token.sha256.as_slice())
            .bind(&token.user)
            .bind(&token.label)
            .bind(token.created_at)
            .bind(token.expires_at)
            .execute(self.pool())
            .await
            .during("record an API token")?;
        Ok(())
    }

    /// Whose token this is. `None` = unknown, expired, or the user is shut out. Its use is noted once a minute.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub async fn user_of_token(
        &self,
        sha256: [u8; 32],
        at: DateTime<Utc>,
    ) -> Result<Option<ApiUser>, CatalogError> {
        sqlx::query_as(include_str!("users_of_token.sql"))
            .bind(sha256.as_slice())
            .bind(at)
            .fetch_optional(self.pool())
            .await
            .during("look an API token up")
    }

    /// Tokens of a user, or of all, oldest first.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub async fn api_tokens(&self, user: Option<&str>) -> Result<Vec<ApiToken>, CatalogError> {
        sqlx::query_as("SELECT * FROM api_token WHERE $1::text IS NULL OR api_user = $1 ORDER BY created_at, sha256")
            .bind(user)
            .fetch_all(self.pool())
            .await
            .during("list API tokens")
    }

    /// Withdraws a token. `false` = unknown.
    ///
    /// # Errors
    /// The catalog cannot be written.
    pub async fn withdraw_api_token(&self, sha256: &[u8]) -> Result<bool, CatalogError> {
        let done = sqlx::query("DELETE FROM api_token WHERE sha256 = $1")
            .bind(sha256)
            .execute(self.pool())
            .await;
        Ok(done.during("withdraw an API token")?.rows_affected() == 1)
    }
}
