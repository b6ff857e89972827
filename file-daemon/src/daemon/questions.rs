//! Questions about a FileSet: what would be saved, and which rule decides about a path. Nothing is read or sent.

use std::path::Path;

use common::net::conversation::Answer;
use common::object::entry::Kind;
use common::protocol::control::Body;
use common::protocol::fault::{Fault, code};
use common::protocol::orders::{BrowseOrder, EstimateOrder, EstimateReply};

use crate::attributes::look::look;
use crate::runlog::RunLog;
use crate::scan::directory::joined;
use crate::scan::listing::{Batch, Event};
use crate::scan::tally::{Tally, one};
use crate::scan::walker::{Plan, walk};
use crate::select::{Facts, Selector};

/// Most paths of one reply.
const MOST_PATHS: usize = 10_000;
/// Most remarks of one reply.
const MOST_REMARKS: usize = 1_000;

/// Runs a question on a thread that may wait for disks.
pub fn answer(work: impl FnOnce() -> Result<EstimateReply, Fault> + Send + 'static) -> Answer {
    Answer::later(async {
        match tokio::task::spawn_blocking(work).await {
            Ok(Ok(reply)) => Body::EstimateReply(reply),
            Ok(Err(fault)) => Body::Fault(fault),
            Err(_) => Body::Fault(Fault::new(code::INTERNAL, "the question ended by a defect")),
        }
    })
}

/// Walks as a backup would, and counts.
///
/// # Errors
/// The FileSet makes no sense.
pub fn estimate(order: &EstimateOrder, own_folders: &[Vec<u8>]) -> Result<EstimateReply, Fault> {
    let fileset = order.fileset.clone().unwrap_or_default();
    let selector = Selector::new(&fileset).map_err(|e| Fault::new(code::MALFORMED, e.to_string()))?;
    let own = order.own_folders.iter().chain(own_folders).cloned();
    let plan = Plan::new(&fileset, selector.without_own_folders(own));
    let (log, tally) = (RunLog::default(), Tally::default());
    let most = MOST_PATHS.min(order.list as usize);
    let mut listing = Listing {
        tally: &tally,
        path: Vec::new(),
        marks: Vec::new(),
        paths: Vec::new(),
        most,
    };
    // Nothing stops an estimate but its end.
    let _ = walk(&plan, (&log, &tally), &mut |batch| {
        listing.take(&batch);
        Ok(())
    });
    let remarks = log.take(MOST_REMARKS).into_iter().map(|l| l.text).collect();
    Ok(EstimateReply {
        counts: Some(tally.counts()),
        paths: listing.paths,
        remarks,
    })
}

struct Listing<'a> {
    tally: &'a Tally,
    path: Vec<u8>,
    marks: Vec<usize>,
    paths: Vec<Vec<u8>>,
    most: usize,
}

impl Listing<'_> {
    fn take(&mut self, batch: &Batch) {
        for event in &batch.events {
            match event {
                Event::Item { name, looked, .. } => {
                    let size = looked.stat.size;
                    self.entry(batch.name_of(name), looked.kind, size);
                }
                Event::Command { name, .. } => self.entry(batch.name_of(name), Kind::File, 0),
                Event::Enter { name, .. } => {
                    let name = batch.name_of(name);
                    self.marks.push(self.path.len());
                    if self.marks.len() > 1 {
                        self.entry(name, Kind::Directory, 0);
                        self.path = joined(&self.path, name);
                    }
                }
                Event::Leave => self.path.truncate(self.marks.pop().unwrap_or(0)),
                Event::Lost { .. } | Event::Broken { .. } => {}
            }
        }
    }

    fn entry(&mut self, name: &[u8], kind: Kind, size: u64) {
        one(&self.tally.entries);
        match kind {
            Kind::File => one(&self.tally.files),
            Kind::Directory => one(&self.tally.directories),
            _ => {}
        }
        if kind == Kind::File {
            let bytes = &self.tally.protected_bytes;
            bytes.fetch_add(size, std::sync::atomic::Ordering::Relaxed);
        }
        if self.paths.len() < self.most {
            self.paths.push(joined(&self.path, name));
        }
    }
}

/// Which rule decides about a path.
///
/// # Errors
/// The FileSet makes no sense.
pub fn browse(order: &BrowseOrder) -> Result<EstimateReply, Fault> {
    use std::os::unix::ffi::OsStrExt;
    let fileset = order.fileset.clone().unwrap_or_default();
    let selector = Selector::new(&fileset).map_err(|e| Fault::new(code::MALFORMED, e.to_string()))?;
    let path = Path::new(std::ffi::OsStr::from_bytes(&order.path));
    // A path without a name is `/` itself.
    let facts = match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => std::fs::File::open(parent)
            .and_then(|parent| look(parent, name.as_bytes()))
            .ok()
            .map(|l| Facts {
                kind: l.kind,
                size_bytes: l.stat.size,
                nodump: l.nodump,
            }),
        _ => Some(Facts::directory()),
    };
    Ok(EstimateReply {
        remarks: vec![selector.explain(&order.path, facts.as_ref())],
        ..EstimateReply::default()
    })
}
