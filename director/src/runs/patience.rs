//! Waiting for a catalog that is away: a statement that may pass later is tried again until it does.
//!
//! A try that is not answered at all counts as one that failed. Never retried is what the catalog refused; never waited is without a limit, except by those who have something to
//! record that must not be lost: they wait as long as the Director lives.

use std::time::Duration;

use common::shutdown::StopToken;
use tokio::time::Instant;

use crate::catalog::CatalogError;

/// How long a run waits for a catalog that is away before it fails.
const LIMIT: Duration = Duration::from_secs(600);
/// One try: a little longer than the server lets a statement take. After that it has vanished.
const TRY: Duration = Duration::from_secs(660);
const FIRST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(5);

/// Tries again while the catalog is away, at most ten minutes.
pub(super) async fn patiently<T, F>(
    stop: &StopToken,
    attempt: impl FnMut() -> F,
) -> Result<T, CatalogError>
where
    F: Future<Output = Result<T, CatalogError>>,
{
    tries(stop, Some(Instant::now() + LIMIT), attempt).await
}

/// Tries again while the catalog is away, until the Director stops.
pub(super) async fn stubbornly<T, F>(
    stop: &StopToken,
    attempt: impl FnMut() -> F,
) -> Result<T, CatalogError>
where
    F: Future<Output = Result<T, CatalogError>>,
{
    tries(stop, None, attempt).await
}

async fn tries<T, F>(
    stop: &StopToken,
    until: Option<Instant>,
    mut attempt: impl FnMut() -> F,
) -> Result<T, CatalogError>
where
    F: Future<Output = Result<T, CatalogError>>,
{
    let mut pause = FIRST;
    let mut told = false;
    loop {
        let tried = tokio::time::timeout(TRY, attempt()).await;
        match tried.unwrap_or(Err(CatalogError::Silent { limit: TRY })) {
            Err(error) if error.is_transient() && !stop.is_cancelled() => {
                if until.is_some_and(|until| Instant::now() >= until) {
                    return Err(error);
                }
                if !told {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "the catalog is away, trying again"
                    );
                    told = true;
                }
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = stop.cancelled() => {}
                }
                pause = (pause * 2).min(LONGEST);
            }
            other => return other,
        }
    }
}
