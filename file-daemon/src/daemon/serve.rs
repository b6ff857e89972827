//! The life of the daemon: one instance per state folder, connected until it is told to stop.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::durable;
use common::ids::Role;
use common::net::control::ControlClient;
use common::net::enrol::{EnrolError, enrol as get_certificate};
use common::net::pki::{CredentialStore, PkiError};
use common::protocol::enrol::Token;
use common::shutdown::{StopToken, Tasks};
use rustix::fs::{FlockOperation, flock};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::service::Service;
use crate::config::{Config, first_text};

/// Runs have this long to end when the daemon stops.
const STOP_LIMIT: Duration = Duration::from_secs(9);

/// Why the daemon does not run.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Its configuration.
    #[error(transparent)]
    Config(#[from] common::config::LoadError),
    /// Its certificates.
    #[error("cannot use the certificates of this daemon")]
    Pki(#[from] PkiError),
    /// The state folder.
    #[error("cannot use the state folder {}", path.display())]
    State {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Another instance holds it.
    #[error("another File Daemon uses {}; stop it first", .0.display())]
    Taken(PathBuf),
    /// The token is none.
    #[error("the token is not whole; paste it as the Director printed it")]
    Token(#[source] common::codec::DecodeError),
    /// No certificate was got.
    #[error("cannot enrol this client")]
    Enrol(#[from] EnrolError),
    /// The first configuration could not be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Runs until `stop`.
///
/// # Errors
/// [`ServeError`]: it never began.
pub async fn serve(config: Config, stop: &StopToken) -> Result<(), ServeError> {
    let _lock = lock(&config.state())?;
    raise_open_files();
    let store = CredentialStore::open(&config.pki())?;
    let (sender, client) = ControlClient::new(store.clone(), config.director.clone());
    let tasks = Tasks::child_of(stop);
    tracing::info!(
        client = %config.name,
        director = %config.director.join(", "),
        "ready"
    );
    let service = Service::new(config, store, sender, tasks.clone());
    client.run(&service, stop).await;
    if !tasks.join(STOP_LIMIT).await {
        tracing::warn!("some runs did not end in time");
    }
    Ok(())
}

/// Gets a certificate for a token and writes a first configuration where there is none.
///
/// # Errors
/// [`ServeError`]
pub async fn enrol(config: &Path, token: &str) -> Result<(), ServeError> {
    let token = Token::from_text(token).map_err(ServeError::Token)?;
    let folder = config.parent().unwrap_or(Path::new("."));
    let write = |path: &Path| {
        let path = path.to_owned();
        move |source| ServeError::Write { path, source }
    };
    durable::create_folder(folder, 0o700).map_err(write(folder))?;
    let credentials = get_certificate(&token, Role::File, &folder.join("pki")).await?;
    if !config.try_exists().map_err(write(config))? {
        let text = first_text(&credentials.name, &token.addresses);
        durable::write_atomic(config, text.as_bytes(), durable::PUBLIC).map_err(write(config))?;
    }
    tracing::info!(client = %credentials.name, id = %credentials.identity.id, "enrolled");
    Ok(())
}

fn lock(state: &Path) -> Result<File, ServeError> {
    let failed = |source| ServeError::State {
        path: state.to_owned(),
        source,
    };
    durable::create_folder(state, 0o700).map_err(failed)?;
    let file = File::create(state.join("lock")).map_err(failed)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(ServeError::Taken(state.to_owned())),
        Err(e) => Err(failed(e.into())),
    }
}

/// Scans keep some hundred directories open.
fn raise_open_files() {
    let limits = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limits.maximum,
        maximum: limits.maximum,
    };
    if let Err(e) = setrlimit(Resource::Nofile, raised) {
        tracing::debug!("limit of open files not raised: {e}");
    }
}
