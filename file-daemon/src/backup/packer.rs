//! Packer: asks storage for chunks in batches, joins those it lacks into segments, and lets pages follow.
//!
//! One thread, first in first out: what leaves is in the order it came, so a page is sent after everything it names.
//! Questions are pipelined; when nothing comes in, what was gathered is asked at once.

use std::collections::VecDeque;
use std::sync::Arc;

use common::ids::ChunkId;
use common::object::page_builder::BuiltPage;
use common::object::segment::{MAX_SLOTS, SEGMENT_BYTES, Segment, Slot};
use common::protocol::data::Answer;
use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded, never, select};

use super::budget::Permit;
use super::compress::{Job, Spare};
use super::upload::{Load, Piece};
use crate::sink::error::SinkError;
use crate::sink::port::Storage;
use crate::sink::stop::{LOOK, Stop};

/// Ids after which a batch is asked.
const BATCH_IDS: usize = 512;
/// Bytes after which a batch is asked.
const BATCH_BYTES: usize = 4 << 20;
/// Batches whose answer is awaited at once.
const MOST_ASKED: usize = 16;
/// Page bytes of one segment.
const PAGE_SEGMENT_BYTES: usize = 512 << 10;
/// Page bytes for which a half-full content segment is closed.
const MOST_PAGE_BYTES: usize = 1 << 20;

/// What leaves the packer, in order.
#[derive(Debug)]
pub enum Parcel {
    /// Content.
    Content(Receiver<Segment>),
    /// Pages.
    Pages(Receiver<Segment>),
    /// Answered when everything before it was sent.
    Flush(Sender<()>),
}

/// Where the packer gives things.
pub struct Exits<'a> {
    /// The storage, for questions.
    pub storage: &'a dyn Storage,
    /// The compressors.
    pub jobs: Sender<Job>,
    /// Buffers that the compressors are done with.
    pub spare: Arc<Spare>,
    /// The sender.
    pub parcels: Sender<Parcel>,
    /// Why the run stopped.
    pub stop: &'a Stop,
}

#[derive(Default)]
struct Batch {
    loads: Vec<Load>,
    ids: Vec<ChunkId>,
    bytes: usize,
}

#[derive(Default)]
struct Open {
    slots: Vec<Slot>,
    plain: Vec<u8>,
    permits: Vec<Permit>,
}

struct Packer<'a> {
    exits: Exits<'a>,
    gathering: Batch,
    asked: VecDeque<(Option<Receiver<Answer>>, Batch)>,
    content: Open,
    pages: Open,
}

/// Packs until all entrances are closed.
///
/// # Errors
/// The storage is lost, or another stage stopped.
pub fn work(loads: &Receiver<Load>, exits: Exits<'_>) -> Result<(), SinkError> {
    let mut packer = Packer {
        exits,
        gathering: Batch::default(),
        asked: VecDeque::new(),
        content: Open::default(),
        pages: Open::default(),
    };
    while let Some(load) = packer.next(loads)? {
        packer.gather(load)?;
    }
    packer.finish()
}

impl Packer<'_> {
    /// The next load; meanwhile answers are worked off. `None` = all entrances are closed.
    fn next(&mut self, loads: &Receiver<Load>) -> Result<Option<Load>, SinkError> {
        loop {
            match loads.try_recv() {
                Ok(load) => return Ok(Some(load)),
                Err(TryRecvError::Disconnected) => return Ok(None),
                Err(TryRecvError::Empty) => self.ask()?,
            }
            let first = self.asked.front().and_then(|(answer, _)| answer.clone());
            if first.is_none() && !self.asked.is_empty() {
                self.settle(None)?;
                continue;
            }
            let answer = first.unwrap_or_else(never);
            select! {
                recv(loads) -> load => return Ok(load.ok()),
                recv(answer) -> answer => {
                    let answer = answer.map_err(|_| self.exits.stop.reason("storage"))?;
                    self.settle(Some(&answer))?;
                }
                default(LOOK) => self.exits.stop.check()?,
            }
        }
    }

    fn gather(&mut self, load: Load) -> Result<(), SinkError> {
        let batch = &mut self.gathering;
        let is_flush = matches!(load, Load::Flush(_));
        match &load {
            Load::Chunk(piece) => {
                batch.ids.push(piece.id);
                batch.bytes += piece.bytes.len();
            }
            Load::Page(page) => batch.bytes += page.bytes.len(),
            Load::Flush(_) => {}
        }
        batch.loads.push(load);
        if is_flush || batch.ids.len() >= BATCH_IDS || batch.bytes >= BATCH_BYTES {
            self.ask()?;
        }
        Ok(())
    }

    /// Asks for what was gathered.
    fn ask(&mut self) -> Result<(), SinkError> {
        if self.gathering.loads.is_empty() {
            return Ok(());
        }
        let mut batch = std::mem::take(&mut self.gathering);
        let ids = std::mem::take(&mut batch.ids);
        let answer = if ids.is_empty() {
            None
        } else {
            Some(self.exits.storage.ask(ids)?)
        };
        self.asked.push_back((answer, batch));
        while self.asked.len() > MOST_ASKED {
            self.settle_first()?;
        }
        Ok(())
    }

    /// Waits for the oldest answer and works it off.
    fn settle_first(&mut self) -> Result<(), SinkError> {
        let answer = match self.asked.front() {
            Some((Some(answer), _)) => Some(self.exits.stop.recv(answer, "storage")?),
            _ => None,
        };
        self.settle(answer.as_ref())
    }

    fn settle(&mut self, answer: Option<&Answer>) -> Result<(), SinkError> {
        let Some((_, batch)) = self.asked.pop_front() else {
            return Ok(());
        };
        let mut ordinal = 0;
        for load in batch.loads {
            match load {
                Load::Chunk(piece) => {
                    let present = answer.is_some_and(|a| a.has(ordinal));
                    ordinal += 1;
                    if !present {
                        self.content(piece)?;
                    }
                }
                Load::Page(page) => self.page(&page)?,
                Load::Flush(done) => {
                    self.close_all()?;
                    self.parcel(Parcel::Flush(done))?;
                }
            }
        }
        Ok(())
    }

    fn content(&mut self, piece: Piece) -> Result<(), SinkError> {
        let open = &mut self.content;
        if open.plain.capacity() == 0 {
            open.plain = self.exits.spare.take();
        }
        open.add(piece.id, &piece.bytes);
        open.permits.push(piece.permit);
        if open.plain.len() >= SEGMENT_BYTES || open.slots.len() >= MAX_SLOTS {
            self.close_content()?;
        }
        Ok(())
    }

    fn page(&mut self, page: &BuiltPage) -> Result<(), SinkError> {
        self.pages.add(page.id.into(), &page.bytes);
        if self.pages.plain.len() >= MOST_PAGE_BYTES {
            self.close_all()?;
        }
        Ok(())
    }

    /// Sends the content gathered; then the pages may follow, when there are enough.
    fn close_content(&mut self) -> Result<(), SinkError> {
        let open = std::mem::take(&mut self.content);
        if !open.slots.is_empty() {
            let segment = self.compress(open)?;
            self.parcel(Parcel::Content(segment))?;
        }
        if self.pages.plain.len() >= PAGE_SEGMENT_BYTES {
            self.close_pages()?;
        }
        Ok(())
    }

    fn close_all(&mut self) -> Result<(), SinkError> {
        self.close_content()?;
        self.close_pages()
    }

    fn close_pages(&mut self) -> Result<(), SinkError> {
        let Open { slots, plain, .. } = std::mem::take(&mut self.pages);
        let mut part = Open::default();
        let mut rest = plain.as_slice();
        for Slot { id, len } in slots {
            let (page, after) = rest.split_at(len as usize);
            rest = after;
            if !part.slots.is_empty() && part.plain.len() + page.len() > PAGE_SEGMENT_BYTES {
                self.send_pages(std::mem::take(&mut part))?;
            }
            part.add(id, page);
        }
        self.send_pages(part)
    }

    fn send_pages(&mut self, open: Open) -> Result<(), SinkError> {
        if open.slots.is_empty() {
            return Ok(());
        }
        let segment = self.compress(open)?;
        self.parcel(Parcel::Pages(segment))
    }

    fn compress(&self, open: Open) -> Result<Receiver<Segment>, SinkError> {
        let (done, segment) = bounded(1);
        let job = Job {
            slots: open.slots,
            plain: open.plain,
            permits: open.permits,
            done,
        };
        let (jobs, stop) = (&self.exits.jobs, self.exits.stop);
        stop.send(jobs, job, "compressor")?;
        Ok(segment)
    }

    fn parcel(&self, parcel: Parcel) -> Result<(), SinkError> {
        let (parcels, stop) = (&self.exits.parcels, self.exits.stop);
        stop.send(parcels, parcel, "sender")
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        self.ask()?;
        while !self.asked.is_empty() {
            self.settle_first()?;
        }
        self.close_all()
    }
}

impl Open {
    fn add(&mut self, id: ChunkId, bytes: &[u8]) {
        let len = u32::try_from(bytes.len()).expect("chunks and pages are at most 8 MiB");
        self.slots.push(Slot { id, len });
        self.plain.extend_from_slice(bytes);
    }
}
