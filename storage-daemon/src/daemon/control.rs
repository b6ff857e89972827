//! The conversation with the Director: it asks for sessions, pages and snapshots and decides about snapshots; it is told
//! what happens to sessions and volumes. Invariant: what it orders counts only with a current term.

use std::sync::Arc;

use bytes::Bytes;
use common::ids::{JobId, PageId, SnapshotId, Term};
use common::net::control::ControlHandler;
use common::net::conversation::{Answer, ControlSender};
use common::protocol::control::{
    Body, Done, Envelope, Hello, NoteOrder, PageReply, PageRequest, SessionState, SnapshotReply,
    StorageReport, VolumeReport, Welcome,
};
use common::protocol::fault::{Fault, code};

use crate::config::Config;
use crate::session::authority::Authority;
use crate::session::backup::chain;
use crate::session::registry::Sessions;
use crate::store::notes::Decision;
use crate::store::{ChunkIndex as _, Store};

/// Most pages of one request.
const MAX_PAGES: usize = 256;
/// Bytes of one answer with pages.
const PAGES_BYTES: usize = 3 << 20;
/// Most volumes in a report: the newest, when there are more.
const MAX_VOLUMES: usize = 20_000;
/// What a note may say.
const DECISIONS: [&str; 7] = [
    "release",
    "keep_until",
    "hold",
    "unhold",
    "lock",
    "damaged",
    "verified",
];

/// See the module.
pub struct Control {
    sessions: Arc<Sessions>,
    authority: Arc<Authority>,
    sender: ControlSender,
    addresses: Vec<String>,
    own_folders: Vec<Vec<u8>>,
}

impl Control {
    /// Speaks for these sessions; `addresses` is where File Daemons reach them.
    #[must_use]
    pub fn new(
        sessions: Arc<Sessions>,
        authority: Arc<Authority>,
        sender: ControlSender,
        (config, addresses): (&Config, Vec<String>),
    ) -> Self {
        let folders = [&config.state, &config.volumes, &config.pki];
        let absolute = folders.map(|f| std::path::absolute(f).unwrap_or_else(|_| f.clone()));
        let own_folders = absolute
            .map(|f| f.into_os_string().into_encoded_bytes())
            .to_vec();
        Self {
            sessions,
            authority,
            sender,
            addresses,
            own_folders,
        }
    }

    fn store(&self) -> &Arc<Store> {
        self.sessions.store()
    }

    fn session_state(&self, job: JobId) -> SessionState {
        let snapshots = self.store().snapshots();
        let checkpoint = snapshots
            .checkpoint(job)
            .map(|s| s.snapshot.root)
            .unwrap_or_default();
        let snapshot = snapshots.of_job(job).map(|s| s.bytes).unwrap_or_default();
        let state = match (
            snapshot.is_empty(),
            self.sessions.is_open(job),
            checkpoint.is_empty(),
        ) {
            (false, ..) => "committed",
            (true, true, _) => "open",
            (true, false, false) => "checkpoint",
            (true, false, true) => "none",
        };
        SessionState {
            state: state.to_owned(),
            checkpoint,
            snapshot,
        }
    }

    fn snapshots(&self, from: u64) -> SnapshotReply {
        let part = self.store().snapshots().part(from);
        SnapshotReply {
            snapshots: part.snapshots,
            next: part.next,
            released: part.released.iter().map(|id| id.0.to_vec()).collect(),
        }
    }

    fn note(&self, order: NoteOrder) -> Result<Answer, Fault> {
        self.authority.check_term(Term(order.term))?;
        let snapshot = SnapshotId::from_slice(&order.snapshot)
            .map_err(|e| Fault::new(code::MALFORMED, e.to_string()))?;
        if !DECISIONS.contains(&order.what.as_str()) {
            let text = format!("decision {:?} is not known to this version", order.what);
            return Err(Fault::new(code::UNKNOWN, text));
        }
        let NoteOrder {
            what,
            until_ms,
            reason,
            ..
        } = order;
        let decision = Decision {
            snapshot,
            what,
            until_ms,
            reason,
        };
        let store = self.store().clone();
        Ok(later(move || match store.note(&decision) {
            Ok(Some(_)) => Body::Done(Done {}),
            Ok(None) => {
                let text = format!("snapshot {snapshot} is not on this Storage Daemon");
                Body::Fault(Fault::new(code::NOT_FOUND, text))
            }
            Err(error) => Body::Fault(Fault::passing(code::STORAGE, chain(&error))),
        }))
    }

    fn pages(&self, request: &PageRequest) -> Result<Answer, Fault> {
        if request.pages.is_empty() || request.pages.len() > MAX_PAGES {
            let text = format!(
                "{} pages asked for, 1 to {MAX_PAGES} are allowed",
                request.pages.len()
            );
            return Err(Fault::new(code::MALFORMED, text));
        }
        let ids: Result<Vec<PageId>, _> = request
            .pages
            .iter()
            .map(|id| PageId::from_slice(id))
            .collect();
        let ids = ids.map_err(|e| Fault::new(code::MALFORMED, e.to_string()))?;
        let store = self.store().clone();
        Ok(later(move || Body::PageReply(page_reply(&store, &ids))))
    }
}

/// The first of these pages, as many as fit; what cannot be read is empty.
fn page_reply(store: &Store, ids: &[PageId]) -> PageReply {
    let mut reply = PageReply::default();
    let mut bytes = 0;
    for id in ids {
        let page = store.page(id).unwrap_or_else(|error| {
            tracing::warn!(page = %id, reason = chain(&error), "the Director asks for a page that cannot be read");
            Bytes::new()
        });
        bytes += page.len();
        if bytes > PAGES_BYTES && !reply.pages.is_empty() {
            break;
        }
        // A copy: the page's block may leave the cache while the answer waits.
        reply.pages.push(Bytes::copy_from_slice(&page));
    }
    reply
}

fn later(work: impl FnOnce() -> Body + Send + 'static) -> Answer {
    Answer::later(async move {
        let done = tokio::task::spawn_blocking(work).await;
        done.unwrap_or_else(|e| Body::Fault(Fault::new(code::INTERNAL, e.to_string())))
    })
}

/// Volumes and space as they are now.
#[must_use]
pub fn storage_report(store: &Store) -> StorageReport {
    let mut volumes = store.volumes().list();
    volumes.drain(..volumes.len().saturating_sub(MAX_VOLUMES));
    let space = store.volumes().space().unwrap_or_default();
    let volumes = volumes.iter().map(|v| VolumeReport {
        name: v.label.name(),
        uuid: v.label.uuid.as_bytes().to_vec(),
        holds: v.label.holds.as_str().to_owned(),
        bytes: v.bytes,
        status: v.status.as_str().to_owned(),
        pool: v.label.pool.clone(),
        created_ms: v.label.created_ms,
    });
    StorageReport {
        volumes: volumes.collect(),
        free_bytes: space.free,
        total_bytes: space.total,
        chunks: store.index().len(),
    }
}

impl ControlHandler for Control {
    fn hello(&self) -> Hello {
        Hello {
            addresses: self.addresses.clone(),
            own_folders: self.own_folders.clone(),
            running: self.sessions.open_jobs(),
            ..Hello::default()
        }
    }

    async fn welcome(&self, welcome: &Welcome) {
        let (authority, term, key) = (
            self.authority.clone(),
            Term(welcome.term),
            welcome.ticket_key.clone(),
        );
        let learned = tokio::task::spawn_blocking(move || authority.learn(term, &key)).await;
        if let Ok(Err(error)) = learned {
            tracing::error!(%error, "what the Director says about tickets is not taken");
        }
        let store = self.store().clone();
        let report = tokio::task::spawn_blocking(move || storage_report(&store)).await;
        if let Ok(report) = report {
            // When too much waits, the Director asks for it.
            let _ = self.sender.offer(Body::StorageReport(report));
        }
    }

    async fn receive(&self, envelope: Envelope) -> Answer {
        let answer = match envelope.body {
            Some(Body::SessionQuery(query)) => Ok(Answer::Now(Body::SessionState(
                self.session_state(JobId(query.job_id)),
            ))),
            Some(Body::PageRequest(request)) => self.pages(&request),
            Some(Body::SnapshotRequest(request)) => Ok(Answer::Now(Body::SnapshotReply(
                self.snapshots(request.from),
            ))),
            Some(Body::Note(order)) => self.note(order),
            Some(Body::Cancel(order)) => {
                let text = format!("canceled: {}", order.reason);
                self.sessions
                    .cancel(JobId(order.job_id), Fault::new(code::CANCELED, text));
                Ok(Answer::done())
            }
            Some(Body::ReportRequest(_)) => {
                let store = self.store().clone();
                Ok(later(move || Body::StorageReport(storage_report(&store))))
            }
            Some(Body::Revoked(_) | Body::Done(_)) => Ok(Answer::None),
            _ => Err(Fault::new(
                code::UNKNOWN,
                "a Storage Daemon does not know this order",
            )),
        };
        answer.unwrap_or_else(Answer::fault)
    }
}

#[cfg(test)]
#[path = "control_tests.rs"]
mod tests;
