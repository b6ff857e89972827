//! The configuration: checked and taken into use while the Director runs.

use serde::{Deserialize, Serialize};

use super::problem::Finding;

/// Result of a check or reload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigReport {
    /// Whether there are no errors.
    pub ok: bool,
    /// Files read.
    pub files: Vec<String>,
    /// All errors at once.
    #[serde(default)]
    pub errors: Vec<Finding>,
    /// Allowed but doubtful.
    #[serde(default)]
    pub warnings: Vec<Finding>,
    /// What differs from what is in use (check) or was taken into use (reload): `job nightly changed: keep`.
    #[serde(default)]
    pub changes: Vec<String>,
    /// Whether it is in use now.
    pub applied: bool,
}
