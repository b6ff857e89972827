//! Saved output of a command (a dump) into the command that takes it back, instead of into a file.
//!
//! No shell: program and arguments as the FileSet has them. The program is judged only when it has ended: it must have
//! taken every byte and end with success. Never blocks on it: a run that is stopped stops the program, with its
//! children.

use std::fs::File;
use std::io::{self, BufRead, BufReader, PipeReader, PipeWriter, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use common::name::Shown;
use crossbeam_channel::{Receiver, Sender, bounded};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::{Errno, ioctl_fionread};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio_util::sync::CancellationToken;

/// A program that takes nothing and does not end for this long is stopped: a database may build an index for hours.
pub const PATIENCE: Duration = Duration::from_secs(24 * 3600);
/// Between two looks whether the program has ended or the run was stopped.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// What it says last may come this long after its end; a child of it may hold its error output open for ever.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// Longest line of its error output.
const LONGEST_LINE: u64 = 4096;
/// Lines that wait to be taken up.
const LINES: usize = 256;
/// Bytes read from the content at once.
const PART: usize = 64 << 10;

/// Why a program did not take its content.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// It cannot be started.
    #[error("cannot start {program:?}: {source}")]
    Start {
        /// The program.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// The content, or the way to it, failed.
    #[error("cannot hand the content to {program:?}: {source}")]
    Input {
        /// The program.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// It ended with an error.
    #[error("{program:?} failed: {status}{}", words(said))]
    Failed {
        /// The program.
        program: String,
        /// Its exit status or signal.
        status: String,
        /// The last line of its error output.
        said: String,
    },
    /// It ended with success, but did not want all of the content.
    #[error(
        "{program:?} ended without having read the last {left} of {bytes} bytes{}",
        words(said)
    )]
    Unread {
        /// The program.
        program: String,
        /// Bytes it left.
        left: u64,
        /// Bytes of the content.
        bytes: u64,
        /// The last line of its error output.
        said: String,
    },
    /// The run was canceled.
    #[error("the run was canceled, and {program:?} stopped")]
    Canceled {
        /// The program.
        program: String,
    },
    /// It neither reads nor ends.
    #[error("{program:?} neither read nor ended for {} s and was stopped", limit.as_secs())]
    Hangs {
        /// The program.
        program: String,
        /// The limit.
        limit: Duration,
    },
}

fn words(said: &str) -> String {
    if said.is_empty() {
        String::new()
    } else {
        format!(": {said}")
    }
}

/// What a program is given.
pub struct Content<'a> {
    /// Read from where it stands.
    pub file: &'a mut File,
    /// Bytes that must arrive.
    pub bytes: u64,
}

/// When to give up on a program.
#[derive(Clone, Copy)]
pub struct Limits<'a> {
    /// Stops it at once.
    pub stop: &'a CancellationToken,
    /// Longest time in which it neither reads nor ends.
    pub patience: Duration,
}

/// Runs `command` (program and arguments) with `content` as its input, to its end. `say` gets each line of its error
/// output.
///
/// # Errors
/// [`CommandError`]: it did not take all of the content, or says that it failed.
pub fn feed(
    command: &[String],
    content: Content<'_>,
    limits: Limits<'_>,
    say: &mut dyn FnMut(&str),
) -> Result<(), CommandError> {
    let program = command.first().cloned().unwrap_or_default();
    let mut feeding = Feeding::start(command, content).map_err(|source| CommandError::Start {
        program: program.clone(),
        source,
    })?;
    let ended = feeding.run(limits, say);
    let said = feeding.last_words(say);
    let (left, bytes) = (feeding.left(), feeding.bytes);
    match ended {
        Ok(End::Status(status)) if !status.success() => Err(CommandError::Failed {
            program,
            status: in_words(status),
            said,
        }),
        Ok(End::Status(_)) if left > 0 => Err(CommandError::Unread {
            program,
            left,
            bytes,
            said,
        }),
        Ok(End::Status(_)) => Ok(()),
        Ok(End::Canceled) => Err(CommandError::Canceled { program }),
        Ok(End::Hangs) => Err(CommandError::Hangs {
            program,
            limit: limits.patience,
        }),
        Err(source) => Err(CommandError::Input { program, source }),
    }
}

fn in_words(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => status.to_string(),
    }
}

enum End {
    Status(ExitStatus),
    Canceled,
    Hangs,
}

/// A running program and what it has not taken yet.
struct Feeding<'a> {
    child: Child,
    file: &'a mut File,
    bytes: u64,
    /// Closed when everything was handed over.
    input: Option<PipeWriter>,
    /// A second handle of the program's end: it tells how much was never read, and no write fails for want of a reader.
    unread: PipeReader,
    /// Handed over so far.
    given: u64,
    part: Vec<u8>,
    lines: Receiver<String>,
    last: String,
}

impl<'a> Feeding<'a> {
    fn start(command: &[String], Content { file, bytes }: Content<'a>) -> io::Result<Self> {
        let (program, arguments) = command
            .split_first()
            .ok_or_else(|| io::Error::other("no program is given"))?;
        let (unread, input) = io::pipe()?;
        fcntl_setfl(&input, fcntl_getfl(&input)? | OFlags::NONBLOCK)?;
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::from(unread.try_clone()?))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()?;
        let (sender, lines) = bounded(LINES);
        if let Some(errors) = child.stderr.take() {
            std::thread::spawn(move || listen(errors, &sender));
        }
        Ok(Self {
            child,
            file,
            bytes,
            input: Some(input),
            unread,
            given: 0,
            part: Vec::new(),
            lines,
            last: String::new(),
        })
    }

    /// Hands the content over until the program has ended.
    fn run(&mut self, limits: Limits<'_>, say: &mut dyn FnMut(&str)) -> io::Result<End> {
        let mut moved = Instant::now();
        loop {
            self.take_up_lines(say);
            if let Some(status) = self.child.try_wait()? {
                return Ok(End::Status(status));
            }
            if limits.stop.is_cancelled() {
                return Ok(End::Canceled);
            }
            if moved.elapsed() >= limits.patience {
                return Ok(End::Hangs);
            }
            if self.step()? {
                moved = Instant::now();
            }
        }
    }

    /// Hands over what fits now, or waits a moment. Whether something moved.
    fn step(&mut self) -> io::Result<bool> {
        if self.part.is_empty() && self.input.is_some() {
            let mut next = Read::by_ref(self.file).take(PART as u64);
            next.read_to_end(&mut self.part)?;
            if self.part.is_empty() {
                self.input = None;
                return Ok(true);
            }
        }
        let Some(input) = &mut self.input else {
            // The timer never fails; what counts is that time passes.
            let _ = crossbeam_channel::after(LOOK_EVERY).recv();
            return Ok(false);
        };
        match input.write(&self.part) {
            Ok(written) => {
                self.part.drain(..written);
                self.given = self.given.saturating_add(written as u64);
                Ok(true)
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                wait_for_room(input)?;
                Ok(false)
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Bytes the program did not read.
    fn left(&self) -> u64 {
        let waiting = ioctl_fionread(&self.unread).unwrap_or(0);
        self.bytes
            .saturating_sub(self.given)
            .saturating_add(waiting)
    }

    fn take_up_lines(&mut self, say: &mut dyn FnMut(&str)) {
        while let Ok(line) = self.lines.try_recv() {
            say(&line);
            self.last = line;
        }
    }

    /// The last line of its error output, once it has ended or was stopped.
    fn last_words(&mut self, say: &mut dyn FnMut(&str)) -> String {
        self.stop();
        let until = Instant::now() + LAST_WORDS;
        while let Ok(line) = self.lines.recv_deadline(until) {
            say(&line);
            self.last = line;
        }
        std::mem::take(&mut self.last)
    }

    /// Ends a program that is still there, with its children; one that ended keeps what it left running.
    fn stop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            // It may end by itself at this moment.
            let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
            let _ = self.child.wait();
        }
    }
}

impl Drop for Feeding<'_> {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Waits until the pipe has room, a moment at most.
fn wait_for_room(input: &PipeWriter) -> io::Result<()> {
    let limit = Timespec {
        tv_sec: 0,
        tv_nsec: LOOK_EVERY.subsec_nanos().into(),
    };
    match poll(&mut [PollFd::new(input, PollFlags::OUT)], Some(&limit)) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

/// Lines of the error output, one by one. Reads on when nobody listens, so that the program never blocks on it.
fn listen(errors: impl Read, lines: &Sender<String>) {
    let mut errors = BufReader::new(errors);
    loop {
        let mut line = Vec::new();
        let read = errors
            .by_ref()
            .take(LONGEST_LINE)
            .read_until(b'\n', &mut line);
        if !matches!(read, Ok(1..)) {
            return;
        }
        let text = Shown(line.trim_ascii()).to_string();
        if !text.is_empty() && lines.send(text).is_err() {
            break;
        }
    }
    // It is over when the last of its children has closed the pipe.
    let _ = io::copy(&mut errors, &mut io::sink());
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "command_tests.rs"]
mod tests;
