//! Session: a backup session with a Storage Daemon over one connection.
//!
//! Blocking calls for the pipeline's threads; two tasks do the network. Never more under way than the Storage Daemon
//! allows, never a checkpoint or commit before everything sent was acknowledged.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use bytes::Bytes;
use common::ids::{ChunkId, Identity, PageId, Role};
use common::net::connect::connect;
use common::net::framed::FrameError;
use common::net::pki::CredentialStore;
use common::object::segment::Segment;
use common::object::snapshot::Counts;
use common::protocol::data::{Answer, Ask, Checkpoint, Commit, Load, Open, Opened};
use common::protocol::fault::{Fault, code};
use common::protocol::frame::{FrameType, MAJOR, MINOR, alpn};
use common::protocol::orders::StorageTarget;
use common::shutdown::StopToken;
use crossbeam_channel::{Receiver, bounded};
use prost::Message;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::error::SinkError;
use super::pending::{Asker, Pending};
use super::port::{Figures, Storage};
use super::stop::Stop;
use super::window::Window;
use super::wire::{self, Outgoing, Shared};

/// Frames that wait to be written.
const QUEUE: usize = 32;

/// An open session.
pub struct Session {
    queue: mpsc::Sender<Outgoing>,
    shared: Arc<Shared>,
    batch: AtomicU32,
}

/// What the Storage Daemon said when the session was opened.
#[derive(Debug, Clone, Copy)]
pub struct Greeting {
    /// Whether the base is there and whole.
    pub base_present: bool,
    /// Whether the checkpoint to resume from is there.
    pub resume_present: bool,
    /// When the scan of the base began, milliseconds since the epoch by this client's clock; 0 = unknown.
    pub base_scanned_ms: i64,
}

impl Session {
    /// Dials the storage and opens a session with a ticket. The tasks end with the session, or when `token` is canceled.
    ///
    /// # Errors
    /// No address answers, or the ticket is refused.
    pub async fn open(
        target: &StorageTarget,
        ticket: &[u8],
        store: &CredentialStore,
        (stop, token): (Arc<Stop>, StopToken),
    ) -> Result<(Arc<Self>, Greeting), SinkError> {
        let lost = |reason: String| SinkError::Lost {
            storage: target.name.clone(),
            reason,
        };
        let id = Uuid::from_slice(&target.id).map_err(|_| {
            let text = "the order names no Storage Daemon";
            SinkError::Refused(Arc::new(Fault::new(code::MALFORMED, text)))
        })?;
        let peer = Identity {
            role: Role::Storage,
            id,
        };
        let mut connection = connect(&target.addresses, peer, alpn::DATA, store)
            .await
            .map_err(|e| lost(crate::chain(&e)))?;
        connection.reader.set_idle(wire::SILENCE);
        connection.writer.set_idle(wire::SILENCE);
        let failed = |e: FrameError| match e {
            FrameError::Fault(fault) => SinkError::Refused(Arc::new(fault)),
            e => lost(crate::chain(&e)),
        };
        let open = Open {
            major: MAJOR,
            minor: MINOR,
            ticket: ticket.to_vec(),
            connection: 0,
        };
        let writer = &mut connection.writer;
        writer
            .send_message(FrameType::Open, &open)
            .await
            .map_err(failed)?;
        let reader = &mut connection.reader;
        let opened: Opened = reader
            .expect(FrameType::Opened, "Opened")
            .await
            .map_err(failed)?;
        let shared = Arc::new(Shared {
            storage: target.name.clone(),
            window: Window::new(opened.window_bytes),
            pending: Pending::default(),
            sent_bytes: AtomicU64::new(0),
            stored_bytes: AtomicU64::new(0),
            stop,
        });
        let (queue, outgoing) = mpsc::channel(QUEUE);
        let tasks = Ending(Arc::clone(&shared));
        tokio::spawn(async move {
            let tasks = tasks;
            let shared = &*tasks.0;
            tokio::select! {
                () = wire::run(connection, outgoing, shared) => shared.end(SinkError::Stage("session")),
                () = token.cancelled() => shared.end(SinkError::Canceled),
            }
        });
        let greeting = Greeting {
            base_present: opened.base_present,
            resume_present: opened.resume_present,
            base_scanned_ms: opened.base_scanned_ms,
        };
        let session = Self {
            queue,
            shared,
            batch: AtomicU32::new(0),
        };
        Ok((Arc::new(session), greeting))
    }

    fn send(&self, outgoing: Outgoing) -> Result<(), SinkError> {
        self.shared.stop.check()?;
        self.queue
            .blocking_send(outgoing)
            .map_err(|_| self.shared.stop.reason("session"))
    }

    fn ask_for(&self, (kind, head): (FrameType, Vec<u8>), asker: Asker) -> Result<(), SinkError> {
        self.send(Outgoing {
            kind,
            head,
            payload: Bytes::new(),
            asker: Some(asker),
        })
    }

    fn wait<T>(&self, answer: &Receiver<T>) -> Result<T, SinkError> {
        self.shared.stop.recv(answer, "session")
    }

    fn load(&self, kind: FrameType, segment: Segment) -> Result<(), SinkError> {
        let bytes = segment.payload.len() as u64;
        let sequence = self.shared.window.enter(bytes, &self.shared.stop)?;
        let load = Load { sequence, segment };
        self.send(Outgoing {
            kind,
            head: load.encode_head(),
            payload: load.segment.payload,
            asker: None,
        })
    }

    fn next_ask(&self, ids: Vec<ChunkId>) -> Vec<u8> {
        let batch = self.batch.fetch_add(1, Relaxed);
        Ask { batch, ids }.encode()
    }
}

/// Ends the session when its task ends, in whatever way: a defect there must not leave the pipeline waiting.
struct Ending(Arc<Shared>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.end(SinkError::Stage("session"));
    }
}

impl Storage for Session {
    fn ask(&self, ids: Vec<ChunkId>) -> Result<Receiver<Answer>, SinkError> {
        let (to, answer) = bounded(1);
        self.ask_for((FrameType::Ask, self.next_ask(ids)), Asker::Answer(to))?;
        Ok(answer)
    }

    fn send_segment(&self, segment: Segment) -> Result<(), SinkError> {
        self.load(FrameType::Segment, segment)
    }

    fn send_pages(&self, segment: Segment) -> Result<(), SinkError> {
        self.load(FrameType::Pages, segment)
    }

    fn pages(&self, ids: &[PageId]) -> Result<Vec<(PageId, Bytes)>, SinkError> {
        let (to, pages) = bounded(1);
        let ids = ids.iter().copied().map(ChunkId::from).collect();
        self.ask_for((FrameType::PageGet, self.next_ask(ids)), Asker::Pages(to))?;
        self.wait(&pages)
    }

    fn checkpoint(&self, root: Option<PageId>, counts: Counts) -> Result<(), SinkError> {
        self.shared.window.drain(&self.shared.stop)?;
        let message = Checkpoint {
            root: root.map_or_else(Vec::new, |r| r.0.to_vec()),
            counts: Some(counts),
        };
        let (to, done) = bounded(1);
        let frame = (FrameType::Checkpoint, message.encode_to_vec());
        self.ask_for(frame, Asker::Checkpoint(to))?;
        self.wait(&done)
    }

    fn commit(&self, commit: Commit) -> Result<Vec<u8>, SinkError> {
        self.shared.window.drain(&self.shared.stop)?;
        let (to, receipt) = bounded(1);
        let frame = (FrameType::Commit, commit.encode_to_vec());
        self.ask_for(frame, Asker::Receipt(to))?;
        Ok(self.wait(&receipt)?.snapshot)
    }

    fn figures(&self) -> Figures {
        Figures {
            sent_bytes: self.shared.sent_bytes.load(Relaxed),
            stored_bytes: self.shared.stored_bytes.load(Relaxed),
        }
    }
}
