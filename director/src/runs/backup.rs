//! A backup run, from its start to the commit: plan, order, follow; resumed once by itself when a daemon was lost.
//!
//! The truth about a commit is the Storage Daemon's: before a run is given up, tried again or ended by the client's
//! word, it is asked what became of it. Never is a run a success by the client's word alone.

use std::sync::Arc;
use std::time::Duration;

use common::ids::{Identity, PageId, Role};
use common::protocol::control::{Body, SessionEvent};
use common::protocol::orders::{CancelOrder, RunEnd, Severity};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::follow::{Follow, Moment};
use super::ingest::{IngestError, ingest};
use super::live::Parties;
use super::machine::{Event, State};
use super::patience::{patiently, stubbornly};
use super::plan::{self, BackupPlan, PlanError};
use super::record::{Driven, Halt, now};
use crate::catalog::ingest::{IngestCounts, Leftovers};
use crate::catalog::{Number, SeriesId, SnapshotFilter};
use crate::daemons::Daemon;
use common::walk::Roots;

/// An order is taken within this.
const ORDER_LIMIT: Duration = Duration::from_secs(30);
/// A client that is told to stop has this long to say that it has.
const CANCEL_LIMIT: Duration = Duration::from_secs(10);
/// Tries of one Director before a run is left incomplete.
const TRIES: u32 = 2;

/// A run of the client and what it tells when it is done.
pub(super) type Ended = (RunEnd, oneshot::Sender<()>);

/// Where a run writes.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub series: SeriesId,
    pub number: Number,
    pub storage: Identity,
    pub client: Identity,
    /// Root of the newest published snapshot: what the rows of the catalog say now.
    pub head: Option<PageId>,
}

/// How following came to an end.
pub(super) enum Flow {
    /// Committed: the snapshot's stored bytes.
    Committed(Vec<u8>),
    /// Over without a commit.
    Over(Event),
    /// Broken off; may be tried again.
    Interrupted(String),
}

/// What waiting for the daemons came to.
enum Waited {
    /// Both are here.
    Here,
    /// Meanwhile the run was decided.
    Flow(Place, Flow),
    /// They do not come, or somebody stopped it.
    Never(Event),
}

/// An ingest of a checkpoint under way, and its root.
pub(super) type Overlapped = (PageId, JoinHandle<Result<IngestCounts, IngestError>>);

/// A backup under way.
pub(super) struct Backup {
    pub driven: Driven,
    pub follow: Follow,
    pub ended: Option<Ended>,
    /// Root of the last checkpoint whose rows are in.
    pub told: Option<PageId>,
    pub overlapped: Option<Overlapped>,
    /// Where it writes, once that is known.
    pub place: Option<Place>,
    /// A stop was asked for: by whom.
    pub canceled: Option<String>,
    /// The client's connection (by the time it was made) on which it told the end of the last try: what it said it works
    /// on when that connection began is no longer so.
    pub over_on: Option<i64>,
}

/// Drives a run to its end, or until the Director stops.
pub(super) async fn drive(driven: Driven, follow: Follow) -> Result<(), Halt> {
    let backup = Backup {
        driven,
        follow,
        ended: None,
        told: None,
        overlapped: None,
        place: None,
        canceled: None,
        over_on: None,
    };
    // On the heap: one future of a run is larger than a task should move around.
    Box::pin(backup.run()).await
}

impl Backup {
    async fn run(mut self) -> Result<(), Halt> {
        let mut tries = 0;
        if matches!(self.driven.state, State::Running | State::Committing) {
            let Some(place) = self.reopen().await? else {
                let event = Event::Failed(
                    "the catalog does not say where this run wrote: start it again".to_owned(),
                );
                return self.driven.end(event, None).await;
            };
            match self.settle(&place).await? {
                Flow::Committed(snapshot) => return self.commit(place, &snapshot).await,
                Flow::Over(event) => return self.over(event).await,
                Flow::Interrupted(reason) => self.interrupted(reason).await?,
            }
        }
        loop {
            let (place, flow) = match self.await_daemons().await? {
                Waited::Flow(place, flow) => (place, flow),
                Waited::Never(event) => return self.over(event).await,
                Waited::Here => {
                    tries += 1;
                    match self.attempt().await? {
                        Ok(done) => done,
                        Err(event) => return self.over(event).await,
                    }
                }
            };
            match flow {
                Flow::Committed(snapshot) => return self.commit(place, &snapshot).await,
                Flow::Over(event) => return self.over(event).await,
                Flow::Interrupted(reason) if tries >= TRIES => {
                    return self.over(Event::GivenUp(reason)).await;
                }
                Flow::Interrupted(reason) => self.interrupted(reason).await?,
            }
        }
    }

    /// Ends the run without a snapshot; the client is told that its end is recorded.
    async fn over(self, event: Event) -> Result<(), Halt> {
        let (counts, recorded) = match self.ended {
            Some((end, recorded)) => (end.counts, Some(recorded)),
            None => (None, None),
        };
        if let Some((_, task)) = self.overlapped {
            task.abort();
        }
        self.driven.end(event, counts).await?;
        if let Some(recorded) = recorded {
            let _ = recorded.send(());
        }
        Ok(())
    }

    async fn interrupted(&mut self, reason: String) -> Result<(), Halt> {
        self.driven
            .log
            .say(
                Severity::Notice,
                format!("interrupted: {reason}; the run will be resumed"),
            )
            .await;
        if let Some((_, recorded)) = self.ended.take() {
            let client = self.place.as_ref().map(|place| place.client);
            let client = client.and_then(|client| self.driven.inner.registry.get(client));
            self.over_on = client.map(|client| client.connected_ms);
            let _ = recorded.send(());
        }
        if let Some((_, task)) = self.overlapped.take() {
            let _ = task.await;
        }
        // What the next try finds may differ from the checkpoint told: its rows are written anew.
        self.told = None;
        self.driven.step(Event::Interrupted(reason)).await
    }

    /// Plan, order, follow. `Err` = it cannot be done.
    async fn attempt(&mut self) -> Result<Result<(Place, Flow), Event>, Halt> {
        let inner = Arc::clone(&self.driven.inner);
        let stop = &inner.stop;
        let row = &self.driven.row;
        let planned = patiently(stop, || async {
            match plan::backup(&inner, row).await {
                Ok(plan) => Ok(Ok(plan)),
                Err(PlanError::Refused(text)) => Ok(Err(text)),
                Err(PlanError::Catalog(error)) => Err(error),
            }
        });
        let plan = match planned.await? {
            Ok(plan) => plan,
            Err(text) => return Ok(Err(Event::Failed(text))),
        };
        let job_id = self.driven.job_id();
        let start = plan.start();
        if !stubbornly(stop, || inner.catalog.start_run(job_id, &start, now())).await? {
            return Err(Halt::Over);
        }
        self.driven.state = State::Running;
        let place = self.begin(&plan).await?;
        self.place = Some(place.clone());
        let client = inner.registry.get(place.client);
        let goes_on = client.is_some_and(|client| {
            works_on(&client, job_id.0) && self.over_on != Some(client.connected_ms)
        });
        let ordered = if goes_on {
            Ok(())
        } else {
            self.order(&plan).await
        };
        let flow = match ordered {
            Ok(()) => self.follow(&place).await?,
            // The client may have taken the order and been lost before it could say so.
            Err(reason) => {
                self.unless_committed_else(&place, Flow::Interrupted(reason))
                    .await?
            }
        };
        Ok(Ok((place, flow)))
    }

    /// Opens the run's ears, says what begins, and finds what the catalog's rows say now.
    async fn begin(&mut self, plan: &BackupPlan) -> Result<Place, Halt> {
        let (client, storage) = (&plan.client, &plan.storage);
        self.listen(
            (client.identity, &client.name),
            (storage.identity, &storage.name),
        );
        let decision = &plan.decision;
        let text = format!(
            "backup of client {} to pool {} on storage {}: {} ({}), number {}",
            client.name, plan.pool, storage.name, decision.level, decision.reason, plan.number
        );
        self.driven.log.say(Severity::Info, text).await;
        if self.driven.row.checkpoint.is_some() {
            self.driven
                .log
                .say(
                    Severity::Info,
                    "resumed from the last checkpoint of this run",
                )
                .await;
        }
        let head = self.head(plan.series.id).await?;
        Ok(Place {
            series: plan.series.id,
            number: plan.number,
            storage: storage.identity,
            client: client.identity,
            head,
        })
    }

    pub(super) fn listen(&mut self, client: (Identity, &str), storage: (Identity, &str)) {
        let named = |(identity, name): (Identity, &str)| Some((identity, name.to_owned()));
        self.driven.live.set_parties(Parties {
            client: named(client),
            storage: named(storage),
        });
        let limit = self.driven.inner.config.get().director.reconnect_limit;
        self.follow.watch([client.0, storage.0], limit);
    }

    pub(super) async fn head(&self, series: SeriesId) -> Result<Option<PageId>, Halt> {
        let inner = &self.driven.inner;
        let filter = SnapshotFilter {
            series: Some(series),
            ..SnapshotFilter::default()
        };
        let newest = patiently(&inner.stop, || inner.catalog.snapshots(&filter, 1)).await?;
        Ok(newest.first().map(|s| s.root))
    }

    /// Gives the order to the client. `Err` = why it did not take it.
    async fn order(&self, plan: &BackupPlan) -> Result<(), String> {
        let inner = &self.driven.inner;
        let order = plan.order(inner, &self.driven.row);
        let client = inner
            .registry
            .must_get(plan.client.identity)
            .map_err(|e| e.to_string())?;
        client
            .order(Body::Backup(order), ORDER_LIMIT)
            .await
            .map_err(|e| e.to_string())
    }

    /// Follows the run until it is committed, over, or broken off.
    pub(super) async fn follow(&mut self, place: &Place) -> Result<Flow, Halt> {
        loop {
            let moment = self.follow.next(&self.driven.log).await;
            let flow = match moment {
                Moment::Session(event) => self.session(place, event).await?,
                Moment::Ended(end, recorded) => {
                    let flow = self.client_ended(place, &end).await?;
                    self.ended = Some((end, recorded));
                    Some(flow)
                }
                Moment::Back(daemon) => self.back(place, &daemon).await?,
                Moment::Lost(role) => Some(self.lost(place, role).await?),
                Moment::CancelAsked => {
                    self.pass_cancel_on(place).await;
                    None
                }
                Moment::CancelOverdue => {
                    Some(self.unless_committed(place, self.canceled_event()).await?)
                }
                Moment::Stopping => return Err(Halt::Stopping),
            };
            if let Some(flow) = flow {
                return Ok(flow);
            }
        }
    }

    async fn session(&mut self, place: &Place, event: SessionEvent) -> Result<Option<Flow>, Halt> {
        match event.what.as_str() {
            "checkpoint" => {
                if let Ok(root) = PageId::from_slice(&event.root) {
                    self.checkpoint(place, root).await?;
                }
                Ok(None)
            }
            "committed" => Ok(Some(Flow::Committed(event.snapshot))),
            _ => Ok(None),
        }
    }

    /// Remembers what can be resumed from, and lets the catalog follow while the run goes on.
    async fn checkpoint(&mut self, place: &Place, root: PageId) -> Result<(), Halt> {
        let inner = Arc::clone(&self.driven.inner);
        let job_id = self.driven.job_id();
        stubbornly(&inner.stop, || {
            inner.catalog.record_checkpoint(job_id, root)
        })
        .await?;
        self.driven.row.checkpoint = Some(root);
        if self
            .overlapped
            .as_ref()
            .is_some_and(|(_, task)| task.is_finished())
        {
            self.join_overlapped().await;
        }
        if self.overlapped.is_none()
            && let Some(storage) = inner.registry.get(place.storage)
        {
            let roots = Roots {
                new: Some(root),
                base: place.head,
                done: self.told,
                unfinished: true,
                done_unfinished: true,
            };
            let leftovers = if self.told.is_some() {
                Leftovers::Keep
            } else {
                Leftovers::Discard
            };
            let (series, number, catalog) = (place.series, place.number, inner.catalog.clone());
            let task = async move {
                ingest(&catalog, storage, (series, number), (roots, leftovers)).await
            };
            self.overlapped = Some((root, tokio::spawn(task)));
        }
        Ok(())
    }

    /// Waits for the ingest of a checkpoint; a failed one is made up for by the last.
    pub(super) async fn join_overlapped(&mut self) {
        let Some((root, task)) = self.overlapped.take() else {
            return;
        };
        match task.await {
            Ok(Ok(_)) => self.told = Some(root),
            Ok(Err(error)) => {
                tracing::debug!(job_id = %self.driven.job_id(), error = &error as &dyn std::error::Error, "rows of a checkpoint were not written");
                self.told = None;
            }
            Err(_) => self.told = None,
        }
    }

    async fn back(&mut self, place: &Place, daemon: &Daemon) -> Result<Option<Flow>, Halt> {
        if let Some(reason) = self.canceled.clone() {
            self.send_cancel(daemon, &reason).await;
        }
        let still =
            daemon.identity.role == Role::Storage || works_on(daemon, self.driven.job_id().0);
        let flow = if still {
            self.unless_committed_else(place, Flow::Interrupted(String::new()))
                .await?
        } else {
            let text = format!(
                "the File Daemon of client {} was restarted",
                self.driven.row.client
            );
            self.unless_committed_else(place, Flow::Interrupted(text))
                .await?
        };
        // A Storage Daemon or client that still works on it goes on.
        Ok(Some(flow).filter(|flow| !still || matches!(flow, Flow::Committed(_))))
    }

    async fn lost(&mut self, place: &Place, role: Role) -> Result<Flow, Halt> {
        let limit = self.driven.inner.config.get().director.reconnect_limit;
        let text = format!("the {role} was not connected for {} s", limit.as_secs());
        if role == Role::Storage
            && let Some(client) = self.driven.inner.registry.get(place.client)
        {
            self.send_cancel(&client, &text).await;
        }
        self.unless_committed_else(place, Flow::Interrupted(text))
            .await
    }

    async fn pass_cancel_on(&mut self, place: &Place) {
        let reason = self.driven.live.cancel_reason();
        self.driven
            .log
            .say(Severity::Notice, format!("stop asked for: {reason}"))
            .await;
        self.canceled = Some(reason.clone());
        self.follow.expect_cancel_within(CANCEL_LIMIT);
        for identity in [place.client, place.storage] {
            if let Some(daemon) = self.driven.inner.registry.get(identity) {
                self.send_cancel(&daemon, &reason).await;
            }
        }
    }

    async fn send_cancel(&self, daemon: &Daemon, reason: &str) {
        let order = CancelOrder {
            job_id: self.driven.job_id().0,
            reason: reason.to_owned(),
        };
        // Whether it was heard shows in what the client says next, or in the limit.
        let _ = daemon.send(Body::Cancel(order)).await;
    }

    pub(super) fn canceled_event(&self) -> Event {
        Event::Canceled(self.canceled.clone().unwrap_or_default())
    }

    /// Before a try: both daemons must be here. A client that lost only its Director may finish meanwhile: what it and
    /// the storage say is heard.
    async fn await_daemons(&mut self) -> Result<Waited, Halt> {
        let inner = Arc::clone(&self.driven.inner);
        let limit = inner.config.get().director.offline_limit;
        let (client, storage) = match self.needed().await? {
            Ok(needed) => needed,
            Err(event) => return Ok(Waited::Never(event)),
        };
        let registry = inner.registry.clone();
        let both = async move {
            registry.wait_for(client, limit).await.is_ok()
                && registry.wait_for(storage, limit).await.is_ok()
        };
        tokio::pin!(both);
        loop {
            let moment = tokio::select! {
                here = &mut both => return Ok(if here { Waited::Here } else {
                    Waited::Never(Event::GivenUp(format!(
                        "its daemons were not connected for {} s; the next run goes on from what was saved",
                        limit.as_secs()
                    )))
                }),
                moment = self.follow.next(&self.driven.log) => moment,
            };
            match (moment, self.place.clone()) {
                (Moment::CancelAsked, _) => {
                    let reason = self.driven.live.cancel_reason();
                    self.canceled = Some(reason.clone());
                    return Ok(Waited::Never(Event::Canceled(reason)));
                }
                (Moment::Stopping, _) => return Err(Halt::Stopping),
                (Moment::Session(event), Some(place)) if event.what == "committed" => {
                    return Ok(Waited::Flow(place, Flow::Committed(event.snapshot)));
                }
                (Moment::Ended(end, recorded), Some(place)) => {
                    let flow = self.client_ended(&place, &end).await?;
                    self.ended = Some((end, recorded));
                    return Ok(Waited::Flow(place, flow));
                }
                _ => {}
            }
        }
    }

    async fn needed(&self) -> Result<Result<(Identity, Identity), Event>, Halt> {
        let inner = &self.driven.inner;
        let config = inner.config.get();
        let row = &self.driven.row;
        let pool = config
            .jobs
            .get(&row.job)
            .and_then(|job| config.pools.get(&job.pool));
        let Some(pool) = pool else {
            return Ok(Err(Event::Failed(format!(
                "job {:?} is no longer configured",
                row.job
            ))));
        };
        let client = patiently(&inner.stop, || {
            inner.catalog.daemon_by_name(Role::File, &row.client)
        })
        .await?;
        let storage = patiently(&inner.stop, || {
            inner.catalog.daemon_by_name(Role::Storage, &pool.storage)
        })
        .await?;
        Ok(match (client, storage) {
            (Some(client), Some(storage)) => Ok((client.identity, storage.identity)),
            (None, _) => Err(Event::Failed(format!(
                "client {:?} is not enrolled: make a token for it and enrol it",
                row.client
            ))),
            (_, None) => Err(Event::Failed(format!(
                "storage {:?} is not enrolled: make a token for it and enrol it",
                pool.storage
            ))),
        })
    }
}

/// Whether a client works on a run, or has its end to tell, by its own word when it connected.
pub(super) fn works_on(daemon: &Daemon, job_id: u64) -> bool {
    daemon.hello.running.contains(&job_id)
}
