//! One backup run: its threads, its outcome.
//!
//! ok or warnings only with the storage's receipt in hand, and the local state follows the receipt, never precedes it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use common::fileset::FileSet;
use common::ids::{PageId, SnapshotId};
use common::object::page::encode_leaf;
use common::object::snapshot::Counts;
use common::protocol::data::Commit;
use common::protocol::fault::{Fault, code};
use common::protocol::orders::BackupOrder;
use crossbeam_channel::{Receiver, Sender, bounded};

use super::command::CommandError;
use super::compress::{self, Pressure, Spare};
use super::packer::{self, Exits};
use super::reader::{Reader, Reading};
use super::sender;
use super::tree::{self, Built, Planned, Reply, TreeSetting};
use super::upload::Upload;
use crate::runlog::RunLog;
use crate::scan::base::BasePages;
use crate::scan::frame::Tree;
use crate::scan::listing::Batch;
use crate::scan::merge::{Merge, Setting};
use crate::scan::step::{Capture, Step};
use crate::scan::tally::Tally;
use crate::scan::walker::{self, Plan, Stopped};
use crate::select::{SelectError, Selector};
use crate::sink::error::SinkError;
use crate::sink::port::Storage;
use crate::sink::stop::Stop;
use crate::state::series::{SeriesState, StateError, TreeFacts};

/// A file changed this shortly before the scan began may change again within the same tick of its clock.
const TRUST_MARGIN_MS: i64 = 2_000;
/// Batches of the walker that wait for the merge.
const BATCHES: usize = 4;
/// Captures that wait for a reader: each may keep a directory open.
const CAPTURES: usize = 96;
/// Steps that wait for the tree.
const STEPS: usize = 1024;
/// Parcels that wait for the sender.
const PARCELS: usize = 6;

/// Why a run did not end well.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The FileSet makes no sense.
    #[error("use the FileSet")]
    FileSet(#[from] SelectError),
    /// The order lacks something.
    #[error("the order lacks {0}")]
    Order(&'static str),
    /// The local state.
    #[error("use the local state")]
    State(#[from] StateError),
    /// The storage.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// A command.
    #[error(transparent)]
    Command(CommandError),
}

impl From<CommandError> for BackupError {
    fn from(e: CommandError) -> Self {
        match e {
            CommandError::Sink(e) => Self::Sink(e),
            e => Self::Command(e),
        }
    }
}

impl BackupError {
    /// The outcome of the run.
    #[must_use]
    pub fn outcome(&self) -> &'static str {
        match self {
            Self::Sink(e) => e.outcome(),
            _ => "error",
        }
    }

    /// As told to the Director.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Sink(e) => e.fault(),
            Self::FileSet(e) => Fault::new(code::MALFORMED, e.to_string()),
            other => Fault::new(code::INTERNAL, crate::chain(other)),
        }
    }
}

/// What a run is given besides its order.
pub struct Site<'a> {
    /// The state folder of this daemon.
    pub state: PathBuf,
    /// The storage, its session open.
    pub storage: Arc<dyn Storage>,
    /// Whether storage has the base, and the checkpoint to resume from.
    pub present: (bool, bool),
    /// What storage says of when the base's scan began, by this client's clock; 0 = unknown.
    pub base_scanned_ms: i64,
    /// The run's log.
    pub log: &'a RunLog,
    /// The run's counts.
    pub tally: &'a Tally,
    /// Stops the run.
    pub stop: &'a Stop,
    /// Now, milliseconds since the epoch: when the scan begins.
    pub now_ms: i64,
}

/// A run that was committed.
#[derive(Debug)]
pub struct Saved {
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// Its root page.
    pub root: PageId,
    /// Counts.
    pub counts: Counts,
}

/// Runs a backup.
///
/// # Errors
/// [`BackupError`]: nothing was committed.
pub fn run(order: &BackupOrder, site: &Site<'_>) -> Result<Saved, BackupError> {
    let fileset = order
        .fileset
        .as_ref()
        .ok_or(BackupError::Order("a FileSet"))?;
    let own = order.own_folders.iter().cloned();
    let selector = Selector::new(fileset)?.without_own_folders(own);
    let plan = Plan::new(fileset, selector);
    let state = SeriesState::open(&site.state, &order.series)?;
    let trees = trees(order, site, &state);
    let roots = [trees.0, trees.1].into_iter().flatten().map(|t| t.root);
    let pages = BasePages::new(state, Arc::clone(&site.storage), roots);
    let built = pipeline(order, (site, &plan, fileset), (&pages, trees))?;
    commit(order, site, (&pages, built))
}

/// The trees to compare with, and how far each is trusted.
fn trees(
    order: &BackupOrder,
    site: &Site<'_>,
    state: &SeriesState,
) -> (Option<Tree>, Option<Tree>) {
    let tree = |root: &[u8], reuse, told_ms: i64| {
        let root = PageId::from_slice(root).ok()?;
        let facts = state.facts(&root);
        let expected = facts.unwrap_or_default();
        site.tally.expected_entries.store(expected.entries, Relaxed);
        site.tally.expected_bytes.store(expected.bytes, Relaxed);
        // A snapshot remembers the time, too; no scan began later than this one.
        let told_ms = (told_ms > 0).then_some(told_ms.min(site.now_ms));
        let scanned_ms = facts.map(|f| f.scanned_ms).or(told_ms);
        if scanned_ms.is_none() && reuse {
            site.log.notice(
                "the local state of this job is new or was lost: every file is read again once",
            );
        }
        let trusted_ms = scanned_ms.map_or(i64::MIN, |ms| ms - TRUST_MARGIN_MS);
        Some(Tree {
            root,
            trusted_before_ns: trusted_ms.saturating_mul(1_000_000),
            reuse,
        })
    };
    let (has_base, has_resume) = site.present;
    let base = order.base.as_ref().filter(|_| has_base);
    let resume = order.resume.as_ref().filter(|_| has_resume);
    // The base last: what it expects counts.
    let resume = resume.and_then(|r| tree(&r.root, true, 0));
    let base = base.and_then(|b| tree(&b.root, order.level != "full", site.base_scanned_ms));
    (base, resume)
}

type Trees<'a> = (&'a BasePages, (Option<Tree>, Option<Tree>));

fn pipeline(
    order: &BackupOrder,
    (site, plan, fileset): (&Site<'_>, &Plan, &FileSet),
    (pages, (base, resume)): Trees<'_>,
) -> Result<Built, BackupError> {
    let (log, tally, stop) = (site.log, site.tally, site.stop);
    let setting = Setting {
        pages,
        base,
        resume,
        log,
        tally,
    };
    let (upload, loads) = Upload::new(pages, stop);
    let reading = Reading {
        upload,
        pages,
        log,
        tally,
        stop,
    };
    let (to_merge, batches) = bounded::<Batch>(BATCHES);
    let (to_readers, captures) = bounded(CAPTURES);
    let (to_tree, steps) = bounded(STEPS);
    let storage = site.storage.as_ref();
    let tree_setting = TreeSetting {
        reading: reading.clone(),
        storage,
        commands: &fileset.commands,
        scanned_ms: site.now_ms,
        checkpoint_s: order.checkpoint_s,
    };
    std::thread::scope(|scope| {
        let guard = |stage| StageGuard { stop, stage };
        scope.spawn(move || {
            let _guard = guard("walker");
            walk(plan, (log, tally, stop), &to_merge);
        });
        scope.spawn(move || {
            let _guard = guard("merge");
            end_of(
                stop,
                merge((setting, stop), &batches, &(to_readers, to_tree)),
            );
        });
        for _ in 0..readers() {
            let (captures, reading) = (captures.clone(), reading.clone());
            scope.spawn(move || {
                let _guard = guard("reader");
                read(&captures, reading);
            });
        }
        drop((captures, reading));
        deliver(scope, (order.compression, loads), (storage, stop));
        let built = tree::build(&steps, &tree_setting);
        // First the reason, then the end of what the other stages wait for: theirs would be "the tree went away".
        if let Err(e) = &built {
            stop.set(match e {
                CommandError::Sink(e) => e.clone(),
                _ => SinkError::Stage("command"),
            });
        }
        drop(steps);
        let built = built?;
        stop.check()?;
        let built = built.ok_or_else(|| stop.reason("merge"))?;
        tree_setting.reading.upload.flush()?;
        drop(tree_setting);
        Ok(built)
    })
}

/// The stages behind the upload.
fn deliver<'scope, 'env: 'scope>(
    scope: &'scope std::thread::Scope<'scope, 'env>,
    (level, loads): (u32, Receiver<super::upload::Load>),
    (storage, stop): (&'env dyn Storage, &'env Stop),
) {
    let (jobs, to_compress) = bounded(PARCELS);
    let (parcels, to_send) = bounded(PARCELS);
    let pressure = Arc::new(Pressure::default());
    let spare = Arc::new(Spare::default());
    for _ in 0..cores() {
        let to_compress = to_compress.clone();
        let (pressure, spare) = (Arc::clone(&pressure), Arc::clone(&spare));
        scope.spawn(move || {
            let _guard = StageGuard {
                stop,
                stage: "compressor",
            };
            compress::work(&to_compress, (&pressure, &spare), level);
        });
    }
    scope.spawn(move || {
        let _guard = StageGuard {
            stop,
            stage: "packer",
        };
        let exits = Exits {
            storage,
            jobs,
            spare,
            parcels,
            stop,
        };
        end_of(stop, packer::work(&loads, exits));
    });
    scope.spawn(move || {
        let _guard = StageGuard {
            stop,
            stage: "sender",
        };
        end_of(stop, sender::work(&to_send, storage, (&pressure, stop)));
    });
}

/// A stage that panics stops the run instead of leaving the others waiting.
struct StageGuard<'a> {
    stop: &'a Stop,
    stage: &'static str,
}

impl Drop for StageGuard<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.stop.set(SinkError::Stage(self.stage));
        }
    }
}

fn end_of(stop: &Stop, result: Result<(), SinkError>) {
    if let Err(e) = result {
        stop.set(e);
    }
}

fn walk(plan: &Plan, (log, tally, stop): (&RunLog, &Tally, &Stop), to_merge: &Sender<Batch>) {
    let mut out = |batch| {
        stop.check().map_err(|_| Stopped)?;
        stop.send(to_merge, batch, "merge").map_err(|_| Stopped)
    };
    // Stopped: whoever stopped said why.
    let _ = walker::walk(plan, (log, tally), &mut out);
}

type Onward = (Sender<(Box<Capture>, Sender<Reply>)>, Sender<Planned>);

fn merge(
    (setting, stop): (Setting<'_>, &Stop),
    batches: &Receiver<Batch>,
    (to_readers, to_tree): &Onward,
) -> Result<(), SinkError> {
    let mut out = |step| {
        let planned = match step {
            Step::Capture(capture) => match capture.link {
                Some(link) if link.again => Planned::Linked(capture, link),
                link => {
                    let (reply, waiting) = bounded(1);
                    stop.send(to_readers, (capture, reply), "reader")?;
                    Planned::Waiting(waiting, link)
                }
            },
            step => Planned::Step(step),
        };
        stop.send(to_tree, planned, "tree")
    };
    let mut merge = Merge::new(setting, &mut out);
    while let Some(batch) = stop.next(batches)? {
        merge.take(&batch)?;
    }
    Ok(())
}

fn read(captures: &Receiver<(Box<Capture>, Sender<Reply>)>, reading: Reading<'_>) {
    let stop = reading.stop;
    let mut reader = Reader::new(reading);
    while let Ok(Some((capture, reply))) = stop.next(captures) {
        let saved = stop.check().and_then(|()| reader.save(&capture));
        // The tree is gone only when the run has stopped.
        let _ = reply.send(saved);
    }
}

fn commit(
    order: &BackupOrder,
    site: &Site<'_>,
    (pages, built): (&BasePages, Built),
) -> Result<Saved, BackupError> {
    let counts = site.tally.counts();
    let commit = Commit {
        root: built.root.0.to_vec(),
        counts: Some(Counts {
            sent_bytes: site.storage.figures().sent_bytes,
            ..counts
        }),
        root_entry: encode_leaf(&[built.own]),
        system: std::env::consts::OS.to_owned(),
        host: common::net::enrol::host_name(),
        scanned_ms: site.now_ms,
    };
    let snapshot = site.storage.commit(commit)?;
    let figures = site.storage.figures();
    let facts = TreeFacts {
        scanned_ms: site.now_ms,
        entries: counts.entries,
        bytes: counts.protected_bytes,
    };
    if let Err(e) = pages.with_state(|state| state.publish(built.root, facts)) {
        tracing::warn!(job = %order.job, "local state not kept, the next run is slower: {}", crate::chain(&e));
    }
    Ok(Saved {
        snapshot: SnapshotId::of(&snapshot),
        root: built.root,
        counts: Counts {
            sent_bytes: figures.sent_bytes,
            stored_bytes: figures.stored_bytes,
            ..counts
        },
    })
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from)
}

/// Threads that read files: they wait for disks more than they compute.
fn readers() -> usize {
    (cores() * 2).clamp(2, 16)
}
