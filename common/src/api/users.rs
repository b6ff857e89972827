//! Tokens of the API's users. A token is shown once, when it is made; afterwards it is known by its id alone.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// A token, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiToken {
    /// What it is called in lists: 16 hex digits.
    pub id: String,
    /// Whose it is.
    pub user: String,
    /// What the user may do: `viewer`, `operator`, `admin`.
    pub role: String,
    /// What it is for.
    pub label: String,
    /// Made at.
    pub created_at: DateTime<Utc>,
    /// Good until; absent = until it is revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<DateTime<Utc>>,
    /// Last used, to the minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<DateTime<Utc>>,
}

/// `POST /users/{name}/tokens`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NewApiToken {
    /// What it is for; at most 200 characters.
    pub label: String,
    /// Life in days, 1..=3650; absent = until it is revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub days: Option<u32>,
}

/// A token that was made.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MadeToken {
    /// The secret, for `Authorization: Bearer`. It is told only here.
    pub token: String,
    /// What is known of it from now on.
    #[serde(flatten)]
    pub known: ApiToken,
}
