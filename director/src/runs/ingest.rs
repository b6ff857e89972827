//! A snapshot's rows: the difference of two trees, read from the Storage Daemon, becomes rows of the catalog.

use common::shutdown::StopToken;
use common::walk::{Roots, Walk, WalkError};

use crate::catalog::ingest::{Ingest, IngestCounts, Leftovers, WalkRowsError};
use crate::catalog::{Catalog, CatalogError, Number, SeriesId};
use crate::daemons::{Daemon, PageError, RemotePages};

/// Why rows were not written.
#[derive(Debug, thiserror::Error)]
pub(super) enum IngestError {
    /// The catalog.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The Storage Daemon.
    #[error(transparent)]
    Pages(#[from] WalkError<PageError>),
    /// Nobody wants the rows any more.
    #[error("stopped")]
    Stopped,
    /// The walking thread died.
    #[error("the walk was broken off")]
    Broken,
}

impl IngestError {
    /// Whether it may pass: the catalog or the Storage Daemon is away.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Catalog(error) => error.is_transient(),
            Self::Pages(WalkError::Source { source, .. }) => matches!(source, PageError::Daemon(_)),
            _ => false,
        }
    }
}

/// Writes the rows of one walk, unless it is stopped. After an error nothing of this number is left.
pub(super) async fn ingest(
    catalog: &Catalog,
    storage: Daemon,
    place: (SeriesId, Number),
    (roots, leftovers): (Roots, Leftovers),
    stop: &StopToken,
) -> Result<IngestCounts, IngestError> {
    let (ingest, mut rows) = Ingest::begin(catalog, place, leftovers).await?;
    let mut pages = RemotePages::new(storage);
    let walked = tokio::task::spawn_blocking(move || {
        rows.walk(&mut Walk::new(roots), &mut pages)?;
        // A writer that failed says why when the ingest is finished.
        let _ = rows.close();
        Ok(())
    });
    let walked = tokio::select! {
        walked = walked => walked,
        // The walk ends by itself when nobody takes its rows any more.
        () = stop.cancelled() => {
            ingest.abort().await?;
            return Err(IngestError::Stopped);
        }
    };
    match walked {
        Ok(Ok(()) | Err(WalkRowsError::Rows(_))) => Ok(ingest.finish().await?),
        Ok(Err(WalkRowsError::Walk(error))) => {
            ingest.abort().await?;
            Err(error.into())
        }
        Err(_) => {
            ingest.abort().await?;
            Err(IngestError::Broken)
        }
    }
}
