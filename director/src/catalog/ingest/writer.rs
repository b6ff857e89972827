//! The writing side of an ingest: interns, sorts, encodes one batch while the one before is copied.
//!
//! Invariants: a row goes in under a number above the head, so nobody sees it; writing the same rows
//! twice leaves them once. A COPY is never cancelled half-way: it runs in a task of its own.

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::super::connect::{Catalog, LongWork};
use super::super::error::{CatalogError, During};
use super::super::series::{Number, SeriesId};
use super::batch::{Batch, Message, Row};
use super::copy::{Encoder, copy_in};
use super::directories::{Ids, Interner};
use super::rows::Rows;

/// Batches between the walk and the writer.
const QUEUED_BATCHES: usize = 2;

/// What becomes of rows that an earlier try left under the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leftovers {
    /// Deleted first: the walk tells everything.
    Discard,
    /// Kept: the walk tells only what an earlier one of the same run has not (its `done` root).
    Keep,
}

/// What an ingest wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct IngestCounts {
    /// Versions.
    pub versions: u64,
    /// Removals.
    pub removals: u64,
    /// Directories seen for the first time.
    pub directories: u64,
}

/// An ingest in progress. Dropped, it stops after the batch at hand.
#[derive(Debug)]
pub struct Ingest {
    catalog: Catalog,
    place: (SeriesId, Number),
    task: JoinHandle<Result<IngestCounts, CatalogError>>,
    stop: DropGuard,
}

impl Ingest {
    /// Starts writing rows of snapshot `number` of a series, whose lease the caller holds.
    ///
    /// # Errors
    /// The catalog cannot be written; the number is published already.
    pub async fn begin(
        catalog: &Catalog,
        (series, number): (SeriesId, Number),
        leftovers: Leftovers,
    ) -> Result<(Self, Rows), CatalogError> {
        refuse_published(catalog, series, number).await?;
        if leftovers == Leftovers::Discard {
            delete_rows(catalog, series, number).await?;
        }
        let interner = Interner::new(catalog, series).await?;
        let (to, from) = mpsc::channel(QUEUED_BATCHES);
        let stop = CancellationToken::new();
        let task = tokio::spawn(write(
            catalog.clone(),
            interner,
            (series, number),
            (from, stop.clone()),
        ));
        let ingest = Self {
            catalog: catalog.clone(),
            place: (series, number),
            task,
            stop: stop.drop_guard(),
        };
        Ok((ingest, Rows::new(to)))
    }

    /// Waits until everything sent is committed. The [`Rows`] must have been closed.
    ///
    /// # Errors
    /// The catalog could not be written, or the walk did not close its end: abort, or begin again.
    pub async fn finish(self) -> Result<IngestCounts, CatalogError> {
        let done = self.task.await;
        drop(self.stop);
        flatten(done)
    }

    /// Stops, and deletes every row under this number.
    ///
    /// # Errors
    /// The catalog cannot be written.
    pub async fn abort(self) -> Result<(), CatalogError> {
        drop(self.stop);
        // How far it came does not matter any more.
        let _ = self.task.await;
        delete_rows(&self.catalog, self.place.0, self.place.1).await
    }
}

fn flatten(
    done: Result<Result<IngestCounts, CatalogError>, tokio::task::JoinError>,
) -> Result<IngestCounts, CatalogError> {
    done.unwrap_or_else(|error| {
        Err(CatalogError::Conflict {
            what: format!("the ingest's task ended early: {error}"),
        })
    })
}

async fn refuse_published(
    catalog: &Catalog,
    series: SeriesId,
    number: Number,
) -> Result<(), CatalogError> {
    let head: i32 = sqlx::query_scalar("SELECT head FROM series WHERE id = $1")
        .bind(series.0)
        .fetch_one(catalog.pool())
        .await
        .during("read a series")?;
    if number.column() <= head {
        return Err(CatalogError::Conflict {
            what: format!(
                "snapshot {number} of series {} is published already",
                series.0
            ),
        });
    }
    Ok(())
}

/// Deletes the rows of a number that is not published.
async fn delete_rows(
    catalog: &Catalog,
    series: SeriesId,
    number: Number,
) -> Result<(), CatalogError> {
    refuse_published(catalog, series, number).await?;
    let what = "delete rows of an unpublished snapshot";
    let mut tx = catalog.begin().await?;
    tx.without_time_limit().await.during(what)?;
    sqlx::query("DELETE FROM entry WHERE series = $1 AND since = $2")
        .bind(series.0)
        .bind(number.column())
        .execute(&mut *tx)
        .await
        .during(what)?;
    tx.commit().await.during(what)
}

/// A batch as bytes of a COPY.
struct Encoded {
    bytes: Vec<u8>,
    versions: u64,
    removals: u64,
}

async fn write(
    catalog: Catalog,
    interner: Interner,
    place: (SeriesId, Number),
    from: (mpsc::Receiver<Message>, CancellationToken),
) -> Result<IngestCounts, CatalogError> {
    let (to, encoded) = mpsc::channel(1);
    let (directories, copied) = tokio::join!(
        prepare(interner, place, from, to),
        copy_all(&catalog, encoded)
    );
    // The copying side's error is the cause when both have one.
    let counts = copied?;
    Ok(IngestCounts {
        directories: directories?,
        ..counts
    })
}

/// Interns and encodes batches until the walk has told everything. Returns directories numbered.
async fn prepare(
    mut interner: Interner,
    place: (SeriesId, Number),
    (mut from, stop): (mpsc::Receiver<Message>, CancellationToken),
    to: mpsc::Sender<Encoded>,
) -> Result<u64, CatalogError> {
    let early = |what: &str| CatalogError::Conflict {
        what: format!("the ingest ended early: {what}"),
    };
    loop {
        let message = tokio::select! {
            biased;
            () = stop.cancelled() => return Err(early("it was stopped")),
            message = from.recv() => message,
        };
        let batch = match message {
            Some(Message::Batch(batch)) => batch,
            Some(Message::End) => return Ok(interner.numbered),
            None => return Err(early("the walk gave up")),
        };
        let ids = interner.intern(&batch).await?;
        let encoded = tokio::task::spawn_blocking(move || encode(batch, &ids, place))
            .await
            .map_err(|_| early("encoding failed"))??;
        if to.send(encoded).await.is_err() {
            return Err(early("the catalog could not be written"));
        }
    }
}

/// Sorts by key, which is what the index likes best, and drops all but the last row of a key.
fn encode(
    batch: Batch,
    ids: &Ids,
    (series, number): (SeriesId, Number),
) -> Result<Encoded, CatalogError> {
    let missing = CatalogError::Damaged {
        what: "directory reference of a batch",
    };
    let with_id = |row: Row| ids.id(row.dir).map(|id| (id, row));
    let rows: Option<Vec<(i32, Row)>> = batch.rows.into_iter().map(with_id).collect();
    let mut rows = rows.ok_or(missing)?;
    rows.sort_by(|a, b| (a.0, &a.1.name).cmp(&(b.0, &b.1.name)));
    rows.reverse();
    rows.dedup_by(|a, b| (a.0, &a.1.name) == (b.0, &b.1.name));
    let mut out = Encoder::new(11);
    let mut removals = 0_u64;
    for (dir, row) in rows.iter().rev() {
        removals = removals.saturating_add(u64::from(row.kind == 0));
        out.row()
            .int8(row.size)
            .int8(row.mtime_ns)
            .int4(series.0)
            .int4(*dir)
            .int4(number.column())
            .int4(row.mode)
            .int4(row.uid)
            .int4(row.gid)
            .int2(row.kind)
            .int2(row.flags)
            .bytes(&row.name);
    }
    Ok(Encoded {
        bytes: out.finish(),
        versions: (rows.len() as u64).saturating_sub(removals),
        removals,
    })
}

async fn copy_all(
    catalog: &Catalog,
    mut from: mpsc::Receiver<Encoded>,
) -> Result<IngestCounts, CatalogError> {
    let mut counts = IngestCounts::default();
    while let Some(encoded) = from.recv().await {
        let _turn = catalog.ingest_turn().await;
        copy_rows(catalog, &encoded.bytes).await?;
        counts.versions = counts.versions.saturating_add(encoded.versions);
        counts.removals = counts.removals.saturating_add(encoded.removals);
    }
    Ok(counts)
}

macro_rules! copy_columns {
    ($table:literal) => {
        concat!(
            "COPY ",
            $table,
            " (size, mtime_ns, series, dir, since, mode, uid, gid, kind, flags, name) \
             FROM STDIN (FORMAT binary)"
        )
    };
}

/// Copies straight in. Rows that an earlier try left under the same number are replaced.
async fn copy_rows(catalog: &Catalog, bytes: &[u8]) -> Result<(), CatalogError> {
    let what = "write file versions";
    let mut connection = catalog.connection().await?;
    match copy_in(&mut connection, copy_columns!("entry"), bytes).await {
        Ok(_) => return Ok(()),
        Err(sqlx::Error::Database(e)) if e.is_unique_violation() => {}
        Err(error) => return Err(error).during(what),
    }
    drop(connection);
    let mut tx = catalog.begin().await?;
    sqlx::raw_sql("CREATE TEMPORARY TABLE stage (LIKE entry) ON COMMIT DROP")
        .execute(&mut *tx)
        .await
        .during(what)?;
    copy_in(&mut tx, copy_columns!("stage"), bytes)
        .await
        .during(what)?;
    for sql in [
        "DELETE FROM entry e USING stage s WHERE e.series = s.series AND e.dir = s.dir \
         AND e.name = s.name AND e.since = s.since",
        "INSERT INTO entry SELECT * FROM stage",
    ] {
        sqlx::query(sql).execute(&mut *tx).await.during(what)?;
    }
    tx.commit().await.during(what)
}
