//! Opening the catalog: connect, check that the server keeps what it acknowledges, bring the schema up to date.
//!
//! Invariants: never a catalog on a server with fsync off; never a schema from the future; every session of ours commits
//! synchronously, whatever the server's default.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{Connection, Postgres, Transaction};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::embedded::Embedded;
use super::error::{CatalogError, During};

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("../migrations");

/// Oldest major version of PostgreSQL that works.
const OLDEST_SERVER: u32 = 14;
/// Connections of one Director: ingests take one each, short questions share the rest.
const MAX_CONNECTIONS: u32 = 20;
/// How many of them ingests take at most.
const INGEST_CONNECTIONS: usize = 6;
/// Longest wait for a free or a new connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(15);

/// Where the catalog is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// `postgres://...`: a server somebody else runs.
    Url(String),
    /// The private PostgreSQL of this Director; its cluster is `pg` in this state folder.
    Embedded(PathBuf),
}

/// What is demanded of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// What is committed survives a power cut.
    #[default]
    Required,
    /// For tests: a server with fsync off is accepted.
    Scratch,
}

/// The catalog. Cheap to clone; all clones share connections.
#[derive(Clone)]
pub struct Catalog {
    pool: PgPool,
    /// What ingests may take of the pool: however many runs end at once, questions find a connection.
    ingests: Arc<Semaphore>,
    embedded: Option<Arc<Embedded>>,
}

impl std::fmt::Debug for Catalog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Catalog")
            .field("embedded", &self.embedded.is_some())
            .finish_non_exhaustive()
    }
}

impl Catalog {
    /// Opens the catalog: starts the private PostgreSQL when asked to, connects, checks, migrates.
    ///
    /// # Errors
    /// The server is not there, not fit, or holds a schema from the future. Each says what to do.
    pub async fn open(place: &Place, durability: Durability) -> Result<Self, CatalogError> {
        match place {
            Place::Url(url) => Self::connect(parse(url)?, durability).await,
            Place::Embedded(state) => {
                let embedded = Embedded::start(state).await?;
                let opened = Self::connect(embedded.options(), durability).await;
                match opened {
                    Ok(catalog) => Ok(Self {
                        embedded: Some(Arc::new(embedded)),
                        ..catalog
                    }),
                    Err(error) => {
                        embedded.stop().await;
                        Err(error)
                    }
                }
            }
        }
    }

    pub(super) async fn connect(
        options: PgConnectOptions,
        durability: Durability,
    ) -> Result<Self, CatalogError> {
        let place = match options.get_socket() {
            Some(socket) => socket.display().to_string(),
            None => format!("{}:{}", options.get_host(), options.get_port()),
        };
        let options = session(options);
        // Once without the pool, which would keep trying: at a start a refusal is said at once.
        let first = tokio::time::timeout(ACQUIRE_TIMEOUT, PgConnection::connect_with(&options));
        let first = first.await.unwrap_or(Err(sqlx::Error::PoolTimedOut));
        let first = first.map_err(|source| CatalogError::Connect { place, source })?;
        first.close().await.during("close a connection")?;
        let pool = PgPoolOptions::new()
            .max_connections(MAX_CONNECTIONS)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .after_release(|connection, _| Box::pin(alive(connection)))
            .connect_lazy_with(options);
        let catalog = Self {
            pool,
            ingests: Arc::new(Semaphore::new(INGEST_CONNECTIONS)),
            embedded: None,
        };
        catalog.check_server(durability).await?;
        catalog.migrate().await?;
        Ok(catalog)
    }

    async fn check_server(&self, durability: Durability) -> Result<(), CatalogError> {
        let (version, fsync, full_pages): (i32, String, String) = sqlx::query_as(
            "SELECT current_setting('server_version_num')::integer, current_setting('fsync'), \
             current_setting('full_page_writes')",
        )
        .fetch_one(&self.pool)
        .await
        .during("read the server's settings")?;
        let major = u32::try_from(version / 10_000).unwrap_or(0);
        if major < OLDEST_SERVER {
            return Err(CatalogError::ServerTooOld {
                found: major,
                needed: OLDEST_SERVER,
            });
        }
        if durability == Durability::Required {
            if fsync != "on" {
                return Err(CatalogError::FsyncOff);
            }
            if full_pages != "on" {
                tracing::warn!(
                    "PostgreSQL runs with full_page_writes = off: a power cut can tear pages of the catalog; set it on"
                );
            }
        }
        Ok(())
    }

    /// Under the migrator's lock, so that two Directors that start at once do not both migrate.
    async fn migrate(&self) -> Result<(), CatalogError> {
        let known = MIGRATIONS.iter().map(|m| m.version).max().unwrap_or(0);
        let newer = |found| CatalogError::NewerSchema { found, known };
        let found: Option<i64> =
            match sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations")
                .fetch_one(&self.pool)
                .await
            {
                Ok(found) => found,
                Err(sqlx::Error::Database(e)) if e.code().as_deref() == Some("42P01") => None,
                Err(source) => {
                    return Err(CatalogError::Query {
                        what: "read the schema's version",
                        source,
                    });
                }
            };
        if let Some(found) = found.filter(|found| *found > known) {
            return Err(newer(found));
        }
        match MIGRATIONS.run(&self.pool).await {
            Ok(()) => Ok(()),
            Err(sqlx::migrate::MigrateError::VersionMissing(found)) if found > known => {
                Err(newer(found))
            }
            Err(error) => Err(CatalogError::Migrate(error)),
        }
    }

    /// Closes all connections, and stops the private PostgreSQL when there is one.
    pub async fn close(&self) {
        self.pool.close().await;
        if let Some(embedded) = &self.embedded {
            embedded.stop().await;
        }
    }

    /// Folders of the private PostgreSQL, which must never be backed up as files.
    #[must_use]
    pub fn own_folders(&self) -> Vec<PathBuf> {
        self.embedded.iter().flat_map(|e| e.own_paths()).collect()
    }

    #[cfg(test)]
    pub(super) async fn forget_embedded(&self) {
        if let Some(embedded) = &self.embedded {
            embedded.forget().await;
        }
    }

    pub(super) fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// A turn at writing rows. Each is short (one batch), so every ingest gets on.
    pub(super) async fn ingest_turn(&self) -> Option<SemaphorePermit<'_>> {
        self.ingests.acquire().await.ok()
    }

    pub(super) async fn connection(&self) -> Result<PoolConnection<Postgres>, CatalogError> {
        self.pool
            .acquire()
            .await
            .during("get a connection to the catalog")
    }

    pub(super) async fn begin(&self) -> Result<Transaction<'static, Postgres>, CatalogError> {
        self.pool.begin().await.during("begin a transaction")
    }
}

fn parse(url: &str) -> Result<PgConnectOptions, CatalogError> {
    if !(url.starts_with("postgres://") || url.starts_with("postgresql://")) {
        return Err(CatalogError::Url(sqlx::Error::Configuration(
            "another scheme".into(),
        )));
    }
    PgConnectOptions::from_str(url).map_err(CatalogError::Url)
}

/// A connection whose question was given up may be to a server that vanished: it is thrown away, or its place in the pool
/// would be lost for as long as the system keeps trying.
async fn alive(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let answer = tokio::time::timeout(ACQUIRE_TIMEOUT, connection.ping()).await;
    answer.unwrap_or(Err(sqlx::Error::PoolTimedOut))?;
    Ok(true)
}

/// Settings of every session of ours. Plans are made for the values at hand: with hash partitions and optional filters a
/// generic plan is the wrong one more often than planning costs. Lists go on in the order of a key: a bitmap of all the rest
/// and a sort, which the planner likes before a table has statistics, would make a list of pages quadratic.
fn session(options: PgConnectOptions) -> PgConnectOptions {
    options.application_name("holdfast-director").options([
        ("synchronous_commit", "on"),
        ("plan_cache_mode", "force_custom_plan"),
        ("enable_bitmapscan", "off"),
        ("jit", "off"),
        ("statement_timeout", "10min"),
        ("lock_timeout", "1min"),
        ("idle_in_transaction_session_timeout", "10min"),
        // A server whose Director vanished lets go of what it held; without meaning for a unix socket.
        ("tcp_user_timeout", "60s"),
        ("tcp_keepalives_idle", "60"),
        ("tcp_keepalives_interval", "10"),
        ("tcp_keepalives_count", "3"),
        ("client_min_messages", "warning"),
        ("TimeZone", "UTC"),
    ])
}

/// For the few statements whose work follows the size of a snapshot.
pub(super) trait LongWork {
    /// Lifts the limit of a statement's time until the transaction ends.
    async fn without_time_limit(&mut self) -> Result<(), sqlx::Error>;
}

impl LongWork for Transaction<'static, Postgres> {
    async fn without_time_limit(&mut self) -> Result<(), sqlx::Error> {
        sqlx::query("SET LOCAL statement_timeout = 0")
            .execute(&mut **self)
            .await?;
        Ok(())
    }
}
