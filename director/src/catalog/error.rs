//! Why the catalog could not do something: operation and object, then the driver's own words below.

use super::embedded::EmbeddedError;

/// Why a catalog operation failed.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// No connection to PostgreSQL.
    #[error("cannot connect to the catalog at {place}")]
    Connect {
        /// Where, without password.
        place: String,
        /// Why.
        source: sqlx::Error,
    },
    /// The private PostgreSQL does not run.
    #[error("the embedded PostgreSQL is not available")]
    Embedded(#[from] EmbeddedError),
    /// `catalog.url` is not one.
    #[error(
        "catalog.url is not a PostgreSQL URL; expected postgres://user:password@host:5432/database"
    )]
    Url(#[source] sqlx::Error),
    /// A later version of Holdfast has been here.
    #[error(
        "the catalog has schema {found}, this Director knows up to {known}: start the newer Director, or restore the database dump taken before the upgrade"
    )]
    NewerSchema {
        /// Version of the newest migration applied.
        found: i64,
        /// Version of the newest migration this program has.
        known: i64,
    },
    /// The schema could not be brought up to date.
    #[error("cannot migrate the catalog's schema")]
    Migrate(#[source] sqlx::migrate::MigrateError),
    /// The server may lose what it acknowledged.
    #[error(
        "PostgreSQL runs with fsync = off: a power cut would lose acknowledged backups; set fsync = on and reload"
    )]
    FsyncOff,
    /// The server is too old.
    #[error("PostgreSQL {found} is too old, the catalog needs {needed} or later")]
    ServerTooOld {
        /// Its major version.
        found: u32,
        /// Oldest major version that works.
        needed: u32,
    },
    /// A statement failed.
    #[error("cannot {what}")]
    Query {
        /// The intent.
        what: &'static str,
        /// Why.
        source: sqlx::Error,
    },
    /// Nothing came back, not even a refusal.
    #[error("PostgreSQL has not answered for {} s", .limit.as_secs())]
    Silent {
        /// How long it was waited for.
        limit: std::time::Duration,
    },
    /// A row does not hold what this version writes.
    #[error("catalog row is damaged: {what}")]
    Damaged {
        /// Which column of what.
        what: &'static str,
    },
    /// A value does not fit.
    #[error("{what} is out of range")]
    Range {
        /// Which.
        what: &'static str,
    },
    /// Another writer was first, or the caller's picture is out of date.
    #[error("{what}")]
    Conflict {
        /// What is not as expected.
        what: String,
    },
}

impl CatalogError {
    /// Whether trying again later can help: the server is away, restarts, or is out of connections.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Connect { source, .. } | Self::Query { source, .. } => is_transient(source),
            Self::Silent { .. } => true,
            _ => false,
        }
    }

    /// Whether a unique key was there already.
    #[must_use]
    pub fn is_duplicate(&self) -> bool {
        matches!(self, Self::Query { source: sqlx::Error::Database(e), .. } if e.is_unique_violation())
    }
}

fn is_transient(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::WorkerCrashed => true,
        // Classes 08 connection, 53 out of resources, 57P0x shutdown and starting up, 40 serialization.
        sqlx::Error::Database(e) => e.code().is_some_and(|code| {
            code.starts_with("08")
                || code.starts_with("53")
                || code.starts_with("57P0")
                || code.starts_with("40")
        }),
        _ => false,
    }
}

/// Names the intent of a statement that failed.
pub(super) trait During<T> {
    /// `what` completes "cannot ...".
    fn during(self, what: &'static str) -> Result<T, CatalogError>;
}

impl<T> During<T> for Result<T, sqlx::Error> {
    fn during(self, what: &'static str) -> Result<T, CatalogError> {
        self.map_err(|source| CatalogError::Query { what, source })
    }
}
