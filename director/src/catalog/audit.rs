//! The audit trail: what people did, each row's hash covering the one before.
//!
//! Invariant: rows are only added (the database refuses the rest); [`Catalog::verify_audit`] finds the first that is not
//! what was written.

use chrono::{DateTime, Utc};
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};

use super::connect::Catalog;
use super::error::{CatalogError, During};
use super::row::{Columns, signed};

/// Name of the lock that orders writers of the trail within a database.
const LOCK: i64 = 0x4846_4155_4449;

/// Something done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAuditEntry {
    /// When, by the Director's clock.
    pub at: DateTime<Utc>,
    /// Who.
    pub actor: String,
    /// What, e.g. `run.cancel`.
    pub action: String,
    /// To what, e.g. `run 17`.
    pub object: String,
    /// More; never a secret.
    pub detail: String,
}

/// A row of the trail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Number, from 1, without gaps.
    pub seq: u64,
    /// What was done.
    pub entry: NewAuditEntry,
    /// Hash over the hash before and this row.
    pub hash: Vec<u8>,
}

/// Where the chain breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("audit row {seq} is not what was written")]
pub struct AuditBreak {
    /// Number of the first row that does not follow from the one before.
    pub seq: u64,
}

impl FromRow<'_, PgRow> for AuditEntry {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            seq: row.unsigned("seq")?,
            entry: NewAuditEntry {
                at: row.at("at")?,
                actor: row.try_get("actor")?,
                action: row.try_get("action")?,
                object: row.try_get("object")?,
                detail: row.try_get("detail")?,
            },
            hash: row.try_get("hash")?,
        })
    }
}

/// Hash of a row: every field with its length, so that no two rows share bytes. Time to the microsecond, as stored.
fn chain(before: &[u8], seq: u64, entry: &NewAuditEntry) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("holdfast 2026 audit chain v1");
    hasher
        .update(before)
        .update(&seq.to_le_bytes())
        .update(&entry.at.timestamp_micros().to_le_bytes());
    for field in [&entry.actor, &entry.action, &entry.object, &entry.detail] {
        hasher
            .update(&(field.len() as u64).to_le_bytes())
            .update(field.as_bytes());
    }
    *hasher.finalize().as_bytes()
}

impl Catalog {
    /// Adds a row. Returns its number.
    ///
    /// # Errors
    /// The catalog cannot be written.
    pub async fn append_audit(&self, entry: &NewAuditEntry) -> Result<u64, CatalogError> {
        let what = "append to the audit trail";
        let mut tx = self.begin().await?;
        sqlx::query("SELECT pg_advisory_xact_lock($1)")
            .bind(LOCK)
            .execute(&mut *tx)
            .await
            .during(what)?;
        let last: Option<AuditEntry> =
            sqlx::query_as("SELECT * FROM audit ORDER BY seq DESC LIMIT 1")
                .fetch_optional(&mut *tx)
                .await
                .during(what)?;
        let (seq, before) =
            last.map_or((1, Vec::new()), |row| (row.seq.saturating_add(1), row.hash));
        sqlx::query("INSERT INTO audit (seq, at, actor, action, object, detail, hash) VALUES ($1, $2, $3, $4, $5, $6, $7)")
            .bind(signed(seq))
            .bind(entry.at)
            .bind(&entry.actor)
            .bind(&entry.action)
            .bind(&entry.object)
            .bind(&entry.detail)
            .bind(chain(&before, seq, entry).as_slice())
            .execute(&mut *tx)
            .await
            .during(what)?;
        tx.commit().await.during(what)?;
        Ok(seq)
    }

    /// Rows before number `before` (`None` = the newest), newest first, at most `limit`.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub async fn audit(
        &self,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<AuditEntry>, CatalogError> {
        sqlx::query_as(
            "SELECT * FROM audit WHERE $1::bigint IS NULL OR seq < $1 ORDER BY seq DESC LIMIT $2",
        )
        .bind(before.map(signed))
        .bind(i64::from(limit))
        .fetch_all(self.pool())
        .await
        .during("read the audit trail")
    }

    /// Checks the whole chain, in steps of bounded size. Returns how many rows it has.
    ///
    /// # Errors
    /// The catalog cannot be read. The inner error is the first row that is not what was written.
    pub async fn verify_audit(&self) -> Result<Result<u64, AuditBreak>, CatalogError> {
        let (mut seq, mut before) = (0_u64, Vec::new());
        loop {
            let rows: Vec<AuditEntry> =
                sqlx::query_as("SELECT * FROM audit WHERE seq > $1 ORDER BY seq LIMIT 1000")
                    .bind(signed(seq))
                    .fetch_all(self.pool())
                    .await
                    .during("read the audit trail")?;
            if rows.is_empty() {
                return Ok(Ok(seq));
            }
            for row in rows {
                let expected = seq.saturating_add(1);
                if row.seq != expected || row.hash != chain(&before, row.seq, &row.entry) {
                    return Ok(Err(AuditBreak { seq: expected }));
                }
                (seq, before) = (row.seq, row.hash);
            }
        }
    }
}
