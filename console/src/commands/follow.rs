//! Follows runs by their event streams until they are over; a Director that goes away for a while is waited for, because
//! the run goes on without us.

use std::time::{Duration, Instant};

use common::api::events::Event;
use common::api::runs::{LogLine, Run, Severity};
use common::ids::JobId;
use futures_util::StreamExt;

use super::Context;
use crate::director::{Director, DirectorError};
use crate::outcome::CommandError;
use crate::show::{Board, Track, log_line};

/// Runs followed at once.
const AT_ONCE: usize = 16;
/// Longest time without a word of the Director before it is given up.
const PATIENCE: Duration = Duration::from_secs(600);
/// Wait before the stream is opened again.
const AGAIN: Duration = Duration::from_secs(2);

/// What of the log is shown on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lines {
    /// Warnings and errors, beside the progress.
    Problems,
    /// Lines as they come, to standard output, without progress; from this severity.
    From(Severity),
}

/// Follows runs until all are over; in the order given.
///
/// # Errors
/// When the Director stays away, or does not know a run.
pub(super) async fn to_the_end(
    context: &Context,
    director: &Director,
    ids: &[JobId],
) -> Result<Vec<Run>, CommandError> {
    let board = Board::default();
    let all = futures_util::stream::iter(ids.to_vec())
        .map(|id| one(context, director, id, &board))
        .buffered(AT_ONCE)
        .collect::<Vec<_>>()
        .await;
    all.into_iter().collect()
}

async fn one(
    context: &Context,
    director: &Director,
    id: JobId,
    board: &Board,
) -> Result<Run, CommandError> {
    let mut follower = Follower {
        context,
        director,
        id,
        after: 0,
        lines: Lines::Problems,
    };
    let mut track = board.track(format!("run {id}"));
    let end = follower.follow(board, &mut track).await;
    track.end();
    end
}

/// Shows the log of a run as it comes, after line `after`, until the run is over.
///
/// # Errors
/// As [`to_the_end`].
pub(super) async fn log(
    context: &Context,
    director: &Director,
    id: JobId,
    after: u64,
    from: Severity,
) -> Result<Run, CommandError> {
    let board = Board::default();
    let mut follower = Follower {
        context,
        director,
        id,
        after,
        lines: Lines::From(from),
    };
    let mut track = board.track(format!("run {id}"));
    let end = follower.follow(&board, &mut track).await;
    track.end();
    end
}

struct Follower<'a> {
    context: &'a Context,
    director: &'a Director,
    id: JobId,
    after: u64,
    lines: Lines,
}

impl Follower<'_> {
    async fn follow(&mut self, board: &Board, track: &mut Track) -> Result<Run, CommandError> {
        self.context.following(self.id);
        let mut heard = Instant::now();
        let mut told = false;
        loop {
            match self.stream(board, track, &mut heard).await {
                Ok(run) => return Ok(run),
                Err(Broken::Fatal(e)) => return Err(e),
                Err(Broken::Lost(reason)) => {
                    if heard.elapsed() > PATIENCE {
                        return Err(CommandError::Refused(format!(
                            "the Director has not answered for 10 minutes ({reason}); run {0} may go on\n  `holdfast show {0}` later says how it went",
                            self.id
                        )));
                    }
                    if !told {
                        board.note(&format!(
                            "the Director is away ({reason}); waiting for it, the run goes on"
                        ));
                        told = true;
                    }
                    tokio::time::sleep(AGAIN).await;
                }
            }
        }
    }

    async fn stream(
        &mut self,
        board: &Board,
        track: &mut Track,
        heard: &mut Instant,
    ) -> Result<Run, Broken> {
        let mut stream = self
            .director
            .events(self.id, Some(self.after))
            .await
            .map_err(Broken::from)?;
        loop {
            let event = tokio::select! {
                event = stream.next() => event.map_err(|lost| Broken::Lost(lost.0))?,
                () = until(track.wait_due()) => {
                    track.say_wait(board);
                    continue;
                }
            };
            *heard = Instant::now();
            match event {
                Event::Progress(progress) if self.lines == Lines::Problems => {
                    track.show(board, &progress)
                }
                Event::Progress(_) => {}
                Event::Log(line) => {
                    // After a reconnect the Director may repeat the line it was at.
                    if line.seq > self.after {
                        self.after = line.seq;
                        self.show(board, &line).map_err(Broken::Fatal)?;
                    }
                }
                Event::End(run) => return Ok(*run),
            }
        }
    }

    fn show(&self, board: &Board, line: &LogLine) -> Result<(), CommandError> {
        let screen = &self.context.screen;
        match self.lines {
            Lines::Problems if line.severity >= Severity::Warning => {
                board.note(&log_line(line, &screen.zone))
            }
            Lines::From(from) if line.severity >= from => {
                return if screen.is_json() {
                    screen.json_line(line)
                } else {
                    screen.text(&log_line(line, &screen.zone))
                };
            }
            _ => {}
        }
        Ok(())
    }
}

/// Until then; for ever without a time.
async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

/// Why a stream ended before the run.
enum Broken {
    /// Try again.
    Lost(String),
    /// Trying again would say the same.
    Fatal(CommandError),
}

impl From<DirectorError> for Broken {
    fn from(e: DirectorError) -> Self {
        match &e {
            DirectorError::Unreachable { reason, .. } => Self::Lost(reason.clone()),
            DirectorError::Refused(problem) if problem.retry || problem.status >= 500 => {
                Self::Lost(problem.title.clone())
            }
            _ => Self::Fatal(e.into()),
        }
    }
}
