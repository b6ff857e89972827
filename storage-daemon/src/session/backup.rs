//! One backup session: a thread that takes its connections' events in order and writes through a [`SessionWriter`].
//!
//! What was verified before is appended in the order it arrived, then acknowledged. Invariants: a receipt is sent only
//! when the snapshot is durable; facts about the snapshot that a client must not choose come from its ticket.

use std::sync::Arc;

use bytes::Bytes;
use common::clock::now_ms;
use common::ids::{ChunkId, JobId, PageId, SessionId, SnapshotId};
use common::object::segment::{Codec, MAX_SLOTS, Segment, Slot};
use common::object::snapshot::{Counts, Snapshot};
use common::protocol::control::SessionEvent;
use common::protocol::data::{Ack, Ask, Checkpoint, Checkpointed, Commit, Load, Receipt};
use common::protocol::fault::{Fault, code};
use common::protocol::frame::FrameType;
use common::protocol::ticket::Ticket;
use tokio::sync::OwnedSemaphorePermit;

use super::base_pages::BasePages;
use super::machine::{self, Action, State};
use super::outbox::Outbox;
use crate::store::ingest::SessionWriter;
use crate::store::lookup::LookupError;
use crate::store::verify::{Verified, VerifyError};
use crate::store::{Store, StoreError};

/// Most plain bytes of one answer with pages.
const PAGES_BYTES: usize = 8 << 20;
/// Longest encoded entry of `/`.
const MAX_ROOT_ENTRY: usize = 1 << 20;

/// A connection of a session.
#[derive(Clone)]
pub struct Link {
    /// Ordinal the client gave it.
    pub connection: u32,
    /// Tells this connection from an earlier one with the same ordinal.
    pub generation: u64,
    /// Way back.
    pub outbox: Outbox,
}

/// What arrives.
pub enum Input {
    /// A connection was opened.
    Attach(Link),
    /// A connection is gone.
    Detach(u64),
    /// A load, being verified; the permit bounds the bytes that wait.
    Load {
        /// From where.
        link: Link,
        /// Its number on that connection.
        sequence: u64,
        /// The verdict, when it is there.
        verified: crossbeam_channel::Receiver<Result<Verified, VerifyError>>,
        /// Given back once it is appended.
        permits: Vec<OwnedSemaphorePermit>,
    },
    /// Pages of the base.
    PageGet(Link, Ask),
    /// Make durable.
    Checkpoint(Link, Checkpoint),
    /// The tree is whole.
    Commit(Link, Commit),
    /// Nobody came back since this connection left.
    Expire(u64),
    /// The session must end.
    Stop(Fault),
}

/// What a session tells the Director.
pub type Events = Arc<dyn Fn(SessionEvent) + Send + Sync>;

/// Facts of a session.
pub struct Facts {
    /// Its number.
    pub session: SessionId,
    /// Its ticket, checked.
    pub ticket: Ticket,
    /// Roots whose pages it may read.
    pub roots: Vec<PageId>,
    /// Told when a connection is gone and none is left: starts the wait.
    pub wait: Box<dyn Fn(u64) + Send>,
    /// For the Director.
    pub events: Events,
}

/// See the module.
pub struct Backup {
    store: Arc<Store>,
    writer: SessionWriter,
    facts: Facts,
    state: State,
    links: Vec<Link>,
    base: BasePages,
    receipt: Option<Vec<u8>>,
    /// The connection whose leaving started the wait.
    last_left: u64,
}

impl Backup {
    /// A session of this ticket; when its run has committed already it only repeats the receipt.
    #[must_use]
    pub fn new(store: Arc<Store>, facts: Facts) -> Self {
        let writer = SessionWriter::new(store.clone(), facts.session, &facts.ticket.pool);
        let receipt = store
            .snapshots()
            .of_job(JobId(facts.ticket.job_id))
            .map(|s| s.bytes);
        let state = if receipt.is_some() {
            State::Committed(0)
        } else {
            State::Waiting
        };
        let base = BasePages::new(&facts.roots);
        Self {
            store,
            writer,
            facts,
            state,
            links: Vec::new(),
            base,
            receipt,
            last_left: 0,
        }
    }

    /// Ids appended and not committed, for answers given elsewhere.
    #[must_use]
    pub fn pending(&self) -> crate::store::ingest::Pending {
        self.writer.pending()
    }

    /// Works until the session is over.
    pub fn run(mut self, mut inputs: tokio::sync::mpsc::Receiver<Input>) {
        let mut fault = None;
        while self.state != State::Ended {
            let Some(input) = inputs.blocking_recv() else {
                break;
            };
            if let Err(reason) = self.take(input) {
                self.state = State::Ended;
                fault = Some(reason);
            }
        }
        self.finish(fault);
    }

    fn finish(self, fault: Option<Fault>) {
        let job_id = self.facts.ticket.job_id;
        if let Some(fault) = &fault {
            tracing::warn!(
                job = job_id,
                code = fault.code,
                reason = fault.text,
                "backup session ended"
            );
            self.links.iter().for_each(|link| link.outbox.fault(fault));
        }
        self.links.iter().for_each(|link| link.outbox.end());
        self.writer.close();
        let what = "closed".to_owned();
        let fault = fault.filter(|_| self.receipt.is_none());
        (self.facts.events)(SessionEvent {
            job_id,
            what,
            fault,
            ..SessionEvent::default()
        });
    }

    fn step(&mut self, event: machine::Event) -> Result<Action, Fault> {
        let (state, action) = machine::next(self.state, event)
            .map_err(|e| Fault::new(code::OUT_OF_ORDER, e.to_string()))?;
        self.state = state;
        Ok(action)
    }

    fn take(&mut self, input: Input) -> Result<(), Fault> {
        use machine::Event as E;
        match input {
            Input::Attach(link) => {
                self.step(E::Attach)?;
                self.links.push(link);
            }
            Input::Detach(generation) => self.detach(generation)?,
            // Whoever came and left since then has started another wait.
            Input::Expire(generation) if generation != self.last_left => {}
            Input::Expire(generation) => {
                if self.step(E::Expire)? == Action::Close {
                    let text = format!("nobody came back to the session (connection {generation})");
                    return Err(Fault::passing(code::CANCELED, text));
                }
            }
            Input::Stop(fault) => {
                self.step(E::Stop)?;
                return Err(fault);
            }
            Input::Load {
                link,
                sequence,
                verified,
                permits,
            } => {
                self.step(E::Load)?;
                self.load(&link, sequence, &verified)?;
                drop(permits);
            }
            Input::PageGet(link, ask) => {
                self.step(E::PageGet)?;
                self.give_pages(&link, &ask)?;
            }
            Input::Checkpoint(link, message) => {
                self.step(E::Checkpoint)?;
                self.checkpoint(&link, message)?;
            }
            Input::Commit(link, message) => match self.step(E::Commit)? {
                Action::MakeSnapshot => self.commit(&link, message)?,
                _ => self.give_receipt(&link),
            },
        }
        Ok(())
    }

    fn detach(&mut self, generation: u64) -> Result<(), Fault> {
        let before = self.links.len();
        self.links.retain(|link| link.generation != generation);
        if self.links.len() < before && self.step(machine::Event::Detach)? == Action::Await {
            self.last_left = generation;
            (self.facts.wait)(generation);
        }
        Ok(())
    }

    fn load(
        &mut self,
        link: &Link,
        sequence: u64,
        verified: &crossbeam_channel::Receiver<Result<Verified, VerifyError>>,
    ) -> Result<(), Fault> {
        let verdict = verified
            .recv()
            .map_err(|_| Fault::new(code::INTERNAL, "verification ended without a verdict"))?;
        let verified = verdict.map_err(|e| {
            let text = format!("load {sequence} was refused: {}", chain(&e));
            Fault::new(code::CORRUPT, text)
        })?;
        self.writer.append(&verified).map_err(|e| self.fault(&e))?;
        let ack = Ack {
            sequence,
            stored_bytes: self.writer.stored_bytes(),
        };
        // A connection that is gone will say so itself.
        let _ = link.outbox.offer(FrameType::Ack, ack.encode());
        Ok(())
    }

    /// The first of the pages asked for, up to 8 MiB, ending before one that is absent.
    fn give_pages(&mut self, link: &Link, ask: &Ask) -> Result<(), Fault> {
        let mut slots = Vec::new();
        let mut plain: Vec<u8> = Vec::new();
        for id in &ask.ids {
            if !self.base.allows(id) {
                let text = format!("page {id} is not of this run's base");
                return Err(Fault::new(code::REFUSED, text));
            }
            let bytes = match self.store.page(&PageId(id.0)) {
                Ok(bytes) => bytes,
                Err(error) if slots.is_empty() => return self.no_page(link, id, &error),
                Err(_) => break,
            };
            let is_full = plain.len() + bytes.len() > PAGES_BYTES || slots.len() == MAX_SLOTS;
            if is_full && !slots.is_empty() {
                break;
            }
            self.base
                .given(&bytes)
                .map_err(|e| Fault::new(code::BUSY, e.to_string()))?;
            slots.push(Slot {
                id: *id,
                len: bytes.len() as u32,
            });
            plain.extend_from_slice(&bytes);
        }
        let segment = Segment {
            codec: Codec::Stored,
            slots,
            payload: Bytes::from(plain),
        };
        let load = Load {
            sequence: ask.batch.into(),
            segment,
        };
        let head = load.encode_head();
        let _ = link
            .outbox
            .send(FrameType::PageData, head, load.segment.payload);
        Ok(())
    }

    /// Answers a PageGet whose first page cannot be had; the session goes on.
    fn no_page(&self, link: &Link, id: &ChunkId, error: &LookupError) -> Result<(), Fault> {
        let text = format!("page {id} of the base cannot be read: {}", chain(error));
        let _ = link
            .outbox
            .message(FrameType::Fault, &Fault::new(code::MISSING, text));
        Ok(())
    }

    fn root(&self, bytes: &[u8]) -> Result<PageId, Fault> {
        let root =
            PageId::from_slice(bytes).map_err(|e| Fault::new(code::MALFORMED, e.to_string()))?;
        let present = self.writer.has(&root.into()).map_err(|e| self.fault(&e))?;
        if present {
            Ok(root)
        } else {
            Err(Fault::new(
                code::MISSING,
                format!("root page {root} is not present"),
            ))
        }
    }

    fn snapshot(&self, root: PageId, counts: Option<Counts>) -> Snapshot {
        let ticket = &self.facts.ticket;
        let stored_bytes = self.writer.stored_bytes();
        Snapshot {
            root: root.0.to_vec(),
            job_id: ticket.job_id,
            job: ticket.job.clone(),
            client_id: ticket.client_id.clone(),
            client: ticket.client.clone(),
            series: ticket.series.clone(),
            number: ticket.number,
            level: ticket.level.clone(),
            level_reason: ticket.level_reason.clone(),
            fileset: ticket.fileset.clone(),
            started_ms: ticket.started_ms,
            finished_ms: now_ms(),
            counts: Some(Counts {
                stored_bytes,
                ..counts.unwrap_or_default()
            }),
            base: ticket.base.clone(),
            pool: ticket.pool.clone(),
            volumes: self.writer.volumes(),
            keep_until_ms: ticket.keep_until_ms,
            ..Snapshot::default()
        }
    }

    fn checkpoint(&mut self, link: &Link, message: Checkpoint) -> Result<(), Fault> {
        only_first(link)?;
        if message.root.is_empty() {
            self.writer.commit().map_err(|e| self.fault(&e))?;
        } else {
            let root = self.root(&message.root)?;
            let whole = self.snapshot(root, message.counts);
            let unfinished = Snapshot {
                number: 0,
                incomplete: true,
                ..whole
            };
            self.writer
                .snapshot(&unfinished.to_bytes())
                .map_err(|e| self.fault(&e))?;
            self.tell("checkpoint", message.root, Vec::new());
        }
        let _ = link
            .outbox
            .message(FrameType::Checkpointed, &Checkpointed {});
        Ok(())
    }

    fn commit(&mut self, link: &Link, message: Commit) -> Result<(), Fault> {
        only_first(link)?;
        if message.root_entry.len() > MAX_ROOT_ENTRY {
            return Err(Fault::new(code::MALFORMED, "the entry of / is too long"));
        }
        let root = self.root(&message.root)?;
        self.writer.commit().map_err(|e| self.fault(&e))?;
        let Commit {
            root_entry,
            system,
            host,
            scanned_ms,
            ..
        } = message;
        let snapshot = Snapshot {
            root_entry,
            system,
            host,
            scanned_ms,
            ..self.snapshot(root, message.counts)
        };
        let bytes = snapshot.to_bytes();
        self.writer.snapshot(&bytes).map_err(|e| self.fault(&e))?;
        tracing::info!(
            job = snapshot.job_id, client = snapshot.client, snapshot = %SnapshotId::of(&bytes),
            stored_bytes = self.writer.stored_bytes(), "snapshot committed"
        );
        self.receipt = Some(bytes.clone());
        self.step(machine::Event::Stored)?;
        self.give_receipt(link);
        self.tell("committed", Vec::new(), bytes);
        Ok(())
    }

    fn give_receipt(&self, link: &Link) {
        let snapshot = self.receipt.clone().unwrap_or_default();
        // A client that is gone asks again, or the Director tells it.
        let _ = link
            .outbox
            .message(FrameType::Receipt, &Receipt { snapshot });
    }

    fn tell(&self, what: &str, root: Vec<u8>, snapshot: Vec<u8>) {
        let (job_id, what) = (self.facts.ticket.job_id, what.to_owned());
        (self.facts.events)(SessionEvent {
            job_id,
            what,
            root,
            snapshot,
            fault: None,
        });
    }

    /// What a client is told when the store fails.
    fn fault(&self, error: &StoreError) -> Fault {
        let text = chain(error);
        match error {
            StoreError::Missing { .. } => Fault::new(code::MISSING, text),
            _ if error.is_full() => Fault::passing(
                code::FULL,
                format!("storage is full: {text}; add space or release old snapshots"),
            ),
            _ => Fault::passing(code::STORAGE, text),
        }
    }
}

fn only_first(link: &Link) -> Result<(), Fault> {
    if link.connection == 0 {
        Ok(())
    } else {
        let text = "only connection 0 of a session says Checkpoint and Commit";
        Err(Fault::new(code::OUT_OF_ORDER, text))
    }
}

/// An error with its causes on one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
