//! Run: one restore from its order to its outcome.
//!
//! ```text
//! order -> checked -> target open -> [items, content, window end]* -> end -> unfinished named -> synced -> outcome
//! ```
//! "OK" is said only after `syncfs` of every file system that was written to.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use common::codec::DecodeError;
use common::name::Shown;
use common::protocol::fault::{Fault, code};
use common::protocol::orders::{RestoreOrder, Severity};
use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};
use rustix::fs::syncfs;

use super::context::{RestoreContext, Shared};
use super::handles::Handles;
use super::items::Intake;
use super::order::{Mode, Plan};
use super::outcome::{RestoreOutcome, Status, Tally};
use super::source::{Message, RestoreSource, StreamError};
use super::spool::{Turn, give};
use super::target::{Missing, nearest, open};
use super::tree::Tree;
use super::workers::{Queue, with_workers};
use crate::chain;

/// How often progress is told, also while the stream waits for the disk.
const PROGRESS_EVERY: Duration = Duration::from_millis(500);

/// How the stream ended.
enum Ending {
    Whole,
    Stopped,
    Broken(StreamError),
}

/// Restores (or says what it would do, by the order's mode). For comparison see [`crate::compare`].
pub fn run(
    order: &RestoreOrder,
    source: &mut dyn RestoreSource,
    context: &RestoreContext,
) -> RestoreOutcome {
    let plan = match Plan::new(order, &context.permit) {
        Ok(plan) if plan.mode == Mode::DryRun => nearest(plan),
        Ok(plan) => plan,
        Err(e) => return refused(code::REFUSED, &e),
    };
    let missing = if plan.mode == Mode::Restore {
        Missing::Make
    } else {
        Missing::Fail
    };
    let root = match open(&plan, &context.permit, missing) {
        Ok(root) => root,
        Err(e) => return refused(code::REFUSED, &e),
    };
    let shared = Shared::new(&plan, context, Handles::new(root));
    let tree = match Tree::new(&shared) {
        Ok(tree) => tree,
        Err(e) => return refused(code::INTERNAL, &e),
    };
    let (going_on, over) = bounded::<()>(0);
    std::thread::scope(|scope| {
        scope.spawn(|| tell_progress(&shared, &over));
        let outcome = with_workers(&shared, |queue| {
            let mut intake = Intake::new(&shared, queue, tree);
            let ending = follow(&shared, source, &mut intake);
            let fault = close(&shared, &mut intake, &ending, queue);
            conclude(&shared, fault)
        });
        drop(going_on);
        outcome
    })
}

/// From the first moment until the restore is over, whoever waits for whom.
fn tell_progress(shared: &Shared<'_>, over: &Receiver<()>) {
    while let Err(RecvTimeoutError::Timeout) = over.recv_timeout(PROGRESS_EVERY) {
        (shared.context.progress)(shared.tally.counts(), &[]);
    }
}

fn refused(code: &str, error: &dyn std::error::Error) -> RestoreOutcome {
    Tally::default().outcome(Status::Error, Some(fault(code, chain(error))))
}

fn follow(shared: &Shared<'_>, source: &mut dyn RestoreSource, intake: &mut Intake<'_>) -> Ending {
    let mut told = Instant::now();
    loop {
        if shared.stopped() {
            return Ending::Stopped;
        }
        match source.next() {
            Ok(Message::Items(items)) => items.0.into_iter().for_each(|item| intake.item(item)),
            Ok(Message::AttributeValue(value)) => intake.attribute(&value),
            Ok(Message::Delivery(delivery)) => intake.delivery(delivery),
            Ok(Message::ChunkNames(_)) => {}
            Ok(Message::Lost(lost)) => intake.lost(&lost),
            Ok(Message::WindowEnd(window)) => {
                intake.settle_window();
                if let Err(e) = source.window_done(window.number) {
                    return Ending::Broken(e);
                }
            }
            Ok(Message::End(end)) if intake.is_complete(&end) => return Ending::Whole,
            Ok(Message::End(_)) => {
                let what = "restore end: other counts than came";
                return Ending::Broken(StreamError::Malformed(DecodeError::Range { what }));
            }
            Err(e) => return Ending::Broken(e),
        }
        if told.elapsed() >= PROGRESS_EVERY {
            told = Instant::now();
            (shared.context.progress)(shared.tally.counts(), intake.current());
        }
    }
}

/// Settles what is left, syncs, and says what ended the run when it did not end by itself.
fn close(
    shared: &Shared<'_>,
    intake: &mut Intake<'_>,
    ending: &Ending,
    queue: &Queue<'_>,
) -> Option<Fault> {
    queue.drain();
    let why = match ending {
        Ending::Whole => "the Storage Daemon did not send its content",
        Ending::Stopped | Ending::Broken(_) => "the restore ended before its content came",
    };
    if !matches!(ending, Ending::Whole) {
        intake.name_unfinished();
    }
    intake.finish(why);
    let turn = if matches!(ending, Ending::Whole) && !shared.stopped() {
        Turn::Now
    } else {
        Turn::Never
    };
    give(shared, turn);
    let synced = sync(shared, intake);
    (shared.context.progress)(shared.tally.counts(), intake.current());
    match ending {
        Ending::Broken(e) if !shared.context.stop.is_cancelled() => Some(Fault {
            retry: true,
            ..fault(code::STORAGE, chain(e))
        }),
        _ => synced.or_else(|| {
            let refusal = shared.refusal.lock().take();
            refusal.map(|why| fault(code::COMMAND, why))
        }),
    }
}

fn sync(shared: &Shared<'_>, intake: &Intake<'_>) -> Option<Fault> {
    if shared.plan.mode != Mode::Restore {
        return None;
    }
    let failed = intake
        .tree()
        .file_systems()
        .iter()
        .find_map(|fs| syncfs(fs).err())?;
    let to = Shown(&shared.plan.to);
    Some(fault(
        code::STORAGE,
        format!("cannot sync the file system of {to} to disk: {failed}"),
    ))
}

fn conclude(shared: &Shared<'_>, broken: Option<Fault>) -> RestoreOutcome {
    let shortfalls = shared.tally.shortfall_lines();
    for line in &shortfalls {
        (shared.context.log)(Severity::Warning, line.clone());
    }
    let spared = shared.tally.spared.load(Relaxed);
    if spared > 0 {
        (shared.context.log)(
            Severity::Notice,
            format!(
                "{spared} names that the snapshot does not hold were kept: its FileSet does not save them, or something below them"
            ),
        );
    }
    let full = shared.fatal_reason().map(|why| fault(code::FULL, why));
    let unrestored = shared.tally.counts().unsaved;
    let partial = (unrestored > 0).then(|| {
        let text = format!("{unrestored} entries were not restored; the run's log names them");
        fault(
            if shared.tally.outcome(Status::Error, None).lost > 0 {
                code::MISSING
            } else {
                code::STORAGE
            },
            text,
        )
    });
    if shared.context.stop.is_cancelled() {
        return shared.tally.outcome(
            Status::Canceled,
            Some(fault(code::CANCELED, "the restore was canceled".into())),
        );
    }
    let reason = full.or(broken).or(partial);
    let status = match (&reason, shortfalls.is_empty()) {
        (Some(_), _) => Status::Error,
        (None, false) => Status::Warnings,
        (None, true) => Status::Ok,
    };
    shared.tally.outcome(status, reason)
}

fn fault(code: &str, text: String) -> Fault {
    Fault {
        code: code.to_owned(),
        text,
        retry: false,
    }
}
