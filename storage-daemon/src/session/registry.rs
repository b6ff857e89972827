//! The sessions that are open: one per run. A connection with the same ticket joins its session; another ticket of the
//! same run replaces it, for the client it belonged to is gone.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use common::ids::{JobId, PageId, SnapshotId};
use common::protocol::control::SessionEvent;
use common::protocol::data::Opened;
use common::protocol::fault::{Fault, code};
use common::protocol::ticket::Ticket;
use parking_lot::{Condvar, Mutex};
use tokio::sync::mpsc::{Sender, channel};

use super::backup::{Backup, Events, Facts, Input};
use crate::store::Store;
use crate::store::ingest::Pending;

/// Payload bytes a client may have under way on a connection.
pub const WINDOW_BYTES: usize = 8 << 20;
/// Most backup sessions at once.
const MAX_SESSIONS: usize = 64;
/// Most restores at once.
const MAX_RESTORES: usize = 32;
/// How long a session waits for its client to come back.
const LINGER: Duration = Duration::from_secs(60);
/// Inputs that wait for a session's thread.
const QUEUE: usize = 64;

struct Live {
    number: u64,
    ticket: Vec<u8>,
    inputs: Sender<Input>,
    pending: Pending,
    opened: Opened,
}

/// What a new session may build on.
#[derive(Debug, Clone, Copy, Default)]
struct Trees {
    base_present: bool,
    resume_present: bool,
    base_scanned_ms: i64,
}

/// A session as a connection sees it.
#[derive(Clone)]
pub struct Joined {
    /// What the client is told.
    pub opened: Opened,
    /// Way in.
    pub inputs: Sender<Input>,
    /// For answers.
    pub pending: Pending,
    /// Number of this connection.
    pub generation: u64,
}

/// See the module.
pub struct Sessions {
    store: Arc<Store>,
    events: Events,
    live: Mutex<HashMap<JobId, Live>>,
    ended: Condvar,
    threads: Mutex<usize>,
    generations: AtomicU64,
    restores: AtomicUsize,
    linger: Duration,
}

/// A place among the restores.
pub struct RestorePlace(Arc<Sessions>);

impl Drop for RestorePlace {
    fn drop(&mut self) {
        self.0.restores.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Sessions {
    /// No sessions yet; `events` hears what happens to them.
    #[must_use]
    pub fn new(store: Arc<Store>, events: Events) -> Arc<Self> {
        Self::with_linger(store, events, LINGER)
    }

    /// As [`Sessions::new`], with another time to wait for a client.
    #[must_use]
    pub fn with_linger(store: Arc<Store>, events: Events, linger: Duration) -> Arc<Self> {
        Arc::new(Self {
            store,
            events,
            live: Mutex::default(),
            ended: Condvar::new(),
            threads: Mutex::new(0),
            generations: AtomicU64::new(1),
            restores: AtomicUsize::new(0),
            linger,
        })
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// Joins the session of a checked backup ticket, or opens it. Call inside a runtime, not on its threads: it may
    /// write a counter.
    ///
    /// # Errors
    /// Too many sessions, or the store failed.
    pub fn join(self: &Arc<Self>, ticket: Ticket, signed: &[u8]) -> Result<Joined, Fault> {
        let job = JobId(ticket.job_id);
        let generation = self.generations.fetch_add(1, Ordering::SeqCst);
        if let Some(joined) = self
            .live
            .lock()
            .get(&job)
            .and_then(|l| l.join(signed, generation))
        {
            return Ok(joined);
        }
        // A look at the whole base may take a while: other runs go on meanwhile.
        let trees = self.trees(&ticket);
        let mut live = self.live.lock();
        if let Some(joined) = live.get(&job).and_then(|l| l.join(signed, generation)) {
            return Ok(joined);
        }
        if live.len() >= MAX_SESSIONS && !live.contains_key(&job) {
            let text = format!("{MAX_SESSIONS} backup sessions are open already");
            return Err(Fault::passing(code::BUSY, text));
        }
        let session = self.start(ticket, signed, trees)?;
        let joined = session.joined(generation);
        if let Some(old) = live.insert(job, session) {
            tracing::warn!(
                job = job.0,
                "a new session of the run replaces one that is still open"
            );
            stop_later(
                old.inputs,
                Fault::new(code::CANCELED, "a new session of this run replaced it"),
            );
        }
        Ok(joined)
    }

    fn start(self: &Arc<Self>, ticket: Ticket, signed: &[u8], trees: Trees) -> Result<Live, Fault> {
        let storage =
            |e: crate::store::StoreError| Fault::passing(code::STORAGE, super::backup::chain(&e));
        let session = self.store.new_session().map_err(storage)?;
        let job = JobId(ticket.job_id);
        let roots: Vec<PageId> = ticket
            .roots
            .iter()
            .filter_map(|r| PageId::from_slice(r).ok())
            .collect();
        let opened = Opened {
            session: session.0,
            window_bytes: WINDOW_BYTES as u64,
            base_present: trees.base_present,
            resume_present: trees.resume_present,
            base_scanned_ms: trees.base_scanned_ms,
        };
        let (inputs, queue) = channel(QUEUE);
        let (weak, runtime, linger) = (
            inputs.downgrade(),
            tokio::runtime::Handle::current(),
            self.linger,
        );
        let wait = Box::new(move |generation| {
            let weak = weak.clone();
            runtime.spawn(async move {
                tokio::time::sleep(linger).await;
                if let Some(inputs) = weak.upgrade() {
                    // A session that has ended needs no reminder.
                    let _ = inputs.send(Input::Expire(generation)).await;
                }
            });
        });
        let events = self.events.clone();
        let facts = Facts {
            session,
            ticket,
            roots,
            wait,
            events: events.clone(),
        };
        let backup = Backup::new(self.store.clone(), facts);
        let pending = backup.pending();
        let number = session.0;
        *self.threads.lock() += 1;
        let sessions = self.clone();
        let spawned = std::thread::Builder::new()
            .name(format!("session-{number}"))
            .spawn(move || {
                backup.run(queue);
                sessions.over(job, number);
            });
        if let Err(error) = spawned {
            *self.threads.lock() -= 1;
            return Err(Fault::passing(
                code::BUSY,
                format!("cannot start a session: {error}"),
            ));
        }
        tracing::info!(job = job.0, session = number, "backup session opened");
        events(SessionEvent {
            job_id: job.0,
            what: "opened".into(),
            ..SessionEvent::default()
        });
        Ok(Live {
            number,
            ticket: signed.to_vec(),
            inputs,
            pending,
            opened,
        })
    }

    /// Which trees of a ticket are here and whole. After damage this reads all their pages.
    fn trees(&self, ticket: &Ticket) -> Trees {
        let base = SnapshotId::from_slice(&ticket.base)
            .ok()
            .and_then(|id| self.store.snapshots().get(&id))
            .map(|stored| stored.snapshot);
        let has_base = !ticket.base.is_empty();
        let mut roots = ticket.roots.iter().filter(|r| !r.is_empty());
        let resume = roots.nth(usize::from(has_base));
        Trees {
            base_present: base
                .as_ref()
                .is_some_and(|s| self.is_whole(ticket, "base", &s.root)),
            resume_present: resume.is_some_and(|r| self.is_whole(ticket, "checkpoint", r)),
            base_scanned_ms: base.map_or(0, |s| s.scanned_ms),
        }
    }

    fn is_whole(&self, ticket: &Ticket, what: &'static str, root: &[u8]) -> bool {
        let Ok(root) = PageId::from_slice(root) else {
            return false;
        };
        let is_present = matches!(self.store.locate(&root.into()), Ok(Some(_)));
        if is_present && !self.store.has_losses() {
            return true;
        }
        let Err(hole) = self.store.check_tree(root) else {
            return true;
        };
        tracing::warn!(
            job = ticket.job_id, client = ticket.client, what, %root, reason = super::backup::chain(&hole),
            "a tree has a hole: it is not built upon, the client reads everything again"
        );
        false
    }

    fn over(&self, job: JobId, number: u64) {
        let mut live = self.live.lock();
        if live
            .get(&job)
            .is_some_and(|session| session.number == number)
        {
            live.remove(&job);
        }
        drop(live);
        *self.threads.lock() -= 1;
        self.ended.notify_all();
    }

    /// Whether a run has an open session.
    #[must_use]
    pub fn is_open(&self, job: JobId) -> bool {
        self.live.lock().contains_key(&job)
    }

    /// JobIds of open sessions.
    #[must_use]
    pub fn open_jobs(&self) -> Vec<u64> {
        self.live.lock().keys().map(|job| job.0).collect()
    }

    /// Ends the session of a run, when it has one.
    pub fn cancel(&self, job: JobId, fault: Fault) {
        if let Some(session) = self.live.lock().get(&job) {
            stop_later(session.inputs.clone(), fault);
        }
    }

    /// Ends all sessions with what they have committed, and waits for their threads.
    pub fn stop(&self, limit: Duration) -> bool {
        for session in self.live.lock().values() {
            let fault = Fault::passing(code::BUSY, "the Storage Daemon is stopping");
            stop_later(session.inputs.clone(), fault);
        }
        let until = std::time::Instant::now() + limit;
        let mut threads = self.threads.lock();
        while *threads > 0 {
            if self.ended.wait_until(&mut threads, until).timed_out() {
                return false;
            }
        }
        true
    }

    /// A place for one more restore.
    ///
    /// # Errors
    /// Too many.
    pub fn restore_place(self: &Arc<Self>) -> Result<RestorePlace, Fault> {
        if self.restores.fetch_add(1, Ordering::SeqCst) >= MAX_RESTORES {
            self.restores.fetch_sub(1, Ordering::SeqCst);
            let text = format!("{MAX_RESTORES} restores are running already");
            return Err(Fault::passing(code::BUSY, text));
        }
        Ok(RestorePlace(self.clone()))
    }
}

impl Live {
    /// For the holder of the same ticket, while the session lives.
    fn join(&self, signed: &[u8], generation: u64) -> Option<Joined> {
        let is_same = self.ticket == signed && !self.inputs.is_closed();
        is_same.then(|| self.joined(generation))
    }

    fn joined(&self, generation: u64) -> Joined {
        Joined {
            opened: self.opened.clone(),
            inputs: self.inputs.clone(),
            pending: self.pending.clone(),
            generation,
        }
    }
}

/// Tells a session to stop without waiting for room in its queue.
fn stop_later(inputs: Sender<Input>, fault: Fault) {
    if let Err(error) = inputs.try_send(Input::Stop(fault)) {
        let input = error.into_inner();
        std::thread::spawn(move || {
            let _ = inputs.blocking_send(input);
        });
    }
}
