//! The Director as a whole: started in order, stopped in the opposite one.
//!
//! Order: configuration, lock of the state folder, catalog, term, keys, runs taken up, listener, queue, tasks. Daemons
//! are let in only when their runs are known again, so that nothing they say is lost.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use common::config::LoadError;
use common::shutdown::{StopToken, Tasks};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::api::access::{AccessError, prepare};
use crate::api::{App, AppParts, router};
use crate::authority::{Authority, AuthorityError, Keys, KeysError};
use crate::catalog::{Catalog, CatalogError, Durability, Place};
use crate::config::{Config, LiveConfig};
use crate::daemons::{Listener, ListenerError, Registry, RegistryFacts};
use crate::runs::{Runs, RunsParts};
use crate::tasks::{Prune, Scheduler, upkeep};

/// Sign of life of each side.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Runs and tasks end within this.
const STOP_LIMIT: Duration = Duration::from_secs(8);

/// Why the Director did not start.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// Configuration.
    #[error(transparent)]
    Config(#[from] LoadError),
    /// State folder.
    #[error("use state folder {}", folder.display())]
    Folder {
        /// Which.
        folder: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A second Director.
    #[error("another Director runs in {}: stop it first", .0.display())]
    Second(PathBuf),
    /// Catalog.
    #[error("open the catalog")]
    Catalog(#[from] CatalogError),
    /// Keys.
    #[error("open the installation's keys")]
    Keys(#[from] KeysError),
    /// Authority.
    #[error("start the authority")]
    Authority(#[from] AuthorityError),
    /// Port.
    #[error("open the Director's port")]
    Listen(#[from] ListenerError),
    /// Access of the local console.
    #[error("prepare the console's access")]
    Access(#[from] AccessError),
}

/// Held as long as the Director runs.
struct Lock(#[allow(dead_code, reason = "the lock ends with the file")] File);

fn lock(folder: &Path) -> Result<Lock, ServerError> {
    let error = |source| ServerError::Folder {
        folder: folder.to_owned(),
        source,
    };
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(folder.join("director.lock"))
        .map_err(error)?;
    match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Lock(file)),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(ServerError::Second(folder.to_owned())),
        Err(errno) => Err(error(errno.into())),
    }
}

/// Runs a Director until `stop`. `durability` is what is demanded of the catalog's server.
///
/// # Errors
/// [`ServerError`]: it did not start.
pub async fn run(
    config: &Path,
    durability: Durability,
    stop: &StopToken,
) -> Result<(), ServerError> {
    let live = LiveConfig::open(config)?;
    let settings = live.get();
    let _lock = lock(&settings.folder)?;
    let catalog = Catalog::open(&place(&settings), durability).await?;
    let served = serve((&live, &settings), &catalog, stop).await;
    catalog.close().await;
    served
}

fn place(config: &Config) -> Place {
    match &config.catalog.url {
        Some(url) => Place::Url(url.expose().to_owned()),
        None => Place::Embedded(config.folder.clone()),
    }
}

async fn serve(
    (live, settings): (&Arc<LiveConfig>, &Config),
    catalog: &Catalog,
    stop: &StopToken,
) -> Result<(), ServerError> {
    let term = catalog.next_term().await?;
    let keys = Arc::new(Keys::open(
        &settings.folder.join("pki"),
        common::clock::now_ms(),
    )?);
    let own_folders = vec![absolute(&settings.folder)];
    let facts = RegistryFacts {
        term,
        ticket_key: keys.ticket_key().public_key(),
        heartbeat: HEARTBEAT,
        own_folders: own_folders.clone(),
    };
    let (registry, events) = Registry::new(facts, catalog.clone(), Arc::clone(keys.store()));
    // The port may be any free one, so its number is known only once bound: the authority that makes tokens comes after.
    let lent = Arc::new(Authority::new(Arc::clone(&keys), catalog.clone(), Vec::new()).await?);
    let hosts = hosts(settings, &keys);
    let listener =
        Listener::bind(&settings.director.listen, &hosts, (lent, registry.clone())).await?;
    let listen: Vec<String> = listener
        .addresses()
        .iter()
        .map(ToString::to_string)
        .collect();
    let addresses = if settings.director.addresses.is_empty() {
        listen.clone()
    } else {
        settings.director.addresses.clone()
    };
    let authority =
        Arc::new(Authority::new(Arc::clone(&keys), catalog.clone(), addresses.clone()).await?);
    let parts = RunsParts {
        catalog: catalog.clone(),
        config: Arc::clone(live),
        registry: registry.clone(),
        authority: Arc::clone(&authority),
        term,
        own_folders,
    };
    let runs = Runs::new(parts, stop);
    prepare(
        catalog,
        &settings.folder,
        (keys.director(), keys.root()),
        &listen,
    )
    .await?;
    runs.start(events).await?;
    let (ready, readiness) = watch::channel(true);
    let app = App::new(AppParts {
        runs: runs.clone(),
        catalog: catalog.clone(),
        config: Arc::clone(live),
        registry: registry.clone(),
        authority: Arc::clone(&authority),
        listen: listen.clone(),
        addresses,
        ready: readiness,
    });
    let tasks = Tasks::child_of(stop);
    let token = tasks.stop_token().clone();
    tasks.spawn(async move { listener.run(router(app), &token).await });
    start_tasks(&tasks, (live, catalog), (&runs, &registry), term);
    let (token, renewing) = (tasks.stop_token().clone(), authority);
    tasks.spawn(async move { renewing.keep_renewed(&token, || {}).await });
    tracing::info!(address = listen.join(", "), %term, "ready");
    stop.cancelled().await;
    let _ = ready.send(false);
    let runs_ended = runs.stop(STOP_LIMIT).await;
    let tasks_ended = tasks.join(STOP_LIMIT).await;
    tracing::info!(clean = runs_ended && tasks_ended, "stopped");
    Ok(())
}

fn start_tasks(
    tasks: &Tasks,
    (live, catalog): (&Arc<LiveConfig>, &Catalog),
    (runs, registry): (&Runs, &Registry),
    term: common::ids::Term,
) {
    let scheduler = Scheduler {
        catalog: catalog.clone(),
        config: Arc::clone(live),
        runs: runs.clone(),
    };
    let prune = Prune {
        catalog: catalog.clone(),
        registry: registry.clone(),
        term,
    };
    let stop = tasks.stop_token().clone();
    tasks.spawn({
        let stop = stop.clone();
        async move { scheduler.run(&stop).await }
    });
    tasks.spawn({
        let stop = stop.clone();
        async move { prune.run(&stop).await }
    });
    tasks.spawn({
        let (catalog, stop) = (catalog.clone(), stop.clone());
        async move { upkeep(&catalog, &stop).await }
    });
    tasks.spawn({
        let (registry, stop) = (registry.clone(), stop.clone());
        async move { registry.keep_seen(&stop).await }
    });
    tasks.spawn({
        let live = Arc::clone(live);
        async move { reload_on_hangup(live, &stop).await }
    });
}

/// SIGHUP takes the files into use, if they are right.
async fn reload_on_hangup(live: Arc<LiveConfig>, stop: &StopToken) {
    let Ok(mut hangup) = signal(SignalKind::hangup()) else {
        return;
    };
    loop {
        tokio::select! {
            _ = hangup.recv() => {}
            () = stop.cancelled() => return,
        }
        let reloading = Arc::clone(&live);
        match tokio::task::spawn_blocking(move || reloading.reload()).await {
            Ok(Ok(report)) => tracing::info!(
                changes = report.changes.join("; "),
                "configuration reloaded"
            ),
            Ok(Err(error)) => {
                tracing::error!("configuration not reloaded, nothing changed: {error}")
            }
            Err(error) => tracing::error!("configuration not reloaded: {error}"),
        }
    }
}

/// Names the certificate for HTTP is made for.
fn hosts(config: &Config, keys: &Keys) -> Vec<String> {
    let mut hosts = vec![
        keys.director().dns_name(),
        "localhost".to_owned(),
        "127.0.0.1".to_owned(),
        "::1".to_owned(),
    ];
    let own = common::net::enrol::host_name();
    let listed = config
        .director
        .addresses
        .iter()
        .chain(&config.director.listen);
    let listed = listed
        .filter_map(|a| a.rsplit_once(':'))
        .map(|(host, _)| host.trim_matches(['[', ']']).to_owned());
    for host in listed.chain([own]) {
        let unspecified = host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_unspecified());
        if !host.is_empty() && !unspecified && !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    hosts
}

fn absolute(folder: &Path) -> PathBuf {
    std::fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]
mod tests;
