//! A restore run: ticket and order for the client that takes the files, follow, outcome.
//!
//! A restore that is broken off ends as incomplete: it is started again by whoever wants it, since what is there already
//! may have been changed by people in between.

use std::sync::Arc;
use std::time::Duration;

use common::api::restore::{Mode, RestoreRequest, Target};
use common::api::runs::RestoreOf;
use common::api::text::PathText;
use common::fileset::{Command, FileSet};
use common::ids::{Identity, PageId, Role, SnapshotId};
use common::object::snapshot::Counts;
use common::protocol::control::Body;
use common::protocol::fault::FaultText;
use common::protocol::orders::{self, CancelOrder, RestoreOrder, RunEnd, Selection, Severity};
use common::protocol::ticket::Ticket;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::backup::works_on;
use super::engine::{RunError, Runs};
use super::follow::{Follow, Moment};
use super::live::Parties;
use super::machine::{Event, State, Verdict};
use super::patience::{patiently, stubbornly};
use super::plan::{director_folders_on, enrolled, own_folders_on, target, ticket};
use super::point::{PointError, ResolvedPoint, resolve};
use super::record::{Driven, Halt, now};
use crate::catalog::{Daemon, NewRun, Origin, RunKind, RunStart, SnapshotState};
use crate::config::{Config, selection_of_text};

const ORDER_LIMIT: Duration = Duration::from_secs(30);
const CANCEL_LIMIT: Duration = Duration::from_secs(10);
/// Restores go before backups that wait for the same daemon.
const PRIORITY: i32 = 1;

/// What a restore run does, as kept in its row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RestorePlan {
    /// As asked for.
    pub request: RestoreRequest,
    /// From what to where, for lists.
    pub shown: RestoreOf,
    /// The snapshot, hex.
    pub snapshot: String,
    /// Only what differs from this tree, hex.
    pub not_in_root: Option<String>,
    /// Entries expected; 0 = unknown.
    pub expected_entries: u64,
    /// Content bytes expected; 0 = unknown.
    pub expected_bytes: u64,
}

/// Why a restore was not started.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// No such snapshot or path.
    #[error(transparent)]
    Point(#[from] PointError),
    /// A field of the request.
    #[error("{field}: {reason}")]
    Request {
        /// Which.
        field: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// Queueing it.
    #[error(transparent)]
    Run(#[from] RunError),
}

impl Runs {
    /// Resolves and queues a restore.
    ///
    /// # Errors
    /// [`RestoreError`]
    pub async fn start_restore(
        &self,
        request: RestoreRequest,
        by: &str,
    ) -> Result<common::ids::JobId, RestoreError> {
        check(&request)?;
        let point = resolve(&self.inner.catalog, &request).await?;
        let client = request
            .to_client
            .clone()
            .unwrap_or_else(|| point.snapshot.client.clone());
        let known = self
            .inner
            .catalog
            .daemon_by_name(Role::File, &client)
            .await
            .map_err(RunError::from)?;
        let Some(known) = known else {
            let reason = format!("client {client:?} is not enrolled");
            return Err(RestoreError::Request {
                field: "to_client",
                reason,
            });
        };
        let kind = if request.mode == Mode::Compare {
            RunKind::Verify
        } else {
            RunKind::Restore
        };
        let at = now();
        let (job, pool) = (point.snapshot.job.clone(), point.snapshot.pool.clone());
        let row = NewRun {
            job,
            client,
            client_id: Some(known.identity.id),
            kind,
            level: None,
            priority: PRIORITY,
            origin: Origin::User,
            origin_name: by.to_owned(),
            created_at: at,
            scheduled_at: at,
            pool,
            parameters: serde_json::json!(RestorePlan::new(request, &point)),
        };
        Ok(self.queue(&row).await.map_err(RunError::from)?)
    }
}

fn check(request: &RestoreRequest) -> Result<(), RestoreError> {
    let refuse = |field, reason: String| Err(RestoreError::Request { field, reason });
    if let Target::Dir(dir) = &request.to
        && !dir.to_bytes().is_ok_and(|raw| raw.starts_with(b"/"))
    {
        return refuse("to", format!("{:?} is not an absolute folder", dir.0));
    }
    for regex in &request.regexes {
        if let Err(error) = regex::bytes::Regex::new(regex) {
            return refuse("regexes", format!("{regex:?} cannot be read: {error}"));
        }
    }
    for glob in &request.globs {
        if let Err(error) = globset::GlobBuilder::new(glob)
            .literal_separator(true)
            .build()
        {
            return refuse(
                "globs",
                format!("{glob:?} cannot be read: {}", error.kind()),
            );
        }
    }
    for (field, path) in [("strip", &request.strip), ("prefix", &request.prefix)] {
        if path.as_ref().is_some_and(|p| p.to_bytes().is_err()) {
            return refuse(
                field,
                "a backslash starts neither \\\\ nor \\xNN".to_owned(),
            );
        }
    }
    if request.excluded.iter().any(|p| p.to_bytes().is_err()) {
        return refuse(
            "excluded",
            "a backslash starts neither \\\\ nor \\xNN".to_owned(),
        );
    }
    Ok(())
}

impl RestorePlan {
    fn new(request: RestoreRequest, point: &ResolvedPoint) -> Self {
        let snapshot = &point.snapshot;
        let to = match &request.to {
            Target::Dir(dir) => dir.clone(),
            Target::InPlace => PathText("/".to_owned()),
        };
        Self {
            shown: RestoreOf {
                from_client: snapshot.client.clone(),
                from_job_id: snapshot.job_id,
                as_of: snapshot.started_at,
                to,
                mode: request.mode,
            },
            snapshot: snapshot.id.to_string(),
            not_in_root: point.not_in_root.map(|root| root.to_string()),
            expected_entries: point.expected_entries,
            expected_bytes: point.expected_bytes,
            request,
        }
    }

    /// Root of the tree that is compared with, when only what one run saved is wanted.
    fn not_in(&self) -> Option<Vec<u8>> {
        let root = self
            .not_in_root
            .as_ref()
            .and_then(|hex| hex.parse::<PageId>().ok());
        root.map(|root| root.0.to_vec())
    }

    fn selection(&self) -> Selection {
        let raw = |paths: &[PathText]| paths.iter().filter_map(|p| p.to_bytes().ok()).collect();
        Selection {
            paths: raw(&self.request.paths),
            globs: self.request.globs.clone(),
            regexes: self.request.regexes.clone(),
            excluded: raw(&self.request.excluded),
            not_in_root: self.not_in().unwrap_or_default(),
        }
    }
}

/// Facts of a restore that can be ordered.
struct Ready {
    client: Daemon,
    storage: Daemon,
    root: PageId,
    start: RunStart,
    /// Of the job's FileSet as it is configured now. Never those of the snapshot's own text: a catalog that was built
    /// anew has it from a Storage Daemon, and no Storage Daemon says what runs on a client.
    commands: Vec<Command>,
    /// What the snapshot's FileSet selects; `None` = its text does not read.
    fileset: Option<FileSet>,
    own_folders: Vec<Vec<u8>>,
}

/// Drives a restore to its end, or until the Director stops.
pub(super) async fn drive(mut driven: Driven, mut follow: Follow) -> Result<(), Halt> {
    let plan: RestorePlan = match serde_json::from_value(driven.row.parameters.clone()) {
        Ok(plan) => plan,
        Err(error) => {
            let text = format!("its request cannot be read: {error}; start it again");
            return driven.end(Event::Failed(text), None).await;
        }
    };
    let ready = match ready(&driven, &plan).await? {
        Ok(ready) => ready,
        Err(text) => return driven.end(Event::Failed(text), None).await,
    };
    let parties = [
        (ready.client.identity, &ready.client.name),
        (ready.storage.identity, &ready.storage.name),
    ];
    let [client, storage] = parties.map(|(identity, name)| Some((identity, name.clone())));
    driven.live.set_parties(Parties { client, storage });
    let limit = driven.inner.config.get().director.reconnect_limit;
    follow.watch([ready.client.identity, ready.storage.identity], limit);
    let begun = matches!(driven.state, State::Running);
    if begun {
        driven
            .log
            .say(
                Severity::Notice,
                "the Director was restarted; waiting for the client",
            )
            .await;
        if let Err(text) = still_there(&driven, ready.client.identity, limit).await? {
            return driven.end(Event::GivenUp(text), None).await;
        }
    } else if let Err(event) = order(&mut driven, &plan, &ready).await? {
        return driven.end(event, None).await;
    }
    let (event, ended) = watch(&driven, &mut follow, &ready).await?;
    let counts: Option<Counts> = ended.as_ref().and_then(|(end, _)| end.counts);
    driven.end(event, counts).await?;
    if let Some((_, recorded)) = ended {
        let _ = recorded.send(());
    }
    Ok(())
}

/// Whether the client of a restore that an earlier Director began still works on it.
async fn still_there(
    driven: &Driven,
    client: Identity,
    limit: Duration,
) -> Result<Result<(), String>, Halt> {
    let here = tokio::select! {
        here = driven.inner.registry.wait_for(client, limit) => here,
        () = driven.inner.stop.cancelled() => return Err(Halt::Stopping),
    };
    Ok(match here {
        Ok(daemon) if works_on(&daemon, driven.job_id().0) => Ok(()),
        Ok(_) => {
            Err("the Director and the client were restarted; start the restore again".to_owned())
        }
        Err(error) => Err(format!("{error}; start the restore again when it is")),
    })
}

/// Finds daemons and the best copy: a good one whose Storage Daemon is connected before one whose is not.
async fn ready(driven: &Driven, plan: &RestorePlan) -> Result<Result<Ready, String>, Halt> {
    let (inner, row) = (&driven.inner, &driven.row);
    let Ok(id) = plan.snapshot.parse::<SnapshotId>() else {
        return Ok(Err(
            "its snapshot has no valid name; start it again".to_owned()
        ));
    };
    let snapshot = patiently(&inner.stop, || inner.catalog.snapshot(id)).await?;
    let copies = patiently(&inner.stop, || inner.catalog.copies(id)).await?;
    let Some(snapshot) = snapshot.filter(|s| s.state != SnapshotState::Released) else {
        return Ok(Err(
            "the snapshot has been released by retention in the meantime".to_owned(),
        ));
    };
    let connected = |storage: uuid::Uuid| {
        inner
            .registry
            .get(Identity {
                role: Role::Storage,
                id: storage,
            })
            .is_some()
    };
    let best = copies
        .iter()
        .filter(|c| c.state != SnapshotState::Released)
        .min_by_key(|c| (c.state != SnapshotState::Good, !connected(c.storage)));
    let Some(best) = best else {
        return Ok(Err(
            "no pool holds a copy of the snapshot any more".to_owned()
        ));
    };
    let identity = Identity {
        role: Role::Storage,
        id: best.storage,
    };
    let storage = patiently(&inner.stop, || inner.catalog.daemon(identity)).await?;
    let Some(storage) = storage else {
        return Ok(Err(
            "the Storage Daemon of the snapshot is not enrolled any more".to_owned(),
        ));
    };
    let client = match enrolled(&inner.catalog, Role::File, &row.client).await {
        Ok(client) => client,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let mut own_folders =
        patiently(&inner.stop, || own_folders_on(&inner.catalog, &client.host)).await?;
    own_folders.extend(director_folders_on(inner, &client.host));
    let start = RunStart {
        pool: best.pool.clone(),
        storage: Some(best.storage),
        snapshot: Some(id),
        ..RunStart::default()
    };
    Ok(Ok(Ready {
        client,
        storage,
        root: snapshot.root,
        start,
        commands: commands_of(&inner.config.get(), &snapshot.job),
        fileset: selection_of_text(&snapshot.fileset),
        own_folders,
    }))
}

/// The commands of a job's FileSet; none when the job is not configured any more.
fn commands_of(config: &Config, job: &str) -> Vec<Command> {
    let fileset = config.jobs.get(job).map(|job| &job.fileset);
    let fileset = fileset.and_then(|name| config.filesets.get(name));
    fileset.map_or_else(Vec::new, |fileset| fileset.ordered.commands.clone())
}

async fn order(
    driven: &mut Driven,
    plan: &RestorePlan,
    ready: &Ready,
) -> Result<Result<(), Event>, Halt> {
    let inner = Arc::clone(&driven.inner);
    let job_id = driven.job_id();
    if !stubbornly(&inner.stop, || {
        inner.catalog.start_run(job_id, &ready.start, now())
    })
    .await?
    {
        return Err(Halt::Over);
    }
    driven.state = State::Running;
    let shown = &plan.shown;
    let text = format!(
        "{} of client {} as of run {} ({}) from storage {} to {} on client {}",
        plan.request.mode.word(),
        shown.from_client,
        shown.from_job_id,
        shown.as_of.to_rfc3339(),
        ready.storage.name,
        shown.to,
        ready.client.name
    );
    driven.log.say(Severity::Info, text).await;
    let raw = |path: &Option<PathText>| {
        path.as_ref()
            .and_then(|p| p.to_bytes().ok())
            .unwrap_or_default()
    };
    let signed = Ticket {
        what: "restore".to_owned(),
        // The tree to read, then the one that what is told must differ from.
        roots: [ready.root.0.to_vec()]
            .into_iter()
            .chain(plan.not_in())
            .collect(),
        ..ticket(
            &inner,
            job_id,
            (&ready.client, &ready.storage),
            &driven.row.job,
        )
    };
    let order = RestoreOrder {
        job_id: job_id.0,
        term: inner.term.0,
        storage: Some(target(&ready.storage)),
        ticket: inner.authority.keys().ticket_key().sign(&signed),
        selection: Some(plan.selection()),
        to: plan.shown.to.to_bytes().unwrap_or_default(),
        strip: raw(&plan.request.strip),
        prefix: raw(&plan.request.prefix),
        replace: orders::Replace::from(plan.request.replace).into(),
        exact: plan.request.exact,
        mode: plan.request.mode.word().to_owned(),
        expected_entries: plan.expected_entries,
        expected_bytes: plan.expected_bytes,
        commands: ready.commands.clone(),
        fileset: ready.fileset.clone(),
        own_folders: ready.own_folders.clone(),
    };
    let given = match inner.registry.must_get(ready.client.identity) {
        Ok(client) => client.order(Body::Restore(order), ORDER_LIMIT).await,
        Err(error) => Err(error),
    };
    Ok(given.map_err(|error| Event::Failed(format!("the client did not take the order: {error}"))))
}

/// Until the client is done, or lost for too long.
async fn watch(
    driven: &Driven,
    follow: &mut Follow,
    ready: &Ready,
) -> Result<(Event, Option<(RunEnd, oneshot::Sender<()>)>), Halt> {
    let mut canceled: Option<String> = None;
    let limit = driven.inner.config.get().director.reconnect_limit;
    loop {
        match follow.next(&driven.log).await {
            Moment::Ended(end, recorded) => {
                let event = event_of(&end, canceled.as_deref());
                return Ok((event, Some((end, recorded))));
            }
            Moment::Back(daemon)
                if daemon.identity == ready.client.identity
                    && !works_on(&daemon, driven.job_id().0) =>
            {
                let text =
                    "the client's File Daemon was restarted; start the restore again".to_owned();
                return Ok((Event::GivenUp(text), None));
            }
            Moment::Lost(role) => {
                let text = format!(
                    "the {role} was not connected for {} s; start the restore again",
                    limit.as_secs()
                );
                cancel(driven, ready.client.identity, &text).await;
                return Ok((Event::GivenUp(text), None));
            }
            Moment::CancelAsked => {
                let reason = driven.live.cancel_reason();
                follow.expect_cancel_within(CANCEL_LIMIT);
                cancel(driven, ready.client.identity, &reason).await;
                cancel(driven, ready.storage.identity, &reason).await;
                canceled = Some(reason);
            }
            Moment::CancelOverdue => {
                return Ok((Event::Canceled(canceled.unwrap_or_default()), None));
            }
            Moment::Stopping => return Err(Halt::Stopping),
            Moment::Back(_) | Moment::Session(_) => {}
        }
    }
}

fn event_of(end: &RunEnd, canceled: Option<&str>) -> Event {
    let fault = end.fault.as_ref().map(|f| FaultText(f).to_string());
    let said = fault.unwrap_or_else(|| format!("the client says {:?} and no reason", end.outcome));
    match end.outcome.as_str() {
        "ok" => Event::Finished(Verdict::Ok),
        "warnings" => Event::Finished(Verdict::Warnings),
        "canceled" => Event::Canceled(canceled.map_or(said, str::to_owned)),
        "incomplete" => Event::GivenUp(said),
        _ => Event::Failed(said),
    }
}

async fn cancel(driven: &Driven, identity: Identity, reason: &str) {
    if let Some(daemon) = driven.inner.registry.get(identity) {
        let order = CancelOrder {
            job_id: driven.job_id().0,
            reason: reason.to_owned(),
        };
        let _ = daemon.send(Body::Cancel(order)).await;
    }
}
