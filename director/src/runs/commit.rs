//! From the commit on the Storage Daemon to "ok": the rest of the rows, then one transaction that publishes everything.
//!
//! Nothing can be lost here any more: what is away is waited for, and a Director that dies does this again.

use std::sync::Arc;
use std::time::Duration;

use common::object::snapshot::{Counts, Snapshot};
use common::protocol::orders::Severity;
use common::walk::Roots;
use tokio::time::Instant;

use super::backup::{Backup, Place};
use super::engine::Inner;
use super::follow::Moment;
use super::ingest::ingest;
use super::machine::{Event, State, Verdict, next};
use super::patience::{patiently, stubbornly};
use super::record::{Driven, Halt, now, word_of};
use crate::catalog::ingest::{IngestCounts, Leftovers};
use crate::catalog::{Outcome, Publication, Series};

/// A client that is here says its last word within this.
const LAST_WORD: Duration = Duration::from_secs(10);

impl Backup {
    /// Publishes what was committed.
    pub(super) async fn commit(mut self, place: Place, stored: &[u8]) -> Result<(), Halt> {
        let inner = Arc::clone(&self.driven.inner);
        let series = patiently(&inner.stop, || inner.catalog.series(place.series)).await?;
        let snapshot = match expected(stored, &self.driven, (&place, series.as_ref())) {
            Ok(snapshot) => snapshot,
            Err(text) => return self.driven.end(Event::Failed(text), None).await,
        };
        self.driven.step(Event::Committed).await?;
        self.join_overlapped().await;
        if let Err(text) = self.rows(&place, &snapshot).await? {
            return self.driven.end(Event::Failed(text), None).await;
        }
        self.last_word(&place).await?;
        self.publish(place, snapshot).await
    }

    /// Writes the rows that are missing; waits for catalog or storage when they are away. `Err` = never.
    async fn rows(
        &mut self,
        place: &Place,
        snapshot: &Snapshot,
    ) -> Result<Result<(), String>, Halt> {
        let inner = Arc::clone(&self.driven.inner);
        let Ok(root) = snapshot.root_page() else {
            return Ok(Err("the storage's snapshot has no root page".to_owned()));
        };
        let limit = inner.config.get().director.offline_limit;
        let until = Instant::now() + limit;
        let mut base = place.head;
        loop {
            let roots = Roots {
                new: Some(root),
                base,
                done: self.told,
                unfinished: false,
                done_unfinished: true,
            };
            let work = write_rows(Arc::clone(&inner), place, roots, limit);
            let error = match self.hearing(work).await? {
                Ok(counts) => {
                    tracing::debug!(job_id = %self.driven.job_id(), ?counts, "rows written");
                    return Ok(Ok(()));
                }
                // The tree before may have a hole: then the new one is told whole.
                Err((false, text)) if Instant::now() < until && base.take().is_some() => text,
                Err((passing, text)) if !passing || Instant::now() >= until => {
                    return Ok(Err(format!(
                        "stored, but the catalog could not follow: {text}; rebuild the catalog from the storage to see the snapshot"
                    )));
                }
                Err((_, text)) => text,
            };
            tracing::warn!(job_id = %self.driven.job_id(), error, "rows of a snapshot could not be written, trying again");
            // What was told is gone with the failed ingest.
            self.told = None;
            self.hearing(tokio::time::sleep(Duration::from_secs(1)))
                .await?;
        }
    }

    /// Does `work` while the run's daemons are still heard.
    async fn hearing<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Halt> {
        tokio::pin!(work);
        loop {
            let moment = tokio::select! {
                done = &mut work => return Ok(done),
                moment = self.follow.next(&self.driven.log) => moment,
            };
            match moment {
                Moment::Ended(end, recorded) => self.ended = Some((end, recorded)),
                Moment::Stopping => return Err(Halt::Stopping),
                // Committed is committed: neither loss nor a stop changes anything.
                _ => {}
            }
        }
    }

    /// Waits for the client's own end of the run, which brings the last log lines, when it is there.
    async fn last_word(&mut self, place: &Place) -> Result<(), Halt> {
        let Some(client) = self.driven.inner.registry.get(place.client) else {
            return Ok(());
        };
        let until = Instant::now() + LAST_WORD;
        while self.ended.is_none() {
            let moment = tokio::select! {
                moment = self.follow.next(&self.driven.log) => moment,
                () = client.gone() => return Ok(()),
                () = tokio::time::sleep_until(until) => return Ok(()),
            };
            match moment {
                Moment::Ended(end, recorded) => self.ended = Some((end, recorded)),
                Moment::Stopping => return Err(Halt::Stopping),
                _ => {}
            }
        }
        Ok(())
    }

    async fn publish(self, place: Place, snapshot: Snapshot) -> Result<(), Halt> {
        let ended = self.ended;
        let driven = self.driven;
        let said = ended.as_ref().map(|(end, _)| end);
        let counts = snapshot
            .counts
            .or_else(|| said.and_then(|end| end.counts))
            .unwrap_or_default();
        let doubtful = counts.unsaved > 0 || said.is_some_and(|end| end.outcome == "warnings");
        let verdict = if doubtful {
            Verdict::Warnings
        } else {
            Verdict::Ok
        };
        if said.is_none() {
            driven
                .log
                .say(
                    Severity::Notice,
                    "the client was lost after the commit; everything it counted is stored",
                )
                .await;
        }
        driven
            .log
            .say(Severity::Info, summary(verdict, &counts))
            .await;
        let (inner, job_id, row) = (driven.inner, driven.row.job_id, driven.row);
        driven.log.close().await;
        let Ok(state @ State::Over(_)) = next(&driven.state, Event::Finished(verdict)) else {
            return Err(Halt::Over);
        };
        let publication = Publication {
            snapshot: &snapshot,
            series: place.series,
            storage: place.storage.id,
            outcome: Outcome {
                state: word_of(&state),
                text: String::new(),
                counts: Some(counts),
                ended_at: now(),
            },
        };
        stubbornly(&inner.stop, || inner.catalog.publish(&publication)).await?;
        tracing::info!(%job_id, job = row.job, client = row.client, status = state.word(), "run over");
        if let Some((_, recorded)) = ended {
            let _ = recorded.send(());
        }
        Ok(())
    }
}

/// Writes the rows of one walk: the difference, or without a base the whole tree and the removal of what it lacks. An
/// error comes with whether it may pass.
async fn write_rows(
    inner: Arc<Inner>,
    place: &Place,
    roots: Roots,
    limit: Duration,
) -> Result<IngestCounts, (bool, String)> {
    let storage = inner
        .registry
        .wait_for(place.storage, limit)
        .await
        .map_err(|e| (false, e.to_string()))?;
    let leftovers = if roots.done.is_some() {
        Leftovers::Keep
    } else {
        Leftovers::Discard
    };
    let is_whole = roots.base.is_none() && place.head.is_some();
    let number = (place.series, place.number);
    let written = ingest(
        &inner.catalog,
        storage,
        number,
        (roots, leftovers),
        &inner.stop,
    )
    .await;
    let counts = written.map_err(|e| (e.is_passing(), chain(&e)))?;
    if is_whole {
        let removed = inner.catalog.remove_untold(number).await;
        removed.map_err(|e| (e.is_transient(), chain(&e)))?;
    }
    Ok(counts)
}

/// The snapshot, when it is the one this run must have stored.
fn expected(
    stored: &[u8],
    driven: &Driven,
    (place, series): (&Place, Option<&Series>),
) -> Result<Snapshot, String> {
    let snapshot = Snapshot::from_bytes(stored)
        .map_err(|e| format!("the storage's snapshot cannot be read: {e}"))?;
    let uuid = series
        .map(|s| s.uuid.as_bytes().to_vec())
        .unwrap_or_default();
    let right = snapshot.job_id == driven.job_id().0
        && snapshot.number == u64::from(place.number.0)
        && snapshot.series == uuid
        && !snapshot.incomplete;
    if right {
        Ok(snapshot)
    } else {
        Err(
            "the storage answered with the snapshot of another run: nothing is counted as saved"
                .to_owned(),
        )
    }
}

fn summary(verdict: Verdict, counts: &Counts) -> String {
    let outcome = match verdict {
        Verdict::Ok => "ok".to_owned(),
        Verdict::Warnings => format!("ok with warnings: {} not saved", counts.unsaved),
    };
    let size = |bytes: u64| common::config::Size::from_bytes(bytes);
    format!(
        "{outcome}: {} files, {} protected, {} read, {} sent, {} stored",
        counts.files,
        size(counts.protected_bytes),
        size(counts.read_bytes),
        size(counts.sent_bytes),
        size(counts.stored_bytes)
    )
}

/// An error with its causes on one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
