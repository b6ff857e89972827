//! Releases snapshots past their time: first the note to every Storage Daemon that holds a copy, then the catalog.
//!
//! Never the newest good snapshot of a series; never one in the catalog that a Storage Daemon was not told of: when one
//! is away, its snapshots stay until it is back.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use common::ids::{Identity, Role, SnapshotId, Term};
use common::protocol::control::{Body, NoteOrder};
use common::shutdown::StopToken;

use crate::catalog::{Catalog, CatalogError, SeriesId, Snapshot, SnapshotFilter, SnapshotState};
use crate::daemons::Registry;
use crate::policy::retention::{Kept, expired};

const EVERY: Duration = Duration::from_secs(3600);
const NOTE_LIMIT: Duration = Duration::from_secs(60);
/// Snapshots released in one round; the next round goes on.
const ROUND: u32 = 500;

/// The pruner.
#[derive(Debug)]
pub struct Prune {
    /// What there is.
    pub catalog: Catalog,
    /// Who is told.
    pub registry: Registry,
    /// Term of the orders.
    pub term: Term,
}

impl Prune {
    /// Works until `stop`.
    pub async fn run(self, stop: &StopToken) {
        let mut changes = self.registry.changes();
        loop {
            changes.mark_unchanged();
            if let Err(error) = self.reconcile().await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "snapshots past their time cannot be looked at"
                );
            }
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                // A Storage Daemon that was away may be back.
                _ = changes.changed() => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// Releases what may go now; returns how many.
    ///
    /// # Errors
    /// The catalog cannot be read or written.
    pub async fn reconcile(&self) -> Result<usize, CatalogError> {
        let now_ms = common::clock::now_ms();
        let now = chrono::DateTime::from_timestamp_millis(now_ms).unwrap_or_default();
        let mut decided: HashMap<SeriesId, HashSet<SnapshotId>> = HashMap::new();
        let mut released = 0;
        for snapshot in self.catalog.prunable(now, ROUND).await? {
            let series = snapshot.series;
            let ids = match decided.remove(&series) {
                Some(ids) => ids,
                None => self.decide(series, now_ms).await?,
            };
            let may_go = ids.contains(&snapshot.id);
            decided.insert(series, ids);
            if may_go && self.release(&snapshot).await? {
                released += 1;
            }
        }
        Ok(released)
    }

    async fn decide(
        &self,
        series: SeriesId,
        now_ms: i64,
    ) -> Result<HashSet<SnapshotId>, CatalogError> {
        let filter = SnapshotFilter {
            series: Some(series),
            ..SnapshotFilter::default()
        };
        let snapshots = self.catalog.snapshots(&filter, 1000).await?;
        let kept = snapshots.iter().map(|s| Kept {
            snapshot: s.id,
            number: s.number.0.into(),
            good: s.state == SnapshotState::Good,
            keep_until_ms: s.keep_until.map_or(0, |t| t.timestamp_millis()),
            held: false,
        });
        let kept: Vec<Kept> = kept.collect();
        Ok(expired(&kept, now_ms).into_iter().collect())
    }

    /// Whether it is released.
    async fn release(&self, snapshot: &Snapshot) -> Result<bool, CatalogError> {
        let until = snapshot
            .keep_until
            .map(|t| t.to_rfc3339())
            .unwrap_or_default();
        let reason = format!("kept until {until}");
        let copies = self.catalog.copies(snapshot.id).await?;
        let kept = copies.iter().filter(|c| c.state != SnapshotState::Released);
        let storages: BTreeSet<_> = kept.map(|c| c.storage).collect();
        for id in storages {
            let note = NoteOrder {
                snapshot: snapshot.id.0.to_vec(),
                what: "release".to_owned(),
                until_ms: 0,
                reason: reason.clone(),
                term: self.term.0,
            };
            let told = match self.registry.must_get(Identity {
                role: Role::Storage,
                id,
            }) {
                Ok(storage) => storage.order(Body::Note(note), NOTE_LIMIT).await,
                Err(error) => Err(error),
            };
            if let Err(error) = told {
                let snapshot = snapshot.id.short();
                tracing::debug!(
                    snapshot,
                    error = &error as &dyn std::error::Error,
                    "a snapshot past its time stays for now"
                );
                return Ok(false);
            }
        }
        match self.catalog.release_snapshot(snapshot.id, &reason).await {
            Ok(pruned) => {
                tracing::info!(snapshot = %snapshot.id.short(), job_id = %snapshot.job_id, job = snapshot.job,
                    client = snapshot.client, versions = pruned.versions, "snapshot released");
                Ok(true)
            }
            Err(CatalogError::Conflict { what }) => {
                tracing::debug!(what, "a snapshot stays");
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }
}
