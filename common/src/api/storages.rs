//! Storage Daemons: who they are, their room, how one joins.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::clients::Enrolled;

/// A Storage Daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Storage {
    /// Label.
    pub name: String,
    /// Identity in its certificate, once enrolled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Uuid>,
    /// Where it stands.
    pub enrolled: Enrolled,
    /// Whether it is connected now.
    pub connected: bool,
    /// When it was heard last; absent = never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<DateTime<Utc>>,
    /// Its clock minus the Director's, milliseconds, when connected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_difference_ms: Option<i64>,
    /// Host name it reported.
    #[serde(default)]
    pub host: String,
    /// Software version.
    #[serde(default)]
    pub version: String,
    /// Addresses where File Daemons reach it.
    #[serde(default)]
    pub addresses: Vec<String>,
    /// Volumes.
    #[serde(default)]
    pub volumes: u64,
    /// Their bytes.
    #[serde(default)]
    pub volume_bytes: u64,
    /// Free bytes for new volumes, as last reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub free_bytes: Option<u64>,
    /// Bytes of the file system, as last reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_bytes: Option<u64>,
    /// Pools that write to it.
    #[serde(default)]
    pub pools: Vec<String>,
}

/// Makes a Storage Daemon's label and token; answered by [`super::clients::Enrolment`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewStorage {
    /// Label, as of a client.
    pub name: String,
    /// It runs on the Director's machine.
    #[serde(default)]
    pub local: bool,
    /// A new certificate for a Storage Daemon that exists (its old one is lost).
    #[serde(default)]
    pub replace: bool,
}
