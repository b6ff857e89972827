//! Series: the snapshots of one (job, client), numbered 1, 2, 3. One writer at a time, by a lease.
//!
//! Invariants: a number is taken under the lease and never used again; what is above `head` does not exist for readers.

use common::ids::JobId;
use sqlx::postgres::PgRow;
use sqlx::{FromRow, PgConnection, Row};
use uuid::Uuid;

use super::connect::Catalog;
use super::error::{CatalogError, During};
use super::row::{Columns, signed};
use super::sql::series_columns;

/// A series within this catalog. Its UUID is its name for ever and in volumes; this is the short form in rows.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct SeriesId(pub i32);

/// A snapshot's number in its series, from 1; 0 = before the first.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(transparent)]
pub struct Number(pub u32);

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl Number {
    /// For an `integer` column; a series does not reach 2^31 snapshots.
    pub(super) fn column(self) -> i32 {
        i32::try_from(self.0).unwrap_or(i32::MAX)
    }

    pub(super) fn from_column(value: i32) -> Result<Self, sqlx::Error> {
        u32::try_from(value)
            .map(Self)
            .map_err(|e| sqlx::Error::Decode(Box::new(e)))
    }
}

/// A series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Series {
    /// Short form.
    pub id: SeriesId,
    /// Name for ever.
    pub uuid: Uuid,
    /// Name of the job.
    pub job: String,
    /// The client.
    pub client_id: Uuid,
    /// The client's name.
    pub client: String,
    /// Newest published number; 0 = none.
    pub head: Number,
    /// The number the next writer gets.
    pub next_number: Number,
    /// Who writes it now, and under which number.
    pub lease: Option<(JobId, Number)>,
}

impl FromRow<'_, PgRow> for Series {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let number = row
            .try_get::<Option<i32>, _>("lease_number")?
            .map(Number::from_column)
            .transpose()?;
        let holder = row.unsigned_opt("lease_job_id")?.map(JobId);
        Ok(Self {
            id: SeriesId(row.try_get("id")?),
            uuid: row.try_get("uuid")?,
            job: row.try_get("job")?,
            client_id: row.try_get("client_id")?,
            client: row.try_get("client")?,
            head: Number::from_column(row.try_get("head")?)?,
            next_number: Number::from_column(row.try_get("next_number")?)?,
            lease: holder.zip(number),
        })
    }
}

impl Catalog {
    /// The series of a job and a client; made when there is none. A client's new name is taken over.
    ///
    /// # Errors
    /// The catalog cannot be written.
    pub async fn series_for(
        &self,
        job: &str,
        client_id: Uuid,
        client: &str,
    ) -> Result<Series, CatalogError> {
        self.make_series(Uuid::new_v4(), job, client_id, client)
            .await
    }

    /// Found, or made under this UUID.
    pub(super) async fn make_series(
        &self,
        uuid: Uuid,
        job: &str,
        client_id: Uuid,
        client: &str,
    ) -> Result<Series, CatalogError> {
        sqlx::query_as(concat!(
            "INSERT INTO series (uuid, job, client_id, client) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (job, client_id) DO UPDATE SET client = excluded.client RETURNING ",
            series_columns!()
        ))
        .bind(uuid)
        .bind(job)
        .bind(client_id)
        .bind(client)
        .fetch_one(self.pool())
        .await
        .during("find or make a series")
    }

    /// One series.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub async fn series(&self, id: SeriesId) -> Result<Option<Series>, CatalogError> {
        sqlx::query_as(concat!(
            "SELECT ",
            series_columns!(),
            " FROM series WHERE id = $1"
        ))
        .bind(id.0)
        .fetch_optional(self.pool())
        .await
        .during("read a series")
    }

    /// Series of a job and a client by name; `None` = any.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub async fn list_series(
        &self,
        job: Option<&str>,
        client: Option<&str>,
    ) -> Result<Vec<Series>, CatalogError> {
        sqlx::query_as(concat!(
            "SELECT ",
            series_columns!(),
            " FROM series WHERE ($1::text IS NULL OR job = $1) AND ($2::text IS NULL OR client = $2) \
             ORDER BY job, client, id"
        ))
        .bind(job)
        .bind(client)
        .fetch_all(self.pool())
        .await
        .during("list series")
    }

    /// Takes the lease of a series for a run, with the number it writes under. A run that holds it already gets the
    /// same number again. `None` = another run holds it.
    ///
    /// # Errors
    /// The catalog cannot be written.
    pub async fn lease_series(
        &self,
        series: SeriesId,
        job_id: JobId,
    ) -> Result<Option<Number>, CatalogError> {
        let number: Option<i32> = sqlx::query_scalar(include_str!("series_lease.sql"))
            .bind(series.0)
            .bind(signed(job_id.0))
            .fetch_optional(self.pool())
            .await
            .during("lease a series")?;
        number
            .map(Number::from_column)
            .transpose()
            .during("lease a series")
    }

    /// Gives free what a run holds. Its number is not used again.
    ///
    /// # Errors
    /// The catalog cannot be written.
    pub async fn release_series(&self, job_id: JobId) -> Result<(), CatalogError> {
        let mut connection = self.connection().await?;
        release_lease(&mut connection, job_id).await
    }

    /// Gives free the leases of runs that are over or gone. Returns how many.
    ///
    /// # Errors
    /// The catalog cannot be written.
    pub async fn release_dead_leases(&self) -> Result<u64, CatalogError> {
        let done = sqlx::query(
            "UPDATE series SET lease_job_id = NULL, lease_number = NULL WHERE lease_job_id IS NOT NULL \
             AND NOT EXISTS (SELECT 1 FROM run WHERE job_id = lease_job_id AND ended_at IS NULL)",
        )
        .execute(self.pool())
        .await
        .during("release leases of runs that are over")?;
        Ok(done.rows_affected())
    }
}

pub(super) async fn release_lease(
    connection: &mut PgConnection,
    job_id: JobId,
) -> Result<(), CatalogError> {
    sqlx::query(
        "UPDATE series SET lease_job_id = NULL, lease_number = NULL WHERE lease_job_id = $1",
    )
    .bind(signed(job_id.0))
    .execute(connection)
    .await
    .during("release a series")?;
    Ok(())
}
