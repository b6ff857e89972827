//! Who this installation is, and the term: the number that fences every order and ticket.

use chrono::{DateTime, Utc};
use common::ids::Term;
use sqlx::Row;
use uuid::Uuid;

use super::connect::Catalog;
use super::error::{CatalogError, During};
use super::row::Columns;

/// The installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Installation {
    /// Its name for ever.
    pub id: Uuid,
    /// The term of the Director that started last.
    pub term: Term,
    /// Catalog made at.
    pub created_at: DateTime<Utc>,
}

impl Catalog {
    /// The installation.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub async fn installation(&self) -> Result<Installation, CatalogError> {
        let read = async {
            let row = sqlx::query("SELECT id, term, created_at FROM installation")
                .fetch_one(self.pool())
                .await?;
            Ok(Installation {
                id: row.try_get("id")?,
                term: Term(row.unsigned("term")?),
                created_at: row.at("created_at")?,
            })
        };
        read.await.during("read the installation")
    }

    /// A new term, higher than every one before: taken once by each Director that starts.
    ///
    /// # Errors
    /// The catalog cannot be written.
    pub async fn next_term(&self) -> Result<Term, CatalogError> {
        let read = async {
            let row = sqlx::query("UPDATE installation SET term = term + 1 RETURNING term")
                .fetch_one(self.pool())
                .await?;
            row.unsigned("term").map(Term)
        };
        read.await.during("take a new term")
    }
}
