//! Client machines: who they are, how one joins, is checked, replaced, shut out.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Where a machine stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Enrolled {
    /// A token was made, nobody has used it.
    Waiting,
    /// It has a valid certificate.
    Enrolled,
    /// Its certificate was revoked.
    Revoked,
}

/// A client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client {
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
    /// Operating system, e.g. `linux`.
    #[serde(default)]
    pub system: String,
    /// Software version.
    #[serde(default)]
    pub version: String,
    /// Whether it may read and restore everything, when connected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub privileged: Option<bool>,
    /// Jobs that name it.
    #[serde(default)]
    pub jobs: Vec<String>,
    /// End of its certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_until: Option<DateTime<Utc>>,
}

/// Makes a client and its token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewClient {
    /// Label: 1..=63 of `a-z A-Z 0-9 . _ -`, starting with a letter or digit.
    pub name: String,
    /// The File Daemon runs on the Director's machine: then loopback addresses are right. Otherwise a Director that
    /// listens on loopback only answers 409 `loopback-only`.
    #[serde(default)]
    pub local: bool,
}

/// How a daemon joins.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrolment {
    /// Label.
    pub name: String,
    /// One-time token, one line.
    pub token: String,
    /// End of the token.
    pub expires_at: DateTime<Utc>,
    /// The one command for the other machine (holds the token).
    pub command: String,
    /// Addresses in the token.
    pub addresses: Vec<String>,
}

/// Is a client reachable and able?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientCheck {
    /// Label.
    pub name: String,
    /// Whether it is connected and answered now.
    pub reachable: bool,
    /// Milliseconds to the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round_trip_ms: Option<u64>,
    /// Its clock minus the Director's, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_difference_ms: Option<i64>,
    /// Whether it may read and restore everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub privileged: Option<bool>,
    /// When it was heard last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<DateTime<Utc>>,
    /// What is wrong, each with its remedy; empty = fine.
    #[serde(default)]
    pub remarks: Vec<String>,
}

/// Shuts a client out.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Revoke {
    /// Why, for the audit.
    pub reason: String,
}
