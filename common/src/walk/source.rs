//! Where a walk gets its pages from.

use bytes::Bytes;

use crate::codec::DecodeError;
use crate::ids::PageId;
use crate::object::page::Page;

/// Gives pages by name. The local store, a remote Storage Daemon, a client's state folder.
pub trait PageSource {
    /// Why a page cannot be had.
    type Error: std::error::Error + Send + Sync + 'static;

    /// The bytes of a page, already checked against its name.
    ///
    /// # Errors
    /// Absent, damaged, or out of reach.
    fn page(&mut self, id: PageId) -> Result<Bytes, Self::Error>;

    /// These pages will be asked for soon, in about this order: a hint, free to ignore.
    fn will_need(&mut self, ids: &[PageId]) {
        let _ = ids;
    }
}

/// Why a walk stopped at a page.
#[derive(Debug, thiserror::Error)]
pub enum WalkError<E: std::error::Error + 'static> {
    /// The source cannot give it.
    #[error("cannot read page {page}")]
    Source {
        /// Which.
        page: PageId,
        /// Why.
        source: E,
    },
    /// It is not a page, or not one of a directory.
    #[error("page {page} is not a valid directory page")]
    Decode {
        /// Which.
        page: PageId,
        /// Why.
        source: DecodeError,
    },
}

impl<E: std::error::Error + 'static> WalkError<E> {
    /// The page it is about.
    #[must_use]
    pub fn page(&self) -> PageId {
        match self {
            Self::Source { page, .. } | Self::Decode { page, .. } => *page,
        }
    }
}

pub(super) fn load<S: PageSource>(
    source: &mut S,
    page: PageId,
) -> Result<Page, WalkError<S::Error>> {
    let bytes = source
        .page(page)
        .map_err(|source| WalkError::Source { page, source })?;
    Page::decode(&bytes).map_err(|source| WalkError::Decode { page, source })
}
