//! Errors of the API: `application/problem+json` (RFC 9457) with the remedy as a field of its own.
//!
//! Invariant: `code` is stable; scripts read it, people read the rest.

use serde::{Deserialize, Serialize};

/// Media type of a problem.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// Why a request was not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{title}: {detail}")]
pub struct Problem {
    /// `urn:holdfast:problem:CODE`.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// Short, the same for each occurrence.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// This occurrence: object, operation, place.
    #[serde(default)]
    pub detail: String,
    /// The route it happened at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// One of [`code`].
    pub code: String,
    /// What to do now; empty when there is nothing to add.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub remedy: String,
    /// Whether the same request may succeed later.
    #[serde(default)]
    pub retry: bool,
    /// Single findings: fields of a request, places in a configuration.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<Finding>,
}

/// One of several findings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// `file:line`, or a JSON pointer into the request.
    pub place: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub remedy: String,
}

impl Problem {
    /// A problem without instance, remedy and findings.
    #[must_use]
    pub fn new(status: u16, code: &str, title: &str, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:holdfast:problem:{code}"),
            title: title.to_owned(),
            status,
            detail: detail.into(),
            instance: None,
            code: code.to_owned(),
            remedy: String::new(),
            retry: false,
            errors: Vec::new(),
        }
    }

    /// With what to do now.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = remedy.into();
        self
    }
}

/// Stable codes.
pub mod code {
    /// 400, 422: the request itself.
    pub const INVALID: &str = "invalid";
    /// 401: no token, or one that is unknown, expired or revoked.
    pub const UNAUTHENTICATED: &str = "unauthenticated";
    /// 403: the user may not.
    pub const FORBIDDEN: &str = "forbidden";
    /// 404: no such object.
    pub const NOT_FOUND: &str = "not-found";
    /// 409: the object exists or is in another state.
    pub const CONFLICT: &str = "conflict";
    /// 409: the configuration is kept in files only (`config.managed = "files"`).
    pub const FILES_ONLY: &str = "files-only";
    /// 409: the Director listens where no other machine can reach it.
    pub const LOOPBACK_ONLY: &str = "loopback-only";
    /// 422: the configuration has errors, see `errors`.
    pub const CONFIGURATION: &str = "configuration";
    /// 503: the daemon this needs is not connected.
    pub const NOT_CONNECTED: &str = "not-connected";
    /// 503: not ready yet, or stopping.
    pub const UNAVAILABLE: &str = "unavailable";
    /// 504: a daemon or the catalog did not answer in time.
    pub const TIMEOUT: &str = "timeout";
    /// 500: a defect; the log has the details under the request id.
    pub const INTERNAL: &str = "internal";
}
