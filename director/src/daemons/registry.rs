//! Who is connected, and how to speak to them.
//!
//! One entry per identity: a second connection replaces a dead one and is refused while the first lives.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use common::clock::now_ms;
use common::ids::{Identity, Role, Term};
use common::net::conversation::{ControlError, ControlSender};
use common::net::pki::CredentialStore;
use common::protocol::control::{Body, Hello};
use common::protocol::fault::Fault;
use common::shutdown::StopToken;
use parking_lot::RwLock;
use tokio::sync::{mpsc, oneshot, watch};
use uuid::Uuid;

use crate::catalog::Catalog;

/// Events that wait to be taken.
const EVENTS: usize = 1024;

/// Why a daemon did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// It is not there.
    #[error("{0} is not connected")]
    NotConnected(Identity),
    /// The conversation failed, or it answered with a fault.
    #[error("{daemon}: {source}")]
    Control {
        /// Which.
        daemon: String,
        /// Why.
        #[source]
        source: ControlError,
    },
    /// It answered something else than it should.
    #[error("{daemon} answered with another message than {expected}")]
    Answer {
        /// Which.
        daemon: String,
        /// What should have come.
        expected: &'static str,
    },
}

impl DaemonError {
    /// The fault it answered with, when it did.
    #[must_use]
    pub fn fault(&self) -> Option<&Fault> {
        match self {
            Self::Control {
                source: ControlError::Fault(fault),
                ..
            } => Some(fault),
            _ => None,
        }
    }
}

/// Something a daemon did or said, in the order it did.
#[derive(Debug)]
pub struct DaemonEvent {
    /// Which daemon.
    pub from: Identity,
    /// What.
    pub what: Happening,
}

/// What happened.
#[derive(Debug)]
#[allow(clippy::large_enum_variant)] // bounded queue, drained at once
pub enum Happening {
    /// It is there; [`Registry::get`] finds it.
    Connected(Hello),
    /// It is gone.
    Disconnected,
    /// It says something.
    Said(Body),
    /// It says something and waits for the answer: when it is dropped without one, the daemon is told to try again.
    Asked(Body, oneshot::Sender<Body>),
}

/// What every daemon is told in Welcome.
#[derive(Debug, Clone)]
pub struct RegistryFacts {
    /// Term of this Director.
    pub term: Term,
    /// Public half of the ticket key.
    pub ticket_key: Vec<u8>,
    /// A side that hears nothing for three of these gives the connection up.
    pub heartbeat: Duration,
    /// Folders of the Director: never backed up.
    pub own_folders: Vec<PathBuf>,
}

/// All connected daemons. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Registry {
    pub(super) shared: Arc<Shared>,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub facts: RegistryFacts,
    pub catalog: Catalog,
    pub store: Arc<CredentialStore>,
    pub events: mpsc::Sender<DaemonEvent>,
    connected: RwLock<BTreeMap<Identity, Daemon>>,
    next_connection: AtomicU64,
    changed: watch::Sender<u64>,
}

/// A connected daemon. Cheap to clone; after its connection ended every request fails.
#[derive(Debug, Clone)]
pub struct Daemon {
    /// Who.
    pub identity: Identity,
    /// Its label in the catalog.
    pub name: String,
    /// What it said when it connected.
    pub hello: Arc<Hello>,
    /// Its clock minus ours when it connected, in milliseconds.
    pub clock_difference_ms: i64,
    /// Connected since: milliseconds since the epoch.
    pub connected_ms: i64,
    /// Which of all connections this is.
    pub(super) connection: u64,
    pub(super) pulse: Pulse,
    pub(super) sender: ControlSender,
}

/// Signs of life of one connection.
#[derive(Debug, Clone)]
pub(super) struct Pulse {
    pub frames: Arc<AtomicU64>,
    pub ended: StopToken,
    pub seen_ms: Arc<AtomicI64>,
}

impl Daemon {
    /// Says something that wants no answer.
    ///
    /// # Errors
    /// The daemon is gone or takes nothing.
    pub async fn send(&self, body: Body) -> Result<(), DaemonError> {
        let sent = self.sender.send(body).await;
        sent.map_err(|source| self.failed(source))
    }

    /// Asks and waits for the answer.
    ///
    /// # Errors
    /// No answer in time, a fault ([`DaemonError::fault`]), or the daemon is gone.
    pub async fn request(&self, body: Body, limit: Duration) -> Result<Body, DaemonError> {
        let answer = self.sender.request(body, limit).await;
        answer.map_err(|source| self.failed(source))
    }

    /// Asks for something that is answered by Done.
    ///
    /// # Errors
    /// As [`Daemon::request`], or another answer.
    pub async fn order(&self, body: Body, limit: Duration) -> Result<(), DaemonError> {
        match self.request(body, limit).await? {
            Body::Done(_) => Ok(()),
            _ => Err(DaemonError::Answer {
                daemon: self.label(),
                expected: "Done",
            }),
        }
    }

    /// Last heard of: milliseconds since the epoch.
    #[must_use]
    pub fn seen_ms(&self) -> i64 {
        self.pulse.seen_ms.load(Ordering::Relaxed)
    }

    /// Returns when its connection ended.
    pub async fn gone(&self) {
        self.pulse.ended.cancelled().await;
    }

    fn failed(&self, source: ControlError) -> DaemonError {
        match source {
            ControlError::Gone => DaemonError::NotConnected(self.identity),
            source => DaemonError::Control {
                daemon: self.label(),
                source,
            },
        }
    }

    fn label(&self) -> String {
        format!("{} {}", self.identity.role, self.name)
    }
}

impl Registry {
    /// An empty registry and the events of all its daemons. Whoever takes the events takes them all.
    #[must_use]
    pub fn new(
        facts: RegistryFacts,
        catalog: Catalog,
        store: Arc<CredentialStore>,
    ) -> (Self, mpsc::Receiver<DaemonEvent>) {
        let (events, taken) = mpsc::channel(EVENTS);
        let shared = Shared {
            facts,
            catalog,
            store,
            events,
            connected: RwLock::default(),
            next_connection: AtomicU64::new(1),
            changed: watch::Sender::new(0),
        };
        let registry = Self {
            shared: Arc::new(shared),
        };
        (registry, taken)
    }

    /// A daemon, when it is connected.
    #[must_use]
    pub fn get(&self, identity: Identity) -> Option<Daemon> {
        self.shared.connected.read().get(&identity).cloned()
    }

    /// A daemon that must be connected.
    ///
    /// # Errors
    /// It is not.
    pub fn must_get(&self, identity: Identity) -> Result<Daemon, DaemonError> {
        self.get(identity)
            .ok_or(DaemonError::NotConnected(identity))
    }

    /// By role and label.
    #[must_use]
    pub fn by_name(&self, role: Role, name: &str) -> Option<Daemon> {
        let connected = self.shared.connected.read();
        let mut all = connected.values();
        all.find(|d| d.identity.role == role && d.name == name)
            .cloned()
    }

    /// All that are connected, by role and UUID.
    #[must_use]
    pub fn list(&self) -> Vec<Daemon> {
        self.shared.connected.read().values().cloned().collect()
    }

    /// Changes whenever a daemon comes or goes.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.shared.changed.subscribe()
    }

    /// Waits for a daemon to be connected, at most `limit`.
    ///
    /// # Errors
    /// It did not come.
    pub async fn wait_for(
        &self,
        identity: Identity,
        limit: Duration,
    ) -> Result<Daemon, DaemonError> {
        let mut changes = self.changes();
        let came = async {
            loop {
                if let Some(daemon) = self.get(identity) {
                    return daemon;
                }
                // Fails only when the registry is gone, which `self` holds.
                let _ = changes.changed().await;
            }
        };
        let came = tokio::time::timeout(limit, came).await;
        came.map_err(|_| DaemonError::NotConnected(identity))
    }

    /// Records in the catalog once a minute who was heard of, until `stop`.
    pub async fn keep_seen(&self, stop: &StopToken) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(Duration::from_secs(60)) => {}
                () = stop.cancelled() => return,
            }
            let ids: Vec<Uuid> = self.list().iter().map(|d| d.identity.id).collect();
            let at = chrono::DateTime::from_timestamp_millis(now_ms()).unwrap_or_default();
            if let Err(e) = self.shared.catalog.record_seen(&ids, at).await {
                tracing::warn!("cannot record which daemons are connected: {e}");
            }
        }
    }
}

impl Shared {
    pub fn next_connection(&self) -> u64 {
        self.next_connection.fetch_add(1, Ordering::Relaxed)
    }

    /// Enters a daemon unless another connection of it is there: that one is given back.
    pub fn enter(&self, daemon: &Daemon) -> Result<(), Daemon> {
        {
            let mut connected = self.connected.write();
            if let Some(other) = connected.get(&daemon.identity) {
                return Err(other.clone());
            }
            connected.insert(daemon.identity, daemon.clone());
        }
        self.changed.send_modify(|n| *n += 1);
        Ok(())
    }

    /// Takes a daemon off, unless another connection took its place.
    pub fn leave(&self, daemon: &Daemon) {
        {
            let mut connected = self.connected.write();
            match connected.get(&daemon.identity) {
                Some(there) if there.connection == daemon.connection => {
                    connected.remove(&daemon.identity);
                }
                _ => return,
            }
        }
        self.changed.send_modify(|n| *n += 1);
    }

    pub async fn tell(&self, from: Identity, what: Happening) {
        // Fails only when nobody takes events any more: the Director stops.
        let _ = self.events.send(DaemonEvent { from, what }).await;
    }
}
