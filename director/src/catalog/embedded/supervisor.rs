//! Starts the private PostgreSQL, restarts it when it dies, stops it with the Director.
//!
//! Restarts are bounded: a server that dies again and again is left down, said loudly, and every question
//! to the catalog fails cleanly.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Connection, Executor};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::account::Account;
use super::binaries::Binaries;
use super::cluster::{self, NAME};
use super::error::EmbeddedError;
use super::layout::Layout;
use super::postmaster::{Postmaster, options};

/// Restarts in a row, each after twice the wait of the one before.
const MAX_RESTARTS: u32 = 6;
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// A server that ran so long starts with a clean record.
const GOOD_RUN: Duration = Duration::from_secs(600);
/// Time for a fast shutdown, and then for an immediate one (the next start recovers).
const STOP_TIMEOUT: Duration = Duration::from_secs(60);
const QUIT_TIMEOUT: Duration = Duration::from_secs(10);

/// The private PostgreSQL. Dropped without [`Embedded::stop`] it runs on, for the next Director.
#[derive(Debug)]
pub struct Embedded {
    layout: Layout,
    stop: CancellationToken,
    watch: Mutex<Option<JoinHandle<()>>>,
}

/// What starting takes.
#[derive(Debug, Clone)]
struct Setup {
    layout: Layout,
    binaries: Binaries,
    account: Option<Account>,
}

impl Embedded {
    /// Starts it in a state folder, or takes over the one that runs there; makes cluster and database
    /// when missing.
    ///
    /// # Errors
    /// See [`EmbeddedError`]: each says what to do.
    pub async fn start(state: &Path) -> Result<Self, EmbeddedError> {
        let state = state.to_path_buf();
        let setup = tokio::task::spawn_blocking(move || Setup::make(&state))
            .await
            .unwrap_or(Err(EmbeddedError::NotFound))?;
        let setup = Arc::new(setup);
        let mut postmaster = match Postmaster::running(&setup.layout) {
            Some(running) => {
                tracing::info!(pid = %running.pid(), "taking over the running PostgreSQL");
                running
            }
            None => setup.spawn()?,
        };
        postmaster.ready(&setup.layout).await?;
        create_database(&setup.layout).await?;
        let stop = CancellationToken::new();
        let watch = tokio::spawn(watch(setup.clone(), postmaster, stop.clone()));
        Ok(Self {
            layout: setup.layout.clone(),
            stop,
            watch: Mutex::new(Some(watch)),
        })
    }

    /// How to connect.
    #[must_use]
    pub fn options(&self) -> PgConnectOptions {
        options(&self.layout, NAME)
    }

    /// Folder of the cluster.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.layout.data
    }

    /// Everything of it in the state folder: what a backup of files must leave out.
    #[must_use]
    pub fn own_paths(&self) -> Vec<PathBuf> {
        vec![self.layout.data.clone(), self.layout.socket.clone()]
    }

    /// Stops it and waits until it has written everything. Stopping twice is no error.
    pub async fn stop(&self) {
        self.stop.cancel();
        if let Some(watch) = self.watch.lock().await.take() {
            let _ = watch.await;
        }
    }
}

#[cfg(test)]
impl Embedded {
    /// As if this Director had been killed: the server runs on, nobody watches it.
    pub async fn forget(&self) {
        if let Some(watch) = self.watch.lock().await.take() {
            watch.abort();
            let _ = watch.await;
        }
    }
}

impl Setup {
    fn make(state: &Path) -> Result<Self, EmbeddedError> {
        let account = Account::needed()?;
        let layout = Layout::in_state(state, account.as_ref())?;
        if let Some(account) = &account {
            account.check_reach(state)?;
        }
        let wanted = cluster::version(&layout.data)?;
        let binaries = Binaries::find(wanted.as_deref())?;
        cluster::prepare(&layout, &binaries, account.as_ref())?;
        Ok(Self {
            layout,
            binaries,
            account,
        })
    }

    fn spawn(&self) -> Result<Postmaster, EmbeddedError> {
        Postmaster::spawn(&self.layout, &self.binaries, self.account.as_ref())
    }
}

async fn create_database(layout: &Layout) -> Result<(), EmbeddedError> {
    let create = async {
        let mut connection = PgConnection::connect_with(&options(layout, "postgres")).await?;
        let made = connection.execute("CREATE DATABASE holdfast").await;
        let _ = connection.close().await;
        match made {
            // 42P04: it is there.
            Err(sqlx::Error::Database(e)) if e.code().as_deref() == Some("42P04") => Ok(()),
            made => made.map(|_| ()),
        }
    };
    create.await.map_err(EmbeddedError::Database)
}

/// Lives as long as the server shall run.
async fn watch(setup: Arc<Setup>, mut postmaster: Postmaster, stop: CancellationToken) {
    let mut restarts = 0;
    let mut started = Instant::now();
    loop {
        tokio::select! {
            () = stop.cancelled() => {
                shut_down(&mut postmaster).await;
                // Empty now; it may be in a folder where nobody else would clear it away.
                let _ = std::fs::remove_dir(&setup.layout.socket);
                return;
            }
            status = postmaster.wait() => {
                tracing::error!(%status, log = %setup.layout.log.display(), "PostgreSQL ended unasked");
            }
        }
        if started.elapsed() > GOOD_RUN {
            restarts = 0;
        }
        match restart(&setup, &mut restarts, &stop).await {
            Some(fresh) => {
                started = Instant::now();
                postmaster = fresh;
            }
            None => return,
        }
    }
}

/// Starts it again, with growing waits. `None` = stopped, or given up.
async fn restart(
    setup: &Setup,
    restarts: &mut u32,
    stop: &CancellationToken,
) -> Option<Postmaster> {
    while *restarts < MAX_RESTARTS {
        let wait = FIRST_WAIT.saturating_mul(2_u32.saturating_pow(*restarts));
        *restarts = restarts.saturating_add(1);
        tokio::select! {
            () = stop.cancelled() => return None,
            () = sleep(wait) => {}
        }
        match setup.spawn() {
            Ok(mut fresh) => match fresh.ready(&setup.layout).await {
                Ok(()) => {
                    tracing::info!(pid = %fresh.pid(), "PostgreSQL is back");
                    return Some(fresh);
                }
                Err(error) => {
                    tracing::warn!(%error, restarts, "PostgreSQL did not come back");
                    shut_down(&mut fresh).await;
                }
            },
            Err(error) => tracing::warn!(%error, restarts, "PostgreSQL could not be restarted"),
        }
    }
    tracing::error!(
        log = %setup.layout.log.display(),
        "PostgreSQL died {MAX_RESTARTS} times and is left down: read its log, then restart the Director"
    );
    None
}

/// Fast shutdown: sessions are ended, everything is written. Immediate when that hangs.
async fn shut_down(postmaster: &mut Postmaster) {
    for (signal, limit) in [(Signal::INT, STOP_TIMEOUT), (Signal::QUIT, QUIT_TIMEOUT)] {
        postmaster.signal(signal);
        if timeout(limit, postmaster.wait()).await.is_ok() {
            return;
        }
    }
    tracing::error!(pid = %postmaster.pid(), "PostgreSQL does not stop");
}
