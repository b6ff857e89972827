//! The whole installation on one page: Director, catalog, daemons, what runs, what is stored, what is wrong.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::runs::Run;
use crate::ids::Role;

/// Answer of `GET /ready`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// Always `holdfast-director`.
    pub product: String,
    /// Software version.
    pub version: String,
    /// Whether work is accepted.
    pub ready: bool,
    /// What it waits for when not ready.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub waiting: String,
}

/// Answer of `GET /status`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The Director itself.
    pub director: DirectorStatus,
    /// The catalog.
    pub catalog: CatalogStatus,
    /// Storage Daemons, then File Daemons, each by name; at most 1000.
    pub daemons: Vec<Daemon>,
    /// Runs that are not over, at most 1000, oldest first.
    pub running: Vec<Run>,
    /// Runs that wait in the queue, of those in `running`.
    pub queued: u64,
    /// What is stored.
    pub stored: Stored,
    /// What needs a person, gravest first.
    pub alerts: Vec<Alert>,
}

/// The Director.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectorStatus {
    /// Software version.
    pub version: String,
    /// Its clock.
    pub now: DateTime<Utc>,
    /// Started at.
    pub started_at: DateTime<Utc>,
    /// Seconds since.
    pub uptime_s: u64,
    /// IANA name of its zone: typed times without zone are in it.
    pub zone: String,
    /// Addresses it listens on.
    pub listen: Vec<String>,
    /// Addresses it tells others (in tokens).
    pub addresses: Vec<String>,
    /// Whether no other machine can reach it: listens on loopback only.
    pub loopback_only: bool,
    /// SHA-256 of the root certificate, hex.
    pub root_sha256: String,
}

/// The catalog.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatalogStatus {
    /// `embedded` or `external`.
    pub kind: String,
    /// PostgreSQL's version.
    pub version: String,
    /// Bytes of the database.
    pub size_bytes: u64,
    /// Whether it answers.
    pub reachable: bool,
}

/// A daemon as the Director sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Daemon {
    /// `storage` or `file`.
    pub role: Role,
    /// Label.
    pub name: String,
    /// Whether it is connected now.
    pub connected: bool,
    /// When it was heard last; absent = never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<DateTime<Utc>>,
    /// Its clock minus the Director's, milliseconds, when connected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_difference_ms: Option<i64>,
    /// Host name.
    #[serde(default)]
    pub host: String,
    /// Software version.
    #[serde(default)]
    pub version: String,
}

/// What is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Stored {
    /// Volumes.
    pub volumes: u64,
    /// Their bytes.
    pub volume_bytes: u64,
    /// Snapshots kept.
    pub snapshots: u64,
    /// Bytes those snapshots protect, counted per snapshot.
    pub protected_bytes: u64,
    /// Free bytes for new volumes, over all Storage Daemons connected.
    pub free_bytes: u64,
}

/// Something a person should look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// `warning` or `error`.
    pub severity: super::runs::Severity,
    /// What it is about: `client web01`, `job nightly`, `volume main-0007`.
    pub object: String,
    /// What is wrong.
    pub text: String,
    /// What to do.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub remedy: String,
    /// Since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<DateTime<Utc>>,
}
