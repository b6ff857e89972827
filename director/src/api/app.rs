//! What every route can reach.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use tokio::sync::watch;

use super::caller::Caller;
use super::error::ApiError;
use crate::authority::Authority;
use crate::catalog::{Catalog, NewAuditEntry};
use crate::config::LiveConfig;
use crate::daemons::Registry;
use crate::runs::Runs;

/// What the API is made of.
#[derive(Debug, Clone)]
pub struct AppParts {
    /// Runs.
    pub runs: Runs,
    /// The catalog.
    pub catalog: Catalog,
    /// The configuration in use.
    pub config: Arc<LiveConfig>,
    /// Who is connected.
    pub registry: Registry,
    /// Tokens and revocation.
    pub authority: Arc<Authority>,
    /// Where the Director listens.
    pub listen: Vec<String>,
    /// Addresses it tells others.
    pub addresses: Vec<String>,
    /// Whether work is accepted.
    pub ready: watch::Receiver<bool>,
}

/// The state of the API. Cheap to clone.
#[derive(Debug, Clone)]
pub struct App {
    parts: Arc<AppParts>,
    pub(super) started_at: DateTime<Utc>,
}

impl std::ops::Deref for App {
    type Target = AppParts;
    fn deref(&self) -> &AppParts {
        &self.parts
    }
}

impl App {
    /// An API over these parts.
    #[must_use]
    pub fn new(parts: AppParts) -> Self {
        Self {
            parts: Arc::new(parts),
            started_at: now(),
        }
    }

    /// Whether only this machine can reach the Director.
    pub(super) fn loopback_only(&self) -> bool {
        self.listen.iter().all(|a| {
            a.parse::<std::net::SocketAddr>()
                .is_ok_and(|a| a.ip().is_loopback())
                || a.starts_with("localhost:")
        })
    }

    /// Records what somebody did.
    pub(super) async fn audit(
        &self,
        caller: &Caller,
        action: &str,
        object: String,
    ) -> Result<(), ApiError> {
        self.audit_with(caller, (action, object), String::new())
            .await
    }

    /// As [`App::audit`], with more in words.
    pub(super) async fn audit_with(
        &self,
        caller: &Caller,
        (action, object): (&str, String),
        detail: String,
    ) -> Result<(), ApiError> {
        let entry = NewAuditEntry {
            at: now(),
            actor: format!("user {} from {}", caller.name, caller.remote),
            action: action.to_owned(),
            object,
            detail,
        };
        self.catalog.append_audit(&entry).await?;
        Ok(())
    }
}

pub(super) fn now() -> DateTime<Utc> {
    DateTime::from_timestamp_millis(common::clock::now_ms()).unwrap_or_default()
}
