//! Small upkeep: leases of runs that are over, and certificates whose end comes near.

use std::time::Duration;

use chrono::TimeDelta;
use common::shutdown::StopToken;

use crate::catalog::{Catalog, CatalogError};

const EVERY: Duration = Duration::from_secs(3600);
/// Daemons renew after two thirds of a certificate's life: one that is this near its end does not.
const NEAR: TimeDelta = TimeDelta::days(7);

/// Works until `stop`.
pub async fn upkeep(catalog: &Catalog, stop: &StopToken) {
    loop {
        if let Err(error) = reconcile(catalog).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "upkeep of the catalog failed, trying again in an hour"
            );
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = stop.cancelled() => return,
        }
    }
}

async fn reconcile(catalog: &Catalog) -> Result<(), CatalogError> {
    catalog.release_dead_leases().await?;
    let now = chrono::DateTime::from_timestamp_millis(common::clock::now_ms()).unwrap_or_default();
    let daemons = catalog.daemons(None).await?;
    for daemon in daemons.iter().filter(|d| d.revoked_at.is_none()) {
        let certificates = catalog.certificates(daemon.identity).await?;
        let valid = certificates.iter().filter(|c| c.revoked_at.is_none());
        let last = valid.map(|c| c.not_after).max();
        if last.is_some_and(|end| end < now + NEAR) {
            tracing::warn!(daemon = daemon.name, role = %daemon.identity.role, end = ?last,
                "a certificate ends soon and was not renewed: see that the daemon runs and reaches the Director");
        }
    }
    Ok(())
}
