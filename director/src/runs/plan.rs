//! Plans a backup: gathers what is known of job, daemons and series, has policy decide, and writes ticket and order.

use common::fileset::FileSet as Ordered;
use common::ids::{Identity, JobId, Role};
use common::protocol::orders::{BackupOrder, BaseTree, StorageTarget};
use common::protocol::ticket::Ticket;

use super::engine::{BackupParameters, Inner};
use crate::catalog::{
    Catalog, CatalogError, Daemon, Level as StoredLevel, Number, Run, RunStart, Series, Snapshot,
    SnapshotFilter, SnapshotState,
};
use crate::policy::level::{Known, Plan, plan};
use crate::policy::retention::keep_until_ms;
use common::api::runs::Level;

/// A ticket is good for this long: a run that reconnects later is broken off and resumed with a new one.
const TICKET_LIFE_MS: i64 = 48 * 3600 * 1000;
/// Snapshots of a series looked at: the newest.
const SERIES_LIMIT: u32 = 1000;

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub(super) enum PlanError {
    /// It cannot be done, with the remedy.
    #[error("{0}")]
    Refused(String),
    /// The catalog.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

/// A backup that can be ordered.
#[derive(Debug)]
pub(super) struct BackupPlan {
    pub client: Daemon,
    pub storage: Daemon,
    pub series: Series,
    pub number: Number,
    pub decision: Plan,
    pub pool: String,
    pub fileset_text: String,
    pub started_ms: i64,
    fileset: Ordered,
    keep_until_ms: i64,
    compression: u32,
    own_folders: Vec<Vec<u8>>,
}

/// The daemon that must be enrolled for a run.
pub(super) async fn enrolled(
    catalog: &Catalog,
    role: Role,
    name: &str,
) -> Result<Daemon, PlanError> {
    match catalog.daemon_by_name(role, name).await? {
        Some(daemon) => Ok(daemon),
        None => Err(PlanError::Refused(format!(
            "{role} {name:?} is not enrolled: make a token for it and enrol it"
        ))),
    }
}

/// Folders of Holdfast on a host, which must never be saved there.
///
/// # Errors
/// The catalog cannot be read.
pub async fn own_folders_on(catalog: &Catalog, host: &str) -> Result<Vec<Vec<u8>>, CatalogError> {
    let daemons = catalog.daemons(None).await?;
    let here = daemons
        .into_iter()
        .filter(|d| d.host == host && d.revoked_at.is_none());
    Ok(here.flat_map(|d| d.own_folders).collect())
}

/// Plans the run of a row; takes the lease of its series.
pub(super) async fn backup(inner: &Inner, row: &Run) -> Result<BackupPlan, PlanError> {
    let config = inner.config.get();
    let gone = |what: &str, name: &str| {
        PlanError::Refused(format!(
            "{what} {name:?} is no longer configured: define it again or remove the run"
        ))
    };
    let job = config
        .jobs
        .get(&row.job)
        .ok_or_else(|| gone("job", &row.job))?;
    let fileset = config
        .filesets
        .get(&job.fileset)
        .ok_or_else(|| gone("fileset", &job.fileset))?;
    let pool = config
        .pools
        .get(&job.pool)
        .ok_or_else(|| gone("pool", &job.pool))?;
    let catalog = &inner.catalog;
    let storage = enrolled(catalog, Role::Storage, &pool.storage).await?;
    let client = enrolled(catalog, Role::File, &row.client).await?;
    let series = catalog
        .series_for(&row.job, client.identity.id, &client.name)
        .await?;
    let number = catalog
        .lease_series(series.id, row.job_id)
        .await?
        .ok_or_else(|| {
            let holder = series
                .lease
                .map_or_else(String::new, |(job_id, _)| format!(" ({job_id})"));
            PlanError::Refused(format!(
                "another run{holder} of the same job and client is not over"
            ))
        })?;
    let parameters: BackupParameters =
        serde_json::from_value(row.parameters.clone()).unwrap_or_default();
    let asked = parameters.level.unwrap_or(job.level);
    let decision = plan(
        asked,
        &fileset.text,
        &known(catalog, &series, storage.identity).await?,
    );
    let started_ms = common::clock::now_ms();
    let mut own_folders = own_folders_on(catalog, &client.host).await?;
    own_folders.extend(director_folders_on(inner, &client.host));
    Ok(BackupPlan {
        keep_until_ms: keep_until_ms(started_ms, job.keep, pool.keep),
        fileset: fileset.ordered.clone(),
        fileset_text: fileset.text.clone(),
        compression: job.compression,
        pool: job.pool.clone(),
        client,
        storage,
        series,
        number,
        decision,
        started_ms,
        own_folders,
    })
}

/// The Director's own folders, when the client is on the Director's host.
pub(super) fn director_folders_on(inner: &Inner, host: &str) -> Vec<Vec<u8>> {
    if host != common::net::enrol::host_name() {
        return Vec::new();
    }
    let folders = inner
        .own_folders
        .iter()
        .cloned()
        .chain(inner.catalog.own_folders());
    folders
        .map(|folder| folder.into_os_string().into_encoded_bytes())
        .collect()
}

async fn known(
    catalog: &Catalog,
    series: &Series,
    storage: Identity,
) -> Result<Vec<Known>, CatalogError> {
    let filter = SnapshotFilter {
        series: Some(series.id),
        ..SnapshotFilter::default()
    };
    let snapshots = catalog.snapshots(&filter, SERIES_LIMIT).await?;
    Ok(snapshots
        .into_iter()
        .map(|s| known_of(s, storage))
        .collect())
}

fn known_of(snapshot: Snapshot, storage: Identity) -> Known {
    Known {
        // Only runs that ended ok or with warnings publish a snapshot.
        good: snapshot.state == SnapshotState::Good && snapshot.storage == Some(storage.id),
        snapshot: snapshot.id,
        root: snapshot.root,
        number: snapshot.number.0.into(),
        job_id: snapshot.job_id,
        level: level_of(snapshot.level),
        fileset: snapshot.fileset,
    }
}

/// The catalog's level as the rest of the Director knows it.
pub(super) fn level_of(level: StoredLevel) -> Level {
    match level {
        StoredLevel::Full => Level::Full,
        StoredLevel::Differential => Level::Differential,
        StoredLevel::Incremental => Level::Incremental,
    }
}

impl BackupPlan {
    /// What the catalog records when the run starts.
    pub fn start(&self) -> RunStart {
        RunStart {
            level: self.decision.level.word().parse().ok(),
            level_reason: self.decision.reason.clone(),
            pool: self.pool.clone(),
            storage: Some(self.storage.identity.id),
            series: Some((self.series.id, self.number)),
            base: self.decision.base.as_ref().map(|b| b.snapshot),
            snapshot: None,
            fileset: self.fileset_text.clone(),
        }
    }

    /// The order for the File Daemon; `resume` is the root of a checkpoint of an earlier try.
    pub fn order(&self, inner: &Inner, row: &Run) -> BackupOrder {
        let base = self.decision.base.as_ref();
        BackupOrder {
            job_id: row.job_id.0,
            term: inner.term.0,
            job: row.job.clone(),
            level: self.decision.level.word().to_owned(),
            fileset: Some(self.fileset.clone()),
            storage: Some(target(&self.storage)),
            ticket: inner
                .authority
                .keys()
                .ticket_key()
                .sign(&self.ticket(inner, row)),
            base: base.map(|b| BaseTree {
                snapshot: b.snapshot.0.to_vec(),
                root: b.root.0.to_vec(),
            }),
            resume: row.checkpoint.map(|root| BaseTree {
                snapshot: Vec::new(),
                root: root.0.to_vec(),
            }),
            compression: self.compression,
            checkpoint_s: 0,
            series: self.series.uuid.as_bytes().to_vec(),
            own_folders: self.own_folders.clone(),
        }
    }

    fn ticket(&self, inner: &Inner, row: &Run) -> Ticket {
        let base = self.decision.base.as_ref();
        let roots = base.map(|b| b.root).into_iter().chain(row.checkpoint);
        Ticket {
            what: "backup".to_owned(),
            roots: roots.map(|root| root.0.to_vec()).collect(),
            pool: self.pool.clone(),
            series: self.series.uuid.as_bytes().to_vec(),
            number: self.number.0.into(),
            base: base.map(|b| b.snapshot.0.to_vec()).unwrap_or_default(),
            fileset: self.fileset_text.clone(),
            level: self.decision.level.word().to_owned(),
            level_reason: self.decision.reason.clone(),
            started_ms: self.started_ms,
            keep_until_ms: self.keep_until_ms,
            ..ticket(inner, row.job_id, (&self.client, &self.storage), &row.job)
        }
    }
}

/// The part of a ticket that says who, where and how long.
pub(super) fn ticket(
    inner: &Inner,
    job_id: JobId,
    (client, storage): (&Daemon, &Daemon),
    job: &str,
) -> Ticket {
    Ticket {
        job_id: job_id.0,
        term: inner.term.0,
        client_id: client.identity.id.as_bytes().to_vec(),
        storage_id: storage.identity.id.as_bytes().to_vec(),
        expires_ms: common::clock::now_ms().saturating_add(TICKET_LIFE_MS),
        job: job.to_owned(),
        client: client.name.clone(),
        ..Ticket::default()
    }
}

/// How a client reaches a Storage Daemon.
pub(super) fn target(storage: &Daemon) -> StorageTarget {
    StorageTarget {
        id: storage.identity.id.as_bytes().to_vec(),
        name: storage.name.clone(),
        addresses: storage.addresses.clone(),
    }
}
