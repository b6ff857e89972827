//! The daemon: everything wired together, from configuration to the signal that ends it.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use common::clock::now_ms;
use common::durable::{PUBLIC, create_folder, write_atomic};
use common::ids::Role;
use common::net::acceptor::{Acceptor, ListenError, Purpose};
use common::net::control::ControlClient;
use common::net::conversation::ControlSender;
use common::net::enrol::EnrolError;
use common::net::pki::{CredentialStore, PkiError};
use common::protocol::control::{Body, SessionEvent};
use common::protocol::enrol::Token;
use common::shutdown::StopToken;
use rustix::fs::FlockOperation;

use super::control::{Control, storage_report};
use crate::config::Config;
use crate::device::DeviceError;
use crate::device::disk::DiskDevice;
use crate::session::authority::Authority;
use crate::session::connection::Edge;
use crate::session::registry::Sessions;
use crate::store::{Store, StoreConfig, StoreError};

/// For open sessions to end when the daemon stops.
const STOP_LIMIT: Duration = Duration::from_secs(8);

/// Why the daemon does not run.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// Not enrolled, or the pki folder is damaged.
    #[error("cannot use the certificates in {}; run `enrol --token` first", path.display())]
    Pki {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: PkiError,
    },
    /// The certificate is another daemon's.
    #[error("the certificate in the pki folder is a {0}'s, not a Storage Daemon's")]
    Role(Role),
    /// The state folder.
    #[error("cannot {operation} {}", path.display())]
    State {
        /// In words.
        operation: &'static str,
        /// What.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The volume folder.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The port.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// Enrolment.
    #[error("cannot enrol")]
    Enrol(#[from] EnrolError),
    /// The token.
    #[error("the token cannot be read")]
    Token(#[from] common::codec::DecodeError),
}

fn state_error(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DaemonError {
    let path = path.to_owned();
    move |source| DaemonError::State {
        operation,
        path,
        source,
    }
}

/// Runs until `stop`.
///
/// # Errors
/// [`DaemonError`]
pub async fn run(config: Config, stop: StopToken) -> Result<(), DaemonError> {
    let credentials = CredentialStore::open(&config.pki).map_err(|source| DaemonError::Pki {
        path: config.pki.clone(),
        source,
    })?;
    let me = credentials.current().identity;
    if me.role != Role::Storage {
        return Err(DaemonError::Role(me.role));
    }
    let _lock = lock(&config.state)?;
    let store_config = StoreConfig {
        state: config.state.clone(),
        storage: me.id,
        max_volume_bytes: config.max_volume_bytes,
    };
    let device = Arc::new(DiskDevice::open(&config.volumes)?);
    let started_ms = now_ms();
    let opening = tokio::task::spawn_blocking(move || Store::open(device, &store_config));
    let store = opening.await.expect("opening the store does not panic")?;
    let authority = Authority::open(&config.state, me);
    let authority = Arc::new(authority.map_err(state_error("read authority in", &config.state))?);

    let (sender, client) = ControlClient::new(credentials.clone(), config.director.clone());
    let sessions = Sessions::new(store.clone(), tell_director(sender.clone(), store.clone()));
    let edge = Edge::new(sessions.clone(), authority.clone(), credentials.clone());
    let acceptor = Acceptor::bind(&config.listen, &[Purpose::Data], credentials).await?;
    let bound: Vec<String> = acceptor
        .addresses()
        .iter()
        .map(ToString::to_string)
        .collect();
    let addresses = if config.addresses.is_empty() {
        bound.clone()
    } else {
        config.addresses.clone()
    };
    let control = Control::new(sessions.clone(), authority, sender, (&config, addresses));
    tracing::info!(
        address = bound.join(" "), name = config.name, id = %me.id,
        volumes = store.volumes().list().len(), start_ms = now_ms() - started_ms, "ready"
    );
    let serving = acceptor.run(&stop, move |accepted, stop| {
        let edge = edge.clone();
        async move {
            let Ok(connection) = accepted.into_connection() else {
                return;
            };
            tokio::select! {
                () = edge.serve(connection) => {}
                // Backup sessions say their last words meanwhile; a restore just ends.
                () = async { stop.cancelled().await; tokio::time::sleep(STOP_LIMIT).await } => {}
            }
        }
    });
    let closing = async {
        stop.cancelled().await;
        close(sessions, store).await;
    };
    tokio::join!(serving, client.run(&control, &stop), closing);
    tracing::info!("stopped");
    Ok(())
}

/// Open sessions end with what they have committed; the index is written out.
async fn close(sessions: Arc<Sessions>, store: Arc<Store>) {
    let closed = tokio::task::spawn_blocking(move || {
        if !sessions.stop(STOP_LIMIT) {
            tracing::warn!(
                "sessions are still open; what they have not committed is taken in at the next start"
            );
        }
        store.flush()
    });
    if let Ok(Err(error)) = closed.await {
        tracing::warn!(%error, "index not written out; the next start reads more");
    }
}

/// What happens to a session goes to the Director; what is lost while it is away it asks for.
fn tell_director(
    sender: ControlSender,
    store: Arc<Store>,
) -> Arc<dyn Fn(SessionEvent) + Send + Sync> {
    Arc::new(move |event: SessionEvent| {
        let is_closed = event.what == "closed";
        let _ = sender.offer(Body::Session(event));
        if is_closed {
            let _ = sender.offer(Body::StorageReport(storage_report(&store)));
        }
    })
}

fn lock(state: &Path) -> Result<File, DaemonError> {
    create_folder(state, 0o700).map_err(state_error("make state folder", state))?;
    let path = state.join("lock");
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path);
    let file = file.map_err(state_error("open", &path))?;
    rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|e| {
        state_error("lock (is this Storage Daemon running already?)", &path)(e.into())
    })?;
    Ok(file)
}

/// Joins the installation: certificates into the pki folder beside `config_path`, and a first configuration when there
/// is none.
///
/// # Errors
/// [`DaemonError`]
pub async fn enrol(config_path: &Path, token: &str) -> Result<(), DaemonError> {
    let token = Token::from_text(token)?;
    let folder = config_path.parent().unwrap_or(Path::new(""));
    create_folder(folder, 0o700).map_err(state_error("make folder", folder))?;
    let credentials = common::net::enrol::enrol(&token, Role::Storage, &folder.join("pki")).await?;
    let is_there = config_path
        .try_exists()
        .map_err(state_error("look for", config_path))?;
    if !is_there {
        let text = Config::first(&credentials.name, &token.addresses);
        write_atomic(config_path, text.as_bytes(), PUBLIC)
            .map_err(state_error("write", config_path))?;
    }
    tracing::info!(name = credentials.name, id = %credentials.identity.id, "enrolled");
    Ok(())
}
