//! Workers: decode a segment, check the chunks that are wanted, write them into their files.
//!
//! The queue is short and each worker holds one decoded segment, so memory is bounded by threads, not by the stream.

use std::collections::HashMap;
use std::sync::Arc;

use common::ids::ChunkId;
use common::object::entry::Kind;
use common::object::segment::Segment;
use crossbeam_channel::{Receiver, Sender, bounded};
use parking_lot::{Condvar, Mutex};

use super::context::Shared;
use super::file::Pending;
use super::special;
use crate::attributes::Applier;

/// Where a chunk goes: its slot in the segment, its offset in the content, the file.
pub type Piece = (u32, u64, Arc<Pending>);

/// What a worker does.
pub enum Job {
    /// Makes something that needs no content.
    Make(Vec<Arc<Pending>>),
    /// Writes chunks of a segment: slot, offset in the content, file.
    Deliver(Segment, Vec<Piece>),
}

/// Counts jobs under way; the stream's thread waits for none at the end of a window.
#[derive(Default)]
pub struct InFlight {
    count: Mutex<u64>,
    none: Condvar,
}

impl InFlight {
    fn add(&self) {
        *self.count.lock() += 1;
    }

    fn done(&self) {
        let mut count = self.count.lock();
        *count = count.saturating_sub(1);
        if *count == 0 {
            self.none.notify_all();
        }
    }

    /// Waits until nothing is under way: each job ends, since workers only wait for the disk.
    pub fn wait(&self) {
        let mut count = self.count.lock();
        while *count > 0 {
            self.none.wait(&mut count);
        }
    }
}

/// A job ends when this is dropped, also by a defect: nobody waits for a thread that is gone.
struct Done<'a>(&'a InFlight);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.done();
    }
}

/// The queue's near end.
pub struct Queue<'a> {
    jobs: Sender<Job>,
    in_flight: &'a InFlight,
}

impl Queue<'_> {
    /// Hands a job over; waits while all workers are busy.
    pub fn push(&self, job: Job) {
        self.in_flight.add();
        if self.jobs.send(job).is_err() {
            self.in_flight.done();
        }
    }

    /// Waits until all jobs are done.
    pub fn drain(&self) {
        self.in_flight.wait();
    }
}

/// Runs `lead` with workers at its side; they end when it does.
pub fn with_workers<T>(shared: &Shared<'_>, lead: impl FnOnce(&Queue<'_>) -> T) -> T {
    let in_flight = InFlight::default();
    let count = shared.context.workers.clamp(1, 16);
    let (sender, receiver) = bounded(count);
    std::thread::scope(|scope| {
        for _ in 0..count {
            let (jobs, in_flight) = (receiver.clone(), &in_flight);
            scope.spawn(move || work(shared, &jobs, in_flight));
        }
        drop(receiver);
        let queue = Queue {
            jobs: sender,
            in_flight: &in_flight,
        };
        lead(&queue)
    })
}

fn work(shared: &Shared<'_>, jobs: &Receiver<Job>, in_flight: &InFlight) {
    let (mut applier, mut plain) = (Applier::default(), Vec::new());
    for job in jobs {
        let _done = Done(in_flight);
        if !shared.stopped() {
            match job {
                Job::Make(all) => all
                    .iter()
                    .for_each(|pending| make(shared, &mut applier, pending)),
                Job::Deliver(segment, pieces) => {
                    deliver(shared, &mut applier, &mut plain, (&segment, &pieces));
                }
            }
        }
    }
}

fn make(shared: &Shared<'_>, applier: &mut Applier, pending: &Pending) {
    if pending.entry.kind == Kind::File {
        pending.make_empty(shared, applier);
    } else {
        special::make(shared, applier, pending);
    }
}

fn deliver(
    shared: &Shared<'_>,
    applier: &mut Applier,
    plain: &mut Vec<u8>,
    (segment, pieces): (&Segment, &[Piece]),
) {
    if segment.decode(plain).is_err() {
        for (_, _, pending) in pieces {
            damaged(shared, pending, "a segment does not decode");
        }
        return;
    }
    let starts = starts(segment);
    let mut checked: HashMap<u32, bool> = HashMap::with_capacity(pieces.len());
    for (slot, offset, pending) in pieces {
        let Some((id, bytes)) = chunk(segment, &starts, plain, *slot) else {
            continue;
        };
        // One chunk may belong to thousands of files: it is hashed once.
        if *checked
            .entry(*slot)
            .or_insert_with(|| ChunkId::of(bytes) == id)
        {
            pending.write(shared, applier, (*offset, id, bytes));
        } else {
            damaged(
                shared,
                pending,
                "a chunk has other content than its name says",
            );
        }
    }
}

fn starts(segment: &Segment) -> Vec<usize> {
    let mut at = 0usize;
    let mut starts = Vec::with_capacity(segment.slots.len());
    for slot in &segment.slots {
        starts.push(at);
        at = at.saturating_add(slot.len as usize);
    }
    starts
}

fn chunk<'a>(
    segment: &Segment,
    starts: &[usize],
    plain: &'a [u8],
    slot: u32,
) -> Option<(ChunkId, &'a [u8])> {
    let (start, slot) = (
        starts.get(slot as usize)?,
        segment.slots.get(slot as usize)?,
    );
    let bytes = plain.get(*start..start.checked_add(slot.len as usize)?)?;
    Some((slot.id, bytes))
}

fn damaged(shared: &Shared<'_>, pending: &Pending, reason: &str) {
    if pending.give_up(shared) {
        shared.lost(&pending.path(), reason);
    }
}
