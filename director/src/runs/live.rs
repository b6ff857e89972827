//! What is known of a run that is not over, in memory: progress, its mailbox, who wants it stopped.
//!
//! Watchers are told *that* something changed and look for themselves (log lines are in the catalog), so that a slow
//! watcher misses nothing and costs nothing.

use std::collections::HashMap;
use std::sync::Arc;

use common::api::events::Progress as Shown;
use common::api::runs::RunStatus;
use common::api::text::PathText;
use common::ids::{Identity, JobId};
use common::object::snapshot::Counts;
use common::protocol::control::SessionEvent;
use common::protocol::orders::{LogLine, Progress, RunEnd};
use common::shutdown::StopToken;
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

/// Messages of daemons that a run has not looked at yet; when it is full the daemon's connection waits.
const MAILBOX: usize = 256;
/// The rate is over about this time.
const RATE_WINDOW_S: f64 = 5.0;

/// What a daemon said about a run.
#[derive(Debug)]
pub(super) enum Heard {
    /// How far it is.
    Progress(Progress),
    /// Lines for its log, and who says them.
    Log(String, Vec<LogLine>),
    /// The File Daemon is done with it; it is told once that is recorded.
    Ended(RunEnd, oneshot::Sender<()>),
    /// The Storage Daemon reached a point.
    Session(SessionEvent),
}

/// What watchers see.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LiveState {
    /// Newest progress.
    pub progress: Option<Shown>,
    /// Counts of it.
    pub counts: Option<Counts>,
    /// Number of the last log line in the catalog.
    pub log_seq: u64,
    /// Warnings in the log since this Director started.
    pub warnings: u64,
    /// Errors in the log since this Director started.
    pub errors: u64,
    /// It is over, and the catalog says how.
    pub over: bool,
}

/// One run that is not over.
#[derive(Debug)]
pub struct Live {
    /// Which.
    pub job_id: JobId,
    state: watch::Sender<LiveState>,
    mailbox: mpsc::Sender<Heard>,
    unread: Mutex<Option<mpsc::Receiver<Heard>>>,
    cancel: StopToken,
    reason: Mutex<String>,
    meter: Mutex<Meter>,
    parties: Mutex<Parties>,
}

/// The daemons that may speak about a run, with the names they speak under.
#[derive(Debug, Clone, Default)]
pub(super) struct Parties {
    pub client: Option<(Identity, String)>,
    pub storage: Option<(Identity, String)>,
}

/// Bytes per second over the last seconds.
#[derive(Debug, Default)]
struct Meter {
    last: Option<(Instant, u64)>,
    rate: f64,
}

impl Meter {
    fn rate(&mut self, bytes: u64) -> u64 {
        let now = Instant::now();
        match self.last {
            Some((then, before)) => {
                let seconds = now.duration_since(then).as_secs_f64();
                if seconds < 0.2 {
                    return self.rate as u64;
                }
                let newest = bytes.saturating_sub(before) as f64 / seconds;
                let weight = (seconds / RATE_WINDOW_S).min(1.0);
                self.rate += (newest - self.rate) * weight;
            }
            None => self.rate = 0.0,
        }
        self.last = Some((now, bytes));
        self.rate as u64
    }
}

impl Live {
    fn new(job_id: JobId) -> Self {
        let (mailbox, unread) = mpsc::channel(MAILBOX);
        Self {
            job_id,
            state: watch::Sender::new(LiveState::default()),
            mailbox,
            unread: Mutex::new(Some(unread)),
            cancel: StopToken::new(),
            reason: Mutex::new(String::new()),
            meter: Mutex::new(Meter::default()),
            parties: Mutex::default(),
        }
    }

    pub(super) fn set_parties(&self, parties: Parties) {
        *self.parties.lock() = parties;
    }

    fn is_party(&self, who: Identity) -> bool {
        let parties = self.parties.lock();
        [&parties.client, &parties.storage]
            .into_iter()
            .flatten()
            .any(|(id, _)| *id == who)
    }

    /// How the log names a daemon: `client web01`.
    pub(super) fn source(&self, who: Identity) -> String {
        let parties = self.parties.lock();
        match (&parties.client, &parties.storage) {
            (Some((id, name)), _) if *id == who => format!("client {name}"),
            (_, Some((id, name))) if *id == who => format!("storage {name}"),
            _ => who.to_string(),
        }
    }

    /// Delivers what may be lost: progress.
    pub(super) fn offer(&self, heard: Heard) {
        let _ = self.mailbox.try_send(heard);
    }

    /// What there is to see, and word of changes.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<LiveState> {
        self.state.subscribe()
    }

    /// The mailbox, once: for the task that drives the run.
    pub(super) fn take_mailbox(&self) -> Option<mpsc::Receiver<Heard>> {
        self.unread.lock().take()
    }

    pub(super) async fn deliver(&self, heard: Heard) {
        // A run whose driver is gone hears nothing any more.
        let _ = self.mailbox.send(heard).await;
    }

    /// Asks for a stop; the first reason stays.
    pub fn cancel(&self, reason: &str) {
        let mut first = self.reason.lock();
        if first.is_empty() {
            reason.clone_into(&mut first);
        }
        drop(first);
        self.cancel.cancel();
    }

    pub(super) fn cancel_token(&self) -> &StopToken {
        &self.cancel
    }

    pub(super) fn cancel_reason(&self) -> String {
        self.reason.lock().clone()
    }

    pub(super) fn progress(&self, progress: &Progress) {
        let counts = progress.counts.unwrap_or_default();
        let bytes = counts.protected_bytes.max(counts.read_bytes);
        let rate = self.meter.lock().rate(bytes);
        let left = progress
            .expected_bytes
            .checked_sub(bytes)
            .filter(|_| progress.expected_bytes > 0);
        let shown = Shown {
            status: RunStatus::Running,
            entries: counts.entries,
            files: counts.files,
            bytes,
            read_bytes: counts.read_bytes,
            sent_bytes: counts.sent_bytes,
            rate,
            eta_s: left.and_then(|left| left.checked_div(rate)),
            expected_entries: progress.expected_entries,
            expected_bytes: progress.expected_bytes,
            current: PathText::from_bytes(&progress.current),
            waiting: progress.waiting.clone(),
        };
        self.state.send_modify(|state| {
            state.progress = Some(shown);
            state.counts = Some(counts);
        });
    }

    pub(super) fn status(&self, status: RunStatus, waiting: &str) {
        self.state.send_modify(|state| {
            if let Some(progress) = &mut state.progress {
                progress.status = status;
                waiting.clone_into(&mut progress.waiting);
            }
        });
    }

    pub(super) fn logged(&self, seq: u64, warnings: u64, errors: u64) {
        self.state.send_modify(|state| {
            state.log_seq = state.log_seq.max(seq);
            state.warnings += warnings;
            state.errors += errors;
        });
    }

    fn over(&self) {
        self.state.send_modify(|state| state.over = true);
    }
}

/// All runs that are not over.
#[derive(Debug, Default)]
pub(super) struct Board {
    runs: Mutex<HashMap<JobId, Arc<Live>>>,
}

impl Board {
    /// The run's place on the board, made when it has none. Only for runs that the catalog says are not over.
    pub fn place(&self, job_id: JobId) -> Arc<Live> {
        Arc::clone(
            self.runs
                .lock()
                .entry(job_id)
                .or_insert_with(|| Arc::new(Live::new(job_id))),
        )
    }

    /// The run, for a daemon that takes part in it: nobody else may speak about it.
    pub fn of(&self, job_id: JobId, who: Identity) -> Option<Arc<Live>> {
        self.get(job_id).filter(|live| live.is_party(who))
    }

    pub fn get(&self, job_id: JobId) -> Option<Arc<Live>> {
        self.runs.lock().get(&job_id).cloned()
    }

    /// The catalog has the outcome: watchers are told.
    pub fn over(&self, job_id: JobId) {
        let live = self.runs.lock().remove(&job_id);
        if let Some(live) = live {
            live.over();
        }
    }
}
