//! What a restore is given by its caller, and what all its threads share.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use common::name::Shown;
use common::object::snapshot::Counts;
use common::protocol::orders::Severity;
use parking_lot::Mutex;
use rustix::io::Errno;
use tokio_util::sync::CancellationToken;

use super::handles::Handles;
use super::order::{Mode, Plan};
use super::outcome::Tally;
use super::spool::Spooled;
use super::temp::TempNames;
use crate::scan::directory::joined;

/// Most lines about single entries in a run's log; the rest is only counted.
const MOST_LINES: u64 = 1000;

/// Takes one line of the run's log.
pub type LogSink = Box<dyn Fn(Severity, String) + Send + Sync>;
/// Takes the counts so far and the path worked on; empty = as before.
pub type ProgressSink = Box<dyn Fn(Counts, &[u8]) + Send + Sync>;

/// What the caller gives.
pub struct RestoreContext {
    /// Folders this client permits restores to (`permit_restore`).
    pub permit: Vec<Vec<u8>>,
    /// Programs this client permits (`permit_commands`); `None` = any.
    pub permit_commands: Option<Vec<String>>,
    /// Folder for content that waits for its command: the client's state.
    pub spool: PathBuf,
    /// The run's log.
    pub log: LogSink,
    /// Called at most a few times a second.
    pub progress: ProgressSink,
    /// Stops the run.
    pub stop: CancellationToken,
    /// Writing threads, 1..=16.
    pub workers: usize,
}

/// What the threads share.
pub struct Shared<'a> {
    /// The order.
    pub plan: &'a Plan,
    /// The caller's side.
    pub context: &'a RestoreContext,
    /// Open directories.
    pub handles: Handles,
    /// Counts.
    pub tally: Tally,
    /// Names of unfinished files.
    pub temp: TempNames,
    /// Owner and group a new file gets by itself.
    pub me: (u32, u32),
    /// Partly written files that are open now.
    pub open_files: AtomicU64,
    /// Whole content that waits for its command until the stream has ended.
    pub spooled: Mutex<Vec<Spooled>>,
    /// The first failure of a command, in words.
    pub refusal: Mutex<Option<String>>,
    lines: AtomicU64,
    fatal: AtomicBool,
    why: Mutex<Option<String>>,
}

impl<'a> Shared<'a> {
    /// For one run.
    #[must_use]
    pub fn new(plan: &'a Plan, context: &'a RestoreContext, handles: Handles) -> Self {
        let me = (
            rustix::process::geteuid().as_raw(),
            rustix::process::getegid().as_raw(),
        );
        Self {
            plan,
            context,
            handles,
            tally: Tally::default(),
            temp: TempNames::new(plan.job_id),
            me,
            open_files: AtomicU64::new(0),
            spooled: Mutex::default(),
            refusal: Mutex::default(),
            lines: AtomicU64::new(0),
            fatal: AtomicBool::new(false),
            why: Mutex::new(None),
        }
    }

    /// Whether nothing more is to be started.
    #[must_use]
    pub fn stopped(&self) -> bool {
        self.fatal.load(Relaxed) || self.context.stop.is_cancelled()
    }

    /// Why the run cannot go on, when it cannot.
    #[must_use]
    pub fn fatal_reason(&self) -> Option<String> {
        self.why.lock().clone()
    }

    /// Stops the run; the first reason stays.
    pub fn stop_with(&self, why: String) {
        self.why.lock().get_or_insert(why);
        self.fatal.store(true, Relaxed);
    }

    /// A line about one entry; beyond a bound they are only counted.
    pub fn line(&self, severity: Severity, text: String) {
        match self.lines.fetch_add(1, Relaxed) {
            n if n < MOST_LINES => (self.context.log)(severity, text),
            MOST_LINES => (self.context.log)(
                Severity::Notice,
                format!(
                    "more than {MOST_LINES} lines about single entries: the rest is only counted"
                ),
            ),
            _ => {}
        }
    }

    /// An entry was not restored. A full target ends the run: going on would fail for every further file.
    pub fn failed(&self, path: &[u8], error: &io::Error) {
        self.tally.failed.fetch_add(1, Relaxed);
        let full = [Errno::NOSPC, Errno::DQUOT, Errno::ROFS];
        let code = error.raw_os_error().map(Errno::from_raw_os_error);
        if code.is_some_and(|c| full.contains(&c)) {
            self.stop_with(format!(
                "cannot write {}: {error}; make room there and restore again",
                self.shown(path)
            ));
        }
        self.line(
            Severity::Error,
            format!("{} was not {}: {error}", self.shown(path), self.verb()),
        );
    }

    /// A command did not take an entry's content. The first one is told as the reason of the run.
    pub fn refused(&self, path: &[u8], error: &io::Error) {
        let why = || format!("{} was not restored: {error}", self.shown(path));
        self.refusal.lock().get_or_insert_with(why);
        self.failed(path, error);
    }

    /// A path below the target folder as people are shown it: absolute.
    #[must_use]
    pub fn shown(&self, path: &[u8]) -> String {
        if path.starts_with(b"/") {
            return Shown(path).to_string();
        }
        Shown(&joined(&self.plan.to, path)).to_string()
    }

    fn verb(&self) -> &'static str {
        if self.plan.mode == Mode::Compare {
            "compared"
        } else {
            "restored"
        }
    }

    /// The storage lost an entry's content.
    pub fn lost(&self, path: &[u8], reason: &str) {
        self.tally.failed.fetch_add(1, Relaxed);
        self.tally.lost.fetch_add(1, Relaxed);
        self.line(
            Severity::Error,
            format!(
                "{} was not restored: its content is damaged in the storage: {reason}",
                self.shown(path)
            ),
        );
    }
}
