//! A snapshot's rows: the difference of two trees, read from the Storage Daemon, becomes rows of the catalog.

use common::walk::{PageSource, Roots, Step, Walk, WalkError};

use crate::catalog::ingest::{Ingest, IngestCounts, Leftovers, Rows, RowsError};
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

enum Walked {
    All,
    /// The writer has failed and says why.
    RowsRefused,
}

/// Writes the rows of one walk. After an error nothing of this number is left.
pub(super) async fn ingest(
    catalog: &Catalog,
    storage: Daemon,
    place: (SeriesId, Number),
    (roots, leftovers): (Roots, Leftovers),
) -> Result<IngestCounts, IngestError> {
    let (ingest, rows) = Ingest::begin(catalog, place, leftovers).await?;
    let pages = RemotePages::new(storage);
    let walked = tokio::task::spawn_blocking(move || walk(roots, pages, rows)).await;
    match walked {
        Ok(Ok(Walked::All)) => Ok(ingest.finish().await?),
        Ok(Ok(Walked::RowsRefused)) => match ingest.finish().await {
            Err(error) => Err(error.into()),
            Ok(_) => Err(IngestError::Broken),
        },
        Ok(Err(error)) => {
            ingest.abort().await?;
            Err(error.into())
        }
        Err(_) => {
            ingest.abort().await?;
            Err(IngestError::Broken)
        }
    }
}

fn walk<S: PageSource>(roots: Roots, mut pages: S, mut rows: Rows) -> Result<Walked, WalkError<S::Error>> {
    let mut walk = Walk::new(roots);
    let mut directory: Vec<u8> = Vec::new();
    while let Some(step) = walk.next(&mut pages)? {
        if tell(&mut rows, step, &mut directory).is_err() {
            return Ok(Walked::RowsRefused);
        }
    }
    Ok(if rows.close().is_err() { Walked::RowsRefused } else { Walked::All })
}

/// One step as rows; `directory` is the name that a following `Enter` goes into.
fn tell(rows: &mut Rows, step: Step, directory: &mut Vec<u8>) -> Result<(), RowsError> {
    match step {
        Step::Added(entry) | Step::Changed { new: entry, .. } => {
            rows.entry(&entry)?;
            *directory = entry.name;
        }
        Step::Removed(entry) => {
            rows.removed(&entry.name)?;
            *directory = entry.name;
        }
        Step::Same(entry) => *directory = entry.name,
        Step::Enter => rows.enter(directory)?,
        Step::Leave => rows.leave(),
    }
    Ok(())
}
