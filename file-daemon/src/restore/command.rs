//! Content of a saved command (a dump) into the command that takes it back, instead of into a file.
//!
//! No shell: program and arguments as the FileSet has them. The command's own complaint is part of the error.

use std::io::{self, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::after;
use tokio_util::sync::CancellationToken;

/// Longest part of the command's error output that is kept.
const MOST_OUTPUT: u64 = 4096;
/// Between two looks whether the command has ended.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Why a command did not take its content.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// It cannot be started.
    #[error("cannot start {program:?}")]
    Start {
        /// The program.
        program: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It stopped reading, or something about its pipes failed.
    #[error("{program:?} stopped taking its input: {said}")]
    Input {
        /// The program.
        program: String,
        /// What it wrote to its error output.
        said: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It ended with an error.
    #[error("{program:?} ended with {status}: {said}")]
    Failed {
        /// The program.
        program: String,
        /// Its status.
        status: String,
        /// What it wrote to its error output.
        said: String,
    },
    /// The run was canceled.
    #[error("the run was canceled, and {program:?} stopped")]
    Canceled {
        /// The program.
        program: String,
    },
    /// It does not end.
    #[error("{program:?} did not end within {} s after its input ended and was stopped", limit.as_secs())]
    Hangs {
        /// The program.
        program: String,
        /// The limit.
        limit: Duration,
    },
}

/// A running command that takes content.
pub struct CommandInput {
    program: String,
    child: Child,
    input: Option<ChildStdin>,
    said: Option<JoinHandle<String>>,
}

impl CommandInput {
    /// Starts program and arguments.
    ///
    /// # Errors
    /// [`CommandError::Start`]
    pub fn start(command: &[String]) -> Result<Self, CommandError> {
        let (program, arguments) = command
            .split_first()
            .map_or(("", &[][..]), |(p, a)| (p.as_str(), a));
        let failed = |source| CommandError::Start {
            program: program.to_owned(),
            source,
        };
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let (input, errors) = (child.stdin.take(), child.stderr.take());
        let said = errors.map(|mut errors| std::thread::spawn(move || listen(&mut errors)));
        Ok(Self {
            program: program.to_owned(),
            child,
            input,
            said,
        })
    }

    /// Hands over the next bytes of the content, in order.
    ///
    /// # Errors
    /// The command does not read any more; it is stopped.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), CommandError> {
        let Some(input) = self.input.as_mut() else {
            return Ok(());
        };
        input.write_all(bytes).map_err(|source| {
            self.input = None;
            self.stop();
            CommandError::Input {
                program: self.program.clone(),
                said: self.said(),
                source,
            }
        })
    }

    /// Ends the input and waits for the command, at most `limit`, or until `stop` is canceled.
    ///
    /// # Errors
    /// It ended with an error, or not at all, and was stopped.
    pub fn finish(mut self, limit: Duration, stop: &CancellationToken) -> Result<(), CommandError> {
        self.input = None;
        let started = Instant::now();
        loop {
            let program = self.program.clone();
            match self.child.try_wait() {
                Ok(Some(status)) if status.success() => return Ok(()),
                Ok(Some(status)) => {
                    let (status, said) = (status.to_string(), self.said());
                    return Err(CommandError::Failed {
                        program,
                        status,
                        said,
                    });
                }
                Ok(None) if stop.is_cancelled() => return Err(CommandError::Canceled { program }),
                Ok(None) if started.elapsed() < limit => {
                    // The timer never fails; what counts is that time passes.
                    let _ = after(LOOK_EVERY).recv();
                }
                Ok(None) => return Err(CommandError::Hangs { program, limit }),
                Err(source) => {
                    return Err(CommandError::Input {
                        program,
                        said: String::new(),
                        source,
                    });
                }
            }
        }
    }

    fn stop(&mut self) {
        // It may have ended by itself a moment ago.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn said(&mut self) -> String {
        let said = self.said.take().and_then(|listener| listener.join().ok());
        said.unwrap_or_default()
    }
}

impl Drop for CommandInput {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The first bytes of the error output; the rest is read and dropped, so that the command never blocks on it.
fn listen(errors: &mut impl Read) -> String {
    let mut first = Vec::new();
    let _ = errors.by_ref().take(MOST_OUTPUT).read_to_end(&mut first);
    let _ = io::copy(errors, &mut io::sink());
    common::name::Shown(first.trim_ascii()).to_string()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Vec<String> {
        ["sh", "-c", script].map(String::from).to_vec()
    }

    #[test]
    fn the_command_gets_the_content() {
        let tmp = tempfile::tempdir().unwrap();
        let out = tmp.path().join("out");
        let mut command = CommandInput::start(&sh(&format!("cat > {}", out.display()))).unwrap();
        command.write(b"part one, ").unwrap();
        command.write(b"part two").unwrap();
        command
            .finish(Duration::from_secs(20), &CancellationToken::new())
            .unwrap();
        assert_eq!(std::fs::read(out).unwrap(), b"part one, part two");
    }

    #[test]
    fn failures_carry_what_the_command_said() {
        let mut command =
            CommandInput::start(&sh("cat >/dev/null; echo no such database >&2; exit 3")).unwrap();
        command.write(b"x").unwrap();
        let text = command
            .finish(Duration::from_secs(20), &CancellationToken::new())
            .unwrap_err()
            .to_string();
        assert!(
            text.contains("no such database") && text.contains('3'),
            "{text}"
        );
        let mut deaf = CommandInput::start(&sh("echo closed >&2; exit 0")).unwrap();
        let chunk = vec![0; 1 << 16];
        let error = (0..100).find_map(|_| deaf.write(&chunk).err()).unwrap();
        assert!(
            error.to_string().contains("stopped taking its input"),
            "{error}"
        );
        assert!(CommandInput::start(&["/no/such/program".into()]).is_err());
        assert!(CommandInput::start(&[]).is_err());
    }

    #[test]
    fn a_command_that_does_not_end_is_stopped() {
        let command = CommandInput::start(&sh("exec sleep 1000")).unwrap();
        let error = command
            .finish(Duration::from_millis(50), &CancellationToken::new())
            .unwrap_err();
        assert!(matches!(error, CommandError::Hangs { .. }), "{error}");
    }
}
