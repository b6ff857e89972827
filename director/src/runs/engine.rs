//! Runs as the rest of the Director sees them: start, cancel, watch; and what daemons say, taken to the run it is about.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use common::api::runs::Level;
use common::ids::{Identity, JobId, Role, Term};
use common::protocol::control::{Body, Done, NoteOrder, SessionEvent};
use common::protocol::fault::{Fault, code};
use common::protocol::orders::RunEnd;
use common::shutdown::{StopToken, Tasks};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, mpsc, oneshot};

use super::live::{Board, Heard, Live};
use super::queue;
use super::record::now;
use crate::authority::Authority;
use crate::catalog::{Catalog, CatalogError, NewRun, Origin, Outcome, RunKind, RunState};
use crate::config::LiveConfig;
use crate::daemons::{DaemonEvent, Happening, Registry};
use crate::policy::admission::Candidate;

/// Why a run was not started or stopped.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// No such job.
    #[error("there is no job {0:?}")]
    NoJob(String),
    /// The job has no such client.
    #[error("job {job} has no client {client:?}")]
    NoClient {
        /// Job.
        job: String,
        /// As asked for.
        client: String,
    },
    /// No such run.
    #[error("there is no run {0}")]
    NoRun(JobId),
    /// It is over.
    #[error("run {job_id} is over: {state}")]
    Over {
        /// Run.
        job_id: JobId,
        /// Its outcome.
        state: RunState,
    },
    /// The catalog.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

/// Backups to be started.
#[derive(Debug, Clone)]
pub struct StartBackup {
    /// Job.
    pub job: String,
    /// One of its clients; none = all.
    pub client: Option<String>,
    /// Level; none = the job's.
    pub level: Option<Level>,
    /// Who asks.
    pub by: String,
}

/// What a backup run was asked for, as kept in its row.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct BackupParameters {
    /// Level asked for; none = the job's.
    pub level: Option<Level>,
}

/// What runs are made of.
#[derive(Debug)]
pub struct RunsParts {
    /// The catalog.
    pub catalog: Catalog,
    /// The configuration in use.
    pub config: Arc<LiveConfig>,
    /// Who is connected.
    pub registry: Registry,
    /// Signs tickets.
    pub authority: Arc<Authority>,
    /// Term of this Director.
    pub term: Term,
    /// The Director's own folders.
    pub own_folders: Vec<PathBuf>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub catalog: Catalog,
    pub config: Arc<LiveConfig>,
    pub registry: Registry,
    pub authority: Arc<Authority>,
    pub term: Term,
    pub own_folders: Vec<PathBuf>,
    pub board: Board,
    /// Runs that a task of this Director drives, as the limits count them.
    pub driven: Mutex<HashMap<JobId, Candidate>>,
    pub wake: Notify,
    pub stop: StopToken,
    pub tasks: Tasks,
}

/// All runs. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Runs {
    pub(super) inner: Arc<Inner>,
}

impl Runs {
    /// Runs that stop when `stop` does.
    #[must_use]
    pub fn new(parts: RunsParts, stop: &StopToken) -> Self {
        let tasks = Tasks::child_of(stop);
        Self {
            inner: Arc::new(Inner {
                catalog: parts.catalog,
                config: parts.config,
                registry: parts.registry,
                authority: parts.authority,
                term: parts.term,
                own_folders: parts.own_folders,
                board: Board::default(),
                driven: Mutex::default(),
                wake: Notify::new(),
                stop: tasks.stop_token().clone(),
                tasks,
            }),
        }
    }

    /// Takes up what an earlier Director left, then starts what the queue holds. `events` are those of the registry.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub async fn start(&self, events: mpsc::Receiver<DaemonEvent>) -> Result<(), CatalogError> {
        queue::take_up(&self.inner).await?;
        let inner = Arc::clone(&self.inner);
        self.inner
            .tasks
            .spawn(async move { queue::work(&inner).await });
        let runs = self.clone();
        self.inner
            .tasks
            .spawn(async move { runs.hear(events).await });
        Ok(())
    }

    /// Stops all runs here (they go on at the next start), at most `limit`.
    pub async fn stop(&self, limit: Duration) -> bool {
        self.inner.tasks.join(limit).await
    }

    /// Has the queue looked at now.
    pub fn wake(&self) {
        self.inner.wake.notify_one();
    }

    /// Rows for the backups asked for, one per client.
    ///
    /// # Errors
    /// No such job or client; the catalog cannot be read.
    pub async fn backups(
        &self,
        start: &StartBackup,
        origin: Origin,
    ) -> Result<Vec<NewRun>, RunError> {
        let config = self.inner.config.get();
        let job = config
            .jobs
            .get(&start.job)
            .ok_or_else(|| RunError::NoJob(start.job.clone()))?;
        let clients: Vec<&String> = match &start.client {
            None => job.clients.iter().collect(),
            Some(name) => match job.clients.iter().find(|c| *c == name) {
                Some(client) => vec![client],
                None => {
                    return Err(RunError::NoClient {
                        job: start.job.clone(),
                        client: name.clone(),
                    });
                }
            },
        };
        let at = now();
        let level = start.level.unwrap_or(job.level);
        let parameters = serde_json::json!(BackupParameters { level: Some(level) });
        let mut rows = Vec::with_capacity(clients.len());
        for client in clients {
            let known = self
                .inner
                .catalog
                .daemon_by_name(Role::File, client)
                .await?;
            rows.push(NewRun {
                job: start.job.clone(),
                client: client.clone(),
                client_id: known.map(|d| d.identity.id),
                kind: RunKind::Backup,
                level: level.word().parse().ok(),
                priority: job.priority,
                origin,
                origin_name: start.by.clone(),
                created_at: at,
                scheduled_at: at,
                pool: job.pool.clone(),
                parameters: parameters.clone(),
            });
        }
        Ok(rows)
    }

    /// Queues backups.
    ///
    /// # Errors
    /// As [`Runs::backups`]; the catalog cannot be written.
    pub async fn start_backups(&self, start: &StartBackup) -> Result<Vec<JobId>, RunError> {
        let mut ids = Vec::new();
        for row in self.backups(start, Origin::User).await? {
            ids.push(self.queue(&row).await?);
        }
        Ok(ids)
    }

    /// Queues one run.
    ///
    /// # Errors
    /// The catalog cannot be written.
    pub async fn queue(&self, row: &NewRun) -> Result<JobId, CatalogError> {
        let job_id = self.inner.catalog.create_run(row).await?;
        self.inner.board.place(job_id);
        self.wake();
        Ok(job_id)
    }

    /// Stops a run: at once when it has not started, else as soon as its daemons have let go of it.
    ///
    /// # Errors
    /// No such run, or it is over; the catalog cannot be written.
    pub async fn cancel(&self, job_id: JobId, reason: &str) -> Result<(), RunError> {
        let row = self
            .inner
            .catalog
            .run(job_id)
            .await?
            .ok_or(RunError::NoRun(job_id))?;
        if row.state.is_final() {
            return Err(RunError::Over {
                job_id,
                state: row.state,
            });
        }
        if self.inner.driven.lock().contains_key(&job_id) {
            self.inner.board.place(job_id).cancel(reason);
            return Ok(());
        }
        let outcome = Outcome {
            state: RunState::Canceled,
            text: reason.to_owned(),
            counts: None,
            ended_at: now(),
        };
        // A run that is being started at this moment is driven by now; its driver sees the wish.
        let live = self.inner.board.place(job_id);
        live.cancel(reason);
        if !self.inner.driven.lock().contains_key(&job_id)
            && self.inner.catalog.finish_run(job_id, &outcome).await?
        {
            self.inner.board.over(job_id);
            self.wake();
        }
        Ok(())
    }

    /// What is known of a run that is not over. `None` = it is over, or there is none.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub async fn live(&self, job_id: JobId) -> Result<Option<Arc<Live>>, CatalogError> {
        if let Some(live) = self.inner.board.get(job_id) {
            return Ok(Some(live));
        }
        let row = self.inner.catalog.run(job_id).await?;
        let live = row
            .filter(|r| !r.state.is_final())
            .map(|_| self.inner.board.place(job_id));
        // It may have ended between the question and the answer: then nobody would ever say so.
        let over = self
            .inner
            .catalog
            .run(job_id)
            .await?
            .is_none_or(|r| r.state.is_final());
        if over {
            self.inner.board.over(job_id);
        }
        Ok(live.filter(|_| !over))
    }

    /// What this Director remembers of a run, without asking the catalog.
    #[must_use]
    pub fn remembered(&self, job_id: JobId) -> Option<Arc<Live>> {
        self.inner.board.get(job_id)
    }

    async fn hear(&self, mut events: mpsc::Receiver<DaemonEvent>) {
        loop {
            let event = tokio::select! {
                event = events.recv() => event,
                () = self.inner.stop.cancelled() => None,
            };
            let Some(DaemonEvent { from, what }) = event else {
                return;
            };
            match what {
                Happening::Connected(_) | Happening::Disconnected => self.wake(),
                Happening::Said(body) => self.said(from, body).await,
                Happening::Asked(body, answer) => self.asked(from, body, answer).await,
            }
        }
    }

    async fn said(&self, from: Identity, body: Body) {
        match body {
            Body::Progress(progress) => {
                if let Some(live) = self.inner.board.of(JobId(progress.job_id), from) {
                    live.offer(Heard::Progress(progress));
                }
            }
            Body::LogLines(lines) => {
                if let Some(live) = self.inner.board.of(JobId(lines.job_id), from) {
                    live.deliver(Heard::Log(live.source(from), lines.lines))
                        .await;
                }
            }
            Body::Session(event) => self.session(from, event).await,
            Body::StorageReport(report) => {
                let catalog = self.inner.catalog.clone();
                self.inner.tasks.spawn(async move {
                    if let Err(error) = catalog.record_storage(from.id, &report, now()).await {
                        tracing::warn!(
                            error = &error as &dyn std::error::Error,
                            "a storage report is lost; the next one tells the same"
                        );
                    }
                });
            }
            Body::RunEnd(end) => {
                let (answer, _) = oneshot::channel();
                self.ended(from, end, answer).await;
            }
            other => tracing::debug!(%from, ?other, "a message that nobody waits for"),
        }
    }

    async fn asked(&self, from: Identity, body: Body, answer: oneshot::Sender<Body>) {
        match body {
            Body::RunEnd(end) => self.ended(from, end, answer).await,
            Body::Session(event) => {
                self.session(from, event).await;
                let _ = answer.send(Body::Done(Done {}));
            }
            Body::LogLines(_) | Body::Progress(_) | Body::StorageReport(_) => {
                self.said(from, body).await;
                let _ = answer.send(Body::Done(Done {}));
            }
            _ => {
                let fault = Fault::new(code::UNKNOWN, "the Director does not answer this message");
                let _ = answer.send(Body::Fault(fault));
            }
        }
    }

    /// A client is done with a run: it is told so once that is recorded.
    async fn ended(&self, from: Identity, end: RunEnd, answer: oneshot::Sender<Body>) {
        let job_id = JobId(end.job_id);
        let Some(live) = self.inner.board.of(job_id, from) else {
            // Over and recorded, or never ours: nothing is left to be told.
            let _ = answer.send(Body::Done(Done {}));
            return;
        };
        let (recorded, told) = oneshot::channel();
        live.deliver(Heard::Ended(end, recorded)).await;
        self.inner.tasks.spawn(async move {
            if told.await.is_ok() {
                let _ = answer.send(Body::Done(Done {}));
            }
        });
    }

    async fn session(&self, from: Identity, event: SessionEvent) {
        let job_id = JobId(event.job_id);
        if let Some(live) = self.inner.board.of(job_id, from) {
            live.deliver(Heard::Session(event)).await;
        } else if event.what == "committed" && from.role == Role::Storage {
            let inner = Arc::clone(&self.inner);
            self.inner.tasks.spawn(async move {
                if let Err(error) = release_stray(&inner, from, event).await {
                    tracing::warn!(%job_id, error = &error as &dyn std::error::Error, "cannot look at a snapshot of a run that is over");
                }
            });
        }
    }
}

/// A snapshot committed by a run that had been given up: nobody will publish it, so its space is given free.
async fn release_stray(
    inner: &Inner,
    from: Identity,
    event: SessionEvent,
) -> Result<(), CatalogError> {
    let job_id = JobId(event.job_id);
    let given_up = inner
        .catalog
        .run(job_id)
        .await?
        .is_some_and(|row| row.state.is_final() && !row.state.is_good());
    let id = common::ids::SnapshotId::of(&event.snapshot);
    if !given_up || inner.catalog.snapshot(id).await?.is_some() {
        return Ok(());
    }
    let note = NoteOrder {
        snapshot: id.0.to_vec(),
        what: "release".to_owned(),
        until_ms: 0,
        reason: format!("run {job_id} was over before it was committed"),
        term: inner.term.0,
    };
    if let Some(storage) = inner.registry.get(from)
        && let Err(error) = storage
            .order(Body::Note(note), Duration::from_secs(30))
            .await
    {
        tracing::warn!(%job_id, error = &error as &dyn std::error::Error, "the stray snapshot of a run stays");
    }
    Ok(())
}
