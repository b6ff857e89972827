//! Commands of a FileSet: a program's output, saved as a file.
//!
//! No shell. A program that fails makes the run fail: half a dump is no backup. Its error output goes to the run's log.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command as Process, Stdio};
use std::time::Duration;

use common::fileset::Command;
use common::name::Shown;
use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};

use super::content::{Cutter, Stored, StreamError};
use super::known::Known;
use super::upload::Upload;
use crate::runlog::RunLog;
use crate::sink::error::SinkError;
use crate::sink::stop::Stop;

/// How often the watcher looks whether the run was stopped.
const LOOK: Duration = Duration::from_millis(100);
/// Lines of error output that are logged.
const MOST_LINES: usize = 1000;

/// Why the output of a command could not be saved.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CommandError {
    /// It could not be started, read or waited for.
    #[error("cannot {operation} command {program} for {}: {reason}", Shown(path))]
    Run {
        /// `start`, `read the output of`, ...
        operation: &'static str,
        /// The program.
        program: String,
        /// Where it is saved.
        path: Vec<u8>,
        /// What the system said.
        reason: String,
    },
    /// It said that it failed.
    #[error(
        "command {program} for {} failed: {status}; its output is not saved",
        Shown(path)
    )]
    Failed {
        /// The program.
        program: String,
        /// Where it is saved.
        path: Vec<u8>,
        /// Exit status or signal, in words.
        status: String,
    },
    /// Not the command's fault.
    #[error(transparent)]
    Sink(#[from] SinkError),
}

/// Runs a command and uploads what it prints.
///
/// # Errors
/// It failed, or the run was stopped.
pub fn save(
    command: &Command,
    (cutter, base): (&mut Cutter, Option<common::object::attribute::Cut>),
    (upload, known): (&Upload<'_>, &Known),
    (log, stop): (&RunLog, &Stop),
) -> Result<Stored, CommandError> {
    let program = command.read.first().cloned().unwrap_or_default();
    let failed = |operation, reason: String| CommandError::Run {
        operation,
        program: program.clone(),
        path: command.path.clone(),
        reason,
    };
    let mut child = start(command).map_err(|e| failed("start", e.to_string()))?;
    let (output, errors) = (child.stdout.take(), child.stderr.take());
    let (over, ended) = bounded::<()>(0);
    let group = rustix::process::Pid::from_child(&child);
    let (stored, status) = std::thread::scope(|scope| {
        scope.spawn(|| log_errors(&program, errors, log));
        scope.spawn(move || watch(group, &ended, stop));
        let mut output = output;
        let mut fill = |buffer: &mut [u8]| output.as_mut().map_or(Ok(0), |o| o.read(buffer));
        let stored = cutter.store(&mut fill, 0, base, (upload, known));
        drop(output);
        let status = wait(&mut child, stored.is_err());
        drop(over);
        (stored, status)
    });
    stop.check()?;
    let stored = stored.map_err(|e| match e {
        StreamError::Sink(e) => CommandError::Sink(e),
        StreamError::Source(e) => failed("read the output of", e.to_string()),
    })?;
    let status = status.map_err(|e| failed("wait for", e.to_string()))?;
    if status.success() {
        return Ok(stored);
    }
    Err(CommandError::Failed {
        program: program.clone(),
        path: command.path.clone(),
        status: status.to_string(),
    })
}

fn start(command: &Command) -> std::io::Result<Child> {
    let (program, arguments) = command
        .read
        .split_first()
        .ok_or_else(|| std::io::Error::other("no program is given"))?;
    Process::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
}

fn wait(child: &mut Child, kill: bool) -> std::io::Result<std::process::ExitStatus> {
    if kill {
        // It may have ended already.
        let _ = child.kill();
    }
    child.wait()
}

/// Ends the program and its children when the run is stopped; `ended` closes when the program is over.
fn watch(group: rustix::process::Pid, ended: &Receiver<()>, stop: &Stop) {
    while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(LOOK) {
        if stop.is_set() {
            // It may have ended already.
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
            return;
        }
    }
}

fn log_errors(program: &str, errors: Option<impl Read>, log: &RunLog) {
    let Some(errors) = errors else { return };
    let mut lines = BufReader::new(errors).split(b'\n');
    for line in lines.by_ref().take(MOST_LINES).map_while(Result::ok) {
        log.notice(format!("{program}: {}", Shown(&line)));
    }
    // Read on, so that the program is not stopped by a full pipe.
    lines.for_each(drop);
}
