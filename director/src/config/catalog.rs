//! `[catalog]`: which PostgreSQL.

use common::config::{Secret, Spanned};
use serde::Deserialize;

use super::context::Context;

/// Where the catalog is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CatalogSettings {
    /// `postgres://...`; none = a private PostgreSQL in the state folder.
    pub url: Option<Secret>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct CatalogTable {
    url: Option<Spanned<Secret>>,
}

impl CatalogTable {
    pub fn check(self, context: &mut Context<'_>) -> CatalogSettings {
        if let Some(url) = &self.url
            && !["postgres://", "postgresql://"]
                .iter()
                .any(|p| url.get_ref().expose().starts_with(p))
        {
            context.wrong(
                url.span(),
                "catalog.url is not the address of a PostgreSQL database",
                "write \"postgres://user:password@host:5432/database\", or remove the line for a private PostgreSQL",
            );
        }
        CatalogSettings {
            url: self.url.map(Spanned::into_inner),
        }
    }
}
