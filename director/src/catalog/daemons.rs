//! Daemons: who is enrolled, what they said of themselves, when they were last seen.
//!
//! Invariant: a name belongs to one daemon of a role that is not revoked.

use chrono::{DateTime, Utc};
use common::ids::{Identity, Role};
use common::protocol::control::Hello;
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};
use uuid::Uuid;

use super::connect::Catalog;
use super::error::{CatalogError, During};
use super::row::Columns;

/// A daemon that joins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDaemon {
    /// Who it is.
    pub identity: Identity,
    /// Its label.
    pub name: String,
    /// Host name, as it said.
    pub host: String,
    /// Software version, as it said.
    pub version: String,
    /// Now, by the Director's clock.
    pub enrolled_at: DateTime<Utc>,
}

/// A daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Daemon {
    /// Who it is.
    pub identity: Identity,
    /// Its label.
    pub name: String,
    /// Host name.
    pub host: String,
    /// Operating system.
    pub system: String,
    /// Software version.
    pub version: String,
    /// Storage Daemon: `host:port` where File Daemons reach it.
    pub addresses: Vec<String>,
    /// Whether it may read and restore everything.
    pub privileged: bool,
    /// Folders of Holdfast on its machine.
    pub own_folders: Vec<Vec<u8>>,
    /// Joined at.
    pub enrolled_at: DateTime<Utc>,
    /// Last heard of.
    pub last_seen_at: Option<DateTime<Utc>>,
    /// Shut out at.
    pub revoked_at: Option<DateTime<Utc>>,
}

impl FromRow<'_, PgRow> for Daemon {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            identity: Identity {
                role: row.role("role")?,
                id: row.try_get("id")?,
            },
            name: row.try_get("name")?,
            host: row.try_get("host")?,
            system: row.try_get("system")?,
            version: row.try_get("version")?,
            addresses: row.try_get("addresses")?,
            privileged: row.try_get("privileged")?,
            own_folders: row.try_get("own_folders")?,
            enrolled_at: row.at("enrolled_at")?,
            last_seen_at: row.at_opt("last_seen_at")?,
            revoked_at: row.at_opt("revoked_at")?,
        })
    }
}

impl Catalog {
    /// Records a daemon; one that is known already (same UUID) is renamed and no longer revoked.
    ///
    /// # Errors
    /// The name belongs to another daemon of this role ([`CatalogError::is_duplicate`]); the catalog cannot be written.
    pub async fn enrol_daemon(&self, daemon: &NewDaemon) -> Result<(), CatalogError> {
        sqlx::query(
            "INSERT INTO daemon (id, role, name, host, version, enrolled_at) VALUES ($1, $2, $3, $4, $5, $6) \
             ON CONFLICT (id) DO UPDATE SET name = excluded.name, host = excluded.host, version = excluded.version, \
             enrolled_at = excluded.enrolled_at, revoked_at = NULL",
        )
        .bind(daemon.identity.id)
        .bind(daemon.identity.role.label())
        .bind(&daemon.name)
        .bind(&daemon.host)
        .bind(&daemon.version)
        .bind(daemon.enrolled_at)
        .execute(self.pool())
        .await
        .during("enrol a daemon")?;
        Ok(())
    }

    /// One daemon.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub async fn daemon(&self, identity: Identity) -> Result<Option<Daemon>, CatalogError> {
        sqlx::query_as("SELECT * FROM daemon WHERE id = $1 AND role = $2")
            .bind(identity.id)
            .bind(identity.role.label())
            .fetch_optional(self.pool())
            .await
            .during("read a daemon")
    }

    /// The daemon of this role that bears a name and is not revoked.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub async fn daemon_by_name(
        &self,
        role: Role,
        name: &str,
    ) -> Result<Option<Daemon>, CatalogError> {
        sqlx::query_as("SELECT * FROM daemon WHERE role = $1 AND name = $2 AND revoked_at IS NULL")
            .bind(role.label())
            .bind(name)
            .fetch_optional(self.pool())
            .await
            .during("find a daemon by name")
    }

    /// All daemons, of one role or of any, revoked ones too, by name.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub async fn daemons(&self, role: Option<Role>) -> Result<Vec<Daemon>, CatalogError> {
        sqlx::query_as("SELECT * FROM daemon WHERE $1::text IS NULL OR role = $1 ORDER BY role, name, enrolled_at")
            .bind(role.map(Role::label))
            .fetch_all(self.pool())
            .await
            .during("list daemons")
    }

    /// Records what a daemon said of itself when it connected. `false` = it is not enrolled, or revoked.
    ///
    /// # Errors
    /// The catalog cannot be written.
    pub async fn record_hello(
        &self,
        identity: Identity,
        hello: &Hello,
        at: DateTime<Utc>,
    ) -> Result<bool, CatalogError> {
        let done = sqlx::query(
            "UPDATE daemon SET host = $3, system = $4, version = $5, addresses = $6, privileged = $7, own_folders = $8, \
             last_seen_at = $9 WHERE id = $1 AND role = $2 AND revoked_at IS NULL",
        )
        .bind(identity.id)
        .bind(identity.role.label())
        .bind(&hello.host)
        .bind(&hello.system)
        .bind(&hello.version)
        .bind(&hello.addresses)
        .bind(hello.privileged)
        .bind(&hello.own_folders)
        .bind(at)
        .execute(self.pool())
        .await
        .during("record what a daemon said")?;
        Ok(done.rows_affected() == 1)
    }

    /// Records that daemons were heard of.
    ///
    /// # Errors
    /// The catalog cannot be written.
    pub async fn record_seen(&self, ids: &[Uuid], at: DateTime<Utc>) -> Result<(), CatalogError> {
        sqlx::query("UPDATE daemon SET last_seen_at = $2 WHERE id = ANY($1)")
            .bind(ids)
            .bind(at)
            .execute(self.pool())
            .await
            .during("record that daemons were seen")?;
        Ok(())
    }

    /// Shuts a daemon out, with all its certificates. `false` = it is not enrolled, or revoked already.
    ///
    /// # Errors
    /// The catalog cannot be written.
    pub async fn revoke_daemon(
        &self,
        identity: Identity,
        at: DateTime<Utc>,
    ) -> Result<bool, CatalogError> {
        let mut tx = self.begin().await?;
        let done = sqlx::query(
            "UPDATE daemon SET revoked_at = $3 WHERE id = $1 AND role = $2 AND revoked_at IS NULL",
        )
        .bind(identity.id)
        .bind(identity.role.label())
        .bind(at)
        .execute(&mut *tx)
        .await
        .during("revoke a daemon")?;
        sqlx::query(
            "UPDATE certificate SET revoked_at = $2 WHERE daemon = $1 AND revoked_at IS NULL",
        )
        .bind(identity.id)
        .bind(at)
        .execute(&mut *tx)
        .await
        .during("revoke a daemon's certificates")?;
        tx.commit().await.during("revoke a daemon")?;
        Ok(done.rows_affected() == 1)
    }
}
